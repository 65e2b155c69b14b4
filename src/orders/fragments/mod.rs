//! The orders as they change.

pub(super) mod why;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::response::Response;
use market::{Market, Period, PlaceOrder, Side, Target, Timestamp};

use super::queries::{self, OrderRow};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Watcher};
use crate::web::placing::{self, Request};
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, Member, format, say};

/// Requests that wait for a second person, open orders and past ones.
#[derive(Template)]
#[template(path = "orders/_list.html")]
pub(super) struct List {
    locale: Locale,
    waiting: Vec<RequestView>,
    open: Vec<View>,
    past: Vec<View>,
    /// Requests that nothing came of.
    dropped: Vec<RequestView>,
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
    /// An order with why it is not filled, if it is not.
    pub(super) fn new(locale: Locale, row: &OrderRow, market: &Market, now: Timestamp) -> Self {
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
            period: say::delivery(locale, row.period, row.flexible),
            held: format::money(row.held),
            accepted_at: locale.second(row.accepted_at),
            state,
            tone,
            is_open,
            why: why::why_not(locale, row, market, now),
            done_at: row.done_at.map(|at| locale.second(at)),
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for a second person.
    Waiting,
    /// It is approved, and whether the market has its order is not known.
    Sending,
    /// It became an order.
    Ordered,
    /// A second person declined it.
    Declined,
    /// Whoever asked withdrew it.
    Withdrawn,
    /// Nobody approved it before its time passed.
    Over,
}

impl Stage {
    /// How far this request has come by now.
    pub(super) fn of(request: &Request, now: Timestamp) -> Self {
        match request.state.as_str() {
            _ if request.made.is_some() => Self::Ordered,
            "approved" => Self::Sending,
            "declined" => Self::Declined,
            "withdrawn" => Self::Withdrawn,
            _ if request.good_until < now => Self::Over,
            _ => Self::Waiting,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Waiting => "request.state.waiting",
            Self::Sending => "request.state.sending",
            Self::Ordered => "request.state.ordered",
            Self::Declined => "request.state.declined",
            Self::Withdrawn => "request.state.withdrawn",
            Self::Over => "request.state.over",
        }
    }

    /// Whether something may still come of it.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Sending)
    }
}

/// A request in words.
pub(super) struct RequestView {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) title: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) period: String,
    pub(super) cost: String,
    pub(super) asked: String,
    pub(super) state: String,
    pub(super) tone: &'static str,
    pub(super) stage: Stage,
    pub(super) why: Option<String>,
}

impl RequestView {
    pub(super) fn new(locale: Locale, request: &Request, market: &Market, now: Timestamp) -> Self {
        let order = &request.order;
        let stage = Stage::of(request, now);
        let (asker, at) = (&*request.asked_by.1, locale.minute(request.asked_at));
        let decided = request.decided.as_ref();
        let words = [
            ("name", decided.map_or("", |(name, _)| name)),
            ("reason", request.reason.as_deref().unwrap_or_default()),
        ];
        let why = match (stage, &request.rejected) {
            (Stage::Declined, _) => Some(locale.tr("request.why.declined", words)),
            (Stage::Over, _) => Some(locale.t("request.why.over").into_owned()),
            (Stage::Waiting, Some(code)) => Some(refused(locale, code)),
            _ => None,
        };
        Self {
            id: request.id.to_string(),
            href: format!("/orders/requests/{}", request.id),
            title: symbol_of(order, market)
                .map_or_else(String::new, |symbol| Symbol::new(&symbol).title(locale)),
            units: format::count(order.units),
            price: format::money(order.price),
            period: delivery(locale, order),
            cost: format::money(request.cost),
            asked: locale.tr("request.asked", [("name", asker), ("at", &at)]),
            state: locale.t(stage.key()).into_owned(),
            tone: if stage.is_open() { "amber" } else { "" },
            stage,
            why,
        }
    }
}

/// Why the market refused the order of a request that was approved.
fn refused(locale: Locale, code: &str) -> String {
    let why = match code {
        // How much was missing then is not what is missing now.
        "insufficient_funds" => locale.t("request.no_funds"),
        _ => locale.t(format!("rejection.{code}")),
    };
    locale.tr("request.why.rejected", [("why", &why)])
}

/// The delivery period of a ticket's order.
pub(super) fn period_of(order: &PlaceOrder) -> Period {
    Period {
        start: order.start.hour(),
        end: order.end.hour(),
    }
}

/// When a ticket's order is to be delivered.
fn delivery(locale: Locale, order: &PlaceOrder) -> String {
    let flexible = match &order.side {
        Side::Buy { flexible, .. } => *flexible,
        Side::Sell { .. } | Side::Resell { .. } => None,
    };
    say::delivery(locale, period_of(order), flexible)
}

/// The symbol of the one instrument that a ticket's order is for.
pub(super) fn symbol_of(order: &PlaceOrder, market: &Market) -> Option<String> {
    let Side::Buy {
        target: Target::Instruments(instruments),
        ..
    } = &order.side
    else {
        return None;
    };
    let instrument = market.instrument(*instruments.first()?)?;
    Some(instrument.listed.symbol.clone())
}

/// The orders of a participant.
pub(super) async fn list(app: &App, locale: Locale, member: &Member) -> Result<List, Error> {
    let (of, now) = (member.participant, app.clock.now());
    let open = queries::open(&app.db, of).await?;
    let past = queries::past(&app.db, of).await?;
    let requests = placing::requests(&app.db, of, now).await?;
    let market = app.feed.market();
    let views = |rows: &[OrderRow]| -> Vec<View> {
        rows.iter()
            .map(|row| View::new(locale, row, &market, now))
            .collect()
    };
    let requests = requests.iter();
    let requests = requests.map(|one| RequestView::new(locale, one, &market, now));
    let (waiting, dropped) = requests.partition(|one: &RequestView| one.stage.is_open());
    Ok(List {
        locale,
        waiting,
        open: views(&open),
        past: views(&past),
        dropped,
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
