//! What is read to find things, and of orders, trades and leases whoever's they are.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Hour, LeaseId, Money, OrderId, Period, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::db::{period, stamp};
use crate::delivery::simulated;
use crate::names;
use crate::web::Error;
use crate::web::identifier::{Identifier, Subject};
use crate::web::reference::Reference;

/// How many rows of a list are shown at once.
pub(super) const PAGE: usize = 50;

/// How many participants of a name are shown; a longer piece of it finds fewer.
const NAMED: i64 = 20;

fn more_than_a_page() -> i64 {
    i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_add(1)
}

/// Something that was found: its number, whose it is, and what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) reference: Reference,
    pub(super) whose: String,
    pub(super) detail: String,
}

/// Which of these there are.
pub(super) async fn there(db: &PgPool, asked: &[Reference]) -> Result<Vec<Hit>, Error> {
    let (kinds, numbers): (Vec<&str>, Vec<i64>) = asked
        .iter()
        .map(|reference| match reference {
            Reference::Order(number) => ("order", *number),
            Reference::Trade(number) => ("trade", *number),
            Reference::Lease(number) => ("lease", *number),
            Reference::Participant(number) => ("participant", *number),
            Reference::Entry(number) => ("entry", *number),
            Reference::Dispute(number) => ("dispute", *number),
        })
        .unzip();
    let found: Vec<(i64, Option<String>, String)> = sqlx::query_as(
        "SELECT a.place, f.whose, f.detail
         FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY a (kind, id, place)
         CROSS JOIN LATERAL (
             SELECT p.name AS whose, o.client_id AS detail
             FROM orders o LEFT JOIN participants p ON p.id = o.participant
             WHERE a.kind = 'order' AND o.id = a.id
             UNION ALL
             SELECT concat(h.name, ' ← ', s.name), i.symbol
             FROM leases l JOIN trades t ON t.id = l.id JOIN pools p ON p.id = t.pool
             JOIN instruments i ON i.id = p.instrument
             LEFT JOIN participants h ON h.id = l.holder
             LEFT JOIN participants s ON s.id = l.provider
             WHERE a.kind IN ('trade', 'lease') AND l.id = a.id
             UNION ALL
             SELECT name, '' FROM participants WHERE a.kind = 'participant' AND id = a.id
             UNION ALL
             SELECT '', reason FROM journal_entries WHERE a.kind = 'entry' AND id = a.id
             UNION ALL
             SELECT concat(c.name, ' / ', s.name), 'l' || d.lease
             FROM disputes d LEFT JOIN participants c ON c.id = d.claimant
             LEFT JOIN participants s ON s.id = d.provider
             WHERE a.kind = 'dispute' AND d.id = a.id) f
         ORDER BY a.place",
    )
    .bind(kinds)
    .bind(numbers)
    .fetch_all(db)
    .await
    .context("looking up numbers")?;
    let hit = |(place, whose, detail): (i64, Option<String>, String)| {
        let place = usize::try_from(place).ok()?.checked_sub(1)?;
        Some(Hit {
            reference: *asked.get(place)?,
            whose: whose.unwrap_or_default(),
            detail,
        })
    };
    Ok(found.into_iter().filter_map(hit).collect())
}

/// Whose identifier this is, if it was given out: a provider's, or that of one of their pools.
pub(super) async fn by_identifier(db: &PgPool, sought: Identifier) -> Result<Option<Hit>, Error> {
    let Identifier(subject) = sought;
    let (provider, pool) = match subject {
        Subject::Provider(participant) => (Some(participant.0), None),
        Subject::Pool(pool) => (None, Some(pool.0)),
    };
    let row: Option<(i64, String)> = sqlx::query_as(
        "SELECT p.id, p.name FROM identifiers i JOIN participants p
             ON p.id = coalesce($2, (SELECT o.participant FROM pools o WHERE o.id = $3))
         WHERE i.identifier = $1",
    )
    .bind(sought.compact())
    .bind(provider)
    .bind(pool)
    .fetch_optional(db)
    .await
    .context("looking up an identifier")?;
    Ok(row.map(|(id, whose)| Hit {
        reference: Reference::Participant(id),
        whose,
        detail: sought.to_string(),
    }))
}

