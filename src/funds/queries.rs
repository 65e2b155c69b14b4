//! What is read of a participant's journal.

use anyhow::Context;
use market::{AccountKind, EntryId, Money, ParticipantId, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::web::Error;

/// A place in a participant's statement: an entry, and a line of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) entry: i64,
    pub(super) line: i16,
}

/// One posting to one of the participant's accounts, with its entry and what the account held
/// after it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) at: Timestamp,
    pub(super) reason: String,
    pub(super) subject: Option<i64>,
    pub(super) kind: String,
    pub(super) amount: Money,
    pub(super) after: Money,
    /// Who is on the other side of the lease that it is about.
    pub(super) counterparty: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    entry: i64,
    line: i16,
    at: jiff_sqlx::Timestamp,
    reason: String,
    subject: Option<i64>,
    kind: String,
    amount: i64,
    after: i64,
    counterparty: Option<String>,
}

impl From<Row> for Line {
    fn from(row: Row) -> Self {
        Self {
            place: Place {
                entry: row.entry,
                line: row.line,
            },
            at: clock::stamp(row.at.to_jiff()),
            reason: row.reason,
            subject: row.subject,
            kind: row.kind,
            amount: Money(row.amount),
            after: Money(row.after),
            counterparty: row.counterparty,
        }
    }
}

fn codes(kinds: &[AccountKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.code()).collect()
}

