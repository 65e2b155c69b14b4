//! The live parts of the overview: the price of the wish, and the market round it.

use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::Response;
use market::catalogue::Region;
use market::{Account, AccountKind, Money};

use super::forms::{Sentence, Wish};
use super::queries::{self, Listing, Offer};
use crate::app::App;
use crate::feed::Published;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Fragments, Topic, Watcher};
use crate::web::shelf::Drawn;
use crate::web::symbol::{Symbol, cluster};
use crate::web::window::soon;
use crate::web::{Error, Locale, Session, format};

/// What the wish costs, and the button that buys it.
#[derive(Template)]
#[template(path = "market_data/_bill.html")]
pub(super) struct Bill {
    locale: Locale,
    at: String,
    offer: Option<Priced>,
    most: i64,
    bad_lot: Option<i64>,
    units: i64,
    hours: i64,
    period: String,
    is_member: bool,
    confirm_path: String,
    window_fields: [(&'static str, String); 3],
    sign_in: String,
}

impl HtmlSafe for Bill {}

/// The chosen offer, in words.
struct Priced {
    symbol: Symbol,
    total: String,
    hold: String,
    unit_price: String,
    metered: Option<String>,
    parts: Vec<(String, String)>,
    cash: String,
    cash_after: Option<String>,
    missing: Option<String>,
    carbon: Option<String>,
}

/// Other places for the same wish.
#[derive(Template)]
#[template(path = "market_data/_alternatives.html")]
struct Alternatives {
    locale: Locale,
    cards: Vec<Card>,
}

struct Card {
    key: &'static str,
    name: String,
    total: String,
    difference: Option<String>,
    carbon: Option<String>,
    href: String,
    is_chosen: bool,
}

/// The instruments.
#[derive(Template)]
#[template(path = "market_data/_table.html")]
struct Table {
    locale: Locale,
    period: String,
    rows: Vec<Row>,
    narrowed: Option<String>,
    all_href: String,
}

struct Row {
    symbol: Symbol,
    href: String,
    more: Option<(usize, String)>,
    ask: Option<String>,
    bid: Option<String>,
    last: Option<String>,
    free: String,
    metered: Option<String>,
    carbon: Option<i64>,
}

/// The wished grade from the east to the west.
#[derive(Template)]
#[template(path = "market_data/_strip.html")]
struct Strip {
    locale: Locale,
    grade: &'static str,
    base: Option<String>,
    reaches: Vec<Reach>,
}

struct Reach {
    name: &'static str,
    side: &'static str,
    price: Option<String>,
    above: Option<String>,
    /// The water's height and its top, in per cent of the drawing.
    height: i64,
    top: i64,
    /// Where the line from the reach before comes down or up to this one.
    step_top: i64,
    step_height: i64,
    is_lowest: bool,
    free: String,
    href: String,
}

/// What everyone who has one wish sees alike.
pub(super) struct Shared {
    listings: Vec<Listing>,
    offers: Vec<Offer>,
    pub(super) alternatives: Drawn,
    pub(super) table: Drawn,
    pub(super) strip: Drawn,
}

/// Whose view it is.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) locale: Locale,
    pub(super) participant: Option<market::ParticipantId>,
}

/// Which rows the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    /// The cheapest region of each grade.
    #[default]
    Grades,
    /// Every region of the wished grade.
    OneGrade,
}

impl Scope {
    /// As a part of a query.
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Grades => "",
            Self::OneGrade => "&scope=grade",
        }
    }
}

/// What everyone who has this wish sees alike, drawn once for each state of the market.
pub(super) async fn shared(
    app: &App,
    locale: Locale,
    wish: &Wish,
    scope: Scope,
) -> Result<Arc<Shared>, Error> {
    let name = format!(
        "{}{} {}",
        wish.query(wish.region),
        scope.query(),
        locale.tag()
    );
    let draw = async {
        let last = queries::last_prices(&app.db).await?;
        let listings = queries::listings(&app.feed.market(), wish);
        let offers = queries::offers(&listings);
        let chosen = chosen(&offers, wish);
        Ok(Shared {
            alternatives: Drawn::new(&alternatives(locale, wish, &offers, chosen))?,
            table: Drawn::new(&table(locale, wish, scope, &listings, &last))?,
            strip: Drawn::new(&strip(locale, wish, &listings))?,
            offers,
            listings,
        })
    };
    app.web.shelf.get(app, "overview", name, draw).await
}

