//! The statement as a table for other programs.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use market::{Money, ParticipantId};

use super::forms::StatementQuery;
use super::fragments::{KINDS, link};
use super::queries::{self, Line, Place};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::{Error, Locale, Member, format};

/// How many rows are read at once: the database is not kept waiting for a slow reader.
const CHUNK: i64 = 2_000;

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// `GET /wallet/statement.csv`: every posting to the participant's accounts, or to one, the oldest
/// first.
///
/// # Errors
/// When the database can't be read.
pub async fn statement(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Error> {
    let kind = query.account();
    let kinds = kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
    let reading = Reading {
        app,
        locale,
        of: member.participant,
        kinds,
        after: Some(Place { entry: 0, line: 0 }),
        held: BTreeMap::new(),
        is_begun: false,
    };
    let chunks = stream::try_unfold(reading, async |mut reading| {
        let chunk = reading.chunk().await?;
        Ok::<_, anyhow::Error>(chunk.map(|chunk| (Bytes::from(chunk), reading)))
    });
    let what = kind.map_or("all", |kind| kind.code());
    let name = format!("attachment; filename=\"statement-{what}.csv\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&name).map_err(|error| Error::Internal(error.into()))?,
        ),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// How far the statement has been written.
struct Reading {
    app: App,
    locale: Locale,
    of: ParticipantId,
    kinds: Vec<market::AccountKind>,
    /// The last place that was written; none when that was the last one.
    after: Option<Place>,
    /// What each account held after it.
    held: BTreeMap<String, Money>,
    is_begun: bool,
}

impl Reading {
    /// The next rows.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, anyhow::Error> {
        let Some(after) = self.after else {
            return Ok(None);
        };
        let (db, of) = (&self.app.db, self.of);
        let lines = queries::lines_after(db, of, &self.kinds, after, CHUNK).await?;
        let is_last = i64::try_from(lines.len()).is_ok_and(|count| count < CHUNK);
        self.after = lines.last().filter(|_| !is_last).map(|line| line.place);
        let mut out = Vec::new();
        if !self.is_begun {
            self.is_begun = true;
            // Without the mark spreadsheets take the Chinese for something else.
            out.extend_from_slice("\u{feff}".as_bytes());
        }
        let is_head = after.entry == 0;
        let mut table = csv::Writer::from_writer(out);
        if is_head {
            let names = [
                "entry", "at", "reason", "about", "account", "in", "out", "balance",
            ];
            let names = names.map(|name| self.locale.t(format!("statement.csv.{name}")));
            let last = self.locale.t("statement.csv.counterparty");
            table.write_record(names.iter().chain([&last]).map(|name| name.as_bytes()))?;
        }
        for line in &lines {
            let held = self.held.entry(line.kind.clone()).or_default();
            *held += line.amount;
            let record = record(self.locale, line, *held);
            table.write_record(record)?;
        }
        Ok(Some(
            table.into_inner().map_err(|error| error.into_error())?,
        ))
    }
}

/// A posting as a row. Amounts stand in two columns, so that none begins with a sign.
fn record(locale: Locale, line: &Line, held: Money) -> [String; 9] {
    let (into, out) = if line.amount < Money::ZERO {
        (String::new(), (-line.amount).to_string())
    } else {
        (line.amount.to_string(), String::new())
    };
    let about = line.subject.map(|subject| link(&line.reason, subject).0);
    [
        format!("J-{}", line.place.entry),
        format::machine(line.at),
        defused(&locale.t(format!("entry.{}", line.reason))),
        about.unwrap_or_default(),
        defused(&locale.t(format!("account.{}", line.kind))),
        into,
        out,
        held.to_string(),
        defused(line.counterparty.as_deref().unwrap_or_default()),
    ]
}

/// A text that no spreadsheet takes for a formula: one that could be is written after a quote.
fn defused(text: &str) -> String {
    if text.trim_start().starts_with(FORMULA) || text.starts_with(FORMULA) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_formula_is_written_as_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"] {
            assert_eq!(defused(text), format!("'{text}"));
        }
        assert_eq!(defused("黔云算力 = 1"), "黔云算力 = 1");
        assert_eq!(defused(""), "");
    }
}