/// The postings to these accounts before a place, or the latest, the newest first. What an
/// account held after each is worked back from what it holds now.
pub(super) async fn lines(
    db: &PgPool,
    of: ParticipantId,
    kinds: &[AccountKind],
    before: Option<Place>,
    count: i64,
) -> Result<Vec<Line>, Error> {
    // Each account by its own index, and then together: so that a long history is not sorted.
    let rows: Vec<Row> = sqlx::query_as(
        "WITH kinds AS (SELECT unnest($2::text[])::account_kind AS kind),
         newer AS (
             SELECT p.kind, sum(p.amount) AS amount FROM kinds k
             JOIN postings p ON p.participant = $1 AND p.kind = k.kind
              AND (p.entry, p.line) >= ($3, $4)
             WHERE $3 IS NOT NULL GROUP BY p.kind),
         page AS (
             SELECT p.* FROM kinds k CROSS JOIN LATERAL (
                 SELECT entry, line, kind, amount FROM postings
                 WHERE participant = $1 AND kind = k.kind
                   AND ($3::bigint IS NULL OR (entry, line) < ($3, $4::smallint))
                 ORDER BY entry DESC, line DESC LIMIT $5) p
             ORDER BY p.entry DESC, p.line DESC LIMIT $5)
         SELECT p.entry, p.line, e.at, e.reason, e.subject, p.kind::text AS kind, p.amount,
                (b.amount - coalesce(n.amount, 0) - coalesce(sum(p.amount) OVER (
                    PARTITION BY p.kind ORDER BY p.entry DESC, p.line DESC
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::bigint AS after,
                NULL AS counterparty
         FROM page p JOIN journal_entries e ON e.id = p.entry
         JOIN balances b ON b.participant = $1 AND b.kind = p.kind
         LEFT JOIN newer n ON n.kind = p.kind
         ORDER BY p.entry DESC, p.line DESC",
    )
    .bind(of.0)
    .bind(codes(kinds))
    .bind(before.map(|place| place.entry))
    .bind(before.map(|place| place.line))
    .bind(count)
    .fetch_all(db)
    .await
    .context("loading a participant's statement")?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// The postings to these accounts after a place, the oldest first, with who was on the other
/// side. `after` is not worked out: whoever reads on adds it up.
pub(super) async fn lines_after(
    db: &PgPool,
    of: ParticipantId,
    kinds: &[AccountKind],
    after: Place,
    count: i64,
) -> Result<Vec<Line>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "WITH kinds AS (SELECT unnest($2::text[])::account_kind AS kind),
         page AS (
             SELECT p.* FROM kinds k CROSS JOIN LATERAL (
                 SELECT entry, line, kind, amount FROM postings
                 WHERE participant = $1 AND kind = k.kind AND (entry, line) > ($3, $4)
                 ORDER BY entry, line LIMIT $5) p
             ORDER BY p.entry, p.line LIMIT $5)
         SELECT p.entry, p.line, e.at, e.reason, e.subject, p.kind::text AS kind, p.amount,
                0::bigint AS after, o.name AS counterparty
         FROM page p JOIN journal_entries e ON e.id = p.entry
         LEFT JOIN leases l ON l.id = e.subject
          AND e.reason IN ('trade', 'settlement', 'correction', 'credit', 'bond_release')
         LEFT JOIN participants o
           ON o.id = CASE WHEN l.holder = $1 THEN l.provider ELSE l.holder END
         ORDER BY p.entry, p.line",
    )
    .bind(of.0)
    .bind(codes(kinds))
    .bind(after.entry)
    .bind(after.line)
    .bind(count)
    .fetch_all(db)
    .await
    .context("reading a participant's statement")?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// A journal entry, with the command that made it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) reason: String,
    pub(super) subject: Option<i64>,
    pub(super) hash: Vec<u8>,
    pub(super) command: i64,
    pub(super) verb: String,
    pub(super) actor: String,
    /// The sign-in name of who asked, where it was one of the reader's own participant.
    pub(super) login: Option<String>,
    /// The lease that it is about, also by way of a dispute, and its parties.
    pub(super) lease: Option<i64>,
    pub(super) holder: Option<i64>,
    pub(super) provider: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    at: jiff_sqlx::Timestamp,
    reason: String,
    subject: Option<i64>,
    hash: Vec<u8>,
    command: i64,
    verb: String,
    actor: String,
    login: Option<String>,
    lease: Option<i64>,
    holder: Option<i64>,
    provider: Option<i64>,
}

/// One entry, if a posting of it is the reader's.
pub(super) async fn entry(
    db: &PgPool,
    of: ParticipantId,
    id: EntryId,
) -> Result<Option<Entry>, Error> {
    let row: Option<EntryRow> = sqlx::query_as(
        "SELECT e.at, e.reason, e.subject, e.hash, e.command,
                coalesce(c.body ->> 'do', '') AS verb, c.actor, u.login,
                l.id AS lease, l.holder, l.provider
         FROM journal_entries e JOIN commands c ON c.seq = e.command
         LEFT JOIN users u ON c.actor = 'user:' || u.id AND u.participant = $1
         LEFT JOIN disputes d ON d.id = e.subject AND e.reason IN ('dispute', 'ruling')
         LEFT JOIN leases l ON l.id = CASE
             WHEN e.reason IN ('trade', 'settlement', 'correction', 'credit', 'bond_release') THEN e.subject
             ELSE d.lease END
         WHERE e.id = $2
           AND EXISTS (SELECT FROM postings p WHERE p.entry = e.id AND p.participant = $1)",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a journal entry")?;
    Ok(row.map(|row| Entry {
        at: clock::stamp(row.at.to_jiff()),
        reason: row.reason,
        subject: row.subject,
        hash: row.hash,
        command: row.command,
        verb: row.verb,
        actor: row.actor,
        login: row.login,
        lease: row.lease,
        holder: row.holder,
        provider: row.provider,
    }))
}

/// A line of an entry: whose account, which kind, and by how much it changed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Posting {
    pub(super) participant: i64,
    pub(super) kind: String,
    pub(super) amount: i64,
}

/// The lines of an entry.
pub(super) async fn postings(db: &PgPool, id: EntryId) -> Result<Vec<Posting>, Error> {
    let postings = sqlx::query_as(
        "SELECT participant, kind::text AS kind, amount FROM postings
         WHERE entry = $1 ORDER BY line",
    );
    let postings = postings.bind(id.0).fetch_all(db).await;
    Ok(postings.context("loading a journal entry's postings")?)
}

/// What the amounts of an entry about a lease are worked out from.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Figures {
    pub(super) price: i64,
    pub(super) units: i64,
    pub(super) hours: i64,
    /// Of the hour that the entry settles.
    pub(super) unit_minutes: Option<i64>,
    pub(super) fee: Option<i64>,
    pub(super) refunded: Option<i64>,
    pub(super) delivered: i64,
    pub(super) credited: i64,
    /// How many entries the credit is made of: corrections work it out anew.
    pub(super) credits: i64,
}

/// The figures of a lease, and of the hour that an entry settles.
pub(super) async fn figures(db: &PgPool, lease: i64, id: EntryId) -> Result<Figures, Error> {
    let figures = sqlx::query_as(
        "SELECT t.price, t.units, l.delivered, l.credited,
                (extract(epoch FROM t.end_at - t.start_at) / 3600)::bigint AS hours,
                s.unit_minutes, s.fee, s.refunded,
                (SELECT count(*) FROM journal_entries e
                 WHERE e.subject = t.id AND e.reason = 'credit') AS credits
         FROM trades t JOIN leases l ON l.id = t.id
         LEFT JOIN settlements s ON s.lease = t.id AND s.entry = $2
         WHERE t.id = $1",
    );
    let figures = figures.bind(lease).bind(id.0).fetch_one(db).await;
    Ok(figures.context("loading what an entry is worked out from")?)
}
