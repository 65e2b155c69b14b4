//! What is read at the desk: what waits, applications, and participants with all that is theirs.

use anyhow::Context;
use market::{Money, OrderId, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use crate::db::{period, stamp};
use crate::names;
use crate::web::Error;

/// How many rows a page of a list has.
pub(super) const PAGE: usize = 50;

/// How many of each kind the desk and a participant's page show.
pub(super) const SHOWN: i64 = 20;

fn more_than_a_page() -> i64 {
    i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_add(1)
}

/// Where the books stand, in one look at them.
#[derive(sqlx::FromRow)]
pub(super) struct Glance {
    pub(super) batch: i64,
    pub(super) command: i64,
    pub(super) epoch: i64,
    pub(super) rules: i64,
    at: Option<jiff_sqlx::Timestamp>,
    sum: String,
    escrow: i64,
    bond: i64,
    payable: i64,
    disputed: i64,
}

impl Glance {
    /// The market's time of the last command.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at.map(stamp)
    }

    /// What all balances sum to: zero.
    pub(super) fn sum(&self) -> Result<i128, Error> {
        Ok(self.sum.parse().context("a sum is a number")?)
    }

    /// What is in escrow, pledged, payable and frozen.
    pub(super) fn held(&self) -> [Money; 4] {
        [self.escrow, self.bond, self.payable, self.disputed].map(Money)
    }
}

/// The last batch and the sums as of it.
pub(super) async fn glance(db: &PgPool) -> Result<Glance, Error> {
    let row = sqlx::query_as(
        "SELECT e.batch, e.command, e.epoch, (e.rules->>'version')::bigint AS rules, e.at,
                b.sum, b.escrow, b.bond, b.payable, b.disputed
         FROM engine e, (
             SELECT coalesce(sum(amount), 0)::text AS sum,
                    coalesce(sum(amount) FILTER (WHERE kind = 'escrow'), 0)::bigint AS escrow,
                    coalesce(sum(amount) FILTER (WHERE kind = 'bond'), 0)::bigint AS bond,
                    coalesce(sum(amount) FILTER (WHERE kind = 'payable'), 0)::bigint AS payable,
                    coalesce(sum(amount) FILTER (WHERE kind = 'dispute'), 0)::bigint AS disputed
             FROM balances) b",
    )
    .fetch_one(db)
    .await;
    Ok(row.context("glancing at the books")?)
}

/// An application in a list.
#[derive(sqlx::FromRow)]
pub(super) struct Listed {
    pub(super) id: i64,
    pub(super) participant: i64,
    pub(super) name: String,
    pub(super) legal_name: String,
    pub(super) region: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    submitted_at: Option<jiff_sqlx::Timestamp>,
    decided_at: Option<jiff_sqlx::Timestamp>,
    pub(super) decided_by: Option<String>,
}

impl Listed {
    pub(super) fn submitted_at(&self) -> Option<Timestamp> {
        self.submitted_at.map(stamp)
    }

    pub(super) fn decided_at(&self) -> Option<Timestamp> {
        self.decided_at.map(stamp)
    }
}

/// How many applications wait.
pub(super) async fn waiting(db: &PgPool) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM applications WHERE state = 'submitted'");
    Ok(count.fetch_one(db).await.context("counting applications")?)
}

/// Applications in this state: those that wait by their age, others the newest first.
pub(super) async fn applications(
    db: &PgPool,
    state: &str,
    before: Option<i64>,
) -> Result<Vec<Listed>, Error> {
    let rows = sqlx::query_as(
        "SELECT a.id, a.participant, p.name, a.legal_name, a.region, a.state, a.reason,
                a.submitted_at, a.decided_at, u.login AS decided_by
         FROM applications a JOIN participants p ON p.id = a.participant
         LEFT JOIN users u ON u.id = a.decided_by
         WHERE a.state = $1 AND ($2::bigint IS NULL
             OR CASE WHEN $1 = 'submitted' THEN a.id > $2 ELSE a.id < $2 END)
         ORDER BY CASE WHEN $1 = 'submitted' THEN a.id ELSE -a.id END LIMIT $3",
    )
    .bind(state)
    .bind(before)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading applications")?)
}

