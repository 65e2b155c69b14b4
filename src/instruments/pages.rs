//! An instrument's page, and the page that asks whether an order is meant.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{
    Account, AccountKind, ClientId, Fees, Hour, ListInstrument, Market, Money, OrderId, PlaceOrder,
    Rejection,
};

use super::forms::{Terms, Ticket};
use super::fragments::{self, Asking};
use super::queries::{self, Key};
use crate::app::App;
use crate::web::form::plain_price;
use crate::web::image::Image;
use crate::web::placing::{self, COUNTED_HOURS, Excess, RequestId};
use crate::web::quote::Reckoned;
use crate::web::shelf::Drawn;
use crate::web::symbol::Symbol;
use crate::web::window::{Window, soon};
use crate::web::{Error, FieldErrors, Kept, Locale, Session, Shell, error, format, level, say};

#[derive(Template, WebTemplate)]
#[template(path = "instruments/show.html")]
pub(super) struct Show {
    shell: Shell,
    symbol: Symbol,
    path: String,
    period: String,
    days: Vec<(String, String)>,
    until_days: Vec<(String, String)>,
    day: String,
    hour: i8,
    hours: String,
    /// Where the hours may end that may lie anywhere.
    to_days: Vec<(String, String)>,
    to_day: String,
    to_hour: String,
    lot: i64,
    tick: String,
    week: Drawn,
    stats: Drawn,
    book: Drawn,
    tape: Drawn,
    halt: Drawn,
    ticket: Ticket,
    errors: FieldErrors,
    notice: Option<String>,
    bill: Drawn,
    card: Card,
}

/// What one unit is, and what its service level promises.
struct Card {
    rows: Vec<(&'static str, String)>,
    promises: Vec<String>,
}

/// `GET /market/{symbol}`
///
/// # Errors
/// When no such instrument is listed, or the database can't be read.
pub async fn show(
    State(app): State<App>,
    Path(symbol): Path<String>,
    kept: Kept,
    shell: Shell,
    session: Option<axum::Extension<Session>>,
    Query(ticket): Query<Ticket>,
) -> Result<Response, Error> {
    let ticket = kept
        .form(&format!("/market/{symbol}/orders"))
        .unwrap_or(ticket);
    let shell = kept.told(shell);
    let page = draw(
        &app,
        shell,
        session.as_deref(),
        &symbol,
        ticket,
        FieldErrors::default(),
        None,
    );
    Ok(page.await?.into_response())
}

/// The page with a ticket as it was typed and what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    session: Option<&Session>,
    symbol: &str,
    mut ticket: Ticket,
    errors: FieldErrors,
    notice: Option<String>,
) -> Result<Show, Error> {
    let (locale, now) = (shell.locale, app.clock.now());
    let instrument = queries::listed(&app.feed.market(), symbol)?;
    let soon = soon(&app.clock);
    let window = ticket.window(soon);
    let shared = fragments::shared(app, locale, &instrument, &window).await?;
    // What was cleared is not filled in again where that is what is wrong.
    if ticket.units.is_empty() && errors.get("units").is_none() {
        ticket.units = instrument.lot.max(1).to_string();
    }
    let asking = Asking::new(app, locale, &instrument, session);
    let fills_in = ticket.price.is_empty() && errors.is_empty();
    let last = shared.last.filter(|_| fills_in);
    let opening = fragments::opening(asking, &ticket, fills_in, last).await?;
    ticket.price.clone_from(&opening.price);
    let last = last_hour(&ticket, &window);
    let to_days = Window {
        period: last.alone(),
    }
    .days(now, 31, locale);
    let (to_day, to_hour) = to(&ticket, last);
    let path = format!("/market/{symbol}");
    let words = Symbol::new(symbol);
    let live = format!("{path}/live?{}", window.query());
    Ok(Show {
        period: locale.period(window.period),
        days: window.days(now, 31, locale),
        until_days: Window::next(now, 1).days(now, 31, locale),
        day: window.day(),
        hour: window.hour(),
        hours: match errors.get("hours") {
            Some(_) => ticket.hours.clone(),
            None => window.hours().to_string(),
        },
        to_days,
        to_day,
        to_hour,
        lot: instrument.lot,
        tick: plain_price(instrument.tick),
        week: shared.week.clone(),
        stats: shared.stats.clone(),
        book: shared.book.clone(),
        tape: shared.tape.clone(),
        halt: shared.halt.clone(),
        bill: opening.bill.clone(),
        card: card(app, &shell, &words),
        symbol: words,
        shell: shell.live_from(live),
        path,
        ticket,
        errors,
        notice,
    })
}

