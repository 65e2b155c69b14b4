//! The trial balance, the journal, and one of its entries.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use market::AccountKind;
use serde::Deserialize;

use super::forms::Filter;
use super::fragments::{self, AccountView, EntryView, Totals};
use super::queries::{self, AsOf, PAGE};
use crate::app::App;
use crate::sequencer::chain::Covered;
use crate::web::reference::Reference;
use crate::web::{Error, FieldErrors, Role, Shell, format};

/// How many accounts a file has at most; the page's sums are of all in any case.
const FILE_ACCOUNTS: i64 = 1_000_000;

#[derive(Template, WebTemplate)]
#[template(path = "ledger/balance.html")]
struct Balance {
    shell: Shell,
    batch: String,
    command: String,
    at: Option<String>,
    totals: Totals,
    kind: Option<&'static str>,
    kinds: Vec<(&'static str, String)>,
    accounts: Vec<AccountView>,
    next: Option<String>,
    audit: AuditView,
    may_audit: bool,
}

struct AuditView {
    running_since: Option<String>,
    last: Option<AuditResult>,
}

struct AuditResult {
    began: String,
    seconds: String,
    /// What must hold, and what contradicts it; none when the database could not be read.
    checks: Option<Vec<(&'static str, Vec<String>)>>,
    wrong: usize,
}

/// Which accounts of the trial balance.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Accounts {
    account: String,
    after: String,
}

impl Accounts {
    fn kind(&self) -> Option<AccountKind> {
        AccountKind::from_code(&self.account)
    }

    /// The last account of the page before; the first page comes after none.
    fn after(&self) -> (i64, AccountKind) {
        let parse = || {
            let (participant, kind) = self.after.split_once('.')?;
            Some((participant.parse().ok()?, AccountKind::from_code(kind)?))
        };
        parse().unwrap_or((-1, AccountKind::Cash))
    }
}

/// `GET /ops/ledger`
///
/// # Errors
/// When the database can't be read.
pub async fn balance(
    State(app): State<App>,
    Query(wanted): Query<Accounts>,
    shell: Shell,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let kind = wanted.kind();
    let mut db = queries::snapshot(&app.db).await?;
    let as_of = queries::as_of(&mut db).await?;
    let sums = queries::sums(&mut db).await?;
    let most = queries::ACCOUNTS;
    let mut rows = queries::accounts(&mut db, kind, wanted.after(), most + 1).await?;
    db.rollback().await.map_err(anyhow::Error::new)?;
    let page = usize::try_from(most).unwrap_or(usize::MAX);
    let is_cut = rows.len() > page;
    rows.truncate(page);
    let next = rows.last().filter(|_| is_cut).map(|last| {
        let account = kind.map_or("", AccountKind::code);
        let after = format!("{}.{}", last.participant, last.kind);
        format!("/ops/ledger?account={account}&after={after}")
    });
    let page = Balance {
        batch: format::count(as_of.batch),
        command: format::count(as_of.command),
        at: as_of.at().map(|at| locale.second(at)),
        totals: Totals::new(locale, &sums),
        kind: kind.map(AccountKind::code),
        kinds: fragments::kinds(locale),
        accounts: fragments::accounts(locale, &rows),
        next,
        audit: audit(&app, &shell),
        may_audit: shell.may(&[Role::Operations, Role::Auditor]),
        shell,
    };
    Ok(page.into_response())
}

fn audit(app: &App, shell: &Shell) -> AuditView {
    let state = app.audit.state();
    let real = |at: jiff::Timestamp| shell.locale.second(crate::clock::stamp(at));
    let last = state.last.map(|last| {
        let checks = last.report.as_ref().map(|report| {
            let checks = report.checks.iter();
            let check = |check: &crate::audit::Check| (check.holds, check.wrong.clone());
            checks.map(check).collect::<Vec<_>>()
        });
        let wrong = checks.as_ref().map_or(0, |checks| {
            checks.iter().filter(|(_, wrong)| !wrong.is_empty()).count()
        });
        let lasted = i64::try_from(last.ended.duration_since(last.began).as_millis());
        AuditResult {
            began: real(last.began),
            seconds: format::scaled(lasted.unwrap_or(i64::MAX), 3),
            checks,
            wrong,
        }
    });
    AuditView {
        running_since: state.running_since.map(real),
        last,
    }
}

/// `GET /ops/ledger.csv`: every account that holds something, as of one batch.
///
/// # Errors
/// When the database can't be read.
pub async fn balance_csv(State(app): State<App>, shell: Shell) -> Result<Response, Error> {
    let mut db = queries::snapshot(&app.db).await?;
    let AsOf { batch, .. } = queries::as_of(&mut db).await?;
    let first = Accounts::default().after();
    let rows = queries::accounts(&mut db, None, first, FILE_ACCOUNTS).await?;
    db.rollback().await.map_err(anyhow::Error::new)?;
    let file = fragments::csv(shell.locale, &rows).map_err(anyhow::Error::new)?;
    let name = format!("attachment; filename=\"sluice-trial-balance-{batch}.csv\"");
    let name = HeaderValue::from_str(&name).map_err(anyhow::Error::new)?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, file).into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "ledger/journal.html")]
