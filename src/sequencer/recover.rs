//! The market read back from the tables.

use std::collections::BTreeMap;

use market::{
    Access, Account, AccountKind, Command, Counted, Dispute, DisputeId, DoneWhy, InstrumentId,
    KnownOrder, KnownPool, Lease, LeaseId, ListInstrument, Market, Money, OpenPool, OrderId,
    ParticipantId, Period, PoolId, Rules, Ruling, Snapshot, Timestamp, TradeId,
};
use tokio_postgres::{Row, Transaction};

use super::StartError;
use super::commit::Link;
use super::committer::{BEAT, Led};
use super::digest::Digest;
use super::effect::Head;
use super::instant::Instant;

/// Every order with the command that made it, by number.
pub const ORDERS: &str =
    "SELECT coalesce(o.terms || '{\"do\": \"place_order\"}', c.body)::text, c.at,
            o.instruments, o.units, o.price, o.acceptance, o.accepted_at, o.held, o.done, o.id,
            o.pool, o.rules, o.late_minutes
       FROM orders o JOIN commands c ON c.seq = o.command ORDER BY o.id";

/// Every lease with its trade, by number.
pub const LEASES: &str =
    "SELECT l.id, t.buy, t.sell, l.holder, l.provider, t.pool, t.units, t.start_at,
            t.end_at, t.price, t.rules, l.fee_bps, l.fee_flat, l.acceptance, l.escrow, l.bond,
            l.delivered, l.earned, l.fee, l.credited, l.parent, l.held, l.late_minutes,
            l.buyer_fee_bps, l.buyer_fee_flat, l.buyer_fee, t.at, l.failed_from
       FROM leases l JOIN trades t USING (id) ORDER BY id";

/// Takes the lead, then reads the market as of the last committed batch.
pub(super) async fn load(
    link: &mut Link,
    rules: &Rules,
    own: Option<i64>,
) -> Result<Led, StartError> {
    let epoch = link.take_the_lead(rules, own).await?;
    let tables = link.read().await?;
    let snapshot = snapshot(&tables)
        .await?
        .ok_or_else(|| contradiction("the engine's row is missing"))?;
    let (batch, command, chain, stored) = head(&tables).await?;
    tables.commit().await?;
    // One that is newer than all is given to the market once it is led (`sequencer::start`).
    let sets = snapshot.rule_sets.iter().map(|(_, rules)| rules);
    let known: Vec<&Rules> = sets.chain([&snapshot.rules]).collect();
    let newest = known.iter().map(|known| known.version).max();
    if let Some(newest) = newest.filter(|newest| rules.version <= *newest)
        && !known.contains(&rules)
    {
        let given = rules.version;
        return Err(StartError::OtherRules { newest, given });
    }
    let (market, digest) = restored(link, snapshot).await?;
    if stored.is_some_and(|stored| stored != digest.bytes()) {
        return Err(contradiction(
            "their digest is not the one that the last leader stored; `sluice audit` says more",
        ));
    }
    link.begin_to_write().await?;
    let head = Head {
        batch,
        command,
        chain,
        digest,
    };
    Ok(Led {
        market,
        head,
        epoch,
    })
}

/// The market of a snapshot, with its digest. That may take long, and a leader is never silent.
async fn restored(link: &Link, snapshot: Snapshot) -> Result<(Market, Digest), StartError> {
    let mut restoring = tokio::task::spawn_blocking(move || {
        let orders = snapshot.orders.len();
        let market = Market::restore(snapshot)?;
        let digest = Digest::of(&market, orders);
        Ok((market, digest))
    });
    loop {
        tokio::select! {
            restored = &mut restoring => {
                let restored = restored.map_err(contradiction)?;
                return restored.map_err(StartError::Tables);
            }
            () = tokio::time::sleep(BEAT) => link.beat().await?,
        }
    }
}

