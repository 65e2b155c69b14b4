//! What is read of the books: balances as of one batch, and pages of the journal.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{AccountKind, Money, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::forms::{Wanted, Who};
use crate::db::stamp;
use crate::names;
use crate::web::Error;
use crate::web::reference::Reference;

/// How many entries a page of the journal has.
pub(super) const PAGE: usize = 50;

/// How many accounts a page of the trial balance has.
pub(super) const ACCOUNTS: i64 = 100;

/// How many entries one look goes through when not each of them is wanted, and how many looks a
/// page takes at most: a filter that hardly anything fits never keeps the database for long.
const LOOK: i64 = 20_000;
const LOOKS: usize = 10;

/// How many accounts' postings are merged; a filter that more fit goes along the entries.
const MERGED: i64 = 64;

/// Begins a reading in which every statement sees the same batch.
///
/// # Errors
/// When the database can't be asked.
pub(super) async fn snapshot(
    db: &PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
    let began = db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    Ok(began.await.context("beginning to read the books")?)
}

/// The batch that the tables stand at.
#[derive(sqlx::FromRow)]
pub(super) struct AsOf {
    pub(super) batch: i64,
    pub(super) command: i64,
    pub(super) entries: i64,
    at: Option<jiff_sqlx::Timestamp>,
}

impl AsOf {
    /// The market's time then; none before the first command.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at.map(stamp)
    }
}

/// How far the books have come.
pub(super) async fn as_of(db: &mut PgConnection) -> Result<AsOf, Error> {
    let row = sqlx::query_as("SELECT batch, command, entries, at FROM engine")
        .fetch_one(db)
        .await;
    Ok(row.context("loading the last batch")?)
}

/// What the accounts of one kind hold together. Sums that no balance could hold are for an
/// administrator to see, so they are wide.
pub(super) struct KindSum {
    pub(super) kind: String,
    pub(super) accounts: i64,
    pub(super) debit: i128,
    pub(super) credit: i128,
}

/// What each kind of account holds.
pub(super) async fn sums(db: &mut PgConnection) -> Result<Vec<KindSum>, Error> {
    let rows: Vec<(String, i64, String, String)> = sqlx::query_as(
        "SELECT kind::text, count(*) FILTER (WHERE amount <> 0),
                coalesce(sum(-amount) FILTER (WHERE amount < 0), 0)::text,
                coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::text
         FROM balances GROUP BY kind ORDER BY kind",
    )
    .fetch_all(db)
    .await
    .context("adding up the balances")?;
    let wide = |sum: &str| sum.parse::<i128>().context("a sum is a number");
    let sums = rows.iter().map(|(kind, accounts, debit, credit)| {
        Ok(KindSum {
            kind: kind.clone(),
            accounts: *accounts,
            debit: wide(debit)?,
            credit: wide(credit)?,
        })
    });
    sums.collect()
}

/// An account with what it holds.
#[derive(sqlx::FromRow)]
pub(super) struct AccountRow {
    pub(super) participant: i64,
    pub(super) name: Option<String>,
    pub(super) kind: String,
    amount: i64,
}

impl AccountRow {
    /// What it holds; below zero is a debit.
    pub(super) fn amount(&self) -> Money {
        Money(self.amount)
    }
}

/// The accounts that hold something, by participant, from the one after this.
pub(super) async fn accounts(
    db: &mut PgConnection,
    kind: Option<AccountKind>,
    after: (i64, AccountKind),
    most: i64,
) -> Result<Vec<AccountRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT b.participant, p.name, b.kind::text AS kind, b.amount
         FROM balances b LEFT JOIN participants p ON p.id = b.participant
         WHERE (b.participant, b.kind) > ($1, $2::account_kind) AND b.amount <> 0
             AND ($3::text IS NULL OR b.kind = $3::account_kind)
         ORDER BY b.participant, b.kind LIMIT $4",
    )
    .bind(after.0)
    .bind(after.1.code())
    .bind(kind.map(AccountKind::code))
    .bind(most)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading balances")?)
}

/// Where to look for entries: the numbers of those that can be wanted.
#[derive(Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
}

