//! Reporting a problem.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{Command, DisputeId, EventKind, LeaseId, Rejection};
use tokio::sync::Mutex;

use super::forms::{Claim, Report};
use super::{pages, queries, store};
use crate::app::App;
use crate::sequencer::{Actor, SubmitError};
use crate::web::form::{client_id, form_id};
use crate::web::{Error, FieldErrors, Form, Member, Shell, format, say};

/// What came of a claim that was sent.
enum Sent {
    Opened(DisputeId),
    Rejected(Rejection),
    /// Its answer was lost: the same form tells.
    Uncertain,
}

/// `POST /leases/{id}/problem`: the report as a claim; then to its dispute. The same form again
/// leads to the same dispute.
///
/// # Errors
/// [`Error::NotFound`] for another holder's lease as for none; when the market takes no commands.
pub async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(mut form): Form<Report>,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let lease = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let locale = shell.locale;
    let now = app.clock.now();
    let refuse = async |status, form, errors, notice: Option<&str>| {
        let notice = notice.map(str::to_owned);
        let page = pages::draw(&app, shell.clone(), &lease, form, errors, notice);
        Ok((status, page).into_response())
    };
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let Some(form_id) = form_id(&form.form_id).map(str::to_owned) else {
        form.form_id = client_id();
        let notice = locale.t("said.again");
        return refuse(unprocessable, form, FieldErrors::default(), Some(&notice)).await;
    };
    if let Some(dispute) = queries::dispute_of_form(&app.db, member.participant, &form_id).await? {
        return Ok(Redirect::to(&format!("/disputes/{dispute}?opened")).into_response());
    }
    let claim = match form.read(locale, &lease, now) {
        Ok(claim) => claim,
        Err(errors) => return refuse(unprocessable, form, errors, None).await,
    };
    if let Some(minutes) = claim.sum.minutes {
        let most = queries::claimable(&app.db, &lease, claim.period).await?;
        if minutes.in_all() > most {
            let mut errors = FieldErrors::default();
            let most = format::count(most);
            errors.add("minutes", locale.tr("claim.bad.refunded", [("n", &most)]));
            return refuse(unprocessable, form, errors, None).await;
        }
    }
    if !form.names(&claim) && pages::closed(&app, &lease).is_none() {
        let notice = locale.t("claim.changed");
        return refuse(unprocessable, form, FieldErrors::default(), Some(&notice)).await;
    }
    match send(&app, &member, id, &form_id, &claim).await? {
        Sent::Opened(dispute) => {
            Ok(Redirect::to(&format!("/disputes/{dispute}?opened")).into_response())
        }
        Sent::Uncertain => {
            let notice = locale.t("claim.uncertain");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            refuse(status, form, FieldErrors::default(), Some(&notice)).await
        }
        Sent::Rejected(rejection) => {
            let notice = say::rejection(locale, rejection);
            refuse(
                StatusCode::CONFLICT,
                form,
                FieldErrors::default(),
                Some(&notice),
            )
            .await
        }
    }
}

/// One claim at a time is on its way, so none is taken for another. They are rare, and each takes a
/// commit.
static ON_THE_WAY: Mutex<()> = Mutex::const_new(());

/// Writes a claim down, sends its command, and notes what came of it; one whose answer was lost is
/// found again.
async fn send(
    app: &App,
    member: &Member,
    lease: LeaseId,
    form_id: &str,
    claim: &Claim,
) -> Result<Sent, Error> {
    let _one = ON_THE_WAY.lock().await;
    store::link(&app.db, lease).await?;
    if let Some(dispute) = queries::dispute_of_form(&app.db, member.participant, form_id).await? {
        return Ok(Sent::Opened(dispute));
    }
    let now = app.clock.now();
    store::enter(&app.db, member, lease, form_id, claim, now).await?;
    let command = Command::OpenDispute {
        participant: member.participant,
        lease,
        amount: claim.sum.amount,
    };
    let actor = Actor::User(member.user);
    let receipt = match app.sequencer.submit(actor, command).await {
        Ok(receipt) => receipt,
        Err(SubmitError::Uncertain) => return Ok(Sent::Uncertain),
        Err(SubmitError::Busy | SubmitError::Stopped) => return Err(Error::Busy),
    };
    let opened = receipt.events.iter().find_map(|event| match &event.kind {
        EventKind::Disputed { dispute, .. } => Some(*dispute),
        _ => None,
    });
    let Some(dispute) = opened else {
        store::forget(&app.db, member.participant, form_id).await?;
        let rejection = receipt.rejection().unwrap_or(Rejection::NotSupported);
        return Ok(Sent::Rejected(rejection));
    };
    store::arrived(&app.db, member.participant, form_id, dispute).await?;
    app.feed.tell_of_dispute(dispute);
    Ok(Sent::Opened(dispute))
}
