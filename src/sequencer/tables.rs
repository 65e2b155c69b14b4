//! The array statements of a batch, and the columns that each takes.

use std::collections::BTreeMap;

use market::{Dispute, DisputeId, Lease, LeaseId, Market, Money, OrderId, ParticipantId};
use tokio_postgres::types::ToSql;

use super::instant::Instant;
use super::rows::{Rows, number_array, side_code};

/// The arrays of one statement; none where the batch has no row for it.
pub(super) type Columns = Vec<Box<dyn ToSql + Sync + Send>>;

/// The statements in the order of `tables`, after the one that advances the engine's row.
pub(super) const SQL: [&str; 19] = [
    "UPDATE engine SET batch = $3, command = $4, at = $5, acceptances = $6, entries = $7,
            chain = $8, digest = $9 WHERE epoch = $1 AND batch = $2",
    "INSERT INTO commands (seq, batch, at, actor, body, rejected)
     SELECT seq, $1, at, actor, body::jsonb, rejected
       FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
         AS t (seq, at, actor, body, rejected)",
    "INSERT INTO instruments (id, symbol, grade, region, level, lot, tick)
     SELECT id, symbol, split_part(symbol, '.', 1), split_part(symbol, '.', 2),
            split_part(symbol, '.', 3), lot, tick
       FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
         AS t (id, symbol, lot, tick)",
    "INSERT INTO pools (id, participant, instrument, units, start_at, end_at, opened_at, access)
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[],
                          $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::text[])
         ON CONFLICT (id) DO UPDATE SET units = EXCLUDED.units",
    "INSERT INTO orders (id, command, participant, client_id, side, instruments, pool, units,
            price, start_at, end_at, acceptance, accepted_at, filled, held, done, done_at,
            duration, resold, rules, late_minutes, terms)
     SELECT id, command, participant, client_id, side::order_side, instruments::bigint[], pool,
            units, price, start_at, end_at, acceptance, accepted_at, filled, held, done, done_at,
            duration, resold, rules, late_minutes, terms::jsonb
       FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                   $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[],
                   $11::timestamptz[], $12::bigint[], $13::timestamptz[], $14::bigint[],
                   $15::bigint[], $16::text[], $17::timestamptz[], $18::bigint[],
                   $19::bigint[], $20::bigint[], $21::bigint[], $22::text[])
         AS t (id, command, participant, client_id, side, instruments, pool, units, price,
               start_at, end_at, acceptance, accepted_at, filled, held, done, done_at,
               duration, resold, rules, late_minutes, terms)",
    "UPDATE orders o
        SET units = t.units, price = t.price, acceptance = t.acceptance,
            accepted_at = t.accepted_at, filled = t.filled, held = t.held, done = t.done,
            done_at = t.done_at, rules = t.rules
       FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[],
                   $6::bigint[], $7::bigint[], $8::text[], $9::timestamptz[], $10::bigint[])
         AS t (id, units, price, acceptance, accepted_at, filled, held, done, done_at, rules)
      WHERE o.id = t.id",
    "INSERT INTO trades
            (id, command, at, buy, sell, maker, price, units, pool, start_at, end_at, rules,
             counts)
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::bigint[],
                          $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
                          $10::timestamptz[], $11::timestamptz[], $12::bigint[],
                          $13::boolean[])",
    "INSERT INTO leases (id, holder, provider, fee_bps, fee_flat, acceptance, escrow, bond,
            delivered, earned, fee, credited, ended, parent, held, late_minutes, buyer_fee_bps,
            buyer_fee_flat, buyer_fee, fee_escrow, left_by, failed_from, excused)
     SELECT id, holder, provider, fee_bps, fee_flat, acceptance, escrow, bond,
            delivered, earned, fee, credited, ended, parent, held::bigint[], late_minutes,
            buyer_fee_bps, buyer_fee_flat, buyer_fee, fee_escrow, left_by::jsonb, failed_from,
            excused
       FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                   $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                   $11::bigint[], $12::bigint[], $13::boolean[], $14::bigint[], $15::text[],
                   $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
                   $21::text[], $22::timestamptz[], $23::bigint[])
         AS t (id, holder, provider, fee_bps, fee_flat, acceptance, escrow, bond,
               delivered, earned, fee, credited, ended, parent, held, late_minutes,
               buyer_fee_bps, buyer_fee_flat, buyer_fee, fee_escrow, left_by,
               failed_from, excused)
         ON CONFLICT (id) DO UPDATE
        SET escrow = EXCLUDED.escrow, bond = EXCLUDED.bond, delivered = EXCLUDED.delivered,
            earned = EXCLUDED.earned, fee = EXCLUDED.fee, credited = EXCLUDED.credited,
            ended = EXCLUDED.ended, held = EXCLUDED.held, buyer_fee = EXCLUDED.buyer_fee,
            fee_escrow = EXCLUDED.fee_escrow, left_by = EXCLUDED.left_by,
            failed_from = EXCLUDED.failed_from, excused = EXCLUDED.excused",
    // First those that are ruled: a lease has one open dispute at a time.
    "UPDATE disputes d
        SET frozen = t.frozen, parts = t.parts::jsonb, awarded = t.awarded,
            unfunded = t.unfunded, ruled_at = t.ruled_at, ruling = t.ruling
       FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
                   $6::timestamptz[], $7::bigint[])
         AS t (id, frozen, parts, awarded, unfunded, ruled_at, ruling)
      WHERE d.id = t.id",
    "INSERT INTO disputes (id, command, lease, claimant, provider, claimed, opened_at, frozen,
            parts, awarded, unfunded, ruled_at, ruling)
     SELECT id, command, lease, claimant, provider, claimed, opened_at, frozen, parts::jsonb,
            awarded, unfunded, ruled_at, ruling
       FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                   $6::bigint[], $7::timestamptz[], $8::bigint[], $9::text[], $10::bigint[],
                   $11::bigint[], $12::timestamptz[], $13::bigint[])
         AS t (id, command, lease, claimant, provider, claimed, opened_at, frozen, parts,
               awarded, unfunded, ruled_at, ruling)",
    "INSERT INTO settlements (lease, hour_at, command, at, unit_minutes, paid, refunded, fee,
            payable_until, entry, units, resellers, buyer_fee, excused)
     SELECT lease, hour_at, command, at, unit_minutes, paid, refunded, fee, payable_until, entry,
            units, resellers::jsonb, buyer_fee, excused
       FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[],
                   $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[],
                   $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[])
         AS t (lease, hour_at, command, at, unit_minutes, paid, refunded, fee, payable_until,
               entry, units, resellers, buyer_fee, excused)",
    "INSERT INTO corrections (lease, hour_at, command, at, unit_minutes, excused, paid, refunded,
            fee, buyer_fee, resellers, payable, payable_until, entry)
     SELECT lease, hour_at, command, at, unit_minutes, excused, paid, refunded, fee, buyer_fee,
            resellers::jsonb, payable::jsonb, payable_until, entry
       FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[],
                   $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
                   $10::bigint[], $11::text[], $12::text[], $13::timestamptz[], $14::bigint[])
         AS t (lease, hour_at, command, at, unit_minutes, excused, paid, refunded, fee, buyer_fee,
               resellers, payable, payable_until, entry)",
    "INSERT INTO journal_entries (id, command, at, reason, subject, hash)
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[],
                          $5::bigint[], $6::bytea[])",
    "INSERT INTO postings (entry, line, participant, kind, amount)
     SELECT entry, line, participant, kind::account_kind, amount
       FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::text[], $5::bigint[])
         AS t (entry, line, participant, kind, amount)",
    "INSERT INTO balances (participant, kind, amount)
     SELECT participant, kind::account_kind, amount
       FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (participant, kind, amount)
         ON CONFLICT (participant, kind) DO UPDATE SET amount = EXCLUDED.amount",
    "INSERT INTO rule_sets (version, from_at, rules, command)
     SELECT version, from_at, rules::jsonb, command
       FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::bigint[])
         AS t (version, from_at, rules, command)",
    "INSERT INTO halts (instrument, until_at)
     SELECT * FROM unnest($1::bigint[], $2::timestamptz[])
         ON CONFLICT (instrument) DO UPDATE SET until_at = EXCLUDED.until_at",
    "INSERT INTO related (participant, lowest)
     SELECT * FROM unnest($1::bigint[], $2::bigint[])
         ON CONFLICT (participant) DO UPDATE SET lowest = EXCLUDED.lowest",
    "INSERT INTO outbox (batch, news) VALUES ($1, $2::text::jsonb)",
];