/// The orders that a participant calls so. Each participant's names are looked through by
/// themselves: that is how they are kept.
pub(super) async fn by_client_id(db: &PgPool, client_id: &str) -> Result<Vec<Hit>, Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT o.id, p.name FROM participants p
         JOIN orders o ON o.participant = p.id AND o.client_id = $1
         ORDER BY o.id LIMIT $2",
    )
    .bind(client_id)
    .bind(NAMED)
    .fetch_all(db)
    .await
    .context("looking up a client id")?;
    let hit = |(id, whose)| Hit {
        reference: Reference::Order(id),
        whose,
        detail: client_id.to_owned(),
    };
    Ok(rows.into_iter().map(hit).collect())
}

/// The participants whose name has this in it, or one of whose members signs in as this.
pub(super) async fn by_name(db: &PgPool, name: &str) -> Result<Vec<Hit>, Error> {
    let key = names::key(name);
    if key.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT p.id, p.name, coalesce(u.login, '') FROM participants p
         LEFT JOIN users u ON u.participant = p.id AND u.login_key = $1 AND u.removed_at IS NULL
         WHERE strpos(p.name_key, $1) > 0 OR u.id IS NOT NULL
         ORDER BY p.name, p.id LIMIT $2",
    )
    .bind(key)
    .bind(NAMED)
    .fetch_all(db)
    .await
    .context("looking up a name")?;
    let hit = |(id, whose, detail)| Hit {
        reference: Reference::Participant(id),
        whose,
        detail,
    };
    Ok(rows.into_iter().map(hit).collect())
}

/// An order with who sent it.
#[derive(sqlx::FromRow)]
pub(super) struct OrderRow {
    id: i64,
    pub(super) participant: i64,
    pub(super) name: Option<String>,
    pub(super) client_id: String,
    pub(super) is_bid: bool,
    pub(super) symbols: Vec<String>,
    pub(super) pool: Option<i64>,
    pub(super) units: i64,
    pub(super) filled: i64,
    price: i64,
    held: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    accepted_at: jiff_sqlx::Timestamp,
    pub(super) done: Option<String>,
    done_at: Option<jiff_sqlx::Timestamp>,
    pub(super) command: i64,
    pub(super) actor: String,
    pub(super) login: Option<String>,
    pub(super) trades: i64,
}

impl OrderRow {
    pub(super) fn id(&self) -> OrderId {
        OrderId(self.id)
    }

    pub(super) fn price(&self) -> Money {
        Money(self.price)
    }

    pub(super) fn held(&self) -> Money {
        Money(self.held)
    }

    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }

    pub(super) fn accepted_at(&self) -> Timestamp {
        stamp(self.accepted_at)
    }

    pub(super) fn done_at(&self) -> Option<Timestamp> {
        self.done_at.map(stamp)
    }
}

/// One order.
pub(super) async fn order(db: &PgPool, id: OrderId) -> Result<Option<OrderRow>, Error> {
    let row = sqlx::query_as(
        "SELECT o.id, o.participant, p.name, o.client_id, o.side = 'buy' AS is_bid, o.pool,
                o.units, o.filled, o.price, o.held, o.start_at, o.end_at, o.accepted_at, o.done,
                o.done_at, o.command, c.actor, u.login,
                ARRAY(SELECT symbol FROM instruments i WHERE i.id = ANY (o.instruments)
                      ORDER BY symbol) AS symbols,
                CASE WHEN o.side = 'buy' THEN (SELECT count(*) FROM trades WHERE buy = o.id)
                     ELSE (SELECT count(*) FROM trades WHERE sell = o.id) END AS trades
         FROM orders o JOIN commands c ON c.seq = o.command
         LEFT JOIN participants p ON p.id = o.participant
         LEFT JOIN users u
             ON u.id = CASE WHEN c.actor LIKE 'user:%' THEN substr(c.actor, 6)::bigint END
         WHERE o.id = $1",
    )
    .bind(id.0)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading an order")?)
}

