//! The live parts of an instrument's page, the week by the hour, and the ticket's bill.

use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use jiff::ToSpan;
use market::{
    Account, AccountKind, Depth, Fees, Hour, Level, ListInstrument, Market, Money, Period,
    Timestamp,
};

use super::forms::Ticket;
use super::queries::{self, Traded};
use crate::app::App;
use crate::clock;
use crate::web::form::whole;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::quote::{self, Quote};
use crate::web::shelf::Drawn;
use crate::web::symbol::Symbol;
use crate::web::window::{Window, soon};
use crate::web::{Error, Locale, Session, format};

/// How many levels of each side are shown.
const LEVELS: usize = 8;

/// How many trades are shown.
const TAPE: i64 = 12;

/// The instrument of a symbol.
///
/// # Errors
/// [`Error::NotFound`] when none is listed.
pub(super) fn listed(market: &Market, symbol: &str) -> Result<ListInstrument, Error> {
    market
        .instruments()
        .find(|instrument| instrument.listed.symbol == symbol)
        .map(|instrument| instrument.listed.clone())
        .ok_or(Error::NotFound)
}

/// The order book of the picked period.
#[derive(Template)]
#[template(path = "instruments/_book.html")]
struct Book {
    locale: Locale,
    period: String,
    asks: Vec<Row>,
    bids: Vec<Row>,
    spread: Option<(String, String)>,
}

struct Row {
    price: String,
    units: String,
    total: String,
    /// The share of the deepest shown total, in per cent.
    share: i64,
    is_best: bool,
}

impl Book {
    fn new(locale: Locale, window: &Window, depth: &Depth) -> Self {
        let totals =
            |levels: &[Level]| -> i64 { levels.iter().take(LEVELS).map(|level| level.units).sum() };
        let deepest = totals(&depth.asks).max(totals(&depth.bids)).max(1);
        let mut asks = rows(&depth.asks, deepest);
        asks.reverse();
        let best = depth.asks.first().zip(depth.bids.first());
        let spread = best
            .filter(|(ask, bid)| ask.price > bid.price)
            .map(|(ask, bid)| {
                let gap = ask.price - bid.price;
                let share = i128::from(gap.0) * 1000 / i128::from(ask.price.0.max(1));
                let share = format::scaled(i64::try_from(share).unwrap_or_default(), 1);
                (format::money(gap), format!("{share}%"))
            });
        Self {
            locale,
            period: locale.period(window.period),
            asks,
            bids: rows(&depth.bids, deepest),
            spread,
        }
    }
}

fn rows(levels: &[Level], deepest: i64) -> Vec<Row> {
    let mut total = 0_i64;
    let levels = levels.iter().take(LEVELS).enumerate();
    levels
        .map(|(place, level)| {
            total = total.saturating_add(level.units);
            Row {
                price: format::money(level.price),
                units: format::count(level.units),
                total: format::count(total),
                share: i64::try_from(i128::from(total) * 100 / i128::from(deepest)).unwrap_or(100),
                is_best: place == 0,
            }
        })
        .collect()
}

/// The latest trades.
#[derive(Template)]
#[template(path = "instruments/_tape.html")]
struct Tape {
    locale: Locale,
    rows: Vec<Print>,
}

struct Print {
    at: String,
    machine: String,
    price: String,
    direction: Option<&'static str>,
    units: String,
    period: String,
}

impl Tape {
    fn new(locale: Locale, trades: &[Traded], now: Timestamp) -> Self {
        let rows = trades.iter().enumerate().map(|(place, trade)| {
            let before = trades.get(place + 1).map(|before| before.price);
            Print {
                at: time_of(locale, trade.at, now),
                machine: format::machine(trade.at),
                price: format::money(trade.price),
                direction: before.and_then(|before| match trade.price.cmp(&before) {
                    std::cmp::Ordering::Greater => Some("up"),
                    std::cmp::Ordering::Less => Some("down"),
                    std::cmp::Ordering::Equal => None,
                }),
                units: format::count(trade.units),
                period: locale.period(trade.period),
            }
        });
        Self {
            locale,
            rows: rows.collect(),
        }
    }
}