/// A column of an array statement.
fn column<T, U>(rows: &[T], value: impl Fn(&T) -> U) -> Box<dyn ToSql + Sync + Send>
where
    U: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<U>>())
}

/// The columns of each table's statement; none where the batch has no row for it.
pub(super) fn of(market: &Market, rows: &Rows, batch: i64, hashes: Vec<Vec<u8>>) -> Vec<Columns> {
    vec![
        commands(rows, batch),
        instruments(rows),
        pools(rows),
        new_orders(market, rows),
        changed_orders(market, rows),
        trades(market, rows),
        leases(market, rows),
        changed_disputes(market, rows),
        new_disputes(market, rows),
        settlements(rows),
        corrections(rows),
        entries(rows, hashes),
        postings(rows),
        balances(rows),
        rule_sets(rows),
        halts(rows),
        related(market, rows),
        outbox(rows, batch),
    ]
}

/// No columns when there are no rows, so that no statement is sent.
fn unless_empty<T>(rows: &[T], columns: impl FnOnce(&[T]) -> Columns) -> Columns {
    if rows.is_empty() {
        Vec::new()
    } else {
        columns(rows)
    }
}

fn commands(rows: &Rows, batch: i64) -> Columns {
    unless_empty(&rows.commands, |rows| {
        vec![
            Box::new(batch),
            column(rows, |row| row.seq),
            column(rows, |row| Instant(row.at)),
            column(rows, |row| row.actor.clone()),
            column(rows, |row| row.body.clone()),
            column(rows, |row| row.rejected),
        ]
    })
}