/// A trade with its lease and both sides.
#[derive(sqlx::FromRow)]
pub(super) struct TradeRow {
    pub(super) id: i64,
    at: jiff_sqlx::Timestamp,
    pub(super) buy: i64,
    pub(super) sell: i64,
    pub(super) maker: i64,
    price: i64,
    pub(super) units: i64,
    pub(super) pool: i64,
    pub(super) symbol: String,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pub(super) rules: i64,
    pub(super) command: i64,
    pub(super) holder: i64,
    pub(super) holder_name: Option<String>,
    pub(super) provider: i64,
    pub(super) provider_name: Option<String>,
    escrow: i64,
    bond: i64,
    pub(super) delivered: i64,
    earned: i64,
    fee: i64,
    credited: i64,
    pub(super) ended: bool,
    pub(super) settled: i64,
}

impl TradeRow {
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }

    pub(super) fn price(&self) -> Money {
        Money(self.price)
    }

    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }

    /// What all its hours cost.
    pub(super) fn total(&self) -> i128 {
        self.price().times(self.units, self.period().hours())
    }

    /// Escrow, bond, what is earned, its fee, and what was credited.
    pub(super) fn money(&self) -> [Money; 5] {
        [self.escrow, self.bond, self.earned, self.fee, self.credited].map(Money)
    }
}

/// One trade and the lease that it made; they have one number.
pub(super) async fn trade(db: &PgPool, id: i64) -> Result<Option<TradeRow>, Error> {
    let row = sqlx::query_as(
        "SELECT t.id, t.at, t.buy, t.sell, t.maker, t.price, t.units, t.pool, i.symbol,
                t.start_at, t.end_at, t.rules, t.command, l.holder, h.name AS holder_name,
                l.provider, s.name AS provider_name, l.escrow, l.bond, l.delivered,
                l.earned, l.fee, l.credited, l.ended,
                (SELECT count(*) FROM settlements x WHERE x.lease = l.id) AS settled
         FROM trades t JOIN leases l ON l.id = t.id JOIN pools p ON p.id = t.pool
         JOIN instruments i ON i.id = p.instrument
         LEFT JOIN participants h ON h.id = l.holder
         LEFT JOIN participants s ON s.id = l.provider
         WHERE t.id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading a trade")?)
}

/// A trade in an order's list.
#[derive(sqlx::FromRow)]
pub(super) struct FillRow {
    pub(super) id: i64,
    at: jiff_sqlx::Timestamp,
    pub(super) other: i64,
    pub(super) other_name: Option<String>,
    pub(super) units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
}

impl FillRow {
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }

    pub(super) fn price(&self) -> Money {
        Money(self.price)
    }

    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }
}

/// The trades of an order, the first first, after this one.
pub(super) async fn fills(db: &PgPool, row: &OrderRow, after: i64) -> Result<Vec<FillRow>, Error> {
    let sql = if row.is_bid {
        "SELECT t.id, t.at, l.provider AS other, o.name AS other_name, t.units, t.price,
                t.start_at, t.end_at
         FROM trades t JOIN leases l ON l.id = t.id LEFT JOIN participants o ON o.id = l.provider
         WHERE t.buy = $1 AND t.id > $2 ORDER BY t.id LIMIT $3"
    } else {
        "SELECT t.id, t.at, l.holder AS other, o.name AS other_name, t.units, t.price,
                t.start_at, t.end_at
         FROM trades t JOIN leases l ON l.id = t.id LEFT JOIN participants o ON o.id = l.holder
         WHERE t.sell = $1 AND t.id > $2 ORDER BY t.id LIMIT $3"
    };
    let rows = sqlx::query_as(sql)
        .bind(row.id)
        .bind(after)
        .bind(more_than_a_page())
        .fetch_all(db)
        .await;
    Ok(rows.context("loading an order's trades")?)
}

/// A settled hour with who said what it got.
#[derive(sqlx::FromRow)]
pub(super) struct SettlementRow {
    hour_at: jiff_sqlx::Timestamp,
    pub(super) unit_minutes: i64,
    paid: i64,
    fee: i64,
    refunded: i64,
    pub(super) entry: Option<i64>,
    pub(super) actor: String,
    pub(super) login: Option<String>,
    pub(super) is_simulated: bool,
}