/// A time of today as one, an earlier one with its day.
fn time_of(locale: Locale, at: Timestamp, now: Timestamp) -> String {
    if format::local(at).date() == format::local(now).date() {
        format::clock_time(at)
    } else {
        locale.minute(at)
    }
}

/// The figures beside the title.
#[derive(Template)]
#[template(path = "instruments/_stats.html")]
struct Stats {
    locale: Locale,
    last: Option<String>,
    ask: Option<String>,
    bid: Option<String>,
    free: String,
    metered: Option<String>,
}

impl Stats {
    fn new(locale: Locale, symbol: &Symbol, depth: &Depth, trades: &[Traded]) -> Self {
        let ask = depth.asks.first().map(|level| level.price);
        Self {
            locale,
            last: trades.first().map(|trade| format::money(trade.price)),
            ask: ask.map(format::money),
            bid: depth.bids.first().map(|level| format::money(level.price)),
            free: format::count(depth.asks.iter().map(|level| level.units).sum()),
            metered: ask.and_then(|ask| symbol.metered(ask)),
        }
    }
}

/// What the ticket holds, and the button that goes on to the confirmation.
#[derive(Template, WebTemplate)]
#[template(path = "instruments/_bill.html")]
pub(super) struct Bill {
    pub(super) locale: Locale,
    pub(super) lines: Vec<(String, String)>,
    pub(super) outcome: String,
    pub(super) hold: Option<String>,
    pub(super) missing: Option<String>,
}

impl HtmlSafe for Bill {}

impl Bill {
    /// The bill of a ticket; `cash` of who has signed in.
    pub(super) fn new(
        locale: Locale,
        ticket: &Ticket,
        soon: Timestamp,
        depth: &Depth,
        fees: Fees,
        cash: Option<Money>,
    ) -> Self {
        let mut bill = Self {
            locale,
            lines: Vec::new(),
            outcome: locale.t("bill.incomplete").into_owned(),
            hold: None,
            missing: None,
        };
        let mut ticket = ticket.clone();
        ticket.price_from(depth);
        if let Some(short) = short_of(locale, &ticket, depth) {
            bill.outcome = short;
            return bill;
        }
        let Ok(terms) = ticket.read(locale, soon) else {
            return bill;
        };
        let Some(hold) = terms.hold(fees) else {
            bill.outcome = locale.t("bill.absurd").into_owned();
            return bill;
        };
        let quote = Quote::new(depth, terms.units, Some(terms.price));
        bill.lines = lines(locale, &quote, fees, terms.window.hours());
        bill.outcome = quote.outcome(locale, terms.units, terms.tif, terms.post_only);
        bill.hold = Some(format::money(hold));
        bill.missing = cash
            .filter(|cash| *cash < hold)
            .map(|cash| format::money(hold - cash));
        bill
    }
}

/// What each level of the book adds to the price, and the buyer's fee where there is one.
pub(super) fn lines(
    locale: Locale,
    quote: &Quote,
    fees: Fees,
    hours: i64,
) -> Vec<(String, String)> {
    let line = |fill: &Level| {
        let words = [
            ("units", &*format::count(fill.units)),
            ("hours", &hours.to_string()),
            ("price", &format::money(fill.price)),
        ];
        let cost = quote::cost(fill.price, fill.units, hours).unwrap_or_default();
        (locale.tr("bill.fill", words), format::money(cost))
    };
    let fee = quote.fee(fees, hours).filter(|fee| *fee > Money::ZERO);
    let fee = fee.map(|fee| (locale.t("bill.fee").into_owned(), format::money(fee)));
    quote.fills.iter().map(line).chain(fee).collect()
}

/// Why a simple ticket can't be filled now; none when it can, or is none.
pub(super) fn short_of(locale: Locale, ticket: &Ticket, depth: &Depth) -> Option<String> {
    let units = whole(&ticket.units).filter(|_| ticket.is_simple())?;
    match Quote::new(depth, units, None).units {
        enough if enough >= units => None,
        0 => Some(locale.t("bill.none").into_owned()),
        most => Some(locale.tr("ticket.most", [("n", &format::count(most))])),
    }
}

