//! Halting, relating, and finding a lease to be failed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{LeaseId, Rejection};

use super::forms::{DefaultForm, Halt, Relation};
use super::fragments::Reckoning;
use super::pages::{self, Said};
use super::queries::{self, Standing};
use super::store::{self, Intervention, What};
use crate::app::App;
use crate::sequencer::{Actor, SubmitError};
use crate::web::acts::Origin;
use crate::web::form::{client_id, form_id};
use crate::web::{Error, FieldErrors, Form, Locale, Member, Shell};

/// What came of an intervention.
enum Outcome {
    Done,
    /// The market would not do it, by this code.
    Rejected(String),
    /// Somebody has asked for it before by another form, and it is done.
    Earlier(Box<Standing>),
    /// Its answer was lost: the same form tells.
    Uncertain,
}

/// Who intervenes, and by which form.
struct Desk<'a> {
    app: &'a App,
    origin: &'a Origin,
    member: &'a Member,
    form_id: &'a str,
}

impl Desk<'_> {
    /// What came of this form, if it was sent before.
    async fn again(&self) -> Result<Option<Outcome>, Error> {
        match queries::standing(&self.app.db, self.form_id, None).await? {
            Some(standing) => Ok(Some(self.go_on(standing, false).await?)),
            None => Ok(None),
        }
    }

    /// Writes an intervention down and has it done.
    async fn intervene(
        &self,
        what: What,
        reason: &'static str,
        note: Option<&str>,
    ) -> Result<Outcome, Error> {
        let asked = Intervention {
            form_id: self.form_id,
            user: self.member.user,
            what,
            reason,
            note,
            at: self.app.clock.now(),
        };
        let (standing, is_new) = store::begin(&self.app.db, self.origin, &asked).await?;
        self.go_on(standing, is_new).await
    }

    /// Has done what stands. What was cut short is asked for again: each of these commands, given
    /// twice, does no more than once.
    async fn go_on(&self, standing: Standing, is_new: bool) -> Result<Outcome, Error> {
        let db = &self.app.db;
        let is_own = standing.form_id == self.form_id && standing.user_id == self.member.user;
        match (standing.command, &standing.rejected) {
            (Some(_), _) if is_own => return Ok(Outcome::Done),
            (Some(_), _) => return Ok(Outcome::Earlier(Box::new(standing))),
            (None, Some(code)) => return Ok(Outcome::Rejected(code.clone())),
            (None, None) => {}
        }
        if !is_new && self.is_done(&standing).await? {
            return Ok(Outcome::Done);
        }
        let actor = Actor::User(self.member.user);
        let receipt = match self.app.sequencer.submit(actor, standing.body()?).await {
            Ok(receipt) => receipt,
            Err(SubmitError::Uncertain) => return Ok(Outcome::Uncertain),
            Err(SubmitError::Busy | SubmitError::Stopped) => {
                if is_new {
                    store::forget(db, self.origin, standing.id).await?;
                }
                return Err(Error::Busy);
            }
        };
        let Some(rejection) = receipt.rejection() else {
            store::done(db, standing.id, receipt.command).await?;
            return Ok(Outcome::Done);
        };
        // The same form, sent at the same time, may have done it.
        if self.is_done(&standing).await? {
            return Ok(Outcome::Done);
        }
        let code = rejection.code();
        store::rejected(db, self.origin, standing.id, code).await?;
        Ok(Outcome::Rejected(code.to_owned()))
    }

    /// Whether the log has its command, which is then noted.
    async fn is_done(&self, standing: &Standing) -> Result<bool, Error> {
        let command = queries::done_as(&self.app.db, standing).await?;
        if let Some(command) = command {
            store::done(&self.app.db, standing.id, command).await?;
        }
        Ok(command.is_some())
    }
}

/// What is said of an intervention that is not done, and with which status; nothing where it is.
fn refusal(locale: Locale, outcome: &Outcome) -> Option<(StatusCode, String)> {
    match outcome {
        Outcome::Done => None,
        Outcome::Uncertain => {
            let said = locale.t("control.uncertain").into_owned();
            Some((StatusCode::SERVICE_UNAVAILABLE, said))
        }
        Outcome::Rejected(code) => {
            let said = locale.t(format!("rejection.{code}")).into_owned();
            Some((StatusCode::CONFLICT, said))
        }
        Outcome::Earlier(standing) => {
            let words = [
                ("name", standing.login.clone()),
                ("at", locale.minute(standing.asked_at())),
            ];
            let said = locale.tr("control.earlier", words);
            Some((StatusCode::CONFLICT, said))
        }
    }
}