/// An application whole.
#[derive(sqlx::FromRow)]
pub(super) struct Application {
    #[sqlx(flatten)]
    pub(super) listed: Listed,
    pub(super) credit_code: String,
    pub(super) contact_name: String,
    pub(super) contact_phone: String,
    pub(super) contact_mail: String,
    pub(super) site_address: String,
    pub(super) capacity: String,
    pub(super) note: Option<String>,
}

/// An application that was sent; one that is still being written is nobody else's.
pub(super) async fn application(db: &PgPool, id: i64) -> Result<Option<Application>, Error> {
    let row = sqlx::query_as(
        "SELECT a.id, a.participant, p.name, a.legal_name, a.region, a.state, a.reason,
                a.submitted_at, a.decided_at, u.login AS decided_by, a.credit_code,
                a.contact_name, a.contact_phone, a.contact_mail, a.site_address, a.capacity,
                a.note
         FROM applications a JOIN participants p ON p.id = a.participant
         LEFT JOIN users u ON u.id = a.decided_by
         WHERE a.id = $1 AND a.state <> 'draft'",
    )
    .bind(id)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading an application")?)
}

/// What a participant sent, the newest first.
pub(super) async fn applications_of(db: &PgPool, participant: i64) -> Result<Vec<Listed>, Error> {
    let rows = sqlx::query_as(
        "SELECT a.id, a.participant, p.name, a.legal_name, a.region, a.state, a.reason,
                a.submitted_at, a.decided_at, u.login AS decided_by
         FROM applications a JOIN participants p ON p.id = a.participant
         LEFT JOIN users u ON u.id = a.decided_by
         WHERE a.participant = $1 AND a.state <> 'draft' ORDER BY a.id DESC LIMIT $2",
    )
    .bind(participant)
    .bind(SHOWN)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a participant's applications")?)
}

/// A dispute that waits for a ruling.
#[derive(sqlx::FromRow)]
pub(super) struct OpenDispute {
    pub(super) id: i64,
    pub(super) lease: i64,
    pub(super) claimant: Option<String>,
    pub(super) provider: Option<String>,
    claimed: i64,
    frozen: i64,
    opened_at: jiff_sqlx::Timestamp,
}

impl OpenDispute {
    pub(super) fn claimed(&self) -> Money {
        Money(self.claimed)
    }

    pub(super) fn frozen(&self) -> Money {
        Money(self.frozen)
    }

    pub(super) fn opened_at(&self) -> Timestamp {
        stamp(self.opened_at)
    }
}

/// The disputes that wait longest, and how many wait.
pub(super) async fn open_disputes(db: &PgPool) -> Result<(i64, Vec<OpenDispute>), Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM disputes WHERE ruled_at IS NULL");
    let count = count.fetch_one(db).await.context("counting disputes")?;
    let rows = sqlx::query_as(
        "SELECT d.id, d.lease, c.name AS claimant, p.name AS provider, d.claimed, d.frozen,
                d.opened_at
         FROM disputes d LEFT JOIN participants c ON c.id = d.claimant
         LEFT JOIN participants p ON p.id = d.provider
         WHERE d.ruled_at IS NULL ORDER BY d.opened_at, d.id LIMIT $1",
    )
    .bind(SHOWN)
    .fetch_all(db)
    .await
    .context("loading open disputes")?;
    Ok((count, rows))
}

/// The names of participants, by number.
pub(super) async fn names(
    db: &PgPool,
    of: &[ParticipantId],
) -> Result<std::collections::BTreeMap<i64, String>, Error> {
    let numbers: Vec<i64> = of.iter().map(|participant| participant.0).collect();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM participants WHERE id = ANY ($1)")
            .bind(numbers)
            .fetch_all(db)
            .await
            .context("loading names")?;
    Ok(rows.into_iter().collect())
}

