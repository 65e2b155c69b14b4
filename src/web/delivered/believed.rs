//! Of each hour of a lease, who was believed and why; and what the service level makes of them.

use anyhow::Context;
use askama::Template;
use askama::filters::HtmlSafe;
use market::{Hour, Lease, Market, Money, ServiceLevel, Timestamp, WHOLE_BPS};

use super::queries;
use crate::app::App;
use crate::clock;
use crate::delivery::evidence::{Evidence, is_in_time};
use crate::delivery::proof::{Owed, Proof};
use crate::web::error::Error;
use crate::web::format;
use crate::web::i18n::Locale;

/// How many hours are shown, the latest that has begun first: each is worked out anew.
const SHOWN: usize = 12;

/// The hours of a lease as its evidence has them.
#[derive(Template)]
#[template(path = "components/believed.html")]
pub struct Believed {
    locale: Locale,
    rows: Vec<Row>,
    /// Whether there are hours before those that are shown.
    is_cut: bool,
    formula: Option<Formula>,
    maintenances: Vec<Maintenance>,
}

impl HtmlSafe for Believed {}

struct Row {
    day: String,
    hour: String,
    owed: String,
    proven: String,
    share: i64,
    /// How many unit-minutes are not paid, why, and whose word that is.
    missing: Vec<(String, &'static str, &'static str)>,
    excused: Option<String>,
    /// What may still be told.
    open: Option<String>,
    state: &'static str,
    is_short: bool,
}

/// The service level's formula with the numbers in.
struct Formula {
    is_over: bool,
    availability: String,
    promised: String,
    credit: String,
    penalty: Option<String>,
}

struct Maintenance {
    period: String,
    note: String,
    is_in_time: bool,
}

impl Believed {
    pub(super) fn nothing(locale: Locale) -> Self {
        Self {
            locale,
            rows: Vec::new(),
            is_cut: false,
            formula: None,
            maintenances: Vec::new(),
        }
    }

    /// # Arguments
    /// With market time goes whether the lease has or had anything on a machine: no hour is shown of
    /// one that had nothing.
    pub(super) async fn of(
        app: &App,
        locale: Locale,
        lease: &Lease,
        (now, is_placed): (Timestamp, bool),
    ) -> Result<Self, Error> {
        let (level, formula) = {
            let market = app.feed.market();
            let level = market.service_level(lease).cloned();
            let formula = level
                .as_ref()
                .and_then(|level| formula(locale, &market, lease, level, now));
            (level, formula)
        };
        let notice = level
            .as_ref()
            .map_or(0, |level| level.maintenance_notice_hours);
        let begun = lease.period.each().filter(|hour| {
            let is_lacked = lease.failed_from.is_some_and(|from| *hour >= from);
            is_placed && hour.begins() < now && lease.held_in(*hour) > 0 && !is_lacked
        });
        let begun: Vec<Hour> = begun.collect();
        let latest = begun.iter().rev().take(SHOWN);
        let mut rows = Vec::new();
        if !begun.is_empty() {
            let mut db = app.db.acquire().await.context("asking for a connection")?;
            for hour in latest {
                let evidence = Evidence::read(&mut db, *hour, &[lease.id]).await;
                let evidence = evidence.context("reading the evidence of an hour")?;
                let gone = (now.0 - hour.begins().0).div_euclid(60_000_000);
                let minutes = usize::try_from(gone.clamp(0, 60)).unwrap_or(60);
                let owed = Owed::to(lease, *hour);
                let proof = evidence.so_far(lease.id, owed, notice, minutes);
                rows.push(row(locale, lease, *hour, &proof, minutes));
            }
        }
        let declared = queries::maintenances(&app.db, lease.pool, lease.period).await?;
        Ok(Self {
            locale,
            is_cut: begun.len() > SHOWN,
            rows,
            formula,
            maintenances: declared
                .iter()
                .map(|row| {
                    let start = clock::instant(row.period().start.begins());
                    let declared_at = clock::instant(row.declared_at());
                    let allows = level
                        .as_ref()
                        .is_some_and(|level| level.maintenance_bps > 0);
                    Maintenance {
                        period: locale.period(row.period()),
                        note: row.note.clone(),
                        is_in_time: allows && is_in_time(start, declared_at, notice),
                    }
                })
                .collect(),
        })
    }
}

