//! The demonstration's own rows, and what it reads of the market's.

use std::collections::BTreeMap;

use jiff_sqlx::ToSqlx;
use market::{Command, Hour, Money, ParticipantId, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::certificates::{Certified, NewHost, NewMachine};
use super::logins::NewLogin;
use super::room::Room;
use crate::clock;
use crate::names;
use crate::sequencer::Actor;
use crate::web::identifier::Identifier;

/// How many of the latest trades are looked through for what was spent: more than those of the
/// longest time from a trade to its lease's start.
const LATEST_TRADES: i64 = 10_000;

/// What this actor has done, and when it began.
pub(super) async fn done(
    db: &PgPool,
    actor: Actor,
) -> anyhow::Result<(Option<Timestamp>, Vec<Command>)> {
    let rows: Vec<(jiff_sqlx::Timestamp, String)> = sqlx::query_as(
        "SELECT at, body::text FROM commands WHERE actor = $1 AND rejected IS NULL ORDER BY seq",
    )
    .bind(actor.to_string())
    .fetch_all(db)
    .await?;
    let begun = rows.first().map(|(at, _)| clock::stamp(at.to_jiff()));
    let commands = rows.iter().map(|(_, body)| serde_json::from_str(body));
    Ok((begun, commands.collect::<Result<_, _>>()?))
}

/// What this actor has asked from an instant on, whatever the answer.
pub(super) async fn asked_since(
    db: &PgPool,
    actor: Actor,
    since: Timestamp,
) -> anyhow::Result<Vec<Command>> {
    let bodies: Vec<String> = sqlx::query_scalar(
        "SELECT body::text FROM commands WHERE actor = $1 AND at >= $2 ORDER BY seq",
    )
    .bind(actor.to_string())
    .bind(clock::instant(since).to_sqlx())
    .fetch_all(db)
    .await?;
    let commands = bodies.iter().map(|body| serde_json::from_str(body));
    Ok(commands.collect::<Result<_, _>>()?)
}

/// What the leases that began in these hours cost each holder.
pub(super) async fn spent(
    db: &PgPool,
    from: Hour,
    to: Hour,
) -> anyhow::Result<BTreeMap<ParticipantId, Money>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT l.holder, sum(t.price * t.units
             * (extract(epoch FROM t.end_at - t.start_at)::bigint / 3600))::bigint
         FROM trades t JOIN leases l ON l.id = t.id
         WHERE t.id > (SELECT max(id) FROM trades) - $3 AND t.start_at >= $1 AND t.start_at < $2
         GROUP BY l.holder",
    )
    .bind(clock::instant(from.begins()).to_sqlx())
    .bind(clock::instant(to.begins()).to_sqlx())
    .bind(LATEST_TRADES)
    .fetch_all(db)
    .await?;
    let pairs = rows.into_iter();
    Ok(pairs
        .map(|(holder, spent)| (ParticipantId(holder), Money(spent)))
        .collect())
}

/// The number of the participant of this name, made where there is none yet.
pub(super) async fn participant(db: &PgPool, name: &str) -> Result<ParticipantId, sqlx::Error> {
    let id = sqlx::query_scalar(
        "INSERT INTO participants (name, created_at, name_key) VALUES ($1, $2, $3)
             ON CONFLICT (name_key) DO UPDATE SET name = EXCLUDED.name
         RETURNING id",
    )
    .bind(name)
    .bind(clock::wall().to_sqlx())
    .bind(names::key(name))
    .fetch_one(db)
    .await?;
    Ok(ParticipantId(id))
}

/// The market's last instant, if anything has happened in it.
pub(super) async fn last_instant(db: &PgPool) -> Result<Option<Timestamp>, sqlx::Error> {
    let at: Option<jiff_sqlx::Timestamp> = sqlx::query_scalar("SELECT at FROM engine")
        .fetch_optional(db)
        .await?
        .flatten();
    Ok(at.map(|at| clock::stamp(at.to_jiff())))
}