/// Batch, command, chain and digest of the engine's row. What history says of itself agrees:
/// the last command is of the last batch, and the last entry's hash is the chain's head.
async fn head(
    tables: &Transaction<'_>,
) -> Result<(i64, i64, Vec<u8>, Option<Vec<u8>>), StartError> {
    let sql = "SELECT e.batch, e.command, e.chain, e.digest,
                      c.seq IS NOT DISTINCT FROM nullif(e.command, 0)
                      AND c.batch IS NOT DISTINCT FROM nullif(e.batch, 0)
                      AND j.id IS NOT DISTINCT FROM nullif(e.entries, 0)
                      AND coalesce(j.hash, '') = e.chain
                 FROM engine e
                 LEFT JOIN (SELECT seq, batch FROM commands ORDER BY seq DESC LIMIT 1) c ON true
                 LEFT JOIN (SELECT id, hash FROM journal_entries ORDER BY id DESC LIMIT 1) j
                        ON true";
    let row = tables.query_one(sql, &[]).await?;
    if !row.get::<_, bool>(4) {
        return Err(contradiction(
            "the command log or the journal does not end where the last leader left it",
        ));
    }
    Ok((row.get(0), row.get(1), row.get(2), row.get(3)))
}

/// All that the tables say of the market; `None` before any engine has started.
pub(crate) async fn snapshot(tables: &Transaction<'_>) -> Result<Option<Snapshot>, StartError> {
    let sql = "SELECT at, acceptances, entries, rules::text FROM engine";
    let Some(engine) = tables.query_opt(sql, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        now: engine
            .get::<_, Option<Instant>>(0)
            .map_or(Timestamp(i64::MIN), |at| at.0),
        acceptances: engine.get(1),
        entries: engine.get(2),
        rules: serde_json::from_str(engine.get(3)).map_err(contradiction)?,
        rule_sets: rule_sets(tables).await?,
        halts: halts(tables).await?,
        related: related(tables).await?,
        counted: counted(tables).await?,
        instruments: instruments(tables).await?,
        pools: pools(tables).await?,
        orders: orders(tables).await?,
        leases: leases(tables).await?,
        disputes: disputes(tables).await?,
        balances: balances(tables).await?,
        payable: payable(tables).await?,
    }))
}

fn contradiction(error: impl std::fmt::Display) -> StartError {
    StartError::Tables(error.to_string())
}

async fn rule_sets(tables: &Transaction<'_>) -> Result<Vec<(Timestamp, Rules)>, StartError> {
    let sql = "SELECT from_at, rules::text FROM rule_sets ORDER BY from_at";
    let mut sets = Vec::new();
    for row in tables.query(sql, &[]).await? {
        let rules = serde_json::from_str(row.get(1)).map_err(contradiction)?;
        sets.push((instant(&row, 0), rules));
    }
    Ok(sets)
}

/// The halts that are not over by the last command.
async fn halts(tables: &Transaction<'_>) -> Result<Vec<(InstrumentId, Timestamp)>, StartError> {
    let sql = "SELECT instrument, until_at FROM halts WHERE until_at > (SELECT at FROM engine)";
    let halt = |row: &Row| (InstrumentId(row.get(0)), instant(row, 1));
    Ok(tables.query(sql, &[]).await?.iter().map(halt).collect())
}

async fn related(
    tables: &Transaction<'_>,
) -> Result<Vec<(ParticipantId, ParticipantId)>, StartError> {
    let sql = "SELECT participant, lowest FROM related";
    let related = |row: &Row| (ParticipantId(row.get(0)), ParticipantId(row.get(1)));
    Ok(tables.query(sql, &[]).await?.iter().map(related).collect())
}

/// The latest twenty trades of each instrument whose prices count, the earliest first.
async fn counted(tables: &Transaction<'_>) -> Result<Vec<(InstrumentId, Counted)>, StartError> {
    let sql = "SELECT instrument, at, price,
                      units * extract(epoch FROM end_at - start_at)::bigint / 3600
                 FROM (SELECT t.*, p.instrument,
                              row_number() OVER (PARTITION BY p.instrument ORDER BY t.id DESC) AS nth
                         FROM trades t JOIN pools p ON p.id = t.pool WHERE t.counts) t
                WHERE nth <= 20 ORDER BY id";
    let counted = |row: &Row| {
        let counted = Counted {
            at: instant(row, 1),
            price: Money(row.get(2)),
            unit_hours: row.get(3),
        };
        (InstrumentId(row.get(0)), counted)
    };
    Ok(tables.query(sql, &[]).await?.iter().map(counted).collect())
}

