//! The contract note of a trade.

use askama::Template;
use askama::filters::HtmlSafe;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use market::TradeId;

use super::super::queries;
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, Member, Shell, format};

/// The contract note of a trade.
#[derive(Template)]
#[template(path = "orders/_note.html")]
struct Note {
    locale: Locale,
    /// What, its value, and where it is shown.
    facts: Vec<(&'static str, String, Option<String>)>,
    terms: Vec<String>,
    made_at: String,
}

impl HtmlSafe for Note {}

#[derive(Template, WebTemplate)]
#[template(path = "orders/trade.html")]
struct TradePage {
    shell: Shell,
    id: String,
    note: Note,
}

#[derive(Template)]
#[template(path = "orders/note.html")]
struct NoteFile {
    locale: Locale,
    id: String,
    note: Note,
}

/// `GET /trades/{id}`: the contract note.
///
/// # Errors
/// [`Error::NotFound`] for others' as for none.
pub async fn trade(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let note = note(&app, shell.locale, &member, &id, true).await?;
    Ok(TradePage { shell, id, note }.into_response())
}

/// `GET /trades/{id}/note`: the same as a file that stands by itself.
///
/// # Errors
/// [`Error::NotFound`] for others' as for none.
pub async fn note_file(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
) -> Result<Response, Error> {
    let note = note(&app, locale, &member, &id, false).await?;
    let file = format!("attachment; filename=\"{id}.html\"");
    let file = HeaderValue::from_str(&file).map_err(|error| Error::Internal(error.into()))?;
    let html = crate::web::live::html(&NoteFile { locale, id, note })?;
    Ok(([(header::CONTENT_DISPOSITION, file)], Html(html)).into_response())
}

/// The note of a trade, with or without links to what it names.
async fn note(
    app: &App,
    locale: Locale,
    member: &Member,
    id: &str,
    is_linked: bool,
) -> Result<Note, Error> {
    let id: TradeId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::trade(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let symbol = Symbol::new(&row.symbol);
    let is_holder = row.holder == member.participant;
    let hours = row.period.hours();
    let price = format::money(row.price);
    let total = format::wide(row.price.times(row.units, hours));
    let words = [
        ("price", &*price),
        ("units", &format::count(row.units)),
        ("hours", &hours.to_string()),
    ];
    let own_order = if is_holder { row.buy } else { row.sell };
    let lease = format!("l{}", id.0);
    let link = |path: String| is_linked.then_some(path);
    let mut facts = vec![
        ("note.title", id.to_string(), None),
        ("note.at", locale.second(row.at), None),
        ("note.buyer", row.buyer.clone(), None),
        ("note.provider", row.provider.clone(), None),
        ("note.what", symbol.title(locale), None),
        (
            "note.instrument",
            row.symbol.clone(),
            link(format!("/market/{}", row.symbol)),
        ),
        ("note.units", format::count(row.units), None),
        ("note.period", locale.period(row.period), None),
        (
            "note.price",
            format!("{price} {}", locale.t("unit.price")),
            None,
        ),
        (
            "note.total",
            format!("{} = ¥{total}", locale.tr("note.formula", words)),
            None,
        ),
        ("note.level", symbol.level(locale), None),
        ("note.rules", format!("v{}", row.rules), None),
        ("note.pool", format!("p{}", row.pool), None),
        (
            "note.lease",
            lease.clone(),
            link(format!("/leases/{lease}")).filter(|_| is_holder),
        ),
        (
            "note.order",
            own_order.to_string(),
            link(format!("/orders/{own_order}")),
        ),
    ];
    if let Some(held) = row.held.note(locale, app.clock.now()) {
        facts.push(("note.held", held, None));
    }
    if let Some(entry) = row.entry {
        let hash: String = row.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = format!("J-{entry} {hash}");
        facts.push((
            "note.entry",
            shown,
            link(format!("/wallet/entries/e{entry}")),
        ));
    }
    Ok(Note {
        locale,
        facts,
        terms: terms(app, locale, &row),
        made_at: locale.second(app.clock.now()),
    })
}

/// What the rule set says of a trade, where it is still the one in force.
fn terms(app: &App, locale: Locale, row: &queries::TradeRow) -> Vec<String> {
    let market = app.feed.market();
    let rules = market.rules();
    let mut terms = vec![locale.t("note.term.settled").into_owned()];
    if row.fee_bps > 0 {
        let share = format::percent(row.fee_bps);
        terms.push(locale.tr("note.term.fee", [("share", &share)]));
    }
    if rules.version != row.rules {
        let version = row.rules.to_string();
        terms.push(locale.tr("note.term.other_rules", [("n", &version)]));
        return terms;
    }
    let level = row.symbol.rsplit('.').next().unwrap_or_default();
    if let Some(level) = rules.service_levels.get(level) {
        let promised = format::percent(level.availability_bps);
        terms.push(locale.tr("note.term.availability", [("p", &promised)]));
        for step in &level.credits {
            let words = [
                ("below", &*format::percent(step.below_bps)),
                ("credit", &format::percent(step.credit_bps)),
            ];
            terms.push(locale.tr("note.term.credit", words));
        }
    }
    if rules.claim_window_hours > 0 {
        let hours = rules.claim_window_hours.to_string();
        terms.push(locale.tr("note.term.claim", [("n", &hours)]));
    }
    terms
}
