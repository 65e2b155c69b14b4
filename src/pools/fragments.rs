//! The live parts of a pool: what of it is sold and offered, and its tariffs.

use askama::Template;
use askama::filters::HtmlSafe;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use market::{
    Account, AccountKind, Hour, Market, Money, Order, ParticipantId, Period, Pool, PoolId, Rules,
    Side, Timestamp, WHOLE_BPS, Weekly,
};

use super::forms::{Change, Tariff, TariffTerms, hours_covered, runs};
use super::queries::{self, PausedRow};
use crate::app::App;
use crate::web::capacity::Capacity;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Watcher};
use crate::web::{Error, FieldErrors, Locale, Member, format};

/// How many hours ahead a pool's use is counted: a week.
const AHEAD: i64 = 168;

/// A lease of this many hours or more is long work.
const LONG: i64 = 12;

/// What of a pool is sold and offered in the week ahead.
#[derive(Template)]
#[template(path = "pools/_figures.html")]
pub(super) struct Figures {
    locale: Locale,
    sold: String,
    sold_share: String,
    listed: String,
    free: String,
    is_paused: bool,
}

impl HtmlSafe for Figures {}

/// A pool's units in the week ahead, from the next hour on.
pub(super) fn week(market: &Market, pool: &Pool, now: Timestamp) -> Capacity {
    let next = now.hour().0 + 1;
    (next..next + AHEAD)
        .map(|hour| Capacity::of(market, pool, Hour(hour)))
        .fold(Capacity::default(), Capacity::and)
}

/// A share in per cent with one decimal; none of nothing.
pub(super) fn share(permille: Option<i64>) -> String {
    permille.map_or_else(
        || "–".to_owned(),
        |permille| format!("{}%", format::scaled(permille, 1)),
    )
}

/// A pool's tariffs: those that stand, the cheapest first, then those that are paused.
#[derive(Template)]
#[template(path = "pools/_tariffs.html")]
pub(super) struct Tariffs {
    locale: Locale,
    path: String,
    rows: Vec<TariffView>,
    are_open: bool,
    are_paused: bool,
}

impl HtmlSafe for Tariffs {}

/// A tariff in words, with the form that changes it.
pub(super) struct TariffView {
    id: String,
    name: String,
    when: String,
    shortest: Option<String>,
    units: String,
    price: String,
    sold: Option<String>,
    period: String,
    is_paused: bool,
    is_open: bool,
    change: Change,
    errors: FieldErrors,
}

/// A change that could not be made: which tariff's, as typed, and why.
pub(super) struct Refused {
    pub(super) ask: market::OrderId,
    pub(super) change: Change,
    pub(super) errors: FieldErrors,
}

impl TariffView {
    fn of_order(locale: Locale, order: &Order, refused: Option<&Refused>) -> Option<Self> {
        let Side::Sell {
            min_hours, weekly, ..
        } = &order.placed.side
        else {
            return None;
        };
        let refused = refused.filter(|refused| refused.ask == order.id);
        let sold: i64 = order.sold.sum();
        Some(Self {
            id: order.id.to_string(),
            name: name(locale, weekly.as_ref(), *min_hours),
            when: when(locale, weekly.as_ref()),
            shortest: shortest(locale, *min_hours),
            units: format::count(order.units),
            price: format::money(order.price),
            sold: Some(format::count(sold)),
            period: locale.period(order.period),
            is_paused: false,
            is_open: refused.is_some(),
            change: refused.map_or_else(
                || Change {
                    units: order.units.to_string(),
                    price: format::money(order.price).replace(',', ""),
                },
                |refused| refused.change.clone(),
            ),
            errors: refused
                .map(|refused| refused.errors.clone())
                .unwrap_or_default(),
        })
    }

