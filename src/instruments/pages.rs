//! An instrument's page.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::Money;

use super::forms::Ticket;
use super::fragments::{self, Bill, Book, HourState, Stats, TAPE, Tape, Week};
use super::queries;
use crate::app::App;
use crate::web::quote::Quote;
use crate::web::symbol::Symbol;
use crate::web::window::soon;
use crate::web::{Error, FieldErrors, Session, Shell};

#[derive(Template, WebTemplate)]
#[template(path = "instruments/show.html")]
pub(super) struct Show {
    shell: Shell,
    symbol: Symbol,
    path: String,
    period: String,
    days: Vec<(String, String)>,
    day: String,
    hour: i8,
    hours: i64,
    lot: i64,
    tick: String,
    week_title: String,
    week: Week,
    stats: Stats,
    book: Book,
    tape: Tape,
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
    shell: Shell,
    session: Option<axum::Extension<Session>>,
    Query(ticket): Query<Ticket>,
) -> Result<Response, Error> {
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
    let trades = queries::tape(&app.db, instrument.instrument, TAPE).await?;
    let soon = soon(&app.clock);
    let window = ticket.window(soon);
    let (depth, asks, cash) = {
        let market = app.feed.market();
        (
            market.depth(instrument.instrument, window.period),
            queries::asks(&market, instrument.instrument, now),
            fragments::cash(&market, session),
        )
    };
    if ticket.units.is_empty() {
        ticket.units = instrument.lot.max(1).to_string();
    }
    if ticket.price.is_empty() {
        let units = ticket.units.parse().unwrap_or(instrument.lot);
        let best = Quote::new(&depth, units, None)
            .limit()
            .or(trades.first().map(|t| t.price));
        ticket.price = best.map(plain_price).unwrap_or_default();
    }
    // A page is one ticket: sent twice, it is one order.
    if ticket.client_id().is_none() {
        ticket.client_id = crate::web::form::client_id();
    }
    let path = format!("/market/{symbol}");
    let words = Symbol::new(symbol);
    let live = format!("{path}/live?{}", window.query());
    Ok(Show {
        period: locale.period(window.period),
        days: window.days(now, 31, locale),
        day: window.day(),
        hour: window.hour(),
        hours: window.hours(),
        lot: instrument.lot,
        tick: plain_price(instrument.tick),
        week_title: fragments::week_title(now, locale),
        week: fragments::week(&asks, now, &window, &path, locale),
        stats: Stats::new(locale, &words, &depth, &trades),
        book: Book::new(locale, &window, &depth),
        tape: Tape::new(locale, &trades, now),
        bill: Bill::new(locale, &ticket, soon, symbol, &depth, cash),
        card: card(app, &shell, &words),
        symbol: words,
        shell: shell.live_from(live),
        path,
        ticket,
        errors,
        notice,
    })
}

/// A price as it is typed: with no more decimals than it needs, and at least two.
fn plain_price(price: Money) -> String {
    let all = price.to_string();
    all.strip_suffix("00").map_or(all.clone(), str::to_owned)
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
    let market = app.feed.market();
    let level = symbol.text.rsplit('.').next().unwrap_or_default();
    let mut promises = vec![locale.t("promise.minutes").into_owned()];
    if let Some(level) = market.rules().service_levels.get(level) {
        let percent = |bps: i64| {
            let text = crate::web::format::scaled(bps, 2);
            format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
        };
        promises.push(locale.tr(
            "promise.availability",
            [("p", &percent(level.availability_bps))],
        ));
        for step in &level.credits {
            let words = [
                ("below", &*percent(step.below_bps)),
                ("credit", &percent(step.credit_bps)),
            ];
            promises.push(locale.tr("promise.credit", words));
        }
    }
    Card { rows, promises }
}
