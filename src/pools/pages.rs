//! The pools, a new one, and one of them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use market::catalogue::GRADES;
use market::{Access, Market, Period, Pool, PoolId};
use serde::Deserialize;

use super::forms::{Change, DAYS, Faults, Growth, NewPool, Tariff};
use super::fragments::{self, Figures, Preview, Refused, Tariffs, own, share};
use super::queries::{self, HostRow, PoolRow};
use crate::app::App;
use crate::web::certificate::{self, Certificate};
use crate::web::ends::ends_of;
use crate::web::identifier::{Identifier, Subject};
use crate::web::symbol::{Symbol, cluster};
use crate::web::window::soon;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Shell, form, format};

/// How long a new pool lasts where nothing is picked: 90 days.
const LASTS_HOURS: i64 = 90 * 24;

#[derive(Template, WebTemplate)]
#[template(path = "pools/index.html")]
struct Index {
    shell: Shell,
    is_certified: bool,
    pools: Vec<Line>,
}

struct Line {
    href: String,
    name: String,
    title: String,
    period: String,
    units: String,
    sold: String,
    listed: String,
    free: String,
    state: &'static str,
    tone: &'static str,
}

/// `GET /provide/pools`; who is led back to it with a new pool goes on to its form.
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    if kept.form::<NewPool>("/provide/pools").is_some() {
        let form = format!("/provide/pools/new?{}", uri.query().unwrap_or_default());
        return Ok(Redirect::to(&form).into_response());
    }
    let is_certified = certificate::of(&app.db, member.participant)
        .await?
        .is_some();
    let rows = queries::pools(&app.db, member.participant).await?;
    let market = app.feed.market();
    let now = app.clock.now();
    let lines = rows.iter().filter_map(|row| {
        let pool = market.pool(row.id)?;
        let week = fragments::week(&market, pool, now);
        let (state, tone) = state(pool, row, &market, now);
        Some(Line {
            href: format!("/provide/pools/{}", row.id),
            name: row.name.clone().unwrap_or_else(|| row.id.to_string()),
            title: Symbol::new(&row.symbol).title(shell.locale),
            period: shell.locale.period(pool.period),
            units: format::count(pool.units),
            sold: share(week.sold_permille()),
            listed: format::count(week.listed),
            free: format::count(week.free()),
            state,
            tone,
        })
    });
    let pools = lines.collect();
    drop(market);
    let page = Index {
        shell,
        is_certified,
        pools,
    };
    Ok(page.into_response())
}