struct Journal {
    shell: Shell,
    filter: Filter,
    errors: FieldErrors,
    kinds: Vec<(&'static str, String)>,
    reasons: Vec<(&'static str, String)>,
    entries: Vec<EntryView>,
    older: Option<String>,
    /// The entry down to which was looked, where looking was cut short.
    looked_to: Option<Reference>,
}

/// `GET /ops/journal`
///
/// # Errors
/// When the database can't be read.
pub async fn journal(
    State(app): State<App>,
    Query(filter): Query<Filter>,
    shell: Shell,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let mut page = Journal {
        kinds: fragments::kinds(locale),
        reasons: fragments::reasons(locale),
        errors: FieldErrors::default(),
        entries: Vec::new(),
        older: None,
        looked_to: None,
        filter,
        shell,
    };
    let wanted = match page.filter.read(locale) {
        Ok(wanted) => wanted,
        Err(errors) => {
            page.errors = errors;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let mut participant = None;
    if let Some(who) = &wanted.who {
        participant = queries::participant(&app.db, who).await?;
        if participant.is_none() {
            page.errors
                .add("participant", locale.t("books.bad.participant"));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    }
    let mut found = queries::find(&app.db, &wanted, participant).await?;
    let has_more = found.entries.len() > PAGE;
    found.entries.truncate(PAGE);
    let last = match found.looked_to {
        Some(looked_to) if !has_more => Some(looked_to),
        _ => found.entries.last().copied().filter(|_| has_more),
    };
    page.older = last.map(|last| page.filter.href(last));
    page.looked_to = found.looked_to.map(Reference::Entry);
    let rows = queries::entries(&app.db, &found.entries).await?;
    let postings = queries::postings(&app.db, &found.entries).await?;
    let entries = rows
        .iter()
        .map(|row| EntryView::new(locale, row, &postings));
    page.entries = entries.collect();
    Ok(page.into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "ledger/entry.html")]
struct Entry {
    shell: Shell,
    entry: EntryView,
    /// What the postings sum to: zero.
    difference: String,
    batch: String,
    body: String,
    hash: String,
    hash_before: Option<String>,
    is_chained: bool,
    before: Option<Reference>,
    after: Option<Reference>,
    about: Option<String>,
}

/// `GET /ops/journal/{entry}`: an entry by its number, with its hash worked out again.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn entry(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response, Error> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let rows = queries::entries(&app.db, &[id]).await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let postings = queries::postings(&app.db, &[id]).await?;
    let around = queries::around(&app.db, id).await?;
    let covered = Covered {
        id,
        command: row.command,
        at: row.at(),
        reason: row.reason.clone(),
        subject: row.subject,
        postings: postings
            .iter()
            .map(|line| (line.participant, line.kind.clone(), line.amount().0))
            .collect(),
    };
    let before = around.hash_before.clone().unwrap_or_default();
    let view = EntryView::new(shell.locale, row, &postings);
    let body = serde_json::to_string_pretty(&around.body).map_err(anyhow::Error::new)?;
    let sum: i128 = postings
        .iter()
        .map(|line| i128::from(line.amount().0))
        .sum();
    let page = Entry {
        difference: format::wide(sum),
        batch: format::count(around.batch),
        body,
        hash: hex(&row.hash),
        is_chained: covered.hash(&before) == row.hash,
        hash_before: around.hash_before.as_deref().map(hex),
        before: (id > 1).then(|| Reference::Entry(id - 1)),
        after: (!around.is_last).then(|| Reference::Entry(id + 1)),
        about: view
            .subject
            .map(|subject| format!("/ops/journal?about={subject}")),
        entry: view,
        shell,
    };
    Ok(page.into_response())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