/// A participant in a list.
#[derive(sqlx::FromRow)]
pub(super) struct ParticipantRow {
    pub(super) id: i64,
    pub(super) name: String,
    created_at: jiff_sqlx::Timestamp,
    pub(super) suspended: Option<String>,
    suspended_at: Option<jiff_sqlx::Timestamp>,
    pub(super) is_certified: bool,
    pub(super) members: i64,
    cash: i64,
}

impl ParticipantRow {
    pub(super) fn created_at(&self) -> Timestamp {
        stamp(self.created_at)
    }

    pub(super) fn suspended_at(&self) -> Option<Timestamp> {
        self.suspended_at.map(stamp)
    }

    pub(super) fn cash(&self) -> Money {
        Money(self.cash)
    }
}

/// Participants whose name has this in it, or whose number this is, the newest first.
pub(super) async fn participants(
    db: &PgPool,
    name: &str,
    number: Option<i64>,
    state: Option<&str>,
    before: Option<i64>,
) -> Result<Vec<ParticipantRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT p.id, p.name, p.created_at, p.suspended, p.suspended_at,
                EXISTS (SELECT FROM applications a
                        WHERE a.participant = p.id AND a.state = 'certified') AS is_certified,
                (SELECT count(*) FROM users u WHERE u.participant = p.id) AS members,
                coalesce((SELECT b.amount FROM balances b
                          WHERE b.participant = p.id AND b.kind = 'cash'), 0) AS cash
         FROM participants p
         WHERE p.id > 0
             AND ($1 = '' OR strpos(p.name_key, $1) > 0 OR p.id = $2)
             AND ($3::text IS DISTINCT FROM 'suspended' OR p.suspended IS NOT NULL)
             AND ($3::text IS DISTINCT FROM 'certified' OR EXISTS (
                 SELECT FROM applications a
                 WHERE a.participant = p.id AND a.state = 'certified'))
             AND ($4::bigint IS NULL OR p.id < $4)
         ORDER BY p.id DESC LIMIT $5",
    )
    .bind(names::key(name))
    .bind(number)
    .bind(state)
    .bind(before)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading participants")?)
}

/// One participant; the marketplace itself is number 0.
pub(super) async fn participant(db: &PgPool, id: i64) -> Result<Option<ParticipantRow>, Error> {
    let row = sqlx::query_as(
        "SELECT p.id, p.name, p.created_at, p.suspended, p.suspended_at,
                EXISTS (SELECT FROM applications a
                        WHERE a.participant = p.id AND a.state = 'certified') AS is_certified,
                (SELECT count(*) FROM users u WHERE u.participant = p.id) AS members,
                coalesce((SELECT b.amount FROM balances b
                          WHERE b.participant = p.id AND b.kind = 'cash'), 0) AS cash
         FROM participants p WHERE p.id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading a participant")?)
}

/// A member of a participant.
#[derive(sqlx::FromRow)]
pub(super) struct MemberRow {
    pub(super) login: String,
    pub(super) roles: Vec<String>,
    pub(super) has_factor: bool,
    created_at: jiff_sqlx::Timestamp,
}

impl MemberRow {
    pub(super) fn created_at(&self) -> Timestamp {
        stamp(self.created_at)
    }
}

/// The members of a participant, the first first.
pub(super) async fn members(db: &PgPool, of: i64) -> Result<Vec<MemberRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT u.login, u.created_at,
                ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id
                      ORDER BY role) AS roles,
                EXISTS (SELECT FROM second_factors f
                        WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_factor
         FROM users u WHERE u.participant = $1 ORDER BY u.id LIMIT 200",
    )
    .bind(of)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading members")?)
}

/// What each account of a participant holds.
pub(super) async fn balances(db: &PgPool, of: i64) -> Result<Vec<(String, Money)>, Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind::text, amount FROM balances WHERE participant = $1 ORDER BY kind",
    )
    .bind(of)
    .fetch_all(db)
    .await
    .context("loading balances")?;
    let rows = rows.into_iter();
    Ok(rows.map(|(kind, amount)| (kind, Money(amount))).collect())
}