fn row(locale: Locale, lease: &Lease, hour: Hour, proof: &Proof, minutes: usize) -> Row {
    let missing = [
        (
            proof.unaccepted,
            "believed.unaccepted",
            "believed.by.probes",
        ),
        (proof.denied, "believed.denied", "believed.by.probes"),
        (proof.stopped, "believed.stopped", "believed.by.agent"),
        (
            proof.unseen - proof.open,
            "believed.unseen",
            "believed.by.nobody",
        ),
        (proof.unplaced, "believed.unplaced", "believed.by.exchange"),
    ];
    let missing = missing.into_iter().filter(|(n, ..)| *n > 0);
    let counted = |n: i64| (n > 0).then(|| format::count(n));
    let owed = proof.owed();
    let state = match (lease.is_settled(hour), minutes) {
        (true, _) => "believed.settled",
        (_, 60) => "believed.waiting",
        _ => "believed.so_far",
    };
    Row {
        day: locale.day(hour.begins()),
        hour: format::hour_span(hour),
        owed: format::count(owed),
        proven: format::count(proof.proven),
        share: proof.proven.saturating_mul(100) / owed.max(1),
        missing: missing
            .map(|(n, why, who)| (format::count(n), why, who))
            .collect(),
        excused: counted(proof.excused),
        open: counted(proof.open),
        state,
        is_short: proof.proven + proof.open < owed,
    }
}

/// What the service level makes of the hours that are settled; nothing before there is one.
fn formula(
    locale: Locale,
    market: &Market,
    lease: &Lease,
    level: &ServiceLevel,
    now: Timestamp,
) -> Option<Formula> {
    let settled = lease.period.each().filter(|hour| {
        let is_lacked = lease.failed_from.is_some_and(|from| *hour >= from);
        lease.is_settled(*hour) && !is_lacked
    });
    let owed: i64 = settled.map(|hour| lease.hour_minutes(hour)).sum();
    let excused = market.excused(lease);
    let counted = owed - excused;
    let penalty = penalty(locale, lease, level, now);
    if counted <= 0 {
        return penalty.map(|penalty| Formula {
            is_over: false,
            availability: locale.t("believed.formula_unsettled").into_owned(),
            promised: format::percent(level.availability_bps),
            credit: locale.t("believed.credit_none").into_owned(),
            penalty: Some(penalty),
        });
    }
    let bps = i128::from(lease.delivered) * i128::from(WHOLE_BPS) / i128::from(counted);
    let words = [
        ("delivered", format::count(lease.delivered)),
        ("owed", format::count(owed)),
        ("excused", format::count(excused)),
        ("p", format::percent(i64::try_from(bps).unwrap_or(0))),
    ];
    Some(Formula {
        is_over: lease.is_ended(),
        availability: locale.tr("believed.formula", words),
        promised: format::percent(level.availability_bps),
        credit: credit(locale, market, lease, level, counted),
        penalty,
    })
}

/// What is credited for the step that the availability falls below, as things stand.
fn credit(
    locale: Locale,
    market: &Market,
    lease: &Lease,
    level: &ServiceLevel,
    counted: i64,
) -> String {
    if lease.failed_from.is_some() {
        return locale.t("believed.credit_default").into_owned();
    }
    let pool = market.pool(lease.pool);
    let instrument = pool.and_then(|pool| market.instrument(pool.instrument));
    let name = instrument.map_or("", |instrument| instrument.service_level());
    let rules = market.rules_of(lease.rules);
    let bps = rules.credit_bps(name, lease.delivered, counted);
    let step = level.credits.iter().find(|step| step.credit_bps == bps);
    let Some(step) = step.filter(|_| bps > 0) else {
        return locale.t("believed.credit_none").into_owned();
    };
    let total = lease.total();
    let due = i128::from(total.0) * i128::from(bps) / i128::from(WHOLE_BPS);
    let words = [
        ("below", format::percent(step.below_bps)),
        ("total", format::money(total)),
        ("credit", format::percent(bps)),
        ("amount", format::amount(due)),
        ("paid", format::money(lease.credited)),
    ];
    let key = if lease.is_ended() {
        "believed.credit_paid"
    } else {
        "believed.credit_due"
    };
    locale.tr(key, words)
}

/// What a default now would cost the provider at most; nothing once no hour is left to lack.
fn penalty(locale: Locale, lease: &Lease, level: &ServiceLevel, now: Timestamp) -> Option<String> {
    let first = now.next_hour();
    let left = lease.unsettled().filter(|hour| *hour >= first);
    let left: Money = left.map(|hour| lease.hour_price(hour)).sum();
    let is_open = level.penalty_bps > 0 && left > Money::ZERO && lease.failed_from.is_none();
    is_open.then(|| {
        let most = i128::from(left.0) * i128::from(level.penalty_bps) / i128::from(WHOLE_BPS);
        let words = [
            ("left", format::money(left)),
            ("penalty", format::percent(level.penalty_bps)),
            ("amount", format::amount(most)),
        ];
        locale.tr("believed.penalty", words)
    })
}