    fn of_paused(locale: Locale, row: &PausedRow) -> Self {
        let weekly = row
            .weekly
            .clone()
            .and_then(|text| Weekly::try_from(text).ok());
        Self {
            id: row.ask.to_string(),
            name: name(locale, weekly.as_ref(), row.min_hours),
            when: when(locale, weekly.as_ref()),
            shortest: shortest(locale, row.min_hours),
            units: format::count(row.units),
            price: format::money(row.price),
            sold: None,
            period: locale.period(row.period),
            is_paused: true,
            is_open: false,
            change: Change::default(),
            errors: FieldErrors::default(),
        }
    }
}

fn shortest(locale: Locale, min_hours: i64) -> Option<String> {
    (min_hours > 1).then(|| locale.tr("tariff.shortest", [("n", &min_hours.to_string())]))
}

/// The days of the week on which a tariff holds, if it holds from one hour to another on each;
/// with the hour at which it begins and how many hours it lasts.
fn pattern(weekly: &Weekly) -> Option<(Vec<usize>, usize, usize)> {
    let runs = runs(weekly);
    let (begins, length) = runs.first().map(|(start, length)| (start % 24, *length))?;
    if runs
        .iter()
        .all(|(start, length)| start % 24 == 0 && length % 24 == 0)
    {
        let mut days: Vec<usize> = runs
            .iter()
            .flat_map(|(start, length)| (start / 24)..(start + length) / 24)
            .map(|day| day % 7)
            .collect();
        days.sort_unstable();
        return Some((days, 0, 24));
    }
    let is_same = |(start, hours): &(usize, usize)| start % 24 == begins && *hours == length;
    let mut days: Vec<usize> = runs.iter().map(|(start, _)| start / 24).collect();
    days.sort_unstable();
    (length <= 24 && runs.iter().all(is_same)).then_some((days, begins, length))
}

/// When a tariff holds, as in `周末 22:00 – 次日 06:00`.
pub(super) fn when(locale: Locale, weekly: Option<&Weekly>) -> String {
    let Some(weekly) = weekly else {
        return locale.t("tariff.when.all").into_owned();
    };
    let Some((days, begins, length)) = pattern(weekly) else {
        let hours: usize = runs(weekly).iter().map(|(_, length)| length).sum();
        return locale.tr("tariff.when.some", [("n", &hours.to_string())]);
    };
    const WEEKDAYS: [&str; 7] = [
        "weekday.mon",
        "weekday.tue",
        "weekday.wed",
        "weekday.thu",
        "weekday.fri",
        "weekday.sat",
        "weekday.sun",
    ];
    let days = match days.as_slice() {
        [0, 1, 2, 3, 4, 5, 6] => locale.t("tariff.days.all").into_owned(),
        [0, 1, 2, 3, 4] => locale.t("tariff.days.weekdays").into_owned(),
        [5, 6] => locale.t("tariff.days.weekend").into_owned(),
        days => {
            let names: Vec<_> = days.iter().map(|day| locale.t(WEEKDAYS[*day])).collect();
            names.join(match locale {
                Locale::Zh => "、",
                Locale::En => ", ",
            })
        }
    };
    if (begins, length) == (0, 24) {
        return days;
    }
    let ends = begins + length;
    let next = if ends > 24 {
        "tariff.when.next_day"
    } else {
        "tariff.when.same_day"
    };
    let ends = if ends > 24 { ends - 24 } else { ends };
    locale.tr(
        next,
        [
            ("days", &*days),
            ("begins", &format!("{begins:02}:00")),
            ("ends", &format!("{ends:02}:00")),
        ],
    )
}

/// What a tariff is called, by its terms.
fn name(locale: Locale, weekly: Option<&Weekly>, min_hours: i64) -> String {
    let key = match weekly.map(pattern) {
        _ if min_hours >= LONG => "tariff.name.long",
        None => "tariff.name.base",
        Some(Some((days, ..))) if days == [5, 6] => "tariff.name.weekend",
        Some(Some((_, begins, length))) if begins >= 20 || begins + length <= 8 => {
            "tariff.name.night"
        }
        Some(_) => "tariff.name.hours",
    };
    locale.t(key).into_owned()
}

