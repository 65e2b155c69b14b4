//! What a report claims, as it is typed.

use askama::Template;
use askama::filters::HtmlSafe;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::{LeaseId, Timestamp};

use super::forms::Report;
use super::queries::{self, Lease};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::{Error, FieldErrors, Locale, Member, format};

/// What a report claims, and the button that says so.
#[derive(Template, WebTemplate)]
#[template(path = "claims/_bill.html")]
pub(super) struct Bill {
    locale: Locale,
    formula: Option<String>,
    period: String,
    /// As it is shown, and as it is sent back.
    amount: Option<(String, String)>,
}

impl HtmlSafe for Bill {}

impl Bill {
    pub(super) fn of_report(locale: Locale, form: &Report, lease: &Lease, now: Timestamp) -> Self {
        let read = form.sum(locale, lease, now, &mut FieldErrors::default());
        let minutes = read.and_then(|(_, sum)| sum.minutes);
        Self {
            locale,
            formula: minutes.map(|minutes| minutes.formula(locale, lease.price)),
            period: read.map_or_else(String::new, |(period, _)| locale.period(period)),
            amount: read.map(|(_, sum)| (format::money(sum.amount), sum.amount.to_string())),
        }
    }
}

/// `GET /leases/{id}/problem/claim`: what a report claims, as it is typed.
///
/// # Errors
/// [`Error::NotFound`] for another holder's lease as for none.
pub async fn claim(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    Query(form): Query<Report>,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let lease = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    Ok(Bill::of_report(locale, &form, &lease, app.clock.now()).into_response())
}