/// From when to when the demonstration has a past: what was decided first, or these.
pub(super) async fn past(
    db: &PgPool,
    begins: Timestamp,
    opens: Timestamp,
) -> Result<(Timestamp, Timestamp), sqlx::Error> {
    sqlx::query("INSERT INTO demonstration (begins, opens) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(clock::instant(begins).to_sqlx())
        .bind(clock::instant(opens).to_sqlx())
        .execute(db)
        .await?;
    let (begins, opens): (jiff_sqlx::Timestamp, jiff_sqlx::Timestamp) =
        sqlx::query_as("SELECT begins, opens FROM demonstration")
            .fetch_one(db)
            .await?;
    Ok((
        clock::stamp(begins.to_jiff()),
        clock::stamp(opens.to_jiff()),
    ))
}

/// Which of the logins are there.
pub(super) async fn login_places(db: &PgPool) -> Result<Vec<i16>, sqlx::Error> {
    sqlx::query_scalar("SELECT place FROM demonstration_logins")
        .fetch_all(db)
        .await
}

/// Writes a person with the role, and with the second factor as if the person had confirmed it.
pub(super) async fn add_login(db: &PgPool, new: NewLogin) -> Result<(), sqlx::Error> {
    let now = clock::wall().to_sqlx();
    sqlx::query(
        "WITH u AS (INSERT INTO users (participant, login, password_hash, created_at)
             VALUES ($1, $2, $3, $8) RETURNING id, participant),
         r AS (INSERT INTO member_roles (user_id, participant, role, granted_at)
             SELECT id, participant, $4, $8 FROM u),
         f AS (INSERT INTO second_factors (user_id, secret, enrolled_at, confirmed_at)
             SELECT id, $7, $8, $8 FROM u WHERE $7 IS NOT NULL)
         INSERT INTO demonstration_logins (user_id, place, password, password_hash)
         SELECT id, $5, $6, $3 FROM u",
    )
    .bind(new.participant.0)
    .bind(new.login)
    .bind(new.password_hash)
    .bind(new.role.code())
    .bind(new.place)
    .bind(new.password)
    .bind(new.secret.map(|secret| secret.to_vec()))
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// A person whom anyone may sign in as.
#[derive(sqlx::FromRow)]
pub(super) struct LoginRow {
    pub(super) login: String,
    pub(super) role: String,
    pub(super) participant: String,
    pub(super) password: Option<String>,
    pub(super) secret: Option<Vec<u8>>,
}

/// The people whom anyone may sign in as.
pub(super) async fn logins(db: &PgPool) -> Result<Vec<LoginRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT u.login, p.name AS participant, f.secret,
             (SELECT string_agg(role, ', ' ORDER BY role) FROM member_roles r
                 WHERE r.user_id = u.id) AS role,
             CASE WHEN u.password_hash = d.password_hash THEN d.password END AS password
         FROM demonstration_logins d JOIN users u ON u.id = d.user_id
         JOIN participants p ON p.id = u.participant
         LEFT JOIN second_factors f ON f.user_id = u.id AND f.confirmed_at IS NOT NULL
         ORDER BY d.place",
    )
    .fetch_all(db)
    .await
}

/// Writes what providers applied with, as certified by the login that certifies, and identifiers.
pub(super) async fn certify(
    db: &PgPool,
    certified: &[Certified],
    identifiers: &[Identifier],
) -> Result<(), sqlx::Error> {
    let now = clock::wall().to_sqlx();
    for one in certified {
        sqlx::query(
            "INSERT INTO applications (participant, legal_name, credit_code, contact_name,
                 contact_phone, contact_mail, region, site_address, capacity, state, created_at,
                 saved_at, submitted_at, decided_by, decided_at)
             SELECT $1, $2, $3, '演示', '000-00000000', 'demo@example.org', $4, '演示环境',
                 $6, 'certified', $5, $5, $5, u.id, $5
             FROM users u WHERE u.login = 'demo-operations' AND u.participant = 0
             ON CONFLICT (participant) WHERE state <> 'refused' DO NOTHING",
        )
        .bind(one.participant)
        .bind(&one.legal_name)
        .bind(&one.credit_code)
        .bind(one.region)
        .bind(now)
        .bind(one.capacity)
        .execute(db)
        .await?;
    }
    let texts: Vec<String> = identifiers.iter().map(|one| one.compact()).collect();
    let kinds: Vec<&str> = identifiers.iter().map(|one| one.0.kind()).collect();
    let subjects: Vec<i64> = identifiers.iter().map(|one| one.0.number()).collect();
    sqlx::query(
        "INSERT INTO identifiers (identifier, kind, subject, issued_at)
         SELECT identifier, kind, subject, $4
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS i (identifier, kind, subject)
         ON CONFLICT DO NOTHING",
    )
    .bind(texts)
    .bind(kinds)
    .bind(subjects)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Names pools, by number, participant and name, and writes their hosts.
pub(super) async fn name_pools(
    db: &PgPool,
    pools: &[(i64, i64, String)],
    hosts: &[NewHost],
) -> Result<(), sqlx::Error> {
    let numbers: Vec<i64> = pools.iter().map(|(pool, ..)| *pool).collect();
    let participants: Vec<i64> = pools
        .iter()
        .map(|(_, participant, _)| *participant)
        .collect();
    let names: Vec<&str> = pools.iter().map(|(.., name)| name.as_str()).collect();
    sqlx::query(
        "INSERT INTO pool_openings (pool, participant, form_id, name, opened_by, opened_at)
             OVERRIDING SYSTEM VALUE
         SELECT p.pool, p.participant, 'demonstration-' || lpad(p.pool::text, 4, '0'), p.name,
             u.id, $4
         FROM UNNEST($1::bigint[], $2::bigint[], $3::text[]) AS p (pool, participant, name)
         JOIN users u ON u.login = 'demo-operations' AND u.participant = 0
         ON CONFLICT DO NOTHING",
    )
    .bind(numbers)
    .bind(participants)
    .bind(names)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await?;
    let pools: Vec<i64> = hosts.iter().map(|host| host.pool).collect();
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let units: Vec<i64> = hosts.iter().map(|host| host.units).collect();
    let every: Vec<Option<i64>> = hosts
        .iter()
        .map(|host| host.faults.map(|one| one.0))
        .collect();
    let minutes: Vec<Option<i64>> = hosts
        .iter()
        .map(|host| host.faults.map(|one| one.1))
        .collect();
    sqlx::query(
        "INSERT INTO hosts (pool, name, units, kind, fails_every, fails_minutes)
         SELECT h.pool, h.name, h.units, 'simulated', h.fails_every, h.fails_minutes
         FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS h (pool, name, units, fails_every, fails_minutes)
         ON CONFLICT (pool, name) DO NOTHING",
    )
    .bind(pools)
    .bind(names)
    .bind(units)
    .bind(every)
    .bind(minutes)
    .execute(db)
    .await?;
    Ok(())
}

