//! Balances and journal as they change.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::response::Response;
use market::{Account, AccountKind, Money};

use super::queries;
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

/// The latest entries.
#[derive(Template)]
#[template(path = "funds/_journal.html")]
pub(super) struct Journal {
    locale: Locale,
    entries: Vec<Entry>,
}

impl HtmlSafe for Journal {}

struct Entry {
    number: i64,
    at: String,
    machine: String,
    reason: String,
    subject: Option<(String, String)>,
    lines: Vec<(String, String)>,
}

const KINDS: [AccountKind; 6] = [
    AccountKind::Cash,
    AccountKind::Hold,
    AccountKind::Escrow,
    AccountKind::Payable,
    AccountKind::Bond,
    AccountKind::Dispute,
];

/// Balances and journal of a participant.
pub(super) async fn parts(
    app: &App,
    locale: Locale,
    member: &Member,
) -> Result<(Balances, Journal), Error> {
    let lines = queries::lines(&app.db, member.participant).await?;
    let market = app.feed.market();
    let balances = KINDS.map(|kind| {
        let account = Account::of(member.participant, kind);
        (kind, market.ledger().balance(account))
    });
    // Few ever have a dispute: the account is shown while something is frozen.
    let shown = |(kind, amount): &(AccountKind, Money)| {
        *kind != AccountKind::Dispute || *amount != Money::ZERO
    };
    let rows = balances
        .into_iter()
        .filter(shown)
        .map(|(kind, amount)| Balance {
            kind: kind.code(),
            amount: format::money(amount),
        });
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        if entries
            .last()
            .is_none_or(|entry| entry.number != line.entry)
        {
            entries.push(Entry {
                number: line.entry,
                at: locale.second(line.at),
                machine: format::machine(line.at),
                reason: locale.t(format!("entry.{}", line.reason)).into_owned(),
                subject: line.subject.and_then(|subject| link(&line.reason, subject)),
                lines: Vec::new(),
            });
        }
        if let Some(entry) = entries.last_mut() {
            let kind = locale.t(format!("account.{}", line.kind)).into_owned();
            entry.lines.push((kind, format::signed(line.amount)));
        }
    }
    Ok((
        Balances {
            locale,
            rows: rows.collect(),
        },
        Journal { locale, entries },
    ))
}

/// What an entry is about, and where that is shown.
fn link(reason: &str, subject: i64) -> Option<(String, String)> {
    match reason {
        "hold" | "release" => Some((format!("o{subject}"), format!("/orders/o{subject}"))),
        "dispute" | "ruling" => Some((format!("d{subject}"), format!("/disputes/d{subject}"))),
        // A trade and the lease that it made have one number.
        _ => Some((format!("l{subject}"), format!("/leases/l{subject}"))),
    }
}

/// `GET /wallet/live`: balances and journal, after each commit that touches the participant.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
) -> Result<Response, Error> {
    live::for_participant(&app, watcher, move |app, member| async move {
        let (balances, journal) = parts(&app, locale, &member).await?;
        Ok(vec![
            ("balances", live::html(&balances)?),
            ("journal", live::html(&journal)?),
        ])
    })
}