fn instruments(rows: &Rows) -> Columns {
    unless_empty(&rows.instruments, |rows| {
        vec![
            column(rows, |row| row.instrument.0),
            column(rows, |row| row.symbol.clone()),
            column(rows, |row| row.lot),
            column(rows, |row| row.tick.0),
        ]
    })
}

fn pools(rows: &Rows) -> Columns {
    let pools: Vec<_> = rows.pools.values().collect();
    unless_empty(&pools, |rows| {
        vec![
            column(rows, |row| row.terms.pool.0),
            column(rows, |row| row.terms.participant.0),
            column(rows, |row| row.terms.instrument.0),
            column(rows, |row| row.terms.units),
            column(rows, |row| Instant(row.terms.start)),
            column(rows, |row| Instant(row.terms.end)),
            column(rows, |row| Instant(row.opened_at)),
            column(rows, |row| row.terms.access.code()),
        ]
    })
}

fn new_orders(market: &Market, rows: &Rows) -> Columns {
    let orders: Vec<_> = rows
        .new_orders
        .iter()
        .map(|(id, command)| (market.order(*id), *command))
        .collect();
    unless_empty(&orders, |orders| {
        vec![
            column(orders, |(order, _)| order.id.0),
            column(orders, |(_, command)| *command),
            column(orders, |(order, _)| order.participant().0),
            column(orders, |(order, _)| order.placed.client_id.0.clone()),
            column(orders, |(order, _)| side_code(&order.placed.side)),
            column(orders, |(order, _)| {
                number_array(order.instruments.iter().map(|id| id.0))
            }),
            column(orders, |(order, _)| order.pool().map(|pool| pool.0)),
            column(orders, |(order, _)| order.units),
            column(orders, |(order, _)| order.price.0),
            column(orders, |(order, _)| Instant(order.placed.start)),
            column(orders, |(order, _)| Instant(order.placed.end)),
            column(orders, |(order, _)| order.acceptance),
            column(orders, |(order, _)| Instant(order.accepted_at)),
            column(orders, |(order, _)| order.filled),
            column(orders, |(order, _)| order.held.0),
            column(orders, |(order, _)| order.done.map(market::DoneWhy::code)),
            column(orders, |(order, _)| done_at(rows, order.id)),
            column(orders, |(order, _)| {
                order.flexible().map(|flexible| flexible.duration)
            }),
            column(orders, |(order, _)| order.resold().map(|lease| lease.0)),
            column(orders, |(order, _)| order.rules),
            column(orders, |(order, _)| order.late_minutes),
            column(orders, |(order, _)| {
                let placed = &order.placed;
                let unsaid = !rows.placed.contains(&order.id);
                unsaid.then(|| serde_json::to_string(placed).expect("terms are plain data"))
            }),
        ]
    })
}

