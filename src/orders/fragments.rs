//! The orders as they change.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::response::Response;
use market::Market;

use super::queries::{self, OrderRow};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Watcher};
use crate::web::quote::Quote;
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, Member, format, say};

/// Open orders and past ones.
#[derive(Template)]
#[template(path = "orders/_list.html")]
pub(super) struct List {
    locale: Locale,
    open: Vec<View>,
    past: Vec<View>,
}

impl HtmlSafe for List {}

/// An order in words.
pub(super) struct View {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) title: String,
    pub(super) symbols: Vec<String>,
    pub(super) is_bid: bool,
    pub(super) units: String,
    pub(super) filled: String,
    pub(super) price: String,
    pub(super) period: String,
    pub(super) held: String,
    pub(super) accepted_at: String,
    pub(super) state: String,
    pub(super) tone: &'static str,
    pub(super) is_open: bool,
    pub(super) why: Option<String>,
    pub(super) done_at: Option<String>,
}

impl View {
    /// An order with, for an open one, why it is not filled.
    pub(super) fn new(locale: Locale, row: &OrderRow, market: &Market) -> Self {
        let title = match row.symbols.as_slice() {
            [symbol] => Symbol::new(symbol).title(locale),
            symbols => locale.tr("orders.several", [("n", &symbols.len().to_string())]),
        };
        let is_open = row.done.is_none();
        let (state, tone) = match row.done.as_deref() {
            Some("filled") => (say::done(locale, "filled"), "teal"),
            Some(why) => (say::done(locale, why), ""),
            None if row.filled > 0 => (locale.t("order.state.part").into_owned(), "teal"),
            None => (locale.t("order.state.open").into_owned(), ""),
        };
        Self {
            id: row.id.to_string(),
            href: format!("/orders/{}", row.id),
            title,
            symbols: row.symbols.clone(),
            is_bid: row.is_bid,
            units: format::count(row.units),
            filled: format::count(row.filled),
            price: format::money(row.price),
            period: locale.period(row.period),
            held: format::money(row.held),
            accepted_at: locale.second(row.accepted_at),
            state,
            tone,
            is_open,
            why: (is_open && row.is_bid).then(|| why_not(locale, row, market)),
            done_at: row.done_at.map(|at| locale.second(at)),
        }
    }
}

/// Why an open bid is not filled, in one sentence.
fn why_not(locale: Locale, row: &OrderRow, market: &Market) -> String {
    let wanted = row.units - row.filled;
    let books = market
        .instruments()
        .filter(|instrument| row.symbols.contains(&instrument.listed.symbol))
        .map(|instrument| market.depth(instrument.listed.instrument, row.period));
    let mut best = None;
    let mut most = 0;
    for depth in books {
        let quote = Quote::new(&depth, wanted, None);
        most = most.max(quote.units);
        let ask = depth.asks.first().map(|level| level.price);
        best = best.into_iter().chain(ask).min();
    }
    match best {
        None => locale.t("order.why.nothing").into_owned(),
        Some(ask) if ask > row.price => locale.tr(
            "order.why.dear",
            [
                ("ask", &format::money(ask)),
                ("limit", &format::money(row.price)),
            ],
        ),
        Some(_) => locale.tr("order.why.few", [("n", &format::count(most))]),
    }
}

/// The orders of a participant.
pub(super) async fn list(app: &App, locale: Locale, member: &Member) -> Result<List, Error> {
    let open = queries::open(&app.db, member.participant).await?;
    let past = queries::past(&app.db, member.participant).await?;
    let market = app.feed.market();
    let views = |rows: &[OrderRow]| -> Vec<View> {
        rows.iter()
            .map(|row| View::new(locale, row, &market))
            .collect()
    };
    Ok(List {
        locale,
        open: views(&open),
        past: views(&past),
    })
}

/// `GET /orders/live`: the orders, after each commit that touches one or a book.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
) -> Result<Response, Error> {
    live::for_participant(&app, watcher, move |app, member| async move {
        Ok(vec![(
            "list",
            live::html(&list(&app, locale, &member).await?)?,
        )])
    })
}
