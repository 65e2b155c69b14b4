//! Why an order is not filled, or ended so, in one sentence.

use market::{Hour, Market, Order, Period, PlaceOrder, Side, TimeInForce, Timestamp};

use super::super::queries::OrderRow;
use crate::feed::Feed;
use crate::web::quote::Reckoned;
use crate::web::window::Window;
use crate::web::{Locale, format};

/// How many orders of the other side are looked through: the best.
const LOOKED_THROUGH: usize = 1_000;

/// How many hours earlier and later offers are looked for.
const AROUND: i64 = 24;

/// Why an order is not filled; none of one that is.
pub(in super::super) fn why_not(
    locale: Locale,
    row: &OrderRow,
    market: &Market,
    now: Timestamp,
) -> Option<String> {
    let order = order_of(row, market);
    match (row.done.as_deref(), order) {
        (Some("filled"), _) => None,
        (Some(why), order) => ended(locale, row, why, order),
        (None, Some(order)) if order.is_bid() => Some(bid(locale, order, market)),
        (None, Some(order)) => Some(ask(locale, order, market, now)),
        // The table is ahead of the readers' market; what it says next is drawn anew.
        (None, None) => None,
    }
}

/// The order of a row as the readers' market has it.
pub(in super::super) fn order_of<'a>(row: &OrderRow, market: &'a Market) -> Option<&'a Order> {
    let id = market.order_of(row.participant, &row.client_id)?;
    Some(market.order(id))
}

/// Why an open bid that leaves its hours open is not filled.
fn flexible(locale: Locale, bid: &Order, market: &Market) -> String {
    let mut placed = bid.placed.clone();
    placed.units = bid.remaining();
    let reckoned = Reckoned::new(market, placed, Some(bid.price));
    let enough = reckoned.ok().and_then(|reckoned| reckoned.quote.enough);
    let Some(enough) = enough.filter(|enough| *enough > bid.price) else {
        let words = [("n", &*format::count(bid.remaining()))];
        return locale.tr("order.why.no_start", words);
    };
    let words = [
        ("ask", &*format::money(enough)),
        ("limit", &format::money(bid.price)),
    ];
    locale.tr("order.why.dear_start", words)
}

/// Why an open bid is not filled.
fn bid(locale: Locale, bid: &Order, market: &Market) -> String {
    if bid.flexible().is_some() {
        return flexible(locale, bid, market);
    }
    let in_reach = market.across(bid).filter(|ask| meet(bid, ask));
    let in_reach = in_reach.take(LOOKED_THROUGH);
    let (selling, others): (Vec<&Order>, Vec<&Order>) =
        in_reach.partition(|ask| ask.sells(bid.period));
    let offers: Vec<(&Order, i64)> = selling
        .iter()
        .map(|ask| (*ask, market.offer(ask, bid.period)))
        .filter(|(_, units)| *units > 0)
        .collect();
    let is_own = |ask: &Order| ask.participant() == bid.participant();
    let is_too_near = |ask: &Order| !market.is_ready(ask, bid.period.start);
    let Some((best, _)) = offers.first() else {
        return match others
            .iter()
            .filter_map(|ask| too_short(ask, bid.period))
            .min()
        {
            _ if selling.iter().any(|ask| is_too_near(ask)) => {
                let minutes = market.rules().gate_minutes.to_string();
                locale.tr("order.why.near", [("n", &minutes)])
            }
            _ if !selling.is_empty() => locale.t("order.why.sold").into_owned(),
            Some(hours) => {
                let words = [
                    ("n", &*hours.to_string()),
                    ("hours", &bid.period.hours().to_string()),
                ];
                locale.tr("order.why.short", words)
            }
            None => locale.t("order.why.nothing").into_owned(),
        };
    };
    if offers.iter().all(|(ask, _)| is_own(ask)) || best.price <= bid.price && is_own(best) {
        return locale.t("order.why.own").into_owned();
    }
    let foreign = || offers.iter().filter(|(ask, _)| !is_own(ask));
    let dearest_of = |(ask, _): &(&Order, i64)| ask.price;
    let best = foreign().map(dearest_of).min().unwrap_or(best.price);
    if best > bid.price {
        let words = [
            ("ask", &*format::money(best)),
            ("limit", &format::money(bid.price)),
        ];
        return locale.tr("order.why.dear", words);
    }
    let within = foreign().filter(|(ask, _)| ask.price <= bid.price);
    let most = within.map(|(_, units)| *units).max().unwrap_or_default();
    let words = [
        ("n", &*format::count(most)),
        ("least", &format::count(bid.min_fill())),
    ];
    locale.tr("order.why.few", words)
}

/// Whether a bid and an ask are for the same: an instrument, or the pool that the bid is pinned to.
fn meet(bid: &Order, ask: &Order) -> bool {
    match bid.pool() {
        Some(pool) => ask.pool() == Some(pool),
        None => ask
            .instruments
            .iter()
            .any(|one| bid.instruments.contains(one)),
    }
}

/// The fewest hours that an ask sells, where a period within it is too short for that alone.
fn too_short(ask: &Order, period: Period) -> Option<i64> {
    let Side::Sell {
        min_hours, weekly, ..
    } = &ask.placed.side
    else {
        return None;
    };
    let holds = |hour: Hour| {
        weekly
            .as_ref()
            .is_none_or(|weekly| weekly.holds(hour.of_week()))
    };
    let is_within = ask.period.covers(period) && period.each().all(holds);
    (is_within && period.hours() < *min_hours).then_some(*min_hours)
}