fn changed_orders(market: &Market, rows: &Rows) -> Columns {
    let orders: Vec<_> = rows
        .changed_orders
        .iter()
        .map(|id| market.order(*id))
        .collect();
    unless_empty(&orders, |orders| {
        vec![
            column(orders, |order| order.id.0),
            column(orders, |order| order.units),
            column(orders, |order| order.price.0),
            column(orders, |order| order.acceptance),
            column(orders, |order| Instant(order.accepted_at)),
            column(orders, |order| order.filled),
            column(orders, |order| order.held.0),
            column(orders, |order| order.done.map(market::DoneWhy::code)),
            column(orders, |order| done_at(rows, order.id)),
            column(orders, |order| order.rules),
        ]
    })
}

fn done_at(rows: &Rows, order: OrderId) -> Option<Instant> {
    rows.done_at.get(&order).map(|at| Instant(*at))
}

fn trades(market: &Market, rows: &Rows) -> Columns {
    unless_empty(&rows.trades, |trades| {
        vec![
            column(trades, |made| made.what.trade.0),
            column(trades, |made| made.command),
            column(trades, |made| Instant(made.at)),
            column(trades, |made| made.what.buy.0),
            column(trades, |made| made.what.sell.0),
            column(trades, |made| made.what.maker.0),
            column(trades, |made| made.what.price.0),
            column(trades, |made| made.what.units),
            column(trades, |made| made.what.pool.0),
            column(trades, |made| Instant(made.what.period.start.begins())),
            column(trades, |made| Instant(made.what.period.end.begins())),
            column(trades, |made| {
                let lease = market.lease(LeaseId(made.what.trade.0));
                lease.expect("each trade has made one lease").rules
            }),
            column(trades, |made| made.what.counts),
        ]
    })
}

fn leases(market: &Market, rows: &Rows) -> Columns {
    let known = |id| {
        market
            .lease(id)
            .expect("an event names a lease that the market made")
    };
    let leases: Vec<_> = rows.changed_leases.iter().map(|id| known(*id)).collect();
    unless_empty(&leases, |leases| {
        vec![
            column(leases, |lease| lease.id.0),
            column(leases, |lease| lease.holder.0),
            column(leases, |lease| lease.provider.0),
            column(leases, |lease| lease.fee_bps),
            column(leases, |lease| lease.fee_flat.0),
            column(leases, |lease| lease.acceptance),
            column(leases, |lease| lease.escrow.0),
            column(leases, |lease| lease.bond.0),
            column(leases, |lease| lease.delivered),
            column(leases, |lease| lease.earned.0),
            column(leases, |lease| lease.fee.0),
            column(leases, |lease| lease.credited.0),
            column(leases, |lease| lease.is_ended()),
            column(leases, |lease| lease.parent.map(|parent| parent.0)),
            column(leases, |lease| held(lease)),
            column(leases, |lease| lease.late_minutes),
            column(leases, |lease| lease.buyer_fee_bps),
            column(leases, |lease| lease.buyer_fee_flat.0),
            column(leases, |lease| lease.buyer_fee.0),
            column(leases, |lease| lease.fee_held().0),
            column(leases, |lease| {
                amounts(lease.left()).unwrap_or("{}".to_owned())
            }),
            column(leases, |lease| {
                lease.failed_from.map(|hour| Instant(hour.begins()))
            }),
            column(leases, |lease| lease.maintenance.values().sum::<i64>()),
        ]
    })
}