/// The cheapest offer in the wished region.
fn chosen<'a>(offers: &'a [Offer], wish: &Wish) -> Option<&'a Offer> {
    let is_there = |offer: &&Offer| offer.listing.symbol.region == wish.region;
    offers
        .iter()
        .find(|offer| wish.region.is_none() || is_there(offer))
}

/// The bill of a wish, for who may pay it.
pub(super) fn bill(app: &App, viewer: &Viewer, wish: &Wish, shared: &Shared) -> Bill {
    let (locale, now, listings) = (viewer.locale, app.clock.now(), &shared.listings);
    let cash = viewer.participant.map(|participant| {
        let cash = Account::of(participant, AccountKind::Cash);
        app.feed.market().ledger().balance(cash)
    });
    let chosen = chosen(&shared.offers, wish);
    let most = listings
        .iter()
        .filter(|listing| wish.region.is_none() || listing.symbol.region == wish.region)
        .filter_map(|listing| listing.reckoned.as_ref())
        .map(|reckoned| reckoned.quote.most)
        .max()
        .unwrap_or(0);
    let symbol = chosen.map_or_else(String::new, |offer| offer.listing.symbol.text.clone());
    let window = &wish.window;
    let back = format!("/?{}", wish.query(wish.region))
        .replace('&', "%26")
        .replace('?', "%3F");
    Bill {
        locale,
        at: format::clock_time(now),
        offer: chosen.and_then(|offer| priced(locale, wish, offer, cash.unwrap_or_default())),
        most,
        bad_lot: (wish.units % wish.grade.lot != 0).then_some(wish.grade.lot),
        units: wish.units,
        hours: window.hours(),
        period: locale.period(window.period),
        is_member: cash.is_some(),
        confirm_path: format!("/market/{symbol}/confirm"),
        window_fields: [
            ("day", window.day()),
            ("hour", window.hour().to_string()),
            ("hours", window.hours().to_string()),
        ],
        sign_in: format!("/sign-in?next={}", back.replace('=', "%3D")),
    }
}

fn priced(locale: Locale, wish: &Wish, offer: &Offer, cash: Money) -> Option<Priced> {
    let reckoned = offer.listing.reckoned.as_ref()?;
    let hold = Money(i64::try_from(reckoned.quote.hold).ok()?);
    let unit_hours = i128::from(wish.units) * i128::from(wish.window.hours());
    let unit_price = Money(i64::try_from(offer.total / unit_hours).ok()?);
    let symbol = offer.listing.symbol.clone();
    let grams = symbol
        .carbon_grams()
        .map(|grams| i128::from(grams) * unit_hours / 100);
    Some(Priced {
        total: format::amount(offer.total),
        hold: format::money(hold),
        unit_price: format::money(unit_price),
        metered: symbol.metered(unit_price),
        parts: reckoned.lines(locale),
        cash: format::money(cash),
        cash_after: (cash >= hold).then(|| format::money(cash - hold)),
        missing: (cash < hold).then(|| format::money(hold - cash)),
        carbon: grams.and_then(kilograms),
        symbol,
    })
}

/// Tenths of a kilogram, written as kilograms.
fn kilograms(tenths: i128) -> Option<String> {
    Some(format::scaled(i64::try_from(tenths).ok()?, 1))
}