/// A page of the journal.
pub(super) struct Found {
    /// The newest first; one more than a page has when there are more.
    pub(super) entries: Vec<i64>,
    /// The entry down to which was looked, where looking was cut short.
    pub(super) looked_to: Option<i64>,
}

/// The participant of this number or name.
pub(super) async fn participant(db: &PgPool, who: &Who) -> Result<Option<i64>, Error> {
    let (number, name) = match who {
        Who::Number(number) => (Some(*number), None),
        Who::Named(name) => (None, Some(names::key(name))),
    };
    let id = sqlx::query_scalar("SELECT id FROM participants WHERE id = $1 OR name_key = $2")
        .bind(number)
        .bind(name)
        .fetch_optional(db)
        .await;
    Ok(id.context("finding a participant")?)
}

/// The entries that are wanted, with the participant's number where one is.
pub(super) async fn find(
    db: &PgPool,
    wanted: &Wanted,
    participant: Option<i64>,
) -> Result<Found, Error> {
    let mut db = snapshot(db).await?;
    let span = span(&mut db, wanted).await?;
    let found = if let Some(about) = wanted.about {
        let entries = about_entries(&mut db, wanted, participant, about, span).await?;
        Found {
            entries,
            looked_to: None,
        }
    } else {
        look(&mut db, wanted, participant, span).await?
    };
    db.rollback().await.context("ending a reading")?;
    Ok(found)
}

/// The numbers of the entries between the wanted times and older than the page before. Entries
/// are numbered in the order of their time, but for a microsecond: what expires is dated back to
/// the hour's beginning. So the search allows for more, and the rows are compared again.
async fn span(db: &mut PgConnection, wanted: &Wanted) -> Result<Span, Error> {
    let entries = as_of(db).await?.entries;
    let slack = jiff::SignedDuration::from_millis(1);
    let mut span = Span {
        first: 1,
        last: wanted
            .before
            .map_or(entries, |before| entries.min(before.saturating_sub(1))),
    };
    if let Some(from) = wanted.from {
        span.first = first_since(db, from - slack, entries).await?;
    }
    if let Some(to) = wanted.to {
        span.last = span
            .last
            .min(first_since(db, to + slack, entries).await? - 1);
    }
    Ok(span)
}

/// The first entry at or after this instant, by halving: about twenty looks into a million.
async fn first_since(
    db: &mut PgConnection,
    at: jiff::Timestamp,
    entries: i64,
) -> Result<i64, Error> {
    let first = sqlx::query_scalar(
        "WITH RECURSIVE half (low, high) AS (
             SELECT 1::bigint, $2::bigint + 1
             UNION ALL
             SELECT CASE WHEN earlier THEN middle + 1 ELSE low END,
                    CASE WHEN earlier THEN high ELSE middle END
             FROM (SELECT low, high, (low + high) / 2 AS middle,
                          (SELECT e.at < $1 FROM journal_entries e
                           WHERE e.id = (low + high) / 2) AS earlier
                   FROM half WHERE low < high) step)
         SELECT low FROM half WHERE low >= high",
    )
    .bind(at.to_sqlx())
    .bind(entries)
    .fetch_one(db)
    .await;
    Ok(first.context("finding an entry by its time")?)
}