/// The units of a lease by hour, where they are not all of its trade's.
fn held(lease: &Lease) -> Option<String> {
    let is_less = lease.held.iter().any(|units| *units != lease.units);
    is_less.then(|| number_array(lease.held.iter().copied()))
}

/// Amounts by participant as JSON; none where there are none.
fn amounts(of: impl IntoIterator<Item = (ParticipantId, Money)>) -> Option<String> {
    let mut amounts: BTreeMap<i64, i64> = BTreeMap::new();
    for (participant, amount) in of {
        if amount != Money::ZERO {
            *amounts.entry(participant.0).or_default() += amount.0;
        }
    }
    let some = !amounts.is_empty();
    some.then(|| serde_json::to_string(&amounts).expect("amounts are plain data"))
}

fn new_disputes(market: &Market, rows: &Rows) -> Columns {
    let disputes: Vec<_> = rows
        .new_disputes
        .iter()
        .map(|(id, command)| (dispute(market, *id), *command))
        .collect();
    unless_empty(&disputes, |disputes| {
        let mut columns = vec![
            column(disputes, |(one, _)| one.id.0),
            column(disputes, |(_, command)| *command),
            column(disputes, |(one, _)| one.lease.0),
            column(disputes, |(one, _)| one.claimant.0),
            column(disputes, |(one, _)| one.provider.0),
            column(disputes, |(one, _)| one.claimed.0),
            column(disputes, |(one, _)| Instant(one.opened_at)),
        ];
        let disputes: Vec<&Dispute> = disputes.iter().map(|(one, _)| *one).collect();
        columns.extend(changing(&disputes, rows));
        columns
    })
}

fn changed_disputes(market: &Market, rows: &Rows) -> Columns {
    let changed = rows.changed_disputes.iter();
    let disputes: Vec<_> = changed.map(|id| dispute(market, *id)).collect();
    unless_empty(&disputes, |disputes| {
        let mut columns = vec![column(disputes, |one| one.id.0)];
        columns.extend(changing(disputes, rows));
        columns
    })
}

fn dispute(market: &Market, id: DisputeId) -> &Dispute {
    market
        .dispute(id)
        .expect("an event names a dispute that the market numbered")
}

/// The columns of a dispute that settlements and its ruling change.
fn changing(disputes: &[&Dispute], rows: &Rows) -> Columns {
    let parts = |one: &Dispute| serde_json::to_string(&one.parts).expect("parts are plain data");
    vec![
        column(disputes, |one| one.frozen().0),
        column(disputes, |one| parts(one)),
        column(disputes, |one| one.ruled.map(|ruling| ruling.awarded.0)),
        column(disputes, |one| one.ruled.map(|ruling| ruling.unfunded.0)),
        column(disputes, |one| one.ruled.map(|ruling| Instant(ruling.at))),
        column(disputes, |one| rows.rulings.get(&one.id).copied()),
    ]
}

fn settlements(rows: &Rows) -> Columns {
    unless_empty(&rows.settlements, |settled| {
        vec![
            column(settled, |made| made.what.lease.0),
            column(settled, |made| Instant(made.what.hour.begins())),
            column(settled, |made| made.command),
            column(settled, |made| Instant(made.at)),
            column(settled, |made| made.what.unit_minutes),
            column(settled, |made| made.what.paid.0),
            column(settled, |made| made.what.refunded.0),
            column(settled, |made| made.what.fee.0),
            column(settled, |made| made.what.payable_until.map(Instant)),
            column(settled, |made| made.what.entry.map(|entry| entry.0)),
            column(settled, |made| made.what.units),
            column(settled, |made| amounts(made.what.resellers.iter().copied())),
            column(settled, |made| made.what.buyer_fee.0),
            column(settled, |made| made.what.excused),
        ]
    })
}