/// What a participant's open orders are, and what they hold.
#[derive(sqlx::FromRow)]
pub(super) struct OpenOrders {
    pub(super) count: i64,
    held: i64,
}

impl OpenOrders {
    pub(super) fn held(&self) -> Money {
        Money(self.held)
    }
}

/// How many orders of a participant are open.
pub(super) async fn open_orders(db: &PgPool, of: i64) -> Result<OpenOrders, Error> {
    let row = sqlx::query_as(
        "SELECT count(*) AS count, coalesce(sum(held), 0)::bigint AS held
         FROM orders WHERE participant = $1 AND done IS NULL",
    )
    .bind(of)
    .fetch_one(db)
    .await;
    Ok(row.context("counting open orders")?)
}

/// The names under which a participant's open orders are cancelled.
pub(super) async fn open_client_ids(db: &PgPool, of: i64) -> Result<Vec<String>, Error> {
    let ids = sqlx::query_scalar(
        "SELECT client_id FROM orders WHERE participant = $1 AND done IS NULL ORDER BY id",
    )
    .bind(of)
    .fetch_all(db)
    .await;
    Ok(ids.context("loading open orders")?)
}

/// An order in a list.
#[derive(sqlx::FromRow)]
pub(super) struct OrderRow {
    id: i64,
    pub(super) symbols: Vec<String>,
    pub(super) is_bid: bool,
    pub(super) units: i64,
    pub(super) filled: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pub(super) done: Option<String>,
}

impl OrderRow {
    pub(super) fn id(&self) -> OrderId {
        OrderId(self.id)
    }

    pub(super) fn price(&self) -> Money {
        Money(self.price)
    }

    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }
}

/// The latest orders of a participant, the open ones first.
pub(super) async fn orders(db: &PgPool, of: i64) -> Result<Vec<OrderRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT o.id, o.side = 'buy' AS is_bid, o.units, o.filled, o.price, o.start_at, o.end_at,
                o.done, ARRAY(SELECT symbol FROM instruments i WHERE i.id = ANY (o.instruments)
                              ORDER BY symbol) AS symbols
         FROM orders o WHERE o.participant = $1 ORDER BY o.done IS NOT NULL, o.id DESC LIMIT $2",
    )
    .bind(of)
    .bind(SHOWN)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a participant's orders")?)
}

/// A lease in a list, seen from one of its sides.
#[derive(sqlx::FromRow)]
pub(super) struct LeaseRow {
    pub(super) id: i64,
    pub(super) is_provider: bool,
    pub(super) other: i64,
    pub(super) other_name: Option<String>,
    pub(super) symbol: String,
    pub(super) units: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pub(super) ended: bool,
}

impl LeaseRow {
    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }
}

/// The latest leases of a participant on either side.
pub(super) async fn leases(db: &PgPool, of: i64) -> Result<Vec<LeaseRow>, Error> {
    let rows = sqlx::query_as(
        "WITH latest AS (
             (SELECT id, false AS is_provider, provider AS other, ended FROM leases
              WHERE holder = $1 ORDER BY id DESC LIMIT $2)
             UNION ALL
             (SELECT id, true, holder, ended FROM leases
              WHERE provider = $1 ORDER BY id DESC LIMIT $2))
         SELECT l.id, l.is_provider, l.other, o.name AS other_name, i.symbol, t.units, t.start_at,
                t.end_at, l.ended
         FROM latest l JOIN trades t ON t.id = l.id JOIN pools p ON p.id = t.pool
         JOIN instruments i ON i.id = p.instrument LEFT JOIN participants o ON o.id = l.other
         ORDER BY l.id DESC LIMIT $2",
    )
    .bind(of)
    .bind(SHOWN)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a participant's leases")?)
}

/// Something that somebody did.
#[derive(sqlx::FromRow)]
pub(super) struct ActRow {
    pub(super) act: String,
    pub(super) login: Option<String>,
    pub(super) detail: serde_json::Value,
    at: jiff_sqlx::Timestamp,
}