/// The entries about an order, trade, lease or dispute: few, by their reason and subject.
async fn about_entries(
    db: &mut PgConnection,
    wanted: &Wanted,
    participant: Option<i64>,
    about: Reference,
    span: Span,
) -> Result<Vec<i64>, Error> {
    let (what, number) = match about {
        Reference::Order(number) => ("order", number),
        Reference::Trade(number) => ("trade", number),
        Reference::Lease(number) => ("lease", number),
        Reference::Dispute(number) => ("dispute", number),
        Reference::Entry(number) => ("entry", number),
        Reference::Participant(_) => return Ok(Vec::new()),
    };
    let entries = sqlx::query_scalar(
        "WITH meant (reason, subject) AS (
             SELECT r, $2::bigint FROM unnest(ARRAY['hold', 'release']) r WHERE $1 = 'order'
             UNION SELECT 'trade', id FROM trades WHERE $1 = 'order' AND buy = $2
             UNION SELECT 'trade', id FROM trades WHERE $1 = 'order' AND sell = $2
             UNION SELECT 'trade', $2 WHERE $1 IN ('trade', 'lease')
             UNION SELECT r, $2
                     FROM unnest(ARRAY['settlement', 'correction', 'credit', 'bond_release']) r
                   WHERE $1 = 'lease'
             UNION SELECT r, d.id FROM disputes d, unnest(ARRAY['dispute', 'ruling']) r
                   WHERE $1 = 'lease' AND d.lease = $2
             UNION SELECT r, $2 FROM unnest(ARRAY['dispute', 'ruling']) r WHERE $1 = 'dispute'),
         found AS (
             SELECT e.id, e.reason, e.at FROM meant m
             JOIN journal_entries e ON e.reason = m.reason AND e.subject = m.subject
             UNION SELECT id, reason, at FROM journal_entries WHERE $1 = 'entry' AND id = $2)
         SELECT f.id FROM found f
         WHERE f.id BETWEEN $3 AND $4 AND ($5::text IS NULL OR f.reason = $5)
             AND ($6::timestamptz IS NULL OR f.at >= $6)
             AND ($7::timestamptz IS NULL OR f.at < $7)
             AND ($8::bigint IS NULL AND $9::text IS NULL OR EXISTS (
                 SELECT FROM postings p WHERE p.entry = f.id
                     AND ($8 IS NULL OR p.participant = $8)
                     AND ($9 IS NULL OR p.kind = $9::account_kind)))
         ORDER BY f.id DESC LIMIT $10",
    )
    .bind(what)
    .bind(number)
    .bind(span.first)
    .bind(span.last)
    .bind(wanted.reason)
    .bind(wanted.from.map(|at| at.to_sqlx()))
    .bind(wanted.to.map(|at| at.to_sqlx()))
    .bind(participant)
    .bind(wanted.account.map(AccountKind::code))
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(entries.context("finding the entries about something")?)
}

fn more_than_a_page() -> i64 {
    i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_add(1)
}

/// What one look came to.
#[derive(sqlx::FromRow)]
struct Look {
    /// How many entries it went through.
    looked: i64,
    /// The last of them.
    down_to: Option<i64>,
    found: Vec<i64>,
}

/// Goes along the entries from the newest, by the index that leaves out most, a bounded number of
/// them at a time, until a page is full.
async fn look(
    db: &mut PgConnection,
    wanted: &Wanted,
    participant: Option<i64>,
    mut span: Span,
) -> Result<Found, Error> {
    let merged = merged_accounts(db, wanted, participant).await?;
    let is_narrowed = if merged.is_some() {
        wanted.reason.is_some()
    } else {
        wanted.account.is_some()
    };
    let far = if is_narrowed {
        LOOK
    } else {
        more_than_a_page()
    };
    let mut entries = Vec::new();
    for _ in 0..LOOKS {
        let one = match &merged {
            Some(accounts) => along_accounts(db, wanted, accounts, span, far).await?,
            None if wanted.reason.is_some() => along_reason(db, wanted, span, far).await?,
            None => along_entries(db, wanted, span, far).await?,
        };
        entries.extend(one.found);
        entries.truncate(PAGE + 1);
        match one.down_to {
            Some(down_to) if one.looked >= far => span.last = down_to - 1,
            _ => {
                return Ok(Found {
                    entries,
                    looked_to: None,
                });
            }
        }
        if entries.len() > PAGE {
            return Ok(Found {
                entries,
                looked_to: None,
            });
        }
    }
    Ok(Found {
        entries,
        looked_to: Some(span.last + 1),
    })
}

