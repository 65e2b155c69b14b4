//! A provider's overview and its leases as they change.

pub mod lease;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::response::Response;
use market::{
    Account, AccountKind, HOUR_MINUTES, Hour, LeaseId, Market, Money, ParticipantId, PoolId, Rules,
    Timestamp, WHOLE_BPS,
};

use super::queries::{self, Broken, Day, LeaseRow};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Watcher};
use crate::web::symbol::Symbol;
use crate::web::tank::{self, Tank, Week};
use crate::web::{Error, Locale, Member, format};

/// How many leases the overview shows.
const SHOWN: i64 = 12;

/// How many days the service record covers.
const RECORD_DAYS: i64 = 30;

/// What needs attention, what is due first.
#[derive(Template)]
#[template(path = "supply/_attention.html")]
pub(super) struct Attention {
    locale: Locale,
    items: Vec<Item>,
}

impl HtmlSafe for Attention {}

struct Item {
    due: Timestamp,
    is_urgent: bool,
    title: String,
    detail: String,
    deadline: String,
    href: String,
    action: &'static str,
}

/// Earnings, use and bond, in figures.
#[derive(Template)]
#[template(path = "supply/_figures.html")]
pub(super) struct Figures {
    locale: Locale,
    rows: Vec<Figure>,
}

impl HtmlSafe for Figures {}

struct Figure {
    key: &'static str,
    value: String,
    caption: String,
}

/// Leases that run and that are next.
#[derive(Template)]
#[template(path = "supply/_leases.html")]
pub(super) struct Leases {
    locale: Locale,
    pub(super) rows: Vec<Line>,
    is_cut: bool,
    is_overview: bool,
}

impl HtmlSafe for Leases {}

/// A lease in a table.
pub(super) struct Line {
    href: String,
    id: String,
    title: String,
    units: String,
    period: String,
    holder: String,
    price: String,
    total: String,
    share: i64,
    delivered: String,
    state: &'static str,
    tone: &'static str,
}

/// What was kept of what was promised.
#[derive(Template)]
#[template(path = "supply/_record.html")]
pub(super) struct Record {
    locale: Locale,
    delivered: Option<String>,
    ended: String,
    refunded: String,
    credited: String,
    bars: Vec<Bar>,
    worst: Option<String>,
    first: String,
    last: String,
}

impl HtmlSafe for Record {}

struct Bar {
    x: String,
    top: i64,
    height: i64,
    is_short: bool,
}

/// The parts of the overview.
pub(super) struct Parts {
    pub(super) attention: Attention,
    pub(super) figures: Figures,
    pub(super) tank: Tank,
    pub(super) leases: Leases,
    pub(super) record: Record,
    /// How many pools that are not over there are, and their units.
    pub(super) pools: usize,
    pub(super) units: i64,
}

/// How a lease stands for its provider.
pub(super) fn stage(row: &LeaseRow, now: Timestamp) -> (&'static str, &'static str) {
    let short = row.owed > row.delivered;
    if row.ended {
        ("supply.lease.ended", if short { "amber" } else { "" })
    } else if now < row.period.start.begins() {
        ("supply.lease.next", "")
    } else if now >= row.period.end.begins() {
        ("supply.lease.settling", if short { "amber" } else { "" })
    } else if short {
        ("supply.lease.short", "amber")
    } else {
        ("supply.lease.running", "teal")
    }
}

/// A lease as a line.
pub(super) fn line(locale: Locale, row: &LeaseRow, now: Timestamp) -> Line {
    let (state, tone) = stage(row, now);
    let promised = row.held.promised();
    let share = row.delivered.saturating_mul(100) / promised.max(1);
    Line {
        href: format!("/provide/leases/{}", row.id),
        id: row.id.to_string(),
        title: Symbol::new(&row.symbol).grade_name().to_owned(),
        units: row.held.units(now),
        period: locale.period(row.period),
        holder: row.holder.clone(),
        price: format::money(row.price),
        total: format::wide(row.held.cost(row.price)),
        share,
        delivered: locale.tr("leases.delivered", [("p", &share.to_string())]),
        state,
        tone,
    }
}

impl Leases {
    /// A page of leases.
    pub(super) fn page(locale: Locale, rows: &[LeaseRow], now: Timestamp) -> Self {
        Self {
            locale,
            rows: rows.iter().map(|row| line(locale, row, now)).collect(),
            is_cut: false,
            is_overview: false,
        }
    }
}

