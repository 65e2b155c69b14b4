//! The rows of requests, and what is read to say who needs a second person.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{
    ClientId, Fees, Money, OrderId, ParticipantId, PlaceOrder, Side, TimeInForce, Timestamp,
};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use super::{Access, Bid, MOST_WAITING, RequestId};
use crate::clock;
use crate::db::stamp;
use crate::web::error::Error;
use crate::web::image::Image;
use crate::web::session::Member;

/// Keeps what an order is to find started, before the order is sent. That of an order or a request
/// that is there already stays as it is.
pub(super) async fn keep_access(
    db: &PgPool,
    member: &Member,
    client_id: &ClientId,
    access: Access,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_access (participant, client_id, image, ssh_key, set_by, set_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (participant, client_id)
         DO UPDATE SET image = EXCLUDED.image, ssh_key = EXCLUDED.ssh_key,
                       set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at
         WHERE NOT EXISTS (SELECT FROM orders o WHERE o.participant = EXCLUDED.participant
                                                  AND o.client_id = EXCLUDED.client_id)
           AND NOT EXISTS (SELECT FROM order_requests r
                           WHERE r.participant = EXCLUDED.participant
                             AND r.client_id = EXCLUDED.client_id)",
    )
    .bind(member.participant.0)
    .bind(&client_id.0)
    .bind(access.image)
    .bind(access.ssh_key)
    .bind(member.user)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("keeping what an order is to find started")?;
    Ok(())
}

/// The amount above which an order needs a second person.
pub(super) async fn above(
    db: &mut PgConnection,
    of: ParticipantId,
) -> Result<Option<Money>, Error> {
    let above: Option<i64> =
        sqlx::query_scalar("SELECT approval_above FROM participants WHERE id = $1")
            .bind(of.0)
            .fetch_one(db)
            .await
            .context("reading an amount")?;
    Ok(above.map(Money))
}

/// The same, while nobody else of the participant places or changes a bid, or the amount.
pub(super) async fn lock(db: &mut PgConnection, of: ParticipantId) -> Result<Option<Money>, Error> {
    let lock = "SELECT approval_above FROM participants WHERE id = $1 FOR NO KEY UPDATE";
    let above: Option<i64> = sqlx::query_scalar(lock)
        .bind(of.0)
        .fetch_one(db)
        .await
        .context("locking a participant")?;
    Ok(above.map(Money))
}

/// What whoever placed this bid has ordered since then without a second person, beside it.
pub(super) async fn ordered_alone(
    db: &mut PgConnection,
    bid: &Bid<'_>,
    since: Timestamp,
    fees: Fees,
) -> Result<Money, Error> {
    let sum: i64 = sqlx::query_scalar(
        "SELECT least(coalesce(sum(o.price * n.unit_hours
                     + ceil(o.price * n.unit_hours * $5 / 10000 + n.unit_hours * $6)), 0),
                 9223372036854775807)::bigint
         FROM orders o JOIN commands c ON c.seq = o.command,
         LATERAL (SELECT CASE WHEN o.done IS NULL THEN o.units ELSE o.filled END::numeric
                     * coalesce(o.duration, extract(epoch FROM o.end_at - o.start_at) / 3600)
                  AS unit_hours) n
         WHERE o.participant = $1 AND o.side = 'buy' AND o.client_id <> $3
           AND o.accepted_at > $4 AND c.actor = $2
           AND NOT EXISTS (SELECT FROM order_requests r
                           WHERE r.participant = o.participant AND r.client_id = o.client_id)",
    )
    .bind(bid.of.0)
    .bind(&bid.actor)
    .bind(&bid.client_id.0)
    .bind(clock::instant(since).to_sqlx())
    .bind(fees.dearest_bps())
    .bind(fees.flat.0)
    .fetch_one(db)
    .await
    .context("adding up what was ordered")?;
    Ok(Money(sum))
}

/// Who placed an order, as the command log has it.
pub(super) async fn placed_by(
    db: &mut PgConnection,
    of: ParticipantId,
    client_id: &ClientId,
) -> Result<String, Error> {
    let actor = sqlx::query_scalar(
        "SELECT c.actor FROM orders o JOIN commands c ON c.seq = o.command
         WHERE o.participant = $1 AND o.client_id = $2",
    )
    .bind(of.0)
    .bind(&client_id.0)
    .fetch_one(db)
    .await
    .context("reading who placed an order")?;
    Ok(actor)
}

/// The request of this client id, with its order.
pub(super) async fn asked(
    db: &mut PgConnection,
    of: ParticipantId,
    client_id: &ClientId,
) -> Result<Option<(RequestId, PlaceOrder)>, Error> {
    let row: Option<(i64, Json<PlaceOrder>)> = sqlx::query_as(
        "SELECT id, body FROM order_requests WHERE participant = $1 AND client_id = $2",
    )
    .bind(of.0)
    .bind(&client_id.0)
    .fetch_optional(db)
    .await
    .context("looking for a request")?;
    Ok(row.map(|(id, Json(order))| (RequestId(id), order)))
}