/// Registers a machine, once; gives its number.
pub(super) async fn machine(db: &PgPool, new: &NewMachine) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO hosts (pool, name, units, kind, address) VALUES ($1, $2, $3, 'agent', $4)
         ON CONFLICT (pool, name) DO UPDATE SET address = EXCLUDED.address RETURNING id",
    )
    .bind(new.pool.0)
    .bind(new.name)
    .bind(new.units)
    .bind(&new.address)
    .fetch_one(db)
    .await
}

/// The number of a machine's agent, where this is its key.
pub(super) async fn agent(
    db: &PgPool,
    host: i64,
    key: &[u8; 32],
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT id FROM agents WHERE host = $1 AND public_key = $2 AND revoked_at IS NULL",
    )
    .bind(host)
    .bind(&key[..])
    .fetch_optional(db)
    .await
}

/// The names of the demonstration's vantages that have none of these keys.
pub(super) async fn other_vantages(
    db: &PgPool,
    but: &[Vec<u8>],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT name FROM vantages
         WHERE retired_at IS NULL AND name LIKE 'demonstration %' AND public_key <> ALL($1)",
    )
    .bind(but)
    .fetch_all(db)
    .await
}

/// The number of the vantage with this key.
pub(super) async fn vantage(db: &PgPool, key: &[u8; 32]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM vantages WHERE public_key = $1")
        .bind(&key[..])
        .fetch_one(db)
        .await
}

/// Writes what was said of a dispute; gives the proposal's number, or none where that was done
/// before.
pub(super) async fn open_room(
    db: &mut PgConnection,
    room: Room,
) -> Result<Option<i64>, sqlx::Error> {
    let instant = |micros: i64| clock::instant(Timestamp(micros)).to_sqlx();
    let claimed = sqlx::query(
        "INSERT INTO dispute_claims (form_id, lease, claimant, user_id, reason, start_at, end_at,
             minutes, units, amount, text, sent_at, after, dispute)
         SELECT 'demonstration-claim', d.lease, d.claimant, u.id, 'interconnect', $2, $3, $4, $5,
             d.claimed, $6, d.opened_at, d.command - 1, d.id
         FROM disputes d JOIN users u ON u.login = 'demo-buyer' AND u.participant = d.claimant
         WHERE d.id = $1 AND NOT EXISTS (SELECT FROM dispute_claims WHERE dispute = $1)
         ON CONFLICT DO NOTHING",
    )
    .bind(room.dispute)
    .bind(instant(room.hours.0))
    .bind(instant(room.hours.1))
    .bind(room.claimed.0)
    .bind(room.claimed.1)
    .bind(room.claim)
    .execute(&mut *db)
    .await?;
    if claimed.rows_affected() == 0 {
        return Ok(None);
    }
    for ((login, said_at, text), number) in room.said.into_iter().zip(1..) {
        sqlx::query(
            "INSERT INTO dispute_messages (dispute, participant, user_id, form_id, said_at, text)
             SELECT $1, u.participant, u.id, 'demonstration-said-' || $2::int, $4, $5
             FROM users u JOIN demonstration_logins d ON d.user_id = u.id WHERE u.login = $3",
        )
        .bind(room.dispute)
        .bind(number)
        .bind(login)
        .bind(instant(said_at))
        .bind(text)
        .execute(&mut *db)
        .await?;
    }
    let (minutes, units, award) = room.proposed;
    sqlx::query_scalar(
        "INSERT INTO dispute_proposals (dispute, proposer, proposed_at, minutes, units, award,
             reason)
         SELECT $1, u.id, $3, $4, $5, $6, $7
         FROM users u JOIN demonstration_logins d ON d.user_id = u.id WHERE u.login = $2
         RETURNING id",
    )
    .bind(room.dispute)
    .bind(room.proposer)
    .bind(instant(room.proposed_at))
    .bind(minutes)
    .bind(units)
    .bind(award)
    .bind(room.reason)
    .fetch_optional(db)
    .await
}
