//! The report of a problem.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use market::{DisputeId, LeaseId, Timestamp};

use super::forms::{REASONS, Report};
use super::fragments::Bill;
use super::queries::{self, Lease};
use crate::app::App;
use crate::web::minutes::LONGEST;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Kept, Member, Shell, format};

/// Why nothing can be claimed of a lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// A dispute about it is open.
    Disputed(DisputeId),
    /// Its claim window is over, since then.
    Over(Timestamp),
    /// None of its hours has begun before then.
    NotBegun(Timestamp),
}

/// Until when a problem of a lease can be reported.
fn window_until(app: &App, lease: &Lease) -> Timestamp {
    let hours = app.feed.market().rules().claim_window_hours;
    lease.period.end.begins().plus_hours(hours)
}

/// Why nothing can be claimed of a lease now, if nothing can.
pub(super) fn closed(app: &App, lease: &Lease) -> Option<Closed> {
    let (until, begins) = (window_until(app, lease), lease.period.start.begins());
    let now = app.clock.now();
    let open = app.feed.market().open_dispute(lease.id).map(|one| one.id);
    match open {
        Some(dispute) => Some(Closed::Disputed(dispute)),
        None if now >= until => Some(Closed::Over(until)),
        None if now < begins => Some(Closed::NotBegun(begins)),
        None => None,
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "claims/report.html")]
pub(super) struct Page {
    shell: Shell,
    lease: String,
    title: String,
    units: i64,
    period: String,
    price: String,
    total: String,
    provider: String,
    until: String,
    closed: Option<(String, Option<(String, String)>)>,
    reasons: [&'static str; 6],
    longest: usize,
    form: Report,
    bill: Bill,
    errors: FieldErrors,
    notice: Option<String>,
}

/// The report of a problem as it was typed, with what is wrong with it.
pub(super) fn draw(
    app: &App,
    shell: Shell,
    lease: &Lease,
    form: Report,
    errors: FieldErrors,
    notice: Option<String>,
) -> Page {
    let locale = shell.locale;
    let closed = closed(app, lease);
    let why = closed.map(|closed| match closed {
        Closed::Disputed(dispute) => (
            locale.tr("claim.closed.disputed", [("id", &dispute.to_string())]),
            Some((
                format!("/disputes/{dispute}"),
                locale.t("claim.to_dispute").into_owned(),
            )),
        ),
        Closed::Over(until) => (
            locale.tr("claim.closed.over", [("until", &locale.minute(until))]),
            None,
        ),
        Closed::NotBegun(begins) => (
            locale.tr(
                "claim.closed.not_begun",
                [("begins", &locale.minute(begins))],
            ),
            None,
        ),
    });
    Page {
        lease: lease.id.to_string(),
        title: Symbol::new(&lease.symbol).title(locale),
        units: lease.units,
        period: locale.period(lease.period),
        price: format::money(lease.price),
        total: format::money(lease.total()),
        provider: lease.provider.clone(),
        until: locale.minute(window_until(app, lease)),
        // What the market said is in the sentence already.
        notice: notice.filter(|_| why.is_none()),
        closed: why,
        reasons: REASONS,
        longest: LONGEST,
        bill: Bill::of_report(locale, &form, lease, app.clock.now()),
        form,
        errors,
        shell,
    }
}

/// `GET /leases/{id}/problem`
///
/// # Errors
/// [`Error::NotFound`] for another holder's lease as for none.
pub async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let lease = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let form = kept
        .form(&format!("/leases/{id}/problem"))
        .unwrap_or_else(|| Report::new(&lease, app.clock.now()));
    let shell = kept.told(shell);
    let page = draw(&app, shell, &lease, form, FieldErrors::default(), None);
    Ok(page.into_response())
}