/// All parts of a provider's overview.
pub(super) async fn parts(app: &App, locale: Locale, member: &Member) -> Result<Parts, Error> {
    let of = member.participant;
    let now = app.clock.now();
    let rules = app.feed.market().rules().clone();
    let window = rules.claim_window_hours.max(24);
    let pools = queries::pools(&app.db, of, now).await?;
    let open = queries::open(&app.db, of, 500).await?;
    let broken = queries::broken(&app.db, of, now.plus_hours(-window)).await?;
    let earned = queries::earned(&app.db, of, tank::month(now)).await?;
    let maturing = queries::maturing(&app.db, of, now, rules.claim_window_hours).await?;
    let since = tank::days_ago(now, RECORD_DAYS - 1);
    let days = queries::days(&app.db, of, since).await?;
    let (credited, ended) = queries::credited(&app.db, of, since).await?;
    let market = app.feed.market();
    let ids: Vec<PoolId> = pools.iter().map(|(id, ..)| *id).collect();
    let week = Week::new(&market, &ids, now);
    let book = Book {
        market: &market,
        locale,
        of,
        now,
    };
    let mut items = book.broken(&broken, window);
    items.extend(book.waiting(&open));
    items.extend(book.unlisted(&week, &pools));
    items.extend(book.bond(&week));
    items.sort_by_key(|item| item.due);
    let units = ids
        .iter()
        .filter_map(|id| market.pool(*id))
        .map(|pool| pool.units);
    Ok(Parts {
        attention: Attention { locale, items },
        figures: Figures {
            locale,
            rows: book.figures(earned, maturing, &week),
        },
        tank: week.tank(locale),
        leases: Leases {
            is_cut: i64::try_from(open.len()).is_ok_and(|all| all > SHOWN),
            is_overview: true,
            rows: open
                .iter()
                .take(usize::try_from(SHOWN).unwrap_or_default())
                .map(|row| line(locale, row, now))
                .collect(),
            locale,
        },
        record: record(locale, &days, since, (credited, ended)),
        pools: ids.len(),
        units: units.sum(),
    })
}

/// What the parts are worked out from.
struct Book<'m> {
    market: &'m Market,
    locale: Locale,
    of: ParticipantId,
    now: Timestamp,
}