async fn instruments(tables: &Transaction<'_>) -> Result<Vec<ListInstrument>, StartError> {
    let rows = tables
        .query("SELECT id, symbol, lot, tick FROM instruments", &[])
        .await?;
    let listed = |row: &Row| ListInstrument {
        instrument: InstrumentId(row.get(0)),
        symbol: row.get(1),
        lot: row.get(2),
        tick: Money(row.get(3)),
    };
    Ok(rows.iter().map(listed).collect())
}

async fn pools(tables: &Transaction<'_>) -> Result<Vec<KnownPool>, StartError> {
    let sql = "SELECT id, participant, instrument, units, start_at, end_at, opened_at, access
                 FROM pools";
    let mut pools = Vec::new();
    for row in tables.query(sql, &[]).await? {
        let access = Access::from_code(row.get(7));
        let terms = OpenPool {
            pool: PoolId(row.get(0)),
            participant: ParticipantId(row.get(1)),
            instrument: InstrumentId(row.get(2)),
            units: row.get(3),
            start: instant(&row, 4),
            end: instant(&row, 5),
            access: access.ok_or_else(|| contradiction("a pool of no known access"))?,
        };
        let opened_at = instant(&row, 6);
        pools.push(KnownPool { terms, opened_at });
    }
    Ok(pools)
}

async fn orders(tables: &Transaction<'_>) -> Result<Vec<KnownOrder>, StartError> {
    let mut orders = Vec::new();
    for row in tables.query(ORDERS, &[]).await? {
        let Command::PlaceOrder(placed) =
            serde_json::from_str(row.get(0)).map_err(contradiction)?
        else {
            return Err(contradiction(
                "an order's command is not one that places an order",
            ));
        };
        orders.push(KnownOrder {
            placed,
            placed_at: instant(&row, 1),
            instruments: row
                .get::<_, Vec<i64>>(2)
                .into_iter()
                .map(InstrumentId)
                .collect(),
            pool: row.get::<_, Option<i64>>(10).map(PoolId),
            rules: row.get(11),
            late_minutes: row.get(12),
            units: row.get(3),
            price: Money(row.get(4)),
            acceptance: row.get(5),
            accepted_at: instant(&row, 6),
            held: Money(row.get(7)),
            done: row.get::<_, Option<&str>>(8).map(done_why).transpose()?,
        });
        if row.get::<_, i64>(9) != i64::try_from(orders.len()).unwrap_or(0) {
            return Err(contradiction("an order is missing"));
        }
    }
    Ok(orders)
}

fn done_why(code: &str) -> Result<DoneWhy, StartError> {
    serde_json::from_value(code.into()).map_err(contradiction)
}

async fn leases(tables: &Transaction<'_>) -> Result<Vec<Lease>, StartError> {
    let mut leases: Vec<Lease> = tables
        .query(LEASES, &[])
        .await?
        .iter()
        .map(lease)
        .collect::<Result<_, _>>()?;
    for row in tables
        .query(
            "SELECT lease, hour_at, unit_minutes, excused FROM hours",
            &[],
        )
        .await?
    {
        let lease = usize::try_from(row.get::<_, i64>(0) - 1)
            .ok()
            .and_then(|at| leases.get_mut(at))
            .ok_or_else(|| contradiction("a settled lease is missing"))?;
        let hour = instant(&row, 1).hour();
        usize::try_from(hour.0 - lease.period.start.0)
            .ok()
            .and_then(|at| lease.settled.get_mut(at).zip(lease.counted.get_mut(at)))
            .map(|(settled, counted)| (*settled, *counted) = (true, row.get(2)))
            .ok_or_else(|| contradiction("a settled hour is not its lease's"))?;
        let excused: i64 = row.get(3);
        if excused > 0 {
            lease.maintenance.insert(hour, excused);
        }
    }
    Ok(leases)
}

