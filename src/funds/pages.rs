//! The wallet, and a journal entry of it.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::{EntryId, Money, ParticipantId};

use super::forms::{Deposit, StatementQuery};
use super::fragments::{self, Balances, Statement};
use super::queries::{self, Entry, Figures};
use crate::app::App;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Shell, form, format, say};

#[derive(Template, WebTemplate)]
#[template(path = "funds/wallet.html")]
pub(super) struct Wallet {
    shell: Shell,
    balances: Balances,
    statement: Statement,
    deposit: Deposit,
    errors: FieldErrors,
    done: Option<&'static str>,
    has_test_money: bool,
}

/// `GET /wallet`
///
/// # Errors
/// When the database can't be read.
pub async fn wallet(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Error> {
    let done = match uri.query() {
        Some("deposited") => Some("deposit.done"),
        Some("again") => Some("deposit.again"),
        _ => None,
    };
    let deposit = kept.form("/wallet/deposits").unwrap_or_default();
    let deposit = (deposit, FieldErrors::default());
    let page = draw(&app, kept.told(shell), &member, deposit, &query, done);
    Ok(page.await?.into_response())
}

/// The wallet with a deposit as it was typed and what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    (mut deposit, errors): (Deposit, FieldErrors),
    query: &StatementQuery,
    done: Option<&'static str>,
) -> Result<Wallet, Error> {
    // A page is one deposit: sent twice, it is booked once.
    if deposit.id().is_none() {
        deposit.form_id = form::client_id();
    }
    let statement = fragments::statement(app, shell.locale, member, query).await?;
    let live = StatementQuery::address("/wallet/live", query.account(), query.before());
    Ok(Wallet {
        balances: fragments::balances(app, shell.locale, member),
        shell: shell.live_from(live),
        statement,
        deposit,
        errors,
        done,
        has_test_money: app.web.options.test_money,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "funds/entry.html")]
struct EntryPage {
    shell: Shell,
    number: i64,
    at: String,
    machine: String,
    reason: String,
    /// What the entry is about, each with its address.
    links: Vec<(String, String)>,
    lines: Vec<PostingRow>,
    how: Option<String>,
    command: i64,
    verb: String,
    actor: String,
    hash: String,
}

struct PostingRow {
    whose: String,
    kind: String,
    amount: String,
    is_own: bool,
}

/// `GET /wallet/entries/{id}`: an entry that moved the reader's money, with all of its lines.
///
/// # Errors
/// [`Error::NotFound`] for an entry of others as for none.
pub async fn entry(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: EntryId = id.parse().map_err(|_| Error::NotFound)?;
    let (locale, own) = (shell.locale, member.participant);
    let entry = queries::entry(&app.db, own, id)
        .await?
        .ok_or(Error::NotFound)?;
    let postings = queries::postings(&app.db, id).await?;
    let how = match entry.lease {
        Some(lease) => {
            let figures = queries::figures(&app.db, lease, id).await?;
            how(locale, &entry.reason, &figures)
        }
        None => None,
    };
    let lines = postings.iter().map(|posting| PostingRow {
        whose: whose(locale, &entry, own, posting.participant),
        kind: locale.t(format!("account.{}", posting.kind)).into_owned(),
        amount: format::signed(Money(posting.amount)),
        is_own: posting.participant == own.0,
    });
    Ok(EntryPage {
        number: id.0,
        at: locale.second(entry.at),
        machine: format::machine(entry.at),
        reason: locale.t(format!("entry.{}", entry.reason)).into_owned(),
        links: links(&entry, own),
        lines: lines.collect(),
        how,
        command: entry.command,
        verb: verb(locale, &entry.verb),
        actor: actor(locale, &entry),
        hash: entry
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        shell,
    }
    .into_response())
}

/// What the entry is about, each with its address: others may not follow to what is one party's.
fn links(entry: &Entry, own: ParticipantId) -> Vec<(String, String)> {
    let Some(subject) = entry.subject else {
        return Vec::new();
    };
    let mut links = vec![fragments::link(&entry.reason, subject)];
    if let Some(lease) = entry.lease.filter(|_| entry.holder == Some(own.0)) {
        links.insert(0, (format!("l{lease}"), format!("/leases/l{lease}")));
    }
    links
}

/// Whose account a line is of: the reader's own by name, others by what they are to the lease.
fn whose(locale: Locale, entry: &Entry, own: ParticipantId, of: i64) -> String {
    let key = match of {
        _ if of == own.0 => "posting.own",
        0 => "posting.marketplace",
        _ if entry.provider == Some(of) => "posting.provider",
        _ if entry.holder == Some(of) => "posting.holder",
        _ => "posting.other",
    };
    locale.t(key).into_owned()
}

fn verb(locale: Locale, verb: &str) -> String {
    let key = format!("command.{verb}");
    let text = locale.t(&key);
    if text == key {
        verb.to_owned()
    } else {
        text.into_owned()
    }
}

/// Who asked: by name only where it was somebody of the reader's own participant.
fn actor(locale: Locale, entry: &Entry) -> String {
    if entry.login.is_some() || entry.actor.starts_with("system:") {
        say::actor(locale, &entry.actor, entry.login.as_deref())
    } else {
        locale.t("actor.other").into_owned()
    }
}

/// How the amounts of an entry about a lease come about.
fn how(locale: Locale, reason: &str, figures: &Figures) -> Option<String> {
    let price = Money(figures.price);
    let total = price.times(figures.units, figures.hours);
    let (price_text, units) = (format::money(price), format::count(figures.units));
    match reason {
        "trade" => Some(locale.tr(
            "entry.how.trade",
            [
                ("price", &*price_text),
                ("units", &units),
                ("hours", &figures.hours.to_string()),
                ("total", &format::wide(total)),
            ],
        )),
        "settlement" => {
            let hourly = Money::exact(price.times(figures.units, 1));
            let refunded = Money(figures.refunded?);
            let words = [
                ("price", &*price_text),
                ("units", &units),
                (
                    "promised",
                    &format::count(figures.units * market::HOUR_MINUTES),
                ),
                ("delivered", &format::count(figures.unit_minutes?)),
                ("hourly", &format::four(hourly)),
                ("earned", &format::four(hourly - refunded)),
                ("fee", &format::four(Money(figures.fee?))),
                ("refunded", &format::four(refunded)),
            ];
            Some(locale.tr("entry.how.settlement", words))
        }
        // What one of several says was worked out from is not known any more.
        "credit" if figures.credits == 1 => {
            let promised = figures.units * market::HOUR_MINUTES * figures.hours;
            let words = [
                ("delivered", &*format::count(figures.delivered)),
                ("promised", &format::count(promised)),
                ("total", &format::wide(total)),
                ("credited", &format::four(Money(figures.credited))),
            ];
            Some(locale.tr("entry.how.credit", words))
        }
        _ => None,
    }
}