/// A participant's cash, for who has signed in.
pub(super) fn cash(market: &Market, session: Option<&Session>) -> Option<Money> {
    let participant = session?.member.participant;
    Some(
        market
            .ledger()
            .balance(Account::of(participant, AccountKind::Cash)),
    )
}

/// `GET /market/{symbol}/bill`: the bill of a ticket as it is typed.
///
/// # Errors
/// When no such instrument is listed.
pub async fn bill(
    State(app): State<App>,
    Path(symbol): Path<String>,
    LocaleOf(locale): LocaleOf,
    session: Option<axum::Extension<Session>>,
    Query(ticket): Query<Ticket>,
) -> Result<Response, Error> {
    let soon = soon(&app.clock);
    let market = app.feed.market();
    let instrument = listed(&market, &symbol)?.instrument;
    let depth = market.depth(instrument, ticket.window(soon).period);
    let cash = cash(&market, session.as_deref());
    Ok(Bill::new(
        locale,
        &ticket,
        soon,
        &depth,
        market.rules().buyer_fee,
        cash,
    )
    .into_response())
}

/// `GET /market/{symbol}/live`: book, trades and figures, after each commit that touches them.
///
/// # Errors
/// When no such instrument is listed, or the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    Path(symbol): Path<String>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
    Query(ticket): Query<Ticket>,
) -> Result<Response, Error> {
    let listed = listed(&app.feed.market(), &symbol)?;
    let instrument = listed.instrument;
    let drawn = app.clone();
    let render = move || {
        let (app, listed) = (drawn.clone(), listed.clone());
        let window = ticket.window(soon(&app.clock));
        async move {
            let shared = shared(&app, locale, &listed, &window).await?;
            Ok(vec![
                ("stats", shared.stats.html()),
                ("book", shared.book.html()),
                ("tape", shared.tape.html()),
                ("halt", shared.halt.html()),
            ])
        }
    };
    let wants =
        move |published: &crate::feed::Published| published.instruments.contains(&instrument);
    let topic = Topic::new("instrument", Audience::Everyone, wants, render);
    live::stream(&app, watcher, vec![topic])
}

/// What everyone who has picked the same hours of an instrument sees alike.
pub(super) struct Shared {
    pub(super) depth: Depth,
    /// The price of the latest trade.
    pub(super) last: Option<Money>,
    pub(super) stats: Drawn,
    pub(super) week: Drawn,
    pub(super) book: Drawn,
    pub(super) tape: Drawn,
    pub(super) halt: Drawn,
}

/// That the instrument is halted, while it is.
#[derive(Template)]
#[template(path = "instruments/_halt.html")]
struct Halt {
    locale: Locale,
    until: Option<String>,
}

/// The same, drawn once for each state of the market.
pub(super) async fn shared(
    app: &App,
    locale: Locale,
    listed: &ListInstrument,
    window: &Window,
) -> Result<Arc<Shared>, Error> {
    let name = format!("{} {} {}", listed.instrument, window.query(), locale.tag());
    let draw = async {
        let now = app.clock.now();
        let trades = queries::tape(&app.db, listed.instrument, TAPE).await?;
        let (depth, asks, halted) = {
            let market = app.feed.market();
            let depth = market.depth(listed.instrument, window.period);
            let halted = market.halted_until(listed.instrument);
            (
                depth,
                queries::asks(&market, listed.instrument, now),
                halted,
            )
        };
        let halt = Halt {
            locale,
            until: halted
                .filter(|until| *until > now)
                .map(|until| locale.minute(until)),
        };
        let path = format!("/market/{}", listed.symbol);
        let symbol = Symbol::new(&listed.symbol);
        Ok(Shared {
            last: trades.first().map(|trade| trade.price),
            stats: Drawn::new(&Stats::new(locale, &symbol, &depth, &trades))?,
            week: Drawn::new(&week(&asks, now, window, &path, locale))?,
            book: Drawn::new(&Book::new(locale, window, &depth))?,
            tape: Drawn::new(&Tape::new(locale, &trades, now))?,
            halt: Drawn::new(&halt)?,
            depth,
        })
    };
    app.web.shelf.get(app, "instrument", name, draw).await
}