impl SettlementRow {
    pub(super) fn hour(&self) -> Hour {
        stamp(self.hour_at).hour()
    }

    /// What was paid, taken as fee, and refunded.
    pub(super) fn money(&self) -> [Money; 3] {
        [self.paid, self.fee, self.refunded].map(Money)
    }
}

/// The settled hours of a lease among these, as they stand.
pub(super) async fn settlements(
    db: &PgPool,
    lease: LeaseId,
    among: Period,
) -> Result<Vec<SettlementRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT s.hour_at, s.unit_minutes, s.paid, s.fee, s.refunded, s.entry, c.actor, u.login,
                c.actor = $4 AS is_simulated
         FROM hours s JOIN commands c ON c.seq = s.command
         LEFT JOIN users u
             ON u.id = CASE WHEN c.actor LIKE 'user:%' THEN substr(c.actor, 6)::bigint END
         WHERE s.lease = $1 AND s.hour_at >= $2 AND s.hour_at < $3 ORDER BY s.hour_at",
    )
    .bind(lease.0)
    .bind(clock::instant(among.start.begins()).to_sqlx())
    .bind(clock::instant(among.end.begins()).to_sqlx())
    .bind(simulated::ACTOR.to_string())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading settled hours")?)
}

/// An entry of the journal in short.
#[derive(sqlx::FromRow)]
pub(super) struct EntryRow {
    pub(super) id: i64,
    pub(super) reason: String,
    at: jiff_sqlx::Timestamp,
    moved: i64,
}

impl EntryRow {
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }

    /// How much it moved.
    pub(super) fn moved(&self) -> Money {
        Money(self.moved)
    }
}

/// The entries about an order itself: what it held and what was released.
pub(super) async fn entries_of_order(db: &PgPool, id: OrderId) -> Result<Vec<EntryRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT e.id, e.reason, e.at,
                (SELECT sum(amount) FROM postings p WHERE p.entry = e.id AND amount > 0)::bigint
                    AS moved
         FROM journal_entries e
         WHERE e.reason IN ('hold', 'release') AND e.subject = $1 ORDER BY e.id LIMIT $2",
    )
    .bind(id.0)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading an order's entries")?)
}

/// The entries about a lease but those of its hours, which stand with the hours.
pub(super) async fn entries_of_lease(db: &PgPool, id: LeaseId) -> Result<Vec<EntryRow>, Error> {
    let rows = sqlx::query_as(
        "WITH meant (reason, subject) AS (
             SELECT r, $1::bigint FROM unnest(ARRAY['trade', 'correction', 'credit', 'bond_release',
                                                 'buy_in', 'default']) r
             UNION ALL
             SELECT r, d.id FROM disputes d, unnest(ARRAY['dispute', 'ruling']) r
             WHERE d.lease = $1)
         SELECT e.id, e.reason, e.at,
                (SELECT sum(amount) FROM postings p WHERE p.entry = e.id AND amount > 0)::bigint
                    AS moved
         FROM meant m JOIN journal_entries e ON e.reason = m.reason AND e.subject = m.subject
         ORDER BY e.id LIMIT $2",
    )
    .bind(id.0)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a lease's entries")?)
}

/// A dispute about a lease.
#[derive(sqlx::FromRow)]
pub(super) struct DisputeRow {
    pub(super) id: i64,
    claimed: i64,
    awarded: Option<i64>,
}

impl DisputeRow {
    pub(super) fn claimed(&self) -> Money {
        Money(self.claimed)
    }

    pub(super) fn awarded(&self) -> Option<Money> {
        self.awarded.map(Money)
    }
}

/// The disputes about a lease.
pub(super) async fn disputes(db: &PgPool, lease: LeaseId) -> Result<Vec<DisputeRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT id, claimed, awarded FROM disputes WHERE lease = $1 ORDER BY id LIMIT $2",
    )
    .bind(lease.0)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a lease's disputes")?)
}
