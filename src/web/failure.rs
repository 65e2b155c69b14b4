//! A lease that its provider failed: since when, why, what was paid for it, and where that is
//! booked. Its holder, its provider and the marketplace's people see the same.

use anyhow::Context;
use askama::Template;
use askama::filters::HtmlSafe;
use market::{LeaseId, Money, Timestamp};
use sqlx::PgPool;

use super::decision::OTHER;
use super::error::Error;
use super::format;
use super::i18n::Locale;
use super::reference::Reference;
use super::say;
use crate::db::stamp;

/// Why a lease is found to be failed. The code is kept; words are the catalogue's.
pub const REASONS: [&str; 6] = [
    "not_delivered",
    "wrong_grade",
    "withdrawn",
    "insolvent",
    "authority_order",
    OTHER,
];

/// How many entries of refunds are named; the hours have them all.
const NAMED: i64 = 6;

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The lease's holder.
    Holder,
    /// Its provider.
    Provider,
    /// One of the marketplace's people.
    Platform,
}

/// What the page of a failed lease says; nothing on that of another one.
#[derive(Template)]
#[template(path = "components/failure.html")]
pub struct Failure {
    locale: Locale,
    said: Option<Said>,
}

impl HtmlSafe for Failure {}

struct Said {
    from: String,
    lead: &'static str,
    /// By whom and when it was found.
    found: Option<String>,
    reason: Option<String>,
    note: Option<String>,
    money: Vec<(&'static str, String)>,
    /// What it was bought in as.
    leases: Vec<(String, Option<String>)>,
    entries: Vec<(String, String)>,
    has_more: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    failed_from: jiff_sqlx::Timestamp,
    reason: Option<String>,
    note: Option<String>,
    asked_at: Option<jiff_sqlx::Timestamp>,
    login: Option<String>,
    refunded: i64,
    difference: i64,
    penalty: i64,
    bought: Vec<i64>,
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    id: i64,
    reason: String,
    refunds: i64,
}

impl Failure {
    /// What `reader` is told of a lease that they may see.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn of(
        db: &PgPool,
        locale: Locale,
        lease: LeaseId,
        reader: Reader,
    ) -> Result<Self, Error> {
        let said = match row(db, lease).await? {
            Some(row) => Some(said(locale, reader, row, entries(db, lease).await?)),
            None => None,
        };
        Ok(Self { locale, said })
    }

    /// Whether the lease has failed.
    pub fn is_there(&self) -> bool {
        self.said.is_some()
    }
}

async fn row(db: &PgPool, lease: LeaseId) -> Result<Option<Row>, Error> {
    let row = sqlx::query_as(
        "SELECT l.failed_from, v.reason, v.note, v.asked_at, u.login,
                (SELECT coalesce(sum(s.refunded), 0)::bigint FROM settlements s
                 WHERE s.lease = l.id AND s.hour_at >= l.failed_from) AS refunded,
                (SELECT coalesce(sum(p.amount), 0)::bigint
                 FROM journal_entries e JOIN postings p ON p.entry = e.id
                 WHERE e.subject = l.id AND e.reason = 'buy_in' AND p.participant = l.holder
                   AND p.kind = 'cash') AS difference,
                (SELECT coalesce(sum(p.amount), 0)::bigint
                 FROM journal_entries e JOIN postings p ON p.entry = e.id
                 WHERE e.subject = l.id AND e.reason = 'default' AND p.participant = l.holder
                   AND p.kind = 'cash') AS penalty,
                ARRAY(SELECT t.id FROM orders o JOIN trades t ON t.buy = o.id
                      WHERE o.participant = l.holder AND o.terms IS NOT NULL
                        AND o.client_id LIKE 'l' || l.id || '/%' ORDER BY t.id) AS bought
         FROM leases l LEFT JOIN interventions v ON v.lease = l.id AND v.rejected IS NULL
         LEFT JOIN users u ON u.id = v.user_id
         WHERE l.id = $1 AND l.failed_from IS NOT NULL",
    )
    .bind(lease.0)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading why a lease has failed")?)
}

/// What the bond paid, and the first refunds; `refunds` is how many there are.
async fn entries(db: &PgPool, lease: LeaseId) -> Result<Vec<EntryRow>, Error> {
    let rows = sqlx::query_as(
        "WITH refunds AS (
             SELECT s.entry AS id, count(*) OVER () AS refunds
             FROM settlements s JOIN leases l ON l.id = s.lease
             WHERE s.lease = $1 AND s.hour_at >= l.failed_from AND s.entry IS NOT NULL
             ORDER BY s.entry LIMIT $2)
         SELECT id, reason, 0::bigint AS refunds FROM journal_entries
         WHERE subject = $1 AND reason IN ('buy_in', 'default')
         UNION ALL SELECT id, 'settlement', refunds FROM refunds
         ORDER BY id",
    )
    .bind(lease.0)
    .bind(NAMED)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading the entries of a failed lease")?)
}

fn said(locale: Locale, reader: Reader, row: Row, entries: Vec<EntryRow>) -> Said {
    let at = |at: jiff_sqlx::Timestamp| -> Timestamp { stamp(at) };
    let found = row.asked_at.map(|asked_at| {
        let by = match (reader, row.login) {
            (Reader::Platform, Some(login)) => login,
            _ => locale.t("site.name").into_owned(),
        };
        format!("{by} · {}", locale.minute(at(asked_at)))
    });
    let amount = |key, amount: i64| (key, format::four(Money(amount)));
    let href = |entry: i64| match reader {
        Reader::Platform => Reference::Entry(entry).href(),
        _ => format!("/wallet/entries/e{entry}"),
    };
    let lease = |id: &i64| {
        let number = Reference::Lease(*id);
        let href = match reader {
            Reader::Holder => Some(format!("/leases/{number}")),
            Reader::Platform => Some(number.href()),
            // It may be another's.
            Reader::Provider => None,
        };
        (number.to_string(), href)
    };
    Said {
        from: locale.minute(at(row.failed_from)),
        lead: match reader {
            Reader::Holder => "failure.holder",
            Reader::Provider => "failure.provider",
            Reader::Platform => "failure.platform",
        },
        found,
        reason: row.reason.map(|code| say::failure(locale, &code)),
        note: row.note,
        money: vec![
            amount("failure.refunded", row.refunded),
            amount("failure.difference", row.difference),
            amount("failure.penalty", row.penalty),
        ],
        leases: match reader {
            Reader::Provider => Vec::new(),
            _ => row.bought.iter().map(lease).collect(),
        },
        has_more: reader != Reader::Provider && entries.iter().any(|entry| entry.refunds > NAMED),
        entries: entries
            .iter()
            // Of what is refunded the provider gets nothing.
            .filter(|entry| reader != Reader::Provider || entry.refunds == 0)
            .map(|entry| {
                let words = locale.t(format!("entry.{}", entry.reason));
                let text = format!("{words} {}", Reference::Entry(entry.id));
                (text, href(entry.id))
            })
            .collect(),
    }
}