fn lease(row: &Row) -> Result<Lease, StartError> {
    let hour = |column: usize| {
        instant(row, column)
            .on_the_hour()
            .ok_or_else(|| contradiction("a lease is off the hour"))
    };
    let period = Period {
        start: hour(7)?,
        end: hour(8)?,
    };
    let id: i64 = row.get(0);
    let hours = usize::try_from(period.hours()).map_err(contradiction)?;
    let held: Option<Vec<i64>> = row.get(21);
    let held = held.unwrap_or(vec![row.get(6); hours]);
    if held.len() != hours {
        return Err(contradiction(
            "a lease has units in hours that are not its own",
        ));
    }
    Ok(Lease {
        id: LeaseId(id),
        trade: TradeId(id),
        buy: OrderId(row.get(1)),
        sell: OrderId(row.get(2)),
        holder: ParticipantId(row.get(3)),
        provider: ParticipantId(row.get(4)),
        pool: PoolId(row.get(5)),
        units: row.get(6),
        period,
        price: Money(row.get(9)),
        parent: row.get::<_, Option<i64>>(20).map(LeaseId),
        links: Vec::new(),
        held,
        late_minutes: row.get(22),
        rules: row.get(10),
        fee_bps: row.get(11),
        fee_flat: Money(row.get(12)),
        buyer_fee_bps: row.get(23),
        buyer_fee_flat: Money(row.get(24)),
        acceptance: row.get(13),
        traded_at: instant(row, 26),
        escrow: Money(row.get(14)),
        bond: Money(row.get(15)),
        delivered: row.get(16),
        maintenance: BTreeMap::new(),
        earned: Money(row.get(17)),
        fee: Money(row.get(18)),
        buyer_fee: Money(row.get(25)),
        settled: vec![false; hours],
        counted: vec![0; hours],
        credited: Money(row.get(19)),
        failed_from: row.get::<_, Option<Instant>>(27).map(|at| at.0.hour()),
    })
}

async fn disputes(tables: &Transaction<'_>) -> Result<Vec<Dispute>, StartError> {
    let sql = "SELECT id, lease, claimant, provider, claimed, opened_at, parts::text, frozen,
                      ruled_at, awarded, unfunded
                 FROM disputes ORDER BY id";
    let rows = tables.query(sql, &[]).await?;
    rows.iter().map(dispute).collect()
}

fn dispute(row: &Row) -> Result<Dispute, StartError> {
    let ruled = row.get::<_, Option<Instant>>(8).map(|at| {
        let (awarded, unfunded) = (Money(row.get(9)), Money(row.get(10)));
        Ruling {
            at: at.0,
            awarded,
            released: Money(row.get(7)) - (awarded - unfunded),
            unfunded,
        }
    });
    Ok(Dispute {
        id: DisputeId(row.get(0)),
        lease: LeaseId(row.get(1)),
        claimant: ParticipantId(row.get(2)),
        provider: ParticipantId(row.get(3)),
        claimed: Money(row.get(4)),
        opened_at: instant(row, 5),
        parts: serde_json::from_str(row.get(6)).map_err(contradiction)?,
        ruled,
    })
}

async fn balances(tables: &Transaction<'_>) -> Result<BTreeMap<Account, Money>, StartError> {
    let mut balances = BTreeMap::new();
    for row in tables
        .query("SELECT participant, kind::text, amount FROM balances", &[])
        .await?
    {
        let kind = AccountKind::from_code(row.get(1))
            .ok_or_else(|| contradiction("an account of no known kind"))?;
        balances.insert(
            Account::of(ParticipantId(row.get(0)), kind),
            Money(row.get(2)),
        );
    }
    Ok(balances)
}

/// What is payable still, by when it becomes cash: what was paid with a time that has not come by
/// the last command, less what disputes keep of it.
async fn payable(
    tables: &Transaction<'_>,
) -> Result<Vec<(Timestamp, ParticipantId, Money)>, StartError> {
    let sql = "SELECT until, participant, sum(amount)::bigint
                 FROM (SELECT until, participant, amount FROM payables
                        WHERE until > (SELECT at FROM engine)
                       UNION ALL
                       SELECT to_timestamp(p.key::bigint / 1000000), d.provider,
                              -p.value::bigint
                         FROM disputes d, jsonb_each_text(d.parts -> 'payable') p) paid
                WHERE until > (SELECT at FROM engine)
                GROUP BY 1, 2 HAVING sum(amount) <> 0";
    let payable = |row: &Row| {
        (
            instant(row, 0),
            ParticipantId(row.get(1)),
            Money(row.get(2)),
        )
    };
    Ok(tables.query(sql, &[]).await?.iter().map(payable).collect())
}

pub(crate) fn instant(row: &Row, column: usize) -> Timestamp {
    row.get::<_, Instant>(column).0
}
