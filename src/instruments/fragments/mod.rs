//! The live parts of an instrument's page, the week by the hour, and the ticket's bill.

mod week;

use std::sync::Arc;

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::{
    ClientId, Depth, Level, ListInstrument, Money, ParticipantId, Period, Rejection, Timestamp,
};

use self::week::week;
use super::forms::{Terms, Ticket};
use super::queries::{self, Traded};
use crate::app::App;
use crate::web::form::plain_price;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::quote::{self, NOBODY, Reckoned};
use crate::web::shelf::Drawn;
use crate::web::symbol::Symbol;
use crate::web::window::{Window, soon};
use crate::web::{Error, Locale, Session, format, say};

/// How many levels of each side are shown.
const LEVELS: usize = 8;

/// How many trades are shown.
const TAPE: i64 = 12;

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

/// What the ticket costs and holds now, the button that goes on to the confirmation, and what is
/// cheaper or to be had instead.
#[derive(Template, WebTemplate)]
#[template(path = "instruments/_bill.html")]
pub(super) struct Bill {
    locale: Locale,
    lines: Vec<(String, String)>,
    outcome: String,
    hold: Option<String>,
    missing: Option<String>,
    /// The same at other hours, then in other regions.
    others: Vec<Other>,
}

/// Another way to have what a ticket asks for.
struct Other {
    what: String,
    total: String,
    /// How much more or less it costs, where both can be had.
    difference: Option<String>,
    href: String,
}

/// How many other hours and regions are named of each.
const OTHERS: usize = 3;