fn alternatives(
    locale: Locale,
    wish: &Wish,
    offers: &[Offer],
    chosen: Option<&Offer>,
) -> Alternatives {
    let cheapest = offers.first();
    let greenest = offers
        .iter()
        .filter(|offer| offer.listing.symbol.carbon_grams().is_some())
        .min_by_key(|offer| (offer.listing.symbol.carbon_grams(), offer.total));
    let east = offers.iter().find(|offer| {
        offer
            .listing
            .symbol
            .region
            .is_some_and(|region| !region.west)
    });
    let mut cards: Vec<Card> = Vec::new();
    let kinds = [
        ("cheapest", cheapest),
        ("greenest", greenest),
        ("east", east),
    ];
    for (key, offer) in kinds {
        let Some(offer) = offer else { continue };
        let symbol = &offer.listing.symbol;
        let unit_hours = i128::from(wish.units) * i128::from(wish.window.hours());
        let above = cheapest.map_or(0, |cheapest| offer.total - cheapest.total);
        let tenths = symbol
            .carbon_grams()
            .map(|grams| i128::from(grams) * unit_hours / 100);
        cards.push(Card {
            key,
            name: symbol.cluster(locale).to_owned(),
            total: format::amount(offer.total),
            difference: (above > 0).then(|| format!("+{}", format::amount(above))),
            carbon: tenths.and_then(kilograms),
            href: format!("/?{}", wish.query(symbol.region)),
            is_chosen: chosen
                .is_some_and(|chosen| chosen.listing.instrument == offer.listing.instrument),
        });
    }
    Alternatives { locale, cards }
}

fn table(
    locale: Locale,
    wish: &Wish,
    scope: Scope,
    listings: &[Listing],
    last: &std::collections::BTreeMap<market::InstrumentId, Money>,
) -> Table {
    let in_region =
        |listing: &&Listing| wish.region.is_none() || listing.symbol.region == wish.region;
    let mut rows: Vec<Row> = Vec::new();
    for listing in listings.iter().filter(in_region) {
        let is_same_grade = rows
            .last()
            .is_some_and(|row| row.symbol.grade_name() == listing.symbol.grade_name());
        match scope {
            Scope::OneGrade if !listing.is_wished => continue,
            Scope::Grades if is_same_grade => {
                if let Some(row) = rows.last_mut() {
                    let (more, _) = row.more.get_or_insert_with(|| (0, String::new()));
                    *more += 1;
                }
                continue;
            }
            _ => {}
        }
        rows.push(row(wish, listing, last.get(&listing.instrument).copied()));
    }
    for row in &mut rows {
        let name = row.symbol.grade_name().to_owned();
        if let Some((_, href)) = &mut row.more {
            *href = format!("/?grade={name}&{}&scope=grade#market", wish.window.query());
        }
    }
    let narrowed = match (scope, wish.region) {
        (Scope::OneGrade, _) => Some(wish.grade.name.to_owned()),
        (Scope::Grades, Some(region)) => Some(cluster(region, locale).to_owned()),
        (Scope::Grades, None) => None,
    };
    let all_href = format!("/?{}#market", wish.query(None));
    Table {
        locale,
        period: locale.period(wish.window.period),
        rows,
        narrowed,
        all_href,
    }
}

fn row(wish: &Wish, listing: &Listing, last: Option<Money>) -> Row {
    Row {
        href: format!("/market/{}?{}", listing.symbol.text, wish.window.query()),
        more: None,
        ask: listing.ask.map(format::money),
        bid: listing.bid.map(format::money),
        last: last.map(format::money),
        free: format::count(listing.free),
        metered: listing.ask.and_then(|ask| listing.symbol.metered(ask)),
        carbon: listing.symbol.carbon_grams(),
        symbol: listing.symbol.clone(),
    }
}