/// Figures and tariffs of a pool.
pub(super) async fn parts(
    app: &App,
    locale: Locale,
    pool: PoolId,
    refused: Option<&Refused>,
) -> Result<(Figures, Tariffs), Error> {
    let paused = queries::paused(&app.db, pool).await?;
    let market = app.feed.market();
    let opened = market.pool(pool).ok_or(Error::NotFound)?;
    let capacity = week(&market, opened, app.clock.now());
    let mut asks: Vec<&Order> = opened.asks.iter().map(|ask| market.order(*ask)).collect();
    asks.sort_unstable_by_key(|ask| (ask.price, ask.id));
    let mut rows: Vec<TariffView> = asks
        .into_iter()
        .filter_map(|ask| TariffView::of_order(locale, ask, refused))
        .collect();
    let are_open = !rows.is_empty();
    // Placed again, but not noted: it stands.
    let stands = |row: &&PausedRow| {
        let again = market::ClientId(row.resumes_as.clone());
        market.order_of(opened.participant, &again).is_none()
    };
    let paused: Vec<&PausedRow> = paused.iter().filter(stands).collect();
    rows.extend(paused.iter().map(|row| TariffView::of_paused(locale, row)));
    let tariffs = Tariffs {
        locale,
        path: format!("/provide/pools/{pool}"),
        rows,
        are_open,
        are_paused: !paused.is_empty(),
    };
    let figures = Figures {
        locale,
        sold: format::count(capacity.sold),
        sold_share: share(capacity.sold_permille()),
        listed: format::count(capacity.listed),
        free: format::count(capacity.free()),
        is_paused: tariffs.are_paused && !are_open,
    };
    Ok((figures, tariffs))
}

/// What a tariff would bring and pledge if all of it were sold, and the button that lists it.
#[derive(Template, WebTemplate)]
#[template(path = "pools/_preview.html")]
pub(super) struct Preview {
    locale: Locale,
    priced: Option<Priced>,
}

impl HtmlSafe for Preview {}

struct Priced {
    units: String,
    price: String,
    unit_hours: String,
    gross: String,
    fee: String,
    net: String,
    bond: String,
    cash: String,
    /// For how many unit-hours the cash is a bond, where it is not for all.
    bonded: Option<String>,
}

impl Preview {
    /// The preview of a tariff as it is typed.
    pub(super) fn new(app: &App, locale: Locale, of: ParticipantId, tariff: &Tariff) -> Self {
        let market = app.feed.market();
        let cash = market.ledger().balance(Account::of(of, AccountKind::Cash));
        let now = app.clock.now();
        let priced = tariff
            .read(locale)
            .ok()
            .map(|terms| priced(market.rules(), &terms, cash, now));
        Self { locale, priced }
    }
}

fn priced(rules: &Rules, terms: &TariffTerms, cash: Money, now: Timestamp) -> Priced {
    let period = Period {
        start: terms.start.hour(),
        end: terms.end.hour(),
    };
    let hours = hours_covered(terms.weekly.as_ref(), period, now.hour());
    let unit_hours = terms.units.saturating_mul(hours);
    let gross = terms.price.times(terms.units, hours);
    // What waits in the book is the maker.
    let fee = gross * i128::from(rules.seller_fee.maker_bps) / i128::from(WHOLE_BPS)
        + rules.seller_fee.flat.times(terms.units, hours);
    let bond_of = |gross: i128| gross * i128::from(rules.bond_bps) / i128::from(WHOLE_BPS);
    let bond = bond_of(gross);
    let each = bond_of(i128::from(terms.price.0)).max(1);
    let bonded = (bond > i128::from(cash.0)).then(|| i128::from(cash.0) / each);
    Priced {
        units: format::count(terms.units),
        price: format::money(terms.price),
        unit_hours: format::count(unit_hours),
        gross: format::wide(gross),
        fee: format::wide(-fee),
        net: format::wide(gross - fee),
        bond: format::wide(bond),
        cash: format::money(cash),
        bonded: bonded.map(|hours| format::count(i64::try_from(hours).unwrap_or(i64::MAX))),
    }
}

