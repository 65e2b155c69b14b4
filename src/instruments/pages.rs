//! An instrument's page, and the page that asks whether an order is meant.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{ClientId, ListInstrument, Market, Money, OrderId};

use super::forms::{Terms, Ticket};
use super::fragments::{self, Bill};
use super::queries::{self, Key};
use crate::app::App;
use crate::web::form::plain_price;
use crate::web::image::Image;
use crate::web::placing::{self, COUNTED_HOURS, Excess, RequestId};
use crate::web::quote::Quote;
use crate::web::shelf::Drawn;
use crate::web::symbol::Symbol;
use crate::web::window::{Window, soon};
use crate::web::{Error, FieldErrors, Kept, Locale, Session, Shell, error, format, say};

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
    bill: Bill,
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
    let instrument = fragments::listed(&app.feed.market(), symbol)?;
    let soon = soon(&app.clock);
    let window = ticket.window(soon);
    let shared = fragments::shared(app, locale, &instrument, &window).await?;
    let (cash, fees) = {
        let market = app.feed.market();
        (fragments::cash(&market, session), market.rules().buyer_fee)
    };
    let depth = &shared.depth;
    // What was cleared is not filled in again where that is what is wrong.
    if ticket.units.is_empty() && errors.get("units").is_none() {
        ticket.units = instrument.lot.max(1).to_string();
    }
    if ticket.price.is_empty() && errors.is_empty() {
        let units = ticket.units.parse().unwrap_or(instrument.lot);
        let best = Quote::new(depth, units, None).limit().or(shared.last);
        ticket.price = best.map(plain_price).unwrap_or_default();
    }
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
        lot: instrument.lot,
        tick: plain_price(instrument.tick),
        week: shared.week.clone(),
        stats: shared.stats.clone(),
        book: shared.book.clone(),
        tape: shared.tape.clone(),
        halt: shared.halt.clone(),
        bill: Bill::new(locale, &ticket, soon, depth, fees, cash),
        card: card(app, &shell, &words),
        symbol: words,
        shell: shell.live_from(live),
        path,
        ticket,
        errors,
        notice,
    })
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
    let mut promises = vec![locale.t("promise.minutes").into_owned()];
    if let Some(level) = market.rules().service_levels.get(level) {
        promises.push(locale.tr(
            "promise.availability",
            [("p", &format::percent(level.availability_bps))],
        ));
        for step in &level.credits {
            let words = [
                ("below", &*format::percent(step.below_bps)),
                ("credit", &format::percent(step.credit_bps)),
            ];
            promises.push(locale.tr("promise.credit", words));
        }
    }
    promises
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
    let listed = fragments::listed(&app.feed.market(), &symbol)?;
    let checked = check(&app, shell.locale, &listed, ticket.clone());
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

/// What a ticket means, with what it leaves to the book filled in.
pub(super) fn check(
    app: &App,
    locale: Locale,
    listed: &ListInstrument,
    mut ticket: Ticket,
) -> Result<(Ticket, Terms), Refusal> {
    let soon = soon(&app.clock);
    let depth = app
        .feed
        .market()
        .depth(listed.instrument, ticket.window(soon).period);
    ticket.price_from(&depth);
    let short = fragments::short_of(locale, &ticket, &depth);
    let terms = match ticket.read(locale, soon) {
        Ok(terms) => terms,
        // A simple ticket's price is the book's: without one it is the book that is at fault.
        Err(errors) => {
            let notice = short.filter(|_| errors.get("units").is_none());
            return Err(Refusal { errors, notice });
        }
    };
    let mut errors = FieldErrors::default();
    if let Some(flaw) = terms.flaw(listed, app.clock.now()) {
        let field = terms.field_of(flaw, listed.lot).unwrap_or("units");
        errors.add(field, say::rejection(locale, flaw));
    }
    let notice = match terms.hold(app.feed.market().rules().buyer_fee) {
        None => Some(locale.t("bill.absurd").into_owned()),
        Some(_) => short,
    };
    if errors.is_empty() && notice.is_none() {
        Ok((ticket, terms))
    } else {
        Err(Refusal { errors, notice })
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
    let fees = app.feed.market().rules().buyer_fee;
    let hold = terms.hold(fees).unwrap_or_default();
    let excess = placing::excess(app, &session.member, &client_id, hold).await?;
    let market = app.feed.market();
    let placed = placed(locale, market.order_of(participant, &client_id), asked);
    let path = format!("/market/{}", listed.symbol);
    let mut review = review(app, &market, locale, session, listed, terms);
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

fn review(
    app: &App,
    market: &Market,
    locale: Locale,
    session: &Session,
    listed: &ListInstrument,
    terms: &Terms,
) -> Review {
    let hours = terms.window.hours();
    let depth = market.depth(listed.instrument, terms.window.period);
    let quote = Quote::new(&depth, terms.units, Some(terms.price));
    let fees = market.rules().buyer_fee;
    let hold = terms.hold(fees).unwrap_or_default();
    let cash = fragments::cash(market, Some(session)).unwrap_or_default();
    let total = quote
        .all_in(fees, hours)
        .filter(|_| quote.units == terms.units && !terms.post_only);
    Review {
        at: format::clock_time(app.clock.now()),
        outcome: quote.outcome(locale, terms.units, terms.tif, terms.post_only),
        approval: None,
        lines: fragments::lines(locale, &quote, fees, hours),
        total: total.map(format::money),
        hold: format::money(hold),
        hold_plain: hold.to_string(),
        back: total
            .filter(|total| *total < hold)
            .map(|total| format::money(hold - total)),
        cash: format::money(cash),
        cash_after: (cash >= hold).then(|| format::money(cash - hold)),
        missing: (cash < hold).then(|| format::money(hold - cash)),
        unit_hours: format::count(terms.units.saturating_mul(hours)),
    }
}

/// The order's terms, as rows.
fn facts(
    locale: Locale,
    symbol: &Symbol,
    terms: &Terms,
    rules: i64,
) -> Vec<(&'static str, String)> {
    let hours = terms.window.hours().to_string();
    let period = locale.period(terms.window.period);
    let price = format::money(terms.price);
    let mut facts = vec![
        ("confirm.what", symbol.title(locale)),
        (
            "ticket.units",
            format!("{} {}", format::count(terms.units), locale.t("unit.units")),
        ),
        (
            "ticket.period",
            locale.tr("confirm.period", [("period", &*period), ("hours", &hours)]),
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