/// Until when the market could take an order of these terms.
fn good_until(order: &PlaceOrder) -> Timestamp {
    let last_start = match &order.side {
        Side::Buy {
            flexible: Some(flexible),
            ..
        } => order.end.plus_hours(flexible.duration.saturating_neg()),
        _ => order.start,
    };
    match order.tif {
        TimeInForce::Gtd { until } => last_start.min(until),
        TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => last_start,
    }
}

/// Keeps a request; none when as many wait as may. The participant's row is locked.
pub(super) async fn ask(
    db: &mut PgConnection,
    member: &Member,
    order: &PlaceOrder,
    cost: i128,
    now: Timestamp,
) -> Result<Option<RequestId>, Error> {
    // What it is to find started stands beside it: the usual where nothing was said.
    sqlx::query(
        "INSERT INTO order_access (participant, client_id, image, set_by, set_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(member.participant.0)
    .bind(&order.client_id.0)
    .bind(Image::usual())
    .bind(member.user)
    .bind(clock::wall().to_sqlx())
    .execute(&mut *db)
    .await
    .context("keeping what a request is to find started")?;
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO order_requests
             (participant, client_id, body, cost, good_until, asked_by, asked_at)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE (SELECT count(*) FROM order_requests
                WHERE participant = $1 AND state = 'waiting' AND good_until >= $7) < $8
         RETURNING id",
    )
    .bind(member.participant.0)
    .bind(&order.client_id.0)
    .bind(Json(order))
    .bind(i64::try_from(cost).unwrap_or(i64::MAX))
    .bind(clock::instant(good_until(order)).to_sqlx())
    .bind(member.user)
    .bind(clock::instant(now).to_sqlx())
    .bind(MOST_WAITING)
    .fetch_optional(db)
    .await
    .context("keeping a request")?;
    Ok(id.map(RequestId))
}

/// How far a decision on a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is decided like this now.
    Done,
    /// Whoever asked is not who approves or declines, and nobody else withdraws.
    NotTheirs,
    /// Whoever asked may not order any more.
    AskerGone,
    /// It was decided like this before: by somebody, where it was approved, else by them.
    Already,
    /// It was declined or withdrawn, or its time has passed.
    Closed,
}

/// A request's row, locked.
#[derive(sqlx::FromRow)]
struct Locked {
    state: String,
    asked_by: i64,
    decided_by: Option<i64>,
    is_over: bool,
    may_order: bool,
}

async fn locked(
    db: &mut PgConnection,
    member: &Member,
    id: RequestId,
    now: Timestamp,
) -> Result<Locked, Error> {
    let row = sqlx::query_as(
        "SELECT r.state, r.asked_by, r.decided_by, r.good_until < $3 AS is_over,
                EXISTS (SELECT FROM member_roles m WHERE m.user_id = r.asked_by
                            AND m.role IN ('owner', 'buyer')) AS may_order
         FROM order_requests r WHERE r.participant = $1 AND r.id = $2 FOR UPDATE OF r",
    )
    .bind(member.participant.0)
    .bind(id.0)
    .bind(clock::instant(now).to_sqlx())
    .fetch_optional(db)
    .await
    .context("locking a request")?;
    row.ok_or(Error::NotFound)
}

/// Writes that somebody approves a request that waits.
pub(super) async fn approve(
    db: &mut PgConnection,
    member: &Member,
    id: RequestId,
    now: Timestamp,
) -> Result<Step, Error> {
    let row = locked(db, member, id, now).await?;
    let step = match row.state.as_str() {
        _ if row.asked_by == member.user => Step::NotTheirs,
        "approved" => Step::Already,
        "waiting" if row.is_over => Step::Closed,
        "waiting" if !row.may_order => Step::AskerGone,
        "waiting" => Step::Done,
        _ => Step::Closed,
    };
    if step == Step::Done {
        decide(db, member, id, ("approved", None), now).await?;
    }
    Ok(step)
}