/// The accounts that the filters leave, where they are few enough to merge their postings: those
/// of one participant, or of a kind that few have.
async fn merged_accounts(
    db: &mut PgConnection,
    wanted: &Wanted,
    participant: Option<i64>,
) -> Result<Option<Vec<(i64, String)>>, Error> {
    if participant.is_none() && (wanted.account.is_none() || wanted.reason.is_some()) {
        return Ok(None);
    }
    let accounts: Vec<(i64, String)> = sqlx::query_as(
        "SELECT participant, kind::text FROM balances
         WHERE ($1::bigint IS NULL OR participant = $1)
             AND ($2::text IS NULL OR kind = $2::account_kind)
         LIMIT $3",
    )
    .bind(participant)
    .bind(wanted.account.map(AccountKind::code))
    .bind(MERGED + 1)
    .fetch_all(db)
    .await
    .context("finding accounts")?;
    let is_few = i64::try_from(accounts.len()).is_ok_and(|n| n <= MERGED);
    Ok(is_few.then_some(accounts))
}

async fn along_accounts(
    db: &mut PgConnection,
    wanted: &Wanted,
    accounts: &[(i64, String)],
    span: Span,
    far: i64,
) -> Result<Look, Error> {
    let (participants, kinds): (Vec<i64>, Vec<&str>) = accounts
        .iter()
        .map(|(participant, kind)| (*participant, kind.as_str()))
        .unzip();
    // Each account's newest, then the newest of all: none that could be among them is left out.
    let row = sqlx::query_as(
        "WITH each_account AS (
             SELECT l.entry FROM unnest($1::bigint[], $2::text[]) a (participant, kind)
             CROSS JOIN LATERAL (
                 SELECT p.entry FROM postings p
                 WHERE p.participant = a.participant AND p.kind = a.kind::account_kind
                     AND p.entry BETWEEN $3 AND $4
                 ORDER BY p.entry DESC LIMIT $5) l),
         looked AS MATERIALIZED (
             SELECT DISTINCT entry FROM each_account ORDER BY entry DESC LIMIT $5)
         SELECT (SELECT count(*) FROM looked) AS looked,
                (SELECT min(entry) FROM looked) AS down_to,
                ARRAY(SELECT e.id FROM looked l JOIN journal_entries e ON e.id = l.entry
                      WHERE ($6::text IS NULL OR e.reason = $6)
                          AND ($7::timestamptz IS NULL OR e.at >= $7)
                          AND ($8::timestamptz IS NULL OR e.at < $8)
                      ORDER BY e.id DESC LIMIT $9) AS found",
    )
    .bind(participants)
    .bind(kinds)
    .bind(span.first)
    .bind(span.last)
    .bind(far)
    .bind(wanted.reason)
    .bind(wanted.from.map(|at| at.to_sqlx()))
    .bind(wanted.to.map(|at| at.to_sqlx()))
    .bind(more_than_a_page())
    .fetch_one(db)
    .await;
    Ok(row.context("looking along accounts")?)
}

async fn along_reason(
    db: &mut PgConnection,
    wanted: &Wanted,
    span: Span,
    far: i64,
) -> Result<Look, Error> {
    let row = sqlx::query_as(
        "WITH looked AS MATERIALIZED (
             SELECT id, at FROM journal_entries
             WHERE reason = $1 AND id BETWEEN $2 AND $3
             ORDER BY id DESC LIMIT $4)
         SELECT (SELECT count(*) FROM looked) AS looked,
                (SELECT min(id) FROM looked) AS down_to,
                ARRAY(SELECT l.id FROM looked l
                      WHERE ($5::text IS NULL OR EXISTS (
                              SELECT FROM postings p
                              WHERE p.entry = l.id AND p.kind = $5::account_kind))
                          AND ($6::timestamptz IS NULL OR l.at >= $6)
                          AND ($7::timestamptz IS NULL OR l.at < $7)
                      ORDER BY l.id DESC LIMIT $8) AS found",
    )
    .bind(wanted.reason)
    .bind(span.first)
    .bind(span.last)
    .bind(far)
    .bind(wanted.account.map(AccountKind::code))
    .bind(wanted.from.map(|at| at.to_sqlx()))
    .bind(wanted.to.map(|at| at.to_sqlx()))
    .bind(more_than_a_page())
    .fetch_one(db)
    .await;
    Ok(row.context("looking along a reason")?)
}