/// How many bands of price there are.
const BANDS: i64 = 5;

/// A hundredth of a yuan.
const FEN: i64 = 100;

/// The map of a week.
#[derive(Template)]
#[template(path = "instruments/_week.html")]
struct Week {
    locale: Locale,
    title: String,
    /// The picked period.
    period: String,
    days: Vec<Day>,
    /// The lower limit of each band but the first.
    limits: Vec<String>,
    is_empty: bool,
}

/// One day of it.
struct Day {
    name: String,
    cells: Vec<Cell>,
}

/// One hour of it.
struct Cell {
    href: String,
    title: String,
    state: HourState,
    is_picked: bool,
}

/// What an hour has.
enum HourState {
    /// It has begun.
    Past,
    /// Nothing is offered.
    Sold,
    /// The lowest ask, and its band from 1, the cheapest.
    Ask {
        /// As it is printed.
        price: String,
        /// 1 to 5.
        band: i64,
    },
}

/// The map of these asks, with the picked period marked; a cell picks as many hours as are picked.
fn week(
    asks: &[Option<(Money, i64)>],
    now: Timestamp,
    picked: &Window,
    path: &str,
    locale: Locale,
) -> Week {
    let prices = || asks.iter().flatten().map(|(price, _)| price.0);
    // Bands begin at whole fen, so that their limits are printed as they are.
    let low = prices().min().unwrap_or_default() / FEN * FEN;
    let high = prices().max().unwrap_or_default();
    let step = ((high - low) / (BANDS * FEN) + 1) * FEN;
    let first = queries::first_hour(now);
    let next = now.hour().0 + 1;
    let hours = picked.hours();
    let cell = |(place, ask): (usize, &Option<(Money, i64)>)| {
        let start = Hour(first.0 + i64::try_from(place).unwrap_or_default());
        let window = Window {
            period: Period {
                start,
                end: Hour(start.0 + hours),
            },
        };
        let when = locale.minute(start.begins());
        let (state, title) = match ask {
            _ if start.0 < next => (HourState::Past, locale.tr("hours.past", [("when", &when)])),
            None => (HourState::Sold, locale.tr("hours.sold", [("when", &when)])),
            Some((price, free)) => {
                let (price_text, free) = (format::money(*price), format::count(*free));
                let words = [("when", &*when), ("price", &price_text), ("n", &free)];
                let title = locale.tr("hours.ask", words);
                let band = (price.0 - low) / step + 1;
                (
                    HourState::Ask {
                        price: price_text,
                        band,
                    },
                    title,
                )
            }
        };
        Cell {
            href: format!("{path}?{}#ticket", window.query()),
            title,
            state,
            is_picked: picked.period.contains(start),
        }
    };
    let mut cells = asks.iter().enumerate().map(cell);
    let days = (0..queries::DAYS).map(|day| Day {
        name: locale.day(Hour(first.0 + i64::from(day) * 24).begins()),
        cells: cells.by_ref().take(24).collect(),
    });
    let days = days.collect();
    let limits = (1..BANDS)
        .map(|band| low + band * step)
        .filter(|limit| *limit <= high);
    let limits = limits.map(|limit| format::money(Money(limit)));
    Week {
        locale,
        title: week_title(now, locale),
        period: locale.period(picked.period),
        days,
        limits: limits.collect(),
        is_empty: prices().next().is_none(),
    }
}

/// The days of the map as a period, in words.
fn week_title(now: Timestamp, locale: Locale) -> String {
    let first = queries::first_hour(now).begins();
    let last = format::local(first).checked_add((queries::DAYS - 1).days());
    let last = last.map_or(first, |last| clock::stamp(last.timestamp()));
    format!("{} – {}", locale.day(first), locale.day(last))
}