/// `GET /provide/pools/{id}/tariffs/preview`: what the tariff that is being typed comes to.
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn preview(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    Query(tariff): Query<Tariff>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    let preview = Preview::new(&app, locale, member.participant, &tariff);
    Ok(axum::response::IntoResponse::into_response(preview))
}

/// The pool, if it is the member's participant's.
pub(super) fn own(app: &App, member: &Member, id: PoolId) -> Result<Pool, Error> {
    let market = app.feed.market();
    let pool = market.pool(id);
    let own = pool.filter(|pool| pool.participant == member.participant);
    own.cloned().ok_or(Error::NotFound)
}

/// `GET /provide/pools/{id}/live`: figures and tariffs, after each commit that touches the
/// participant.
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn live(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    watcher: Watcher,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    live::for_participant(&app, watcher, move |app, _| async move {
        let (figures, tariffs) = parts(&app, locale, id, None).await?;
        Ok(vec![
            ("figures", live::html(&figures)?),
            ("tariffs", live::html(&tariffs)?),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(local: impl Fn(usize) -> bool) -> Weekly {
        let flags: String = (0..168)
            .map(|hour| if local((hour + 8) % 168) { '1' } else { '0' })
            .collect();
        Weekly::try_from(flags).unwrap()
    }

    #[test]
    fn a_tariffs_hours_read_as_people_say_them() {
        let said = |local: &dyn Fn(usize) -> bool| {
            let weekly = weekly(local);
            (
                name(Locale::En, Some(&weekly), 1),
                when(Locale::Zh, Some(&weekly)),
            )
        };
        let night = said(&|hour| !(6..22).contains(&(hour % 24)));
        assert_eq!(
            night,
            ("Night".to_owned(), "每天 22:00 – 次日 06:00".to_owned())
        );
        let weekend = said(&|hour| hour >= 120);
        assert_eq!(weekend, ("Weekend".to_owned(), "周末".to_owned()));
        let office = said(&|hour| hour < 120 && (9..18).contains(&(hour % 24)));
        assert_eq!(office.1, "工作日 09:00 – 18:00");
        let some = said(&|hour| hour == 24 || hour == 72 + 5);
        assert_eq!(some.1, "每周 2 小时");
        let days = said(&|hour| [1, 3].contains(&(hour / 24)) && hour % 24 >= 12);
        assert_eq!(days.1, "周二、周四 12:00 – 24:00");
        assert_eq!(when(Locale::En, None), "every hour");
        assert_eq!(name(Locale::En, None, 24), "Long work");
        assert_eq!(name(Locale::En, None, 1), "Base");
    }

    #[test]
    fn a_preview_counts_the_hours_to_come_and_the_bond() {
        let rules = crate::rules::load(None).unwrap();
        let terms = TariffTerms {
            weekly: None,
            min_hours: 1,
            units: 8,
            price: Money(100_000),
            start: Hour(0).begins(),
            end: Hour(100).begins(),
        };
        // 50 hours are left: 400 unit-hours at 10.00.
        let all = priced(&rules, &terms, Money(4_000_000), Hour(50).begins());
        assert_eq!((&*all.unit_hours, &*all.gross), ("400", "4,000.0000"));
        assert_eq!((&*all.bond, &all.bonded), ("400.0000", &None));
        assert_eq!((&*all.fee, &*all.net), ("\u{2212}80.0000", "3,920.0000"));
        let short = priced(&rules, &terms, Money(3_999_999), Hour(50).begins());
        assert_eq!(short.bonded.as_deref(), Some("399"));
    }
}