async fn along_entries(
    db: &mut PgConnection,
    wanted: &Wanted,
    span: Span,
    far: i64,
) -> Result<Look, Error> {
    let row = sqlx::query_as(
        "WITH looked AS MATERIALIZED (
             SELECT id, at FROM journal_entries WHERE id BETWEEN $1 AND $2
             ORDER BY id DESC LIMIT $3)
         SELECT (SELECT count(*) FROM looked) AS looked,
                (SELECT min(id) FROM looked) AS down_to,
                ARRAY(SELECT l.id FROM looked l
                      WHERE ($4::text IS NULL OR EXISTS (
                              SELECT FROM postings p
                              WHERE p.entry = l.id AND p.kind = $4::account_kind))
                          AND ($5::timestamptz IS NULL OR l.at >= $5)
                          AND ($6::timestamptz IS NULL OR l.at < $6)
                      ORDER BY l.id DESC LIMIT $7) AS found",
    )
    .bind(span.first)
    .bind(span.last)
    .bind(far)
    .bind(wanted.account.map(AccountKind::code))
    .bind(wanted.from.map(|at| at.to_sqlx()))
    .bind(wanted.to.map(|at| at.to_sqlx()))
    .bind(more_than_a_page())
    .fetch_one(db)
    .await;
    Ok(row.context("looking along the journal")?)
}

/// An entry with what made it.
#[derive(sqlx::FromRow)]
pub(super) struct EntryRow {
    pub(super) id: i64,
    pub(super) reason: String,
    pub(super) subject: Option<i64>,
    pub(super) command: i64,
    pub(super) actor: String,
    pub(super) login: Option<String>,
    pub(super) hash: Vec<u8>,
    at: jiff_sqlx::Timestamp,
}

impl EntryRow {
    /// When it was made, in market time.
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }
}

/// Entries by their numbers, the newest first.
pub(super) async fn entries(db: &PgPool, ids: &[i64]) -> Result<Vec<EntryRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT e.id, e.reason, e.subject, e.command, c.actor, u.login, e.hash, e.at
         FROM journal_entries e JOIN commands c ON c.seq = e.command
         LEFT JOIN users u
             ON u.id = CASE WHEN c.actor LIKE 'user:%' THEN substr(c.actor, 6)::bigint END
         WHERE e.id = ANY ($1) ORDER BY e.id DESC",
    )
    .bind(ids)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading entries")?)
}

/// A posting with the name of whose account it is.
#[derive(sqlx::FromRow)]
pub(super) struct PostingRow {
    pub(super) entry: i64,
    pub(super) participant: i64,
    pub(super) name: Option<String>,
    pub(super) kind: String,
    amount: i64,
}

impl PostingRow {
    /// How much the account changed by.
    pub(super) fn amount(&self) -> Money {
        Money(self.amount)
    }
}

/// The postings of entries, in their order.
pub(super) async fn postings(db: &PgPool, ids: &[i64]) -> Result<Vec<PostingRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT p.entry, p.participant, o.name, p.kind::text AS kind, p.amount
         FROM postings p LEFT JOIN participants o ON o.id = p.participant
         WHERE p.entry = ANY ($1) ORDER BY p.entry DESC, p.line",
    )
    .bind(ids)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading postings")?)
}

/// The command of an entry, and what stands round the entry in the journal.
#[derive(sqlx::FromRow)]
pub(super) struct Around {
    pub(super) batch: i64,
    pub(super) body: serde_json::Value,
    pub(super) hash_before: Option<Vec<u8>>,
    pub(super) is_last: bool,
}

/// What stands round an entry.
pub(super) async fn around(db: &PgPool, id: i64) -> Result<Around, Error> {
    let row = sqlx::query_as(
        "SELECT c.batch, c.body,
                (SELECT b.hash FROM journal_entries b WHERE b.id = e.id - 1) AS hash_before,
                NOT EXISTS (SELECT FROM journal_entries n WHERE n.id = e.id + 1) AS is_last
         FROM journal_entries e JOIN commands c ON c.seq = e.command WHERE e.id = $1",
    )
    .bind(id)
    .fetch_one(db)
    .await;
    Ok(row.context("loading what stands round an entry")?)
}