/// Who asks for what of an instrument.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) app: &'a App,
    pub(super) locale: Locale,
    pub(super) listed: &'a ListInstrument,
    /// Nobody before signing in.
    pub(super) participant: ParticipantId,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        app: &'a App,
        locale: Locale,
        listed: &'a ListInstrument,
        session: Option<&Session>,
    ) -> Self {
        Self {
            app,
            locale,
            listed,
            participant: session.map_or(NOBODY, |session| session.member.participant),
        }
    }

    /// What these terms would do now.
    pub(super) fn reckon(&self, terms: &Terms) -> Result<Reckoned, Rejection> {
        let client_id = ClientId(String::new());
        let placed = terms.order(self.participant, client_id, self.listed.instrument);
        Reckoned::new(&self.app.feed.market(), placed, terms.price)
    }

    /// The lowest limit that gets all of a ticket now.
    fn enough(&self, ticket: &Ticket) -> Option<Money> {
        let open = ticket.without_limit();
        let terms = open.read(self.locale, soon(&self.app.clock)).ok()?;
        self.reckon(&terms).ok()?.quote.enough
    }

    /// Why a simple ticket can't be had now; none when it can, or is none.
    pub(super) fn short_of(&self, ticket: &Ticket, reckoned: &Reckoned) -> Option<String> {
        if !ticket.is_simple() || reckoned.is_whole() {
            return None;
        }
        Some(match reckoned.quote.most {
            0 if quote::flexible(&reckoned.placed.side) => {
                self.locale.t("bill.none_within").into_owned()
            }
            0 => self.locale.t("bill.none").into_owned(),
            most => self.locale.tr("ticket.most", [("n", &format::count(most))]),
        })
    }

    /// The bill of a ticket.
    pub(super) fn bill(&self, ticket: &Ticket) -> Bill {
        let locale = self.locale;
        let mut bill = Bill {
            locale,
            lines: Vec::new(),
            outcome: locale.t("bill.incomplete").into_owned(),
            hold: None,
            missing: None,
            others: Vec::new(),
        };
        let ticket = ticket.as_typed();
        let Ok(terms) = ticket.read(locale, soon(&self.app.clock)) else {
            return bill;
        };
        let reckoned = match self.reckon(&terms) {
            Ok(reckoned) => reckoned,
            Err(rejection) => {
                bill.outcome = say::rejection(locale, rejection);
                return bill;
            }
        };
        bill.others = self.others(&ticket, &terms, &reckoned);
        if let Some(short) = self.short_of(&ticket, &reckoned) {
            bill.outcome = short;
        } else if let Ok(hold) = i64::try_from(reckoned.quote.hold) {
            let missing = Some(reckoned.quote.missing);
            let missing = missing.filter(|missing| *missing > 0 && self.participant != NOBODY);
            bill.lines = reckoned.lines(locale);
            bill.outcome = reckoned.outcome(locale);
            bill.hold = Some(format::money(Money(hold)));
            bill.missing = missing.map(format::amount);
        } else {
            bill.outcome = locale.t("bill.absurd").into_owned();
        }
        bill
    }

    /// What is cheaper at other hours and in other regions; where a ticket would not be filled, what
    /// would be.
    fn others(&self, ticket: &Ticket, terms: &Terms, reckoned: &Reckoned) -> Vec<Other> {
        let (feed, placed) = (&self.app.feed, &reckoned.placed);
        let total = reckoned.is_whole().then(|| reckoned.quote.all_in());
        let is_better = |other: &Reckoned| total.is_none_or(|total| other.quote.all_in() < total);
        let flexible = terms.within.map(|within| within.flexible);
        let starts = match flexible {
            None => quote::otherwise(feed, placed, terms.price),
            Some(_) => quote::starts(feed, placed, terms.price),
        };
        let own = reckoned.runs();
        let starts = starts.into_iter().filter(|other| match flexible {
            None => is_better(other),
            // What it leaves to the market is the cheapest; the others are for who would rather.
            Some(_) => own != other.runs(),
        });
        let starts = starts.take(OTHERS).map(|other| {
            let period = Period {
                start: other.placed.start.hour(),
                end: other.placed.end.hour(),
            };
            let at = ticket.at(&Window { period });
            let what = self.locale.period(period);
            self.other(what, &other, total, &self.listed.symbol, &at)
        });
        // Every region would be looked through for every run.
        let regions = match flexible {
            Some(flexible) if flexible.splittable => Vec::new(),
            _ => quote::elsewhere(feed, placed, terms.price),
        };
        let regions = regions.into_iter().filter(|(_, other)| is_better(other));
        let regions = regions.take(OTHERS).map(|(symbol, other)| {
            let what = Symbol::new(&symbol).title(self.locale);
            self.other(what, &other, total, &symbol, ticket)
        });
        starts.chain(regions).collect()
    }

    fn other(
        &self,
        what: String,
        other: &Reckoned,
        total: Option<i128>,
        symbol: &str,
        ticket: &Ticket,
    ) -> Other {
        let all_in = other.quote.all_in();
        let difference = total.map(|total| all_in - total);
        Other {
            what,
            total: format::amount(all_in),
            difference: difference.map(|more| {
                let sign = if more > 0 { "+" } else { "" };
                format!("{sign}{}", format::amount(more))
            }),
            href: format!("/market/{symbol}?{}#ticket", ticket.query()),
        }
    }
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
    let listed = queries::listed(&app.feed.market(), &symbol)?;
    let asking = Asking::new(&app, locale, &listed, session.as_deref());
    Ok(asking.bill(&ticket).into_response())
}

/// What a page's ticket opens with: its limit, and its bill.
pub(super) struct Opening {
    pub(super) price: String,
    pub(super) bill: Drawn,
}

/// The same, drawn once for each state of the market. Where `fills_in` says so, the limit is the
/// lowest that gets all of it now, else `last`.
pub(super) async fn opening(
    asking: Asking<'_>,
    ticket: &Ticket,
    fills_in: bool,
    last: Option<Money>,
) -> Result<Arc<Opening>, Error> {
    let (instrument, participant) = (asking.listed.instrument, asking.participant);
    let (query, tag) = (ticket.query(), asking.locale.tag());
    let name = format!("{instrument} {participant} {fills_in} {query} {tag}");
    let draw = async {
        let mut ticket = ticket.clone();
        if fills_in {
            let best = asking.enough(&ticket).or(last);
            ticket.price = best.map(plain_price).unwrap_or_default();
        }
        Ok(Opening {
            bill: Drawn::new(&asking.bill(&ticket))?,
            price: ticket.price,
        })
    };
    asking
        .app
        .web
        .shelf
        .get(asking.app, "ticket", name, draw)
        .await
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
    let listed = queries::listed(&app.feed.market(), &symbol)?;
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
        })
    };
    app.web.shelf.get(app, "instrument", name, draw).await
}