/// How a pool stands, in a word.
fn state(
    pool: &Pool,
    row: &PoolRow,
    market: &Market,
    now: market::Timestamp,
) -> (&'static str, &'static str) {
    if pool.period.end.begins() <= now || pool.period.end.begins() <= market.now() {
        ("pools.state.over", "")
    } else if !pool.asks.is_empty() {
        ("pools.state.open", "teal")
    } else if row.paused > 0 {
        ("pools.state.paused", "amber")
    } else {
        ("pools.state.unlisted", "amber")
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "pools/new.html")]
struct New {
    shell: Shell,
    form: NewPool,
    errors: FieldErrors,
    notice: Option<String>,
    region: &'static str,
    grades: Vec<(&'static str, String)>,
    levels: Vec<(String, String)>,
    /// How many minutes before an hour begins it is sold no more where it has to be prepared.
    gate_minutes: i64,
}

/// `GET /provide/pools/new`
///
/// # Errors
/// [`Error::Uncertified`] for a participant without a certificate.
pub async fn new(
    State(app): State<App>,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let certificate = certificate::required(&app.db, member.participant).await?;
    let start = market::Hour(soon(&app.clock).hour().0 + 1);
    let [from_day, from_hour, to_day, to_hour] = ends_of(Period {
        start,
        end: market::Hour(start.0 + LASTS_HOURS),
    });
    let form = kept.form("/provide/pools").unwrap_or_else(|| NewPool {
        level: "SILVER".to_owned(),
        access: Access::Instant.code().to_owned(),
        from_day,
        from_hour,
        to_day,
        to_hour,
        form_id: form::client_id(),
        ..NewPool::default()
    });
    Ok(draw_new(
        &app,
        kept.told(shell),
        &certificate,
        form,
        FieldErrors::default(),
        None,
    )
    .into_response())
}

/// The form of a new pool as it was typed, with what is wrong with it.
pub(super) fn draw_new(
    app: &App,
    shell: Shell,
    certificate: &Certificate,
    form: NewPool,
    errors: FieldErrors,
    notice: Option<String>,
) -> impl IntoResponse + use<> {
    let locale = shell.locale;
    let grades = GRADES.iter().map(|grade| {
        let line = Symbol::new(grade.name).grade_line(locale);
        (grade.name, format!("{} · {line}", grade.name))
    });
    let levels = levels(app).into_iter().map(|level| {
        let name = Symbol::new(&format!("..{level}")).level(locale);
        (level, name)
    });
    New {
        form,
        errors,
        notice,
        region: cluster(certificate.region, locale),
        grades: grades.collect(),
        levels: levels.collect(),
        gate_minutes: app.feed.market().rules().gate_minutes,
        shell,
    }
}

/// The service levels that a pool can be opened with: those of the rule set in force, or of the
/// usual one where it has none.
pub(super) fn levels(app: &App) -> Vec<String> {
    let market = app.feed.market();
    let levels: Vec<String> = market.rules().service_levels.keys().cloned().collect();
    if levels.is_empty() {
        ["BRONZE", "GOLD", "SILVER"].map(str::to_owned).to_vec()
    } else {
        levels
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "pools/show.html")]
pub(super) struct Show {
    shell: Shell,
    id: PoolId,
    name: String,
    identifier: Option<Identifier>,
    symbol: Symbol,
    pool_units: i64,
    lot: i64,
    period: String,
    access: Access,
    gate_minutes: i64,
    is_over: bool,
    is_certified: bool,
    done: Option<&'static str>,
    notice: Option<String>,
    figures: Figures,
    tariffs: Tariffs,
    tariff: Tariff,
    days: [&'static str; 10],
    errors: FieldErrors,
    preview: Preview,
    hint: Hint,
    hosts: Vec<HostView>,
    /// How many machines are registered; none of a pool that can't have any.
    machines: Option<i64>,
    growth: Growth,
    grow_errors: FieldErrors,
}

/// What others get for the same.
struct Hint {
    median: Option<String>,
    low: String,
    high: String,
    trades: usize,
    ask: Option<(String, String)>,
}

struct HostView {
    id: i64,
    name: String,
    units: String,
    plan: Option<String>,
    next: Option<String>,
    faults: Faults,
    errors: FieldErrors,
    /// Whether a plan was typed and not taken yet.
    is_open: bool,
}

/// What a page of a pool shows of forms that were refused.
#[derive(Default)]
pub(super) struct Typed {
    /// The new tariff and what is wrong with it.
    pub(super) tariff: Option<(Tariff, FieldErrors)>,
    /// A change of a tariff.
    pub(super) change: Option<Refused>,
    /// More units.
    pub(super) growth: Option<(Growth, FieldErrors)>,
    /// A host's planned faults and what is wrong with them.
    pub(super) faults: Option<(i64, Faults, FieldErrors)>,
    /// What no field can say.
    pub(super) notice: Option<String>,
}

impl Typed {
    /// What was typed into one of a pool's forms before its person had to sign in.
    fn kept(kept: &Kept, id: PoolId) -> Self {
        let path = format!("/provide/pools/{id}");
        let unread = FieldErrors::default;
        let change = kept.form_of_row::<Change>(&format!("{path}/tariffs/"), "");
        let faults = kept.form_of_row::<Faults>(&format!("{path}/hosts/"), "");
        let tariff: Option<Tariff> = kept.form(&format!("{path}/tariffs"));
        let growth: Option<Growth> = kept.form(&format!("{path}/units"));
        Self {
            tariff: tariff.map(|tariff| (tariff, unread())),
            change: change.and_then(|(ask, change)| {
                Some(Refused {
                    ask: ask.parse().ok()?,
                    change,
                    errors: unread(),
                })
            }),
            growth: growth.map(|growth| (growth, unread())),
            faults: faults.and_then(|(host, faults)| Some((host.parse().ok()?, faults, unread()))),
            notice: None,
        }
    }
}

/// Which kind of tariff is begun with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kind {
    tariff: String,
}

/// `GET /provide/pools/{id}`
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    Query(kind): Query<Kind>,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    // Who is led back with maintenance to declare goes on to its form, which stands with machines.
    if kept.is_of(&format!("/provide/pools/{id}/maintenance")) {
        let form = format!(
            "/provide/pools/{id}/machines?{}#maintenance",
            uri.query().unwrap_or_default()
        );
        return Ok(Redirect::to(&form).into_response());
    }
    let done = match uri.query() {
        Some("opened") => Some("pools.done.opened"),
        Some("grown") => Some("pools.done.grown"),
        Some("listed") => Some("pools.done.listed"),
        Some("changed") => Some("pools.done.changed"),
        Some("paused") => Some("pools.done.paused"),
        Some("resumed") => Some("pools.done.resumed"),
        Some("ended") => Some("pools.done.ended"),
        Some("planned") => Some("pools.done.planned"),
        _ => None,
    };
    let typed = Typed::kept(&kept, id);
    let mut page = draw(&app, kept.told(shell), &member, id, typed, &kind.tariff).await?;
    page.done = done;
    Ok(page.into_response())
}