/// Why an open ask is not sold.
fn ask(locale: Locale, ask: &Order, market: &Market, now: Timestamp) -> String {
    let (sold, all) = sold_hours(ask, market, now);
    if all == 0 {
        return locale.t("order.why.last_hour").into_owned();
    }
    if sold == all {
        return locale.tr("order.why.sold_out", [("m", &format::count(all))]);
    }
    let partly = if sold > 0 {
        let words = [("n", &*format::count(sold)), ("m", &format::count(all))];
        locale.tr("order.why.partly", words)
    } else {
        String::new()
    };
    let mut bids = market.across(ask).take(LOOKED_THROUGH);
    let best = bids.find(|bid| {
        let is_anothers = bid.participant() != ask.participant();
        let suits = meet(bid, ask) && is_anothers && ask.sells(bid.period);
        suits && market.is_ready(ask, bid.period.start)
    });
    let price = format::money(ask.price);
    match best {
        None => locale.tr("order.why.no_bid", [("price", &price), ("partly", &partly)]),
        Some(bid) if bid.price < ask.price => {
            let words = [
                ("bid", &*format::money(bid.price)),
                ("price", &price),
                ("partly", &partly),
            ];
            locale.tr("order.why.low", words)
        }
        Some(bid) => {
            let words = [
                ("bid", &*format::money(bid.price)),
                ("least", &format::count(bid.min_fill())),
                ("n", &format::count(market.offer(ask, bid.period))),
                ("partly", &partly),
            ];
            locale.tr("order.why.small", words)
        }
    }
}

/// In how many of the hours to come that an ask covers nothing more of it can be sold, and how many
/// hours those are.
fn sold_hours(ask: &Order, market: &Market, now: Timestamp) -> (i64, i64) {
    let Side::Sell { weekly, .. } = &ask.placed.side else {
        return (0, 0);
    };
    let pool = ask.pool().and_then(|pool| market.pool(pool));
    let next = now.on_the_hour().unwrap_or(Hour(now.hour().0 + 1));
    let to_come = Period {
        start: ask.period.start.max(next),
        end: ask.period.end,
    };
    let covered = |hour: &Hour| {
        weekly
            .as_ref()
            .is_none_or(|weekly| weekly.holds(hour.of_week()))
    };
    let left = |hour: Hour| {
        let free = pool.map_or(0, |pool| pool.free_in(hour));
        free.min(ask.units - ask.sold_in(hour))
    };
    let hours = to_come.each().filter(covered);
    hours.fold((0, 0), |(sold, all), hour| {
        (sold + i64::from(left(hour) <= 0), all + 1)
    })
}

/// What ended an order that was not filled.
fn ended(locale: Locale, row: &OrderRow, why: &str, order: Option<&Order>) -> Option<String> {
    let tif = order.map(|order| order.placed.tif);
    let until = match tif {
        Some(TimeInForce::Gtd { until }) if until < row.period.start.begins() => Some(until),
        _ => None,
    };
    let key = match (why, row.is_bid) {
        ("expired", true) if until.is_some() => "order.ended.until",
        ("expired", true) => "order.ended.expired",
        ("expired", false) => "order.ended.expired_ask",
        ("cancelled", true) => "order.ended.cancelled",
        ("cancelled", false) => "order.ended.cancelled_ask",
        ("self_trade", _) => "order.ended.self_trade",
        ("unfilled", _) if row.flexible.is_some_and(|one| one.splittable) => "order.ended.split",
        ("unfilled", _) if row.flexible.is_some() => "order.ended.no_start",
        ("unfilled", _) if tif == Some(TimeInForce::Fok) => "order.ended.fok",
        ("unfilled", _) => "order.ended.ioc",
        ("bond", _) => "order.ended.bond",
        _ => return None,
    };
    let until = until.map(|until| locale.minute(until)).unwrap_or_default();
    let words = [
        ("n", &*format::count(row.units - row.filled)),
        ("limit", &format::money(row.price)),
        ("until", &until),
    ];
    Some(locale.tr(key, words))
}

/// The nearest hours, as many, in which all that is left of a bid would fill now within its limit.
pub(in super::super) fn nearest(feed: &Feed, bid: &Order, soon: Timestamp) -> Option<Window> {
    let moved = |by: i64| {
        let mut moved = bid.placed.clone();
        moved.units = bid.remaining();
        moved.price = bid.price;
        moved.start = Hour(bid.period.start.0 + by).begins();
        moved.end = Hour(bid.period.end.0 + by).begins();
        moved
    };
    let is_open = bid.is_bid() && bid.done.is_none();
    let around = (1..=AROUND).flat_map(|by| [moved(by), moved(-by)]);
    let to_come = around.filter(|moved| is_open && moved.start >= soon);
    let would_fill = |moved: PlaceOrder| {
        let reckoned = Reckoned::new(&feed.market(), moved, Some(bid.price)).ok()?;
        let runs = reckoned.runs();
        reckoned.is_whole().then(|| runs.first().copied())?
    };
    let found = to_come.filter_map(would_fill).next()?;
    Some(Window { period: found })
}