/// Declines a request with a reason, or withdraws it without one.
pub(super) async fn end(
    db: &mut PgConnection,
    member: &Member,
    id: RequestId,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Step, Error> {
    let row = locked(db, member, id, now).await?;
    let is_own = row.asked_by == member.user;
    let state = if is_own { "withdrawn" } else { "declined" };
    let step = match row.state.as_str() {
        _ if is_own == reason.is_some() => Step::NotTheirs,
        "waiting" if !row.is_over => Step::Done,
        same if same == state && row.decided_by == Some(member.user) => Step::Already,
        _ => Step::Closed,
    };
    if step == Step::Done {
        decide(db, member, id, (state, reason), now).await?;
    }
    Ok(step)
}

async fn decide(
    db: &mut PgConnection,
    member: &Member,
    id: RequestId,
    (state, reason): (&str, Option<&str>),
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE order_requests
         SET state = $2, decided_by = $3, decided_at = $4, reason = $5, rejected = NULL
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(state)
    .bind(member.user)
    .bind(clock::instant(now).to_sqlx())
    .bind(reason)
    .execute(db)
    .await
    .context("deciding on a request")?;
    Ok(())
}

/// The order of an approved request, whose row is locked until it was sent.
pub(super) async fn to_send(
    db: &mut PgConnection,
    of: ParticipantId,
    id: RequestId,
) -> Result<Option<PlaceOrder>, Error> {
    let row: Option<Json<PlaceOrder>> = sqlx::query_scalar(
        "SELECT body FROM order_requests
         WHERE participant = $1 AND id = $2 AND state = 'approved' FOR UPDATE",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("reading an approved order")?;
    Ok(row.map(|Json(order)| order))
}

/// The market refused the order of an approved request: it waits again.
pub(super) async fn reopen(
    db: &mut PgConnection,
    id: RequestId,
    rejected: &str,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE order_requests
         SET state = 'waiting', decided_by = NULL, decided_at = NULL, rejected = $2
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(rejected)
    .execute(db)
    .await
    .context("opening a request again")?;
    Ok(())
}

/// A request as its participant's members see it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// The order.
    pub order: PlaceOrder,
    /// The most that it can cost.
    pub cost: Money,
    /// Until when the market could take it.
    pub good_until: Timestamp,
    /// Who asked, by number and sign-in name.
    pub asked_by: (i64, String),
    /// When.
    pub asked_at: Timestamp,
    /// `waiting`, `approved`, `declined` or `withdrawn`.
    pub state: String,
    /// Who decided and when.
    pub decided: Option<(String, Timestamp)>,
    /// Why it was declined.
    pub reason: Option<String>,
    /// Why the market refused it when it was approved last.
    pub rejected: Option<String>,
    /// The image's code.
    pub image: String,
    /// The key's name; none as yet.
    pub ssh_key: Option<String>,
    /// The order that it became.
    pub made: Option<OrderId>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    body: Json<PlaceOrder>,
    cost: i64,
    good_until: jiff_sqlx::Timestamp,
    asked_by: i64,
    asker: String,
    asked_at: jiff_sqlx::Timestamp,
    state: String,
    decider: Option<String>,
    decided_at: Option<jiff_sqlx::Timestamp>,
    reason: Option<String>,
    rejected: Option<String>,
    image: String,
    ssh_key: Option<String>,
    made: Option<i64>,
}

impl From<Row> for Request {
    fn from(row: Row) -> Self {
        Self {
            id: RequestId(row.id),
            order: row.body.0,
            cost: Money(row.cost),
            good_until: stamp(row.good_until),
            asked_by: (row.asked_by, row.asker),
            asked_at: stamp(row.asked_at),
            state: row.state,
            decided: row.decider.zip(row.decided_at.map(stamp)),
            reason: row.reason,
            rejected: row.rejected,
            image: row.image,
            ssh_key: row.ssh_key,
            made: row.made.map(OrderId),
        }
    }
}

/// One request.
///
/// # Errors
/// When the database can't be read.
pub async fn request(
    db: &PgPool,
    of: ParticipantId,
    id: RequestId,
) -> Result<Option<Request>, Error> {
    let found = read(db, of, Some(id), Timestamp(0)).await?;
    Ok(found.into_iter().next())
}

/// A participant's requests that no order has come of: those that wait, then the latest others.
///
/// # Errors
/// When the database can't be read.
pub async fn requests(
    db: &PgPool,
    of: ParticipantId,
    now: Timestamp,
) -> Result<Vec<Request>, Error> {
    read(db, of, None, now).await
}

/// One request, or all of a participant's that no order has come of.
async fn read(
    db: &PgPool,
    of: ParticipantId,
    id: Option<RequestId>,
    now: Timestamp,
) -> Result<Vec<Request>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT r.id, r.body, r.cost, r.good_until, r.asked_by, a.login AS asker, r.asked_at,
                r.state, d.login AS decider, r.decided_at, r.reason, r.rejected, s.image,
                k.name AS ssh_key, o.id AS made
         FROM order_requests r JOIN users a ON a.id = r.asked_by
         JOIN order_access s ON s.participant = r.participant AND s.client_id = r.client_id
         LEFT JOIN ssh_keys k ON k.id = s.ssh_key
         LEFT JOIN users d ON d.id = r.decided_by
         LEFT JOIN orders o ON o.participant = r.participant AND o.client_id = r.client_id
         WHERE r.participant = $1 AND (r.id = $2 OR $2 IS NULL AND o.id IS NULL)
         ORDER BY r.state IN ('waiting', 'approved') AND r.good_until >= $3 DESC, r.id DESC
         LIMIT $4",
    )
    .bind(of.0)
    .bind(id.map(|id| id.0))
    .bind(clock::instant(now).to_sqlx())
    .bind(MOST_WAITING + 20)
    .fetch_all(db)
    .await
    .context("loading requests")?;
    Ok(rows.into_iter().map(Request::from).collect())
}