impl ActRow {
    /// When, in real time.
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }
}

/// What a participant's people did, and what was done about it, the newest first.
pub(super) async fn acts(db: &PgPool, of: i64) -> Result<Vec<ActRow>, Error> {
    let rows = sqlx::query_as(
        "WITH latest AS (
             (SELECT * FROM acts WHERE participant = $1 ORDER BY id DESC LIMIT $3)
             UNION
             (SELECT * FROM acts WHERE subject = $2 ORDER BY id DESC LIMIT $3))
         SELECT a.act, u.login, a.detail, a.at
         FROM latest a LEFT JOIN users u ON u.id = a.user_id ORDER BY a.id DESC LIMIT $3",
    )
    .bind(of)
    .bind(format!("participant:{of}"))
    .bind(SHOWN)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading acts")?)
}

/// Who did this to a participant last, and when.
pub(super) async fn last_act(
    db: &PgPool,
    participant: i64,
    act: &str,
) -> Result<Option<ActRow>, Error> {
    let row = sqlx::query_as(
        "SELECT a.act, u.login, a.detail, a.at
         FROM acts a LEFT JOIN users u ON u.id = a.user_id
         WHERE a.subject = $1 AND a.act = $2 ORDER BY a.id DESC LIMIT 1",
    )
    .bind(format!("participant:{participant}"))
    .bind(act)
    .fetch_optional(db)
    .await;
    Ok(row.context("finding an act")?)
}

/// Something that a machine's agent said and that can't be true.
#[derive(sqlx::FromRow)]
pub(super) struct CaseRow {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) stay: Option<i64>,
    pub(super) is_lease: bool,
    pub(super) agent: i64,
    pub(super) machine: String,
    pub(super) pool: i64,
    pub(super) provider: i64,
    pub(super) provider_name: String,
    opened_at: jiff_sqlx::Timestamp,
    pub(super) evidence: serde_json::Value,
    closed_at: Option<jiff_sqlx::Timestamp>,
    pub(super) closed_by: Option<String>,
    pub(super) note: Option<String>,
}

impl CaseRow {
    /// In market time.
    pub(super) fn opened_at(&self) -> Timestamp {
        stamp(self.opened_at)
    }

    /// In real time.
    pub(super) fn closed_at(&self) -> Option<Timestamp> {
        self.closed_at.map(stamp)
    }
}

/// Cases of delivery, the newest first, one more than a page.
pub(super) async fn cases(
    db: &PgPool,
    are_closed: bool,
    before: Option<i64>,
) -> Result<Vec<CaseRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT c.id, c.kind, c.stay, l.id IS NOT NULL AS is_lease, c.agent, h.name AS machine,
                h.pool, p.id AS provider, p.name AS provider_name, c.opened_at, c.evidence,
                c.closed_at, u.login AS closed_by, c.note
         FROM delivery_cases c JOIN agents a ON a.id = c.agent JOIN hosts h ON h.id = a.host
         JOIN pool_openings o ON o.pool = h.pool JOIN participants p ON p.id = o.participant
         LEFT JOIN leases l ON l.id = c.stay LEFT JOIN users u ON u.id = c.closed_by
         WHERE (c.closed_at IS NOT NULL) = $1 AND ($2::bigint IS NULL OR c.id < $2)
         ORDER BY c.id DESC LIMIT $3",
    )
    .bind(are_closed)
    .bind(before)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading cases of delivery")?)
}

/// Whether there is such a case.
pub(super) async fn has_case(db: &PgPool, id: i64) -> Result<bool, Error> {
    let has = sqlx::query_scalar("SELECT EXISTS (SELECT FROM delivery_cases WHERE id = $1)");
    Ok(has
        .bind(id)
        .fetch_one(db)
        .await
        .context("looking for a case")?)
}

/// How many cases nobody has closed.
pub(super) async fn open_cases(db: &PgPool) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM delivery_cases WHERE closed_at IS NULL");
    Ok(count.fetch_one(db).await.context("counting cases")?)
}