/// The page of a pool, with what was typed and refused.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    id: PoolId,
    typed: Typed,
    kind: &str,
) -> Result<Show, Error> {
    let locale = shell.locale;
    let of = member.participant;
    let pool = own(app, member, id)?;
    let row = queries::pool(&app.db, of, id)
        .await?
        .ok_or(Error::NotFound)?;
    let now = app.clock.now();
    let (figures, tariffs) = fragments::parts(app, locale, id, typed.change.as_ref()).await?;
    let prices = queries::prices(&app.db, pool.instrument, of, now).await?;
    let hosts = queries::hosts(&app.db, id).await?;
    let machines = queries::machines(&app.db, id).await?;
    let hint = hint(&prices, &app.feed.market(), &pool, now);
    let is_certified = certificate::of(&app.db, of).await?.is_some();
    let (tariff, errors) = typed.tariff.unwrap_or_else(|| {
        let tariff = begun(kind, &pool, &hint);
        (tariff, FieldErrors::default())
    });
    let (growth, grow_errors) = typed.growth.unwrap_or_default();
    Ok(Show {
        id,
        name: row.name.clone().unwrap_or_else(|| id.to_string()),
        identifier: row.has_identifier.then_some(Identifier(Subject::Pool(id))),
        symbol: Symbol::new(&row.symbol),
        pool_units: pool.units,
        lot: row.lot,
        period: locale.period(pool.period),
        access: pool.access,
        gate_minutes: app.feed.market().rules().gate_minutes,
        is_over: pool.period.end.begins() <= now,
        is_certified,
        done: None,
        notice: typed.notice,
        figures,
        tariffs,
        preview: Preview::new(app, locale, of, &tariff),
        tariff,
        days: DAYS,
        errors,
        hint,
        hosts: host_views(locale, &hosts, typed.faults.as_ref(), now),
        machines: row.name.is_some().then_some(machines),
        growth,
        grow_errors,
        shell: shell.live_from(format!("/provide/pools/{id}/live")),
    })
}