/// `POST /ops/halts`: an instrument's orders can only be cancelled for a time.
///
/// # Errors
/// When the market takes no commands.
pub async fn halt(
    State(app): State<App>,
    origin: Origin,
    member: Member,
    shell: Shell,
    Form(mut form): Form<Halt>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let Some(id) = form_id(&form.form_id).map(str::to_owned) else {
        form.form_id = client_id();
        let page = pages::draw_halts(&app, shell, form, Said::again(locale), None);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
    };
    let desk = Desk {
        app: &app,
        origin: &origin,
        member: &member,
        form_id: &id,
    };
    // Read first: a halt that stands in the way may be what the same form has made, and then it has
    // been written down.
    let read = form.read(locale, &app.feed.market(), app.clock.now());
    let outcome = match (desk.again().await?, read) {
        (Some(outcome), _) => outcome,
        (None, Ok((what, why))) => {
            let note = why.note.as_deref();
            desk.intervene(what, why.reason, note).await?
        }
        (None, Err(errors)) => {
            let page = pages::draw_halts(&app, shell, form, Said::wrong(errors), None);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
        }
    };
    let Some((status, said)) = refusal(locale, &outcome) else {
        return Ok(Redirect::to("/ops/halts?done").into_response());
    };
    let page = pages::draw_halts(&app, shell, form, Said::notice(said), None);
    Ok((status, page.await?).into_response())
}

/// `POST /ops/relations`: two participants count as one when they trade.
///
/// # Errors
/// When the market takes no commands.
pub async fn relate(
    State(app): State<App>,
    origin: Origin,
    member: Member,
    shell: Shell,
    Form(mut form): Form<Relation>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let Some(id) = form_id(&form.form_id).map(str::to_owned) else {
        form.form_id = client_id();
        let page = pages::draw_relations(&app, shell, form, Said::again(locale), None);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
    };
    let desk = Desk {
        app: &app,
        origin: &origin,
        member: &member,
        form_id: &id,
    };
    // Read first: where the same form was quicker and they are related by now, it has been written
    // down by now too.
    let read = read_relation(&app, locale, &form).await?;
    let outcome = match (desk.again().await?, read) {
        (Some(outcome), _) => outcome,
        (None, Ok((what, reason, note))) => desk.intervene(what, reason, Some(&note)).await?,
        (None, Err(errors)) => {
            let page = pages::draw_relations(&app, shell, form, Said::wrong(errors), None);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
        }
    };
    let Some((status, said)) = refusal(locale, &outcome) else {
        return Ok(Redirect::to("/ops/relations?done").into_response());
    };
    let page = pages::draw_relations(&app, shell, form, Said::notice(said), None);
    Ok((status, page.await?).into_response())
}

/// The relation that is meant, with its reason and evidence, or what is wrong with it.
async fn read_relation(
    app: &App,
    locale: Locale,
    form: &Relation,
) -> Result<Result<(What, &'static str, String), FieldErrors>, Error> {
    let one = queries::participant(&app.db, &form.one).await?;
    let other = queries::participant(&app.db, &form.other).await?;
    let mut errors = FieldErrors::default();
    for (field, found) in [("one", one), ("other", other)] {
        if found.is_none() {
            errors.add(field, locale.t("control.bad.participant"));
        }
    }
    if let (Some(one), Some(other)) = (one, other) {
        let market = app.feed.market();
        if one == other {
            errors.add("other", locale.t("control.bad.itself"));
        } else if market.group(one) == market.group(other) {
            errors.add("other", locale.t("control.bad.related"));
        }
    }
    let why = form.why(locale);
    Ok(match (one, other, why) {
        (Some(one), Some(other), Ok((reason, note))) if errors.is_empty() => {
            Ok((What::Relation { one, other }, reason, note))
        }
        (_, _, why) => {
            errors.extend(why.err().unwrap_or_default());
            Err(errors)
        }
    })
}

/// `POST /ops/leases/{id}/default`: a lease that its provider fails ends with the next whole hour.
///
/// # Errors
/// [`Error::NotFound`] where there is no such lease; when the market takes no commands.
pub async fn default(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
    shell: Shell,
    Form(mut form): Form<DefaultForm>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let lease: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    queries::lease(&app.db, lease)
        .await?
        .ok_or(Error::NotFound)?;
    let Some(id) = form_id(&form.form_id).map(str::to_owned) else {
        form.form_id = client_id();
        let page = pages::draw_default(&app, shell, lease, form, Said::again(locale));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
    };
    let desk = Desk {
        app: &app,
        origin: &origin,
        member: &member,
        form_id: &id,
    };
    let outcome = match desk.again().await? {
        Some(outcome) => outcome,
        None => {
            let (reason, note) = match form.why(locale) {
                Ok(why) => why,
                Err(errors) => {
                    let said = Said::wrong(errors);
                    let page = pages::draw_default(&app, shell, lease, form, said);
                    return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
                }
            };
            let what = What::Default { lease };
            match Reckoning::of(&app, lease).await? {
                Ok(reckoning) if !form.shows(&reckoning) => {
                    let said = Said::notice(locale.t("default.changed").into_owned());
                    let page = pages::draw_default(&app, shell, lease, form, said);
                    return Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response());
                }
                // That it is over is for who asked before to explain, if somebody did.
                Err(Rejection::LeaseOver)
                    if queries::standing(&app.db, &id, Some(lease.0))
                        .await?
                        .is_none() =>
                {
                    Outcome::Rejected(Rejection::LeaseOver.code().to_owned())
                }
                _ => desk.intervene(what, reason, Some(&note)).await?,
            }
        }
    };
    let Some((status, said)) = refusal(locale, &outcome) else {
        let onward = format!("/ops/leases/{lease}/default?done");
        return Ok(Redirect::to(&onward).into_response());
    };
    let page = pages::draw_default(&app, shell, lease, form, Said::notice(said));
    Ok((status, page.await?).into_response())
}
