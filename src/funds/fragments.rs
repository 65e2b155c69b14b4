//! Balances and statement as they change.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Query, State};
use axum::response::Response;
use market::{Account, AccountKind, Money};

use super::forms::StatementQuery;
use super::queries::{self, Line};
use crate::app::App;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Watcher};
use crate::web::{Error, Locale, Member, format};

/// What each account holds.
#[derive(Template)]
#[template(path = "funds/_balances.html")]
pub(super) struct Balances {
    locale: Locale,
    rows: Vec<Balance>,
}

impl HtmlSafe for Balances {}

struct Balance {
    kind: &'static str,
    amount: String,
}

/// A part of the statement, the newest first.
#[derive(Template)]
#[template(path = "funds/_statement.html")]
pub(super) struct Statement {
    locale: Locale,
    rows: Vec<StatementRow>,
    /// The ways to narrow it: address, text, and whether it is so now.
    filters: Vec<(String, String, bool)>,
    export: String,
    is_narrowed: bool,
    older: Option<String>,
}

impl HtmlSafe for Statement {}

struct StatementRow {
    entry: i64,
    at: String,
    machine: String,
    reason: String,
    subject: Option<(String, String)>,
    kind: String,
    change: String,
    after: String,
}

/// The accounts of a participant.
pub(super) const KINDS: [AccountKind; 6] = [
    AccountKind::Cash,
    AccountKind::Hold,
    AccountKind::Escrow,
    AccountKind::Payable,
    AccountKind::Bond,
    AccountKind::Dispute,
];

/// How many postings a page of the statement has.
const PAGE: usize = 50;

/// What each account of a participant holds now. What is frozen is shown only where something is.
pub(super) fn balances(app: &App, locale: Locale, member: &Member) -> Balances {
    let market = app.feed.market();
    let held = |kind| {
        market
            .ledger()
            .balance(Account::of(member.participant, kind))
    };
    let rows = KINDS
        .into_iter()
        .map(|kind| (kind, held(kind)))
        .filter(|(kind, amount)| *kind != AccountKind::Dispute || *amount > Money::ZERO)
        .map(|(kind, amount)| Balance {
            kind: kind.code(),
            amount: format::money(amount),
        });
    Balances {
        locale,
        rows: rows.collect(),
    }
}

/// A part of a participant's statement.
pub(super) async fn statement(
    app: &App,
    locale: Locale,
    member: &Member,
    query: &StatementQuery,
) -> Result<Statement, Error> {
    let (kind, before) = (query.account(), query.before());
    let kinds = kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
    let count = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let of = member.participant;
    let mut lines = queries::lines(&app.db, of, &kinds, before, count).await?;
    let older = (lines.len() > PAGE).then(|| {
        lines.truncate(PAGE);
        let last = lines.last().map(|line| line.place);
        StatementQuery::address("/wallet", kind, last)
    });
    let all = (None, locale.t("statement.all").into_owned());
    let each = KINDS.into_iter().map(|kind| {
        let name = locale.t(format!("account.{}", kind.code()));
        (Some(kind), name.into_owned())
    });
    let filters = [all].into_iter().chain(each).map(|(one, name)| {
        let address = StatementQuery::address("/wallet", one, None);
        (format!("{address}#statement"), name, one == kind)
    });
    Ok(Statement {
        locale,
        rows: lines.iter().map(|line| row(locale, line)).collect(),
        filters: filters.collect(),
        export: StatementQuery::address("/wallet/statement.csv", kind, None),
        is_narrowed: kind.is_some() || before.is_some(),
        older: older.map(|address| format!("{address}#statement")),
    })
}

fn row(locale: Locale, line: &Line) -> StatementRow {
    StatementRow {
        entry: line.place.entry,
        at: locale.second(line.at),
        machine: format::machine(line.at),
        reason: locale.t(format!("entry.{}", line.reason)).into_owned(),
        subject: line.subject.map(|subject| link(&line.reason, subject)),
        kind: locale.t(format!("account.{}", line.kind)).into_owned(),
        change: format::signed(line.amount),
        after: format::four(line.after),
    }
}

/// What an entry is about, and where that is shown to both of its parties.
pub(super) fn link(reason: &str, subject: i64) -> (String, String) {
    match reason {
        "hold" | "release" => (format!("o{subject}"), format!("/orders/o{subject}")),
        "dispute" | "ruling" => (format!("d{subject}"), format!("/disputes/d{subject}")),
        // A trade and the lease that it made have one number.
        _ => (format!("t{subject}"), format!("/trades/t{subject}")),
    }
}

/// `GET /wallet/live`: balances and statement, after each commit that touches the participant.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Error> {
    live::for_participant(&app, watcher, move |app, member| {
        let query = query.clone();
        async move {
            let statement = statement(&app, locale, &member, &query).await?;
            Ok(vec![
                ("balances", live::html(&balances(&app, locale, &member))?),
                ("statement", live::html(&statement)?),
            ])
        }
    })
}