/// A form for a tariff of this kind, for all of the pool, at what others get.
fn begun(kind: &str, pool: &Pool, hint: &Hint) -> Tariff {
    let (days, begins, ends, min_hours) = match kind {
        "night" => ("all", 22, 6, 1),
        "weekend" => ("weekend", 0, 24, 1),
        "long" => ("all", 0, 24, 24),
        _ => ("all", 0, 24, 1),
    };
    let [from_day, from_hour, to_day, to_hour] = ends_of(pool.period);
    let price = hint.median.clone();
    let price = price.or_else(|| hint.ask.as_ref().map(|(price, _)| price.clone()));
    Tariff {
        days: days.to_owned(),
        begins: begins.to_string(),
        ends: ends.to_string(),
        min_hours: min_hours.to_string(),
        units: pool.units.to_string(),
        price: price.unwrap_or_default().replace(',', ""),
        from_day,
        from_hour,
        to_day,
        to_hour,
        client_id: form::client_id(),
    }
}

fn hint(
    prices: &[(market::Money, i64)],
    market: &Market,
    pool: &Pool,
    now: market::Timestamp,
) -> Hint {
    let mut sorted = prices.to_vec();
    sorted.sort_unstable();
    let all: i128 = sorted.iter().map(|(_, weight)| i128::from(*weight)).sum();
    let mut seen = 0;
    let median = sorted.iter().find(|(_, weight)| {
        seen += i128::from(*weight);
        seen * 2 >= all
    });
    let end = |one: Option<&(market::Money, i64)>| {
        one.map(|(price, _)| format::money(*price))
            .unwrap_or_default()
    };
    let ask = queries::best_ask(market, pool.instrument, now);
    Hint {
        median: median.map(|(price, _)| format::money(*price)),
        low: end(sorted.first()),
        high: end(sorted.last()),
        trades: sorted.len(),
        ask: ask.map(|(price, units)| (format::money(price), format::count(units))),
    }
}

fn host_views(
    locale: Locale,
    hosts: &[HostRow],
    typed: Option<&(i64, Faults, FieldErrors)>,
    now: market::Timestamp,
) -> Vec<HostView> {
    let view = |host: &HostRow| {
        let plan = host.fails_every.zip(host.fails_minutes);
        let next = plan.map(|(every, _)| {
            let hour = now.hour().0;
            market::Hour(hour + every - hour.rem_euclid(every))
        });
        let words = |(every, minutes): (i64, i64)| {
            [
                ("every", every.to_string()),
                ("minutes", minutes.to_string()),
            ]
        };
        let as_planned = || {
            let (every, minutes) = plan.unzip();
            let text = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
            Faults {
                fails_every: text(every),
                fails_minutes: text(minutes),
            }
        };
        let typed = typed.filter(|(id, ..)| *id == host.id);
        HostView {
            id: host.id,
            name: host.name.clone(),
            units: format::count(host.units),
            plan: plan.map(|plan| locale.tr("host.plan", words(plan))),
            next: next.map(|hour| locale.minute(hour.begins())),
            faults: typed.map_or_else(as_planned, |(_, faults, _)| faults.clone()),
            errors: typed.map(|(.., errors)| errors.clone()).unwrap_or_default(),
            is_open: typed.is_some(),
        }
    };
    hosts.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use market::{
        Access, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId, Rules,
        Timestamp,
    };

    use super::*;

    #[test]
    fn the_median_is_weighed_by_unit_hours() {
        let mut market = Market::new(Rules::none());
        let at = Timestamp(0);
        market.apply(
            at,
            &Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
        );
        market.apply(
            at,
            &Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: ParticipantId(1),
                instrument: InstrumentId(1),
                units: 1,
                start: at,
                end: Hour(2).begins(),
                access: Access::Instant,
            }),
        );
        let pool = market.pool(PoolId(1)).unwrap();
        let hint_of = |prices: &[(i64, i64)]| {
            let prices: Vec<_> = prices
                .iter()
                .map(|(price, weight)| (Money(*price), *weight))
                .collect();
            hint(&prices, &market, pool, at)
        };
        let hint = hint_of(&[(100_000, 1), (80_000, 10), (120_000, 8)]);
        assert_eq!(hint.median.as_deref(), Some("8.00"));
        assert_eq!((&*hint.low, &*hint.high, hint.trades), ("8.00", "12.00", 3));
        assert_eq!(hint_of(&[]).median, None);
    }
}
