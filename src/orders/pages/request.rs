//! An order that needs a second person.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::{Account, AccountKind, Money, Side};

use super::super::forms::Opinion;
use super::super::fragments::{self, RequestView, Stage};
use crate::app::App;
use crate::web::image::Image;
use crate::web::minutes::LONGEST;
use crate::web::placing::{self, Request, RequestId};
use crate::web::quote::{self, Reckoned};
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Role, Shell, format, say};

/// What a reader may do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Can {
    /// Only read it.
    Read,
    /// Withdraw it: they asked.
    Withdraw,
    /// Approve or decline it.
    Decide,
    /// Send its order again.
    Resume,
}

/// A request for a second person's approval.
#[derive(Template, WebTemplate)]
#[template(path = "orders/request.html")]
pub(in super::super) struct RequestPage {
    shell: Shell,
    request: RequestView,
    facts: Vec<(&'static str, String)>,
    decided: Option<String>,
    /// The order that it became.
    made: Option<String>,
    can: Can,
    /// What would come of it now.
    outcome: Option<String>,
    cash: String,
    missing: Option<String>,
    opinion: Opinion,
    /// What was typed, where there is no field for it any more.
    unsent: Option<String>,
    longest: usize,
    errors: FieldErrors,
    notice: Option<String>,
    done: Option<&'static str>,
}

/// The words for a request's outcomes, by the query that a form leads to.
const DONE: [(&str, &str); 3] = [
    ("asked", "request.done.asked"),
    ("declined", "request.done.declined"),
    ("withdrawn", "request.done.withdrawn"),
];

/// `GET /orders/requests/{id}`: an order that needs a second person.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn request(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let opinion = kept.form(&format!("/orders/requests/{id}/decline"));
    let opinion = opinion.unwrap_or_default();
    let id = id.parse().map_err(|_| Error::NotFound)?;
    let (shell, errors) = (kept.told(shell), FieldErrors::default());
    let page = draw_request(&app, shell, &member, id, (opinion, errors, None)).await?;
    let done = DONE.iter().find(|(name, _)| uri.query() == Some(*name));
    let done = done.map(|(_, key)| *key);
    Ok(RequestPage { done, ..page }.into_response())
}

/// The page of a request, with what was typed and what is wrong.
pub(in super::super) async fn draw_request(
    app: &App,
    shell: Shell,
    member: &Member,
    id: RequestId,
    (opinion, errors, notice): (Opinion, FieldErrors, Option<String>),
) -> Result<RequestPage, Error> {
    let request = placing::request(&app.db, member.participant, id).await?;
    let request = request.ok_or(Error::NotFound)?;
    let (locale, now) = (shell.locale, app.clock.now());
    let market = app.feed.market();
    let view = RequestView::new(locale, &request, &market, now);
    let is_own = request.asked_by.0 == member.user;
    let may_decide = !is_own && member.roles.have(&[Role::Approver]);
    let can = match view.stage {
        Stage::Waiting if is_own => Can::Withdraw,
        Stage::Waiting if may_decide => Can::Decide,
        Stage::Sending if may_decide => Can::Resume,
        _ => Can::Read,
    };
    let order = &request.order;
    let outcome = view.stage.is_open().then(|| {
        Reckoned::new(&market, order.clone(), Some(order.price)).map_or_else(
            |rejection| say::rejection(locale, rejection),
            |reckoned| reckoned.outcome(locale),
        )
    });
    let cash = Account::of(member.participant, AccountKind::Cash);
    let cash = market.ledger().balance(cash);
    let missing = Some(request.cost - cash).filter(|_| view.stage.is_open());
    Ok(RequestPage {
        facts: facts_of(locale, &request, &view),
        decided: request.decided.as_ref().map(|(name, at)| {
            let at = locale.minute(*at);
            locale.tr("request.decided", [("name", &**name), ("at", &at)])
        }),
        made: request.made.map(|order| order.to_string()),
        can,
        outcome,
        cash: format::money(cash),
        missing: missing
            .filter(|more| *more > Money::ZERO)
            .map(format::money),
        unsent: Some(opinion.reason.clone())
            .filter(|reason| can != Can::Decide && !reason.is_empty()),
        opinion,
        longest: LONGEST,
        errors,
        notice,
        done: None,
        request: view,
        shell,
    })
}

/// A request's terms, as rows.
fn facts_of(locale: Locale, request: &Request, view: &RequestView) -> Vec<(&'static str, String)> {
    let order = &request.order;
    let units = |units: i64| format!("{} {}", format::count(units), locale.t("unit.units"));
    let mut facts = vec![
        ("confirm.what", view.title.clone()),
        ("ticket.units", units(order.units)),
        (
            "ticket.period",
            if quote::flexible(&order.side) {
                format!("{} UTC+8", view.period)
            } else {
                let hours = fragments::period_of(order).hours().to_string();
                let words = [("period", &*view.period), ("hours", &hours)];
                locale.tr("confirm.period", words)
            },
        ),
        (
            "ticket.price",
            format!("{} {}", view.price, locale.t("unit.price")),
        ),
        ("ticket.tif", say::stands(locale, order.tif)),
    ];
    if let Side::Buy {
        min_fill: Some(least),
        ..
    } = &order.side
    {
        facts.push(("ticket.min_fill", units(*least)));
    }
    if order.post_only {
        facts.push(("ticket.post_only", locale.t("confirm.yes").into_owned()));
    }
    let image = Image::of(&request.image).map(|image| image.name.clone());
    facts.push((
        "access.image",
        image.unwrap_or_else(|| request.image.clone()),
    ));
    let key = request.ssh_key.clone();
    let key = key.unwrap_or_else(|| locale.t("access.later").into_owned());
    facts.push(("access.key", key));
    facts
}