/// The last hour in which a ticket's hours may lie; the usual one where none can be read.
fn last_hour(ticket: &Ticket, window: &Window) -> Hour {
    let usual = Ticket::default().to(window);
    let to = ticket.to(window).or(usual).unwrap_or(window.period.end);
    Hour(to.0 - 1)
}

/// The day and the hour of its end as fields: as they were typed, else this one's.
fn to(ticket: &Ticket, last: Hour) -> (String, String) {
    if !ticket.to_day.is_empty() || !ticket.to_hour.is_empty() {
        return (ticket.to_day.clone(), ticket.to_hour.clone());
    }
    let window = Window {
        period: last.alone(),
    };
    (window.day(), (window.hour() + 1).to_string())
}

fn card(app: &App, shell: &Shell, symbol: &Symbol) -> Card {
    let locale = shell.locale;
    let mut rows = Vec::new();
    if let Some(grade) = symbol.grade {
        rows.push((
            "card.accelerator",
            format!("{} {}", grade.vendor, grade.name),
        ));
        rows.push(("card.memory", format!("{} GiB", grade.memory_gib)));
        rows.push((
            "card.bandwidth",
            format!("{} GB/s", crate::web::format::count(grade.memory_gbps)),
        ));
        rows.push(("card.form", grade.form.to_owned()));
        let pflops = crate::web::format::scaled(grade.micro_pflops(), 6);
        let pflops = pflops
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned();
        rows.push(("card.fp16", format!("{pflops} PFLOPS")));
        rows.push((
            "card.metered",
            locale.tr("card.metered_value", [("n", &pflops)]),
        ));
    } else {
        let line = symbol.grade_line(locale);
        rows.extend((!line.is_empty()).then_some(("card.unit", line)));
    }
    if let Some(grams) = symbol.carbon_grams() {
        rows.push((
            "card.carbon",
            locale.tr("card.carbon_value", [("n", &grams.to_string())]),
        ));
    }
    if let Some(region) = symbol.region {
        let pue = crate::web::format::scaled(region.pue_percent, 2);
        rows.push(("card.pue", format!("≤ {pue}")));
    }
    let promises = promises(&app.feed.market(), locale, symbol);
    Card { rows, promises }
}

/// What the service level promises, in plain words.
fn promises(market: &Market, locale: Locale, symbol: &Symbol) -> Vec<String> {
    let level = symbol.text.rsplit('.').next().unwrap_or_default();
    level::promises(locale, market.rules(), level)
}