impl Book<'_> {
    fn balance(&self, kind: AccountKind) -> Money {
        self.market.ledger().balance(Account::of(self.of, kind))
    }

    /// Until when something is to be done, as the list says it.
    fn by(&self, due: Timestamp) -> String {
        let at = self.locale.minute(due);
        self.locale.tr("supply.by", [("at", &at)])
    }

    fn broken(&self, broken: &[Broken], window: i64) -> Vec<Item> {
        let item = |one: &Broken| {
            let due = one.last.ends().plus_hours(window);
            let lease = one.lease.to_string();
            let title = self.locale.tr(
                "supply.attention.broken",
                [
                    ("lease", &*lease),
                    ("hours", &one.hours.to_string()),
                    ("refunded", &format::money(one.refunded)),
                ],
            );
            let detail = self.locale.tr(
                "supply.attention.broken_detail",
                [
                    ("grade", Symbol::new(&one.symbol).grade_name()),
                    ("minutes", &format::count(one.missing)),
                    ("last", &self.locale.minute(one.last.begins())),
                ],
            );
            Item {
                due,
                is_urgent: true,
                title,
                detail,
                deadline: self.locale.tr(
                    "supply.attention.claims",
                    [("at", &self.locale.minute(due))],
                ),
                href: format!("/provide/leases/{lease}"),
                action: "supply.attention.see",
            }
        };
        broken.iter().map(item).collect()
    }

    /// Hours that are over and have no reading: they settle as not delivered at the deadline.
    fn waiting(&self, open: &[LeaseRow]) -> Option<Item> {
        let deadline = self.market.rules().reading_deadline_hours?;
        let mut hours: i64 = 0;
        let mut first: Option<(Hour, LeaseId)> = None;
        for row in open {
            let Some(lease) = self.market.lease(row.id) else {
                continue;
            };
            // An hour's grace: readings of the last one may be on their way.
            let over = lease
                .unsettled()
                .take_while(|hour| hour.ends().plus_hours(1) <= self.now);
            for hour in over {
                hours += 1;
                first = first.into_iter().chain([(hour, row.id)]).min();
            }
        }
        let (hour, lease) = first?;
        let due = hour.ends().plus_hours(deadline);
        Some(Item {
            due,
            is_urgent: true,
            title: self.locale.tr(
                "supply.attention.waiting",
                [("hours", &format::count(hours))],
            ),
            detail: self
                .locale
                .t("supply.attention.waiting_detail")
                .into_owned(),
            deadline: self.by(due),
            href: format!("/provide/leases/{lease}"),
            action: "supply.attention.see",
        })
    }

    fn unlisted(&self, week: &Week, pools: &[(PoolId, Option<String>, String)]) -> Option<Item> {
        let gap = week.gap()?;
        let free_in = |pool: &PoolId| {
            let pool = self.market.pool(*pool);
            pool.map_or(0, |pool| {
                crate::web::capacity::Capacity::of(self.market, pool, gap.period.start).free()
            })
        };
        let (pool, name, _) = pools.iter().max_by_key(|(pool, ..)| free_in(pool))?;
        let due = gap.period.start.begins();
        Some(Item {
            due,
            is_urgent: false,
            title: self.locale.tr(
                "supply.attention.unlisted",
                [
                    ("period", &*self.locale.period(gap.period)),
                    ("n", &format::count(gap.unit_hours)),
                ],
            ),
            detail: self.locale.tr(
                "supply.attention.unlisted_detail",
                [("pool", name.as_deref().unwrap_or(&pool.to_string()))],
            ),
            deadline: self.by(due),
            href: format!("/provide/pools/{pool}#tariff"),
            action: "supply.attention.list",
        })
    }

    /// Whether the cash is short to bond what is listed in the week ahead.
    fn bond(&self, week: &Week) -> Option<Item> {
        let listed: i64 = week.ahead().map(|(_, hour)| hour.listed).sum();
        let worth: i128 = week.ahead().map(|(_, hour)| hour.worth).sum();
        let needed = bond(self.market.rules(), worth);
        let cash = self.balance(AccountKind::Cash);
        if needed <= i128::from(cash.0) {
            return None;
        }
        let bonded = i128::from(listed) * i128::from(cash.0) / needed.max(1);
        let first = week.ahead().find(|(_, hour)| hour.listed > 0)?.0;
        Some(Item {
            due: first.begins(),
            is_urgent: true,
            title: self.locale.tr(
                "supply.attention.bond",
                [("n", &format::count(i64::try_from(bonded).unwrap_or(0)))],
            ),
            detail: self.locale.tr(
                "supply.attention.bond_detail",
                [
                    ("needed", &*format::wide(needed)),
                    ("cash", &format::money(cash)),
                ],
            ),
            deadline: self.locale.t("supply.attention.now").into_owned(),
            href: "/wallet".to_owned(),
            action: "supply.attention.deposit",
        })
    }

    fn figures(
        &self,
        earned: queries::Earned,
        maturing: Option<queries::Maturing>,
        week: &Week,
    ) -> Vec<Figure> {
        let locale = self.locale;
        let yuan = |amount: Money| format!("¥{}", format::money(amount));
        let today = week.today();
        let unit_hours = earned.unit_minutes / HOUR_MINUTES;
        let average = i128::from(earned.gross) * i128::from(HOUR_MINUTES);
        let average = average.checked_div(earned.unit_minutes.into());
        let average = average.and_then(|price| i64::try_from(price / 100 * 100).ok());
        let payable = match maturing {
            Some(maturing) => locale.tr(
                "supply.figure.payable_next",
                [
                    ("next", &*yuan(maturing.next)),
                    ("at", &locale.minute(maturing.next_at)),
                    ("last", &locale.minute(maturing.last_at)),
                ],
            ),
            None => locale.t("supply.figure.payable_none").into_owned(),
        };
        let figure = |key, value, caption| Figure {
            key,
            value,
            caption,
        };
        vec![
            figure(
                "supply.figure.earned",
                yuan(Money(earned.paid)),
                locale.tr(
                    "supply.figure.earned_caption",
                    [("n", &format::count(unit_hours))],
                ),
            ),
            figure(
                "supply.figure.payable",
                yuan(self.balance(AccountKind::Payable)),
                payable,
            ),
            figure(
                "supply.figure.use",
                today.sold_permille().map_or_else(
                    || "–".to_owned(),
                    |share| format!("{}%", format::scaled(share, 1)),
                ),
                locale.tr(
                    "supply.figure.use_caption",
                    [
                        ("sold", &*format::count(today.sold)),
                        ("all", &format::count(today.units)),
                    ],
                ),
            ),
            figure(
                "supply.figure.price",
                average.map_or_else(|| "–".to_owned(), |price| yuan(Money(price))),
                locale.t("supply.figure.price_caption").into_owned(),
            ),
            figure(
                "supply.figure.bond",
                yuan(self.balance(AccountKind::Bond)),
                locale.tr(
                    "supply.figure.bond_caption",
                    [("cash", &yuan(self.balance(AccountKind::Cash)))],
                ),
            ),
        ]
    }
}