fn corrections(rows: &Rows) -> Columns {
    unless_empty(&rows.corrections, |corrected| {
        vec![
            column(corrected, |made| made.what.lease.0),
            column(corrected, |made| Instant(made.what.hour.begins())),
            column(corrected, |made| made.command),
            column(corrected, |made| Instant(made.at)),
            column(corrected, |made| made.what.unit_minutes),
            column(corrected, |made| made.what.excused),
            column(corrected, |made| made.what.paid.0),
            column(corrected, |made| made.what.refunded.0),
            column(corrected, |made| made.what.fee.0),
            column(corrected, |made| made.what.buyer_fee.0),
            column(corrected, |made| {
                amounts(made.what.resellers.iter().copied())
            }),
            column(corrected, |made| amounts(made.what.payable.iter().copied())),
            column(corrected, |made| made.what.payable_until.map(Instant)),
            column(corrected, |made| made.what.entry.map(|entry| entry.0)),
        ]
    })
}

fn entries(rows: &Rows, hashes: Vec<Vec<u8>>) -> Columns {
    unless_empty(&rows.entries, |entries| {
        vec![
            column(entries, |made| made.what.id.0),
            column(entries, |made| made.command),
            column(entries, |made| Instant(made.at)),
            column(entries, |made| made.what.reason.code()),
            column(entries, |made| made.what.reason.subject()),
            Box::new(hashes),
        ]
    })
}

fn postings(rows: &Rows) -> Columns {
    let lines: Vec<_> = rows
        .entries
        .iter()
        .flat_map(|made| {
            (1i16..)
                .zip(&made.what.postings)
                .map(|line| (made.what.id.0, line))
        })
        .collect();
    unless_empty(&lines, |lines| {
        vec![
            column(lines, |(entry, _)| *entry),
            column(lines, |(_, (line, _))| *line),
            column(lines, |(_, (_, posting))| posting.account.participant.0),
            column(lines, |(_, (_, posting))| posting.account.kind.code()),
            column(lines, |(_, (_, posting))| posting.amount.0),
        ]
    })
}

fn balances(rows: &Rows) -> Columns {
    let balances: Vec<_> = rows.balances.iter().collect();
    unless_empty(&balances, |balances| {
        vec![
            column(balances, |(account, _)| account.participant.0),
            column(balances, |(account, _)| account.kind.code()),
            column(balances, |(_, amount)| **amount),
        ]
    })
}

fn rule_sets(rows: &Rows) -> Columns {
    unless_empty(&rows.rule_sets, |given| {
        vec![
            column(given, |(rules, ..)| rules.version),
            column(given, |(_, from, _)| Instant(*from)),
            column(given, |(rules, ..)| {
                serde_json::to_string(rules).expect("rules are plain data")
            }),
            column(given, |(.., command)| *command),
        ]
    })
}

fn halts(rows: &Rows) -> Columns {
    let halts: Vec<_> = rows.halts.iter().collect();
    unless_empty(&halts, |halts| {
        vec![
            column(halts, |(instrument, _)| instrument.0),
            column(halts, |(_, until)| Instant(**until)),
        ]
    })
}

fn related(market: &Market, rows: &Rows) -> Columns {
    let related: Vec<_> = rows.related.iter().collect();
    unless_empty(&related, |related| {
        vec![
            column(related, |participant| participant.0),
            column(related, |participant| market.group(**participant).0),
        ]
    })
}

fn outbox(rows: &Rows, batch: i64) -> Columns {
    unless_empty(&rows.news, |news| {
        let news = serde_json::Value::from(news.to_vec()).to_string();
        vec![Box::new(batch), Box::new(news)]
    })
}