/// The page that shows an order with its amounts before it is sent.
#[derive(Template, WebTemplate)]
#[template(path = "instruments/confirm.html")]
pub(super) struct Confirm {
    shell: Shell,
    symbol: Symbol,
    path: String,
    ticket: Ticket,
    /// What is sent along as it is shown.
    hidden: Vec<(&'static str, String)>,
    facts: Vec<(&'static str, String)>,
    review: Review,
    images: Vec<&'static Image>,
    keys: Vec<Key>,
    promises: Vec<String>,
    errors: FieldErrors,
    notice: Option<String>,
    /// What this ticket has become already, in words, and where that is.
    placed: Option<(String, String)>,
    change: String,
    again: String,
    here: String,
}

/// The all-in price by part.
struct Review {
    at: String,
    outcome: String,
    lines: Vec<(String, String)>,
    /// What is paid at once; none when not all of it fills now.
    total: Option<String>,
    hold: String,
    hold_plain: String,
    back: Option<String>,
    cash: String,
    cash_after: Option<String>,
    missing: Option<String>,
    unit_hours: String,
    /// Whether the rules take no buyer's fee.
    is_free: bool,
    /// Why a second person is to approve it.
    approval: Option<String>,
}

/// Why a ticket can't be confirmed: what is wrong at its fields, and what is wrong with all of it.
#[derive(Default)]
pub(super) struct Refusal {
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

/// `GET /market/{symbol}/confirm`: the order with its amounts. The address holds the ticket with
/// its client id, so that a page that is gone back to, loaded anew or open twice is one order.
///
/// # Errors
/// When no such instrument is listed, or the database can't be read.
pub async fn confirm(
    State(app): State<App>,
    Path(symbol): Path<String>,
    kept: Kept,
    shell: Shell,
    session: Session,
    Query(ticket): Query<Ticket>,
) -> Result<Response, Error> {
    let ticket = kept
        .form(&format!("/market/{symbol}/orders"))
        .unwrap_or(ticket);
    let shell = kept.told(shell);
    let listed = queries::listed(&app.feed.market(), &symbol)?;
    let asking = Asking::new(&app, shell.locale, &listed, Some(&session));
    let checked = check(asking, ticket.as_typed());
    let (ticket, terms) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return refuse(&app, shell, &session, &symbol, ticket, refusal).await,
    };
    if ticket.client_id().is_none() {
        let (query, id) = (ticket.query(), crate::web::form::client_id());
        let confirm = format!("/market/{symbol}/confirm?{query}&client_id={id}");
        return Ok(Redirect::to(&confirm).into_response());
    }
    let page = ask(
        &app,
        shell,
        &session,
        &listed,
        ticket,
        &terms,
        Refusal::default(),
    );
    Ok(page.await?.into_response())
}

/// What a ticket means, with what it leaves to the book filled in, if the market would take it.
pub(super) fn check(asking: Asking<'_>, mut ticket: Ticket) -> Result<(Ticket, Terms), Refusal> {
    let locale = asking.locale;
    let wrong = |errors| Refusal {
        errors,
        ..Refusal::default()
    };
    let mut terms = ticket
        .read(locale, soon(&asking.app.clock))
        .map_err(wrong)?;
    let reckoned = asking.reckon(&terms);
    let reckoned = reckoned.map_err(|no| Refusal::new(locale, &terms, asking.listed.lot, no))?;
    let notice = match i64::try_from(reckoned.quote.hold) {
        Err(_) => Some(locale.t("bill.absurd").into_owned()),
        Ok(_) => asking.short_of(&ticket, &reckoned),
    };
    if notice.is_some() {
        return Err(Refusal {
            notice,
            ..Refusal::default()
        });
    }
    let price = reckoned.placed.price;
    terms.price = Some(price);
    if ticket.is_simple() {
        ticket.price = plain_price(price);
    }
    Ok((ticket, terms))
}

impl Refusal {
    /// What the market's no means for a ticket: at its field, or for all of it.
    pub(super) fn new(locale: Locale, terms: &Terms, lot: i64, rejection: Rejection) -> Self {
        let said = say::rejection(locale, rejection);
        let mut refusal = Self::default();
        match terms.field_of(rejection, lot) {
            Some(field) => refusal.errors.add(field, said),
            None => refusal.notice = Some(said),
        }
        refusal
    }
}

/// The ticket again, with what is wrong with it.
pub(super) async fn refuse(
    app: &App,
    shell: Shell,
    session: &Session,
    symbol: &str,
    ticket: Ticket,
    Refusal { errors, notice }: Refusal,
) -> Result<Response, Error> {
    let page = draw(app, shell, Some(session), symbol, ticket, errors, notice);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
}

/// The page that asks whether the order is meant.
pub(super) async fn ask(
    app: &App,
    shell: Shell,
    session: &Session,
    listed: &ListInstrument,
    mut ticket: Ticket,
    terms: &Terms,
    Refusal { errors, notice }: Refusal,
) -> Result<Confirm, Error> {
    let (locale, participant) = (shell.locale, session.member.participant);
    let keys = queries::keys(&app.db, participant).await?;
    let symbol = Symbol::new(&listed.symbol);
    let images = Image::for_grade(symbol.grade);
    if ticket.image.is_empty() {
        ticket.image = images
            .first()
            .map_or_else(String::new, |image| image.code.clone());
    }
    if ticket.ssh_key.is_empty() && errors.get("ssh_key").is_none() {
        ticket.ssh_key = keys
            .first()
            .map_or_else(String::new, |key| key.id.to_string());
    }
    let client_id = ClientId(ticket.client_id.clone());
    let asked = placing::asked(app, participant, &client_id).await?;
    let order = terms.order(participant, client_id.clone(), listed.instrument);
    let hold = placing::cost(app.feed.market().rules(), &order);
    let hold = Money(i64::try_from(hold).unwrap_or(i64::MAX));
    let excess = placing::excess(app, &session.member, &client_id, hold).await?;
    let market = app.feed.market();
    let placed = placed(locale, market.order_of(participant, &client_id), asked);
    let path = format!("/market/{}", listed.symbol);
    let unit_hours = terms.units.saturating_mul(terms.window.hours());
    let mut review = review(app, &market, locale, order, hold);
    review.unit_hours = format::count(unit_hours);
    review.approval = excess.map(|excess| why_second(locale, excess));
    let again = format!("{path}/confirm?{}", ticket.query());
    Ok(Confirm {
        facts: facts(locale, &symbol, terms, market.rules().version),
        hidden: hidden(&ticket, &review),
        review,
        promises: promises(&market, locale, &symbol),
        images,
        keys,
        placed,
        change: format!("{path}?{}#ticket", ticket.query()),
        here: error::encoded(&format!("{again}&client_id={}", ticket.client_id)),
        again,
        path,
        symbol,
        ticket,
        errors,
        notice,
        shell,
    })
}

/// What a ticket has become already, in words, and where that is.
fn placed(
    locale: Locale,
    order: Option<OrderId>,
    asked: Option<RequestId>,
) -> Option<(String, String)> {
    if let Some(order) = order {
        let said = locale.tr("confirm.placed", [("order", &order.to_string())]);
        return Some((said, format!("/orders/{order}")));
    }
    let id = asked?;
    let said = locale.tr("confirm.asked", [("request", &id.to_string())]);
    Some((said, format!("/orders/requests/{id}")))
}

/// Why an order needs a second person.
fn why_second(locale: Locale, excess: Excess) -> String {
    let key = if excess.already > Money::ZERO {
        "confirm.approval_sum"
    } else {
        "confirm.approval"
    };
    let words = [
        ("above", &*format::money(excess.above)),
        ("already", &format::money(excess.already)),
        ("h", &COUNTED_HOURS.to_string()),
    ];
    locale.tr(key, words)
}

fn review(app: &App, market: &Market, locale: Locale, order: PlaceOrder, hold: Money) -> Review {
    let cash = Account::of(order.participant, AccountKind::Cash);
    let cash = market.ledger().balance(cash);
    let limit = order.price;
    let reckoned = Reckoned::new(market, order, Some(limit));
    let filled = reckoned.as_ref().ok();
    let filled = filled.filter(|one| one.is_whole() && !one.placed.post_only);
    let total = filled.map(|reckoned| reckoned.quote.all_in());
    let back = total.map(|total| i128::from(hold.0) - total);
    let (outcome, lines) = match &reckoned {
        Ok(reckoned) => (reckoned.outcome(locale), reckoned.lines(locale)),
        Err(rejection) => (say::rejection(locale, *rejection), Vec::new()),
    };
    Review {
        at: format::clock_time(app.clock.now()),
        outcome,
        approval: None,
        lines,
        total: total.map(format::amount),
        hold: format::money(hold),
        hold_plain: hold.to_string(),
        back: back.filter(|back| *back > 0).map(format::amount),
        cash: format::money(cash),
        cash_after: (cash >= hold).then(|| format::money(cash - hold)),
        missing: (cash < hold).then(|| format::money(hold - cash)),
        unit_hours: String::new(),
        is_free: market.rules().buyer_fee == Fees::default(),
    }
}

/// The order's terms, as rows.
fn facts(
    locale: Locale,
    symbol: &Symbol,
    terms: &Terms,
    rules: i64,
) -> Vec<(&'static str, String)> {
    let price = format::money(terms.price.unwrap_or_default());
    let mut facts = vec![
        ("confirm.what", symbol.title(locale)),
        (
            "ticket.units",
            format!("{} {}", format::count(terms.units), locale.t("unit.units")),
        ),
        (
            "ticket.period",
            match terms.within {
                Some(within) => {
                    let wanted = say::delivery(locale, within.period, Some(within.flexible));
                    format!("{wanted} UTC+8")
                }
                None => {
                    let hours = terms.window.hours().to_string();
                    let period = locale.period(terms.window.period);
                    locale.tr("confirm.period", [("period", &*period), ("hours", &hours)])
                }
            },
        ),
        (
            "ticket.price",
            format!("{price} {}", locale.t("unit.price")),
        ),
        ("ticket.tif", say::stands(locale, terms.tif)),
    ];
    if let Some(units) = terms.min_fill {
        let units = format!("{} {}", format::count(units), locale.t("unit.units"));
        facts.push(("ticket.min_fill", units));
    }
    if terms.post_only {
        facts.push(("ticket.post_only", locale.t("confirm.yes").into_owned()));
    }
    facts.push(("lease.fact.level", symbol.level(locale)));
    facts.push(("lease.fact.rules", format!("v{rules}")));
    facts
}

/// The fields that the confirmation sends as they were shown.
fn hidden(ticket: &Ticket, review: &Review) -> Vec<(&'static str, String)> {
    let chosen_here = ["image", "ssh_key", "price"];
    let fields = ticket.fields().into_iter();
    let mut hidden: Vec<(&'static str, String)> = fields
        .filter(|(name, _)| !chosen_here.contains(name))
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    hidden.push(("price", ticket.price.clone()));
    hidden.push(("client_id", ticket.client_id.clone()));
    hidden.push(("hold", review.hold_plain.clone()));
    hidden
}