/// What is pledged when this much is sold.
fn bond(rules: &Rules, worth: i128) -> i128 {
    worth * i128::from(rules.bond_bps) / i128::from(WHOLE_BPS)
}

/// The record of the days since an instant.
fn record(
    locale: Locale,
    days: &[Day],
    since: Timestamp,
    (credited, ended): (Money, i64),
) -> Record {
    let first = (since.0 / market::HOUR_MICROS + 8).div_euclid(24);
    let delivered: i64 = days.iter().map(|day| day.delivered).sum();
    let owed: i64 = days.iter().map(|day| day.owed).sum();
    let refunded: i64 = days.iter().map(|day| day.refunded).sum();
    // In hundredths of a per cent; missing is rounded up, so that no shortfall reads as none.
    let missing_of = |day: &Day| {
        let missing = i128::from(day.owed - day.delivered) * 10_000;
        let bps = missing.div_euclid(day.owed.max(1).into());
        i64::try_from(bps).unwrap_or(10_000) + i64::from(missing > 0)
    };
    let worst = days.iter().max_by_key(|day| (missing_of(day), day.day));
    let worst = worst.filter(|day| day.delivered < day.owed);
    let most = worst.map_or(100, missing_of).max(100);
    let begins = |day: i64| Hour(day * 24 - 8).begins();
    let bars = days.iter().map(|day| {
        let missing = missing_of(day).min(10_000);
        let height = if missing > 0 {
            (missing * 88 / most).max(3)
        } else {
            2
        };
        Bar {
            // Thirtieths of the width, in hundredths of a per cent.
            x: format::scaled((day.day - first) * 10_000 / RECORD_DAYS, 2),
            top: 100 - height,
            height,
            is_short: missing > 0,
        }
    });
    let share = i128::from(delivered) * 10_000;
    let share = share.checked_div(owed.into());
    Record {
        locale,
        delivered: share
            .and_then(|share| i64::try_from(share).ok())
            .map(|share| format!("{}%", format::scaled(share, 2))),
        ended: format::count(ended),
        refunded: format::money(Money(refunded)),
        credited: format::money(credited),
        bars: bars.collect(),
        worst: worst.map(|day| {
            locale.tr(
                "supply.record.worst",
                [
                    (
                        "share",
                        &*format!("{}%", format::scaled(missing_of(day), 2)),
                    ),
                    ("day", &locale.day(begins(day.day))),
                ],
            )
        }),
        first: locale.day(begins(first)),
        last: locale.day(begins(first + RECORD_DAYS - 1)),
    }
}

/// `GET /provide/live`: all parts, after each commit that touches the participant.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
) -> Result<Response, Error> {
    live::for_participant(&app, watcher, move |app, member| async move {
        let parts = parts(&app, locale, &member).await?;
        Ok(vec![
            ("attention", live::html(&parts.attention)?),
            ("figures", live::html(&parts.figures)?),
            ("tank", live::html(&parts.tank)?),
            ("leases", live::html(&parts.leases)?),
            ("record", live::html(&parts.record)?),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_adds_up_its_days_and_hides_no_shortfall() {
        // 2026-10-06 in China begins at 2026-10-05T16:00Z.
        let since = Timestamp(1_791_216_000_000_000);
        let first = (since.0 / market::HOUR_MICROS + 8).div_euclid(24);
        let day = |after, delivered| Day {
            day: first + after,
            delivered,
            owed: 100_000,
            refunded: 100_000 - delivered,
        };
        let days = [day(0, 100_000), day(1, 99_999), day(29, 90_000)];
        let record = record(Locale::En, &days, since, (Money(5), 2));
        assert_eq!(record.delivered.as_deref(), Some("96.66%"));
        assert_eq!(record.refunded, "1.0001");
        let worst = record.worst.unwrap();
        assert!(worst.contains("10.01%"), "{worst}");
        let short: Vec<_> = record.bars.iter().map(|bar| bar.is_short).collect();
        assert_eq!(short, [false, true, true]);
        assert_eq!(record.bars[2].x, "96.66");
        assert!(record.bars[1].height >= 3 && record.bars[2].height > 80);
        let none = super::record(Locale::En, &[], since, (Money::ZERO, 0));
        assert_eq!((none.delivered, none.worst), (None, None));
    }
}