fn strip(locale: Locale, wish: &Wish, listings: &[Listing]) -> Strip {
    let regions = queries::by_region(listings);
    let asks = || regions.iter().filter_map(|(_, listing)| listing.ask);
    let base = asks().min();
    let span = match (base, asks().max()) {
        (Some(low), Some(high)) => (high - low).0.max(1),
        _ => 1,
    };
    let mut before: Option<i64> = None;
    let reaches = regions.iter().map(|(region, listing)| {
        let above = listing.ask.zip(base).map(|(ask, base)| (ask - base).0);
        // The lowest reach keeps a film of water; the dearest fills nine tenths.
        let height = above.map_or(0, |above| 3 + above.saturating_mul(87) / span);
        let top = 100 - height;
        let step = before.filter(|_| above.is_some()).unwrap_or(top);
        before = above.map(|_| top);
        let share = above
            .zip(base)
            .map(|(above, base)| above.saturating_mul(1000) / base.0);
        Reach {
            name: cluster(region, locale),
            side: if region.west {
                "region.west"
            } else {
                "region.east"
            },
            price: listing.ask.map(format::money),
            above: share
                .filter(|share| *share > 0)
                .map(|share| format!("+{}%", format::scaled(share, 1))),
            height,
            top,
            step_top: step.min(top),
            step_height: (step - top).abs(),
            is_lowest: above == Some(0),
            free: format::count(listing.free),
            href: format!("/market/{}?{}", listing.symbol.text, wish.window.query()),
        }
    });
    Strip {
        locale,
        grade: wish.grade.name,
        reaches: reaches.collect(),
        base: base.map(format::money),
    }
}

/// `GET /overview/live`: the live parts, after each commit that touches a book.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    session: Option<axum::Extension<Session>>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
    uri: Uri,
) -> Result<Response, Error> {
    let sentence = Query::<Sentence>::try_from_uri(&uri).unwrap_or_default().0;
    let scope = scope_of(&uri);
    let participant = session.map(|session| session.member.participant);
    let viewer = Viewer {
        locale,
        participant,
    };
    // Only the bill depends on who asks: the rest is drawn once for all who do.
    let market = {
        let (app, sentence) = (app.clone(), sentence.clone());
        let wants = |published: &Published| !published.instruments.is_empty();
        Topic::new("market", Audience::Everyone, wants, move || {
            let (app, sentence) = (app.clone(), sentence.clone());
            async move { draw_market(&app, locale, &sentence, scope).await }
        })
    };
    let bill = {
        let app = app.clone();
        let wants = move |published: &Published| {
            !published.instruments.is_empty()
                || participant.is_some_and(|own| published.participants.contains(&own))
        };
        Topic::new("bill", Audience::of(participant), wants, move || {
            let (app, viewer, sentence) = (app.clone(), viewer.clone(), sentence.clone());
            async move { draw_bill(&app, &viewer, &sentence).await }
        })
    };
    live::stream(&app, watcher, vec![market, bill])
}

/// Whether the query asks for all regions of one grade.
pub(super) fn scope_of(uri: &Uri) -> Scope {
    let is_narrowed = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair == "scope=grade");
    if is_narrowed {
        Scope::OneGrade
    } else {
        Scope::Grades
    }
}

async fn draw_market(
    app: &App,
    locale: Locale,
    sentence: &Sentence,
    scope: Scope,
) -> Result<Fragments, Error> {
    let Some(wish) = wish(app, sentence) else {
        return Ok(Vec::new());
    };
    let shared = shared(app, locale, &wish, scope).await?;
    Ok(vec![
        ("alternatives", shared.alternatives.html()),
        ("table", shared.table.html()),
        ("strip", shared.strip.html()),
    ])
}

async fn draw_bill(app: &App, viewer: &Viewer, sentence: &Sentence) -> Result<Fragments, Error> {
    let Some(wish) = wish(app, sentence) else {
        return Ok(Vec::new());
    };
    let shared = shared(app, viewer.locale, &wish, Scope::Grades).await?;
    Ok(vec![(
        "bill",
        live::html(&bill(app, viewer, &wish, &shared))?,
    )])
}

fn wish(app: &App, sentence: &Sentence) -> Option<Wish> {
    let grades = queries::listed_grades(&app.feed.market());
    sentence.read(app.clock.now(), soon(&app.clock), &grades)
}

/// The region's name for a switch.
pub(super) fn region_name(region: &'static Region, locale: Locale) -> String {
    let hub = match locale {
        Locale::Zh => region.hub_zh,
        Locale::En => region.hub_en,
    };
    format!("{} · {hub}", cluster(region, locale))
}
