//! Entries and accounts in words.

use market::{AccountKind, Money};

use super::queries::{AccountRow, EntryRow, KindSum, PostingRow};
use crate::web::reference::Reference;
use crate::web::{Locale, format, say};

/// A journal entry in words.
pub(super) struct EntryView {
    pub(super) number: Reference,
    pub(super) at: String,
    pub(super) machine: String,
    pub(super) reason: String,
    pub(super) subject: Option<Reference>,
    pub(super) command: String,
    pub(super) actor: String,
    pub(super) lines: Vec<LineView>,
}

/// One of its lines.
pub(super) struct LineView {
    pub(super) who: String,
    pub(super) href: String,
    pub(super) kind: String,
    pub(super) amount: String,
    pub(super) debit: Option<String>,
    pub(super) credit: Option<String>,
}

impl EntryView {
    pub(super) fn new(locale: Locale, row: &EntryRow, postings: &[PostingRow]) -> Self {
        let subject = row.subject;
        let lines = postings.iter().filter(|line| line.entry == row.id);
        Self {
            number: Reference::Entry(row.id),
            at: locale.second(row.at()),
            machine: format::machine(row.at()),
            reason: locale.t(format!("entry.{}", row.reason)).into_owned(),
            subject: subject.and_then(|subject| Reference::of_entry(&row.reason, subject)),
            command: format::count(row.command),
            actor: say::actor(locale, &row.actor, row.login.as_deref()),
            lines: lines.map(|line| LineView::new(locale, line)).collect(),
        }
    }
}

impl LineView {
    fn new(locale: Locale, row: &PostingRow) -> Self {
        let amount = row.amount();
        let (debit, credit) = sides(amount.0.into());
        Self {
            who: name(locale, row.participant, row.name.as_deref()),
            href: Reference::Participant(row.participant).href(),
            kind: locale.t(format!("account.{}", row.kind)).into_owned(),
            amount: format::signed(amount),
            debit,
            credit,
        }
    }
}

/// An amount in the column that it stands in.
fn sides(amount: i128) -> (Option<String>, Option<String>) {
    match amount {
        0 => (None, None),
        ..0 => (Some(format::wide(-amount)), None),
        _ => (None, Some(format::wide(amount))),
    }
}

/// What a participant is called in the books; number 0 is the marketplace itself.
fn name(locale: Locale, participant: i64, name: Option<&str>) -> String {
    match (participant, name) {
        (0, _) => locale.t("books.marketplace").into_owned(),
        (_, Some(name)) => name.to_owned(),
        (_, None) => Reference::Participant(participant).to_string(),
    }
}

/// What the accounts of one kind hold together.
pub(super) struct SumView {
    pub(super) code: String,
    pub(super) kind: String,
    pub(super) accounts: String,
    pub(super) debit: Option<String>,
    pub(super) credit: Option<String>,
}

/// The sums of each kind, and of all.
pub(super) struct Totals {
    pub(super) kinds: Vec<SumView>,
    pub(super) debit: String,
    pub(super) credit: String,
    /// Credit less debit: zero in a ledger that is right.
    pub(super) difference: String,
    pub(super) is_balanced: bool,
}

impl Totals {
    pub(super) fn new(locale: Locale, sums: &[KindSum]) -> Self {
        let debit: i128 = sums.iter().map(|sum| sum.debit).sum();
        let credit: i128 = sums.iter().map(|sum| sum.credit).sum();
        let some = |sum: i128| (sum != 0).then(|| format::wide(sum));
        let kinds = sums.iter().map(|sum| SumView {
            code: sum.kind.clone(),
            kind: locale.t(format!("account.{}", sum.kind)).into_owned(),
            accounts: format::count(sum.accounts),
            debit: some(sum.debit),
            credit: some(sum.credit),
        });
        Self {
            kinds: kinds.collect(),
            debit: format::wide(debit),
            credit: format::wide(credit),
            difference: format::wide(credit - debit),
            is_balanced: credit == debit,
        }
    }
}

/// An account of the trial balance.
pub(super) struct AccountView {
    pub(super) number: Reference,
    /// None on the further accounts of one participant.
    pub(super) who: Option<String>,
    pub(super) href: String,
    pub(super) journal: String,
    pub(super) kind: String,
    pub(super) debit: Option<String>,
    pub(super) credit: Option<String>,
}

/// The accounts of a page, each participant named once.
pub(super) fn accounts(locale: Locale, rows: &[AccountRow]) -> Vec<AccountView> {
    let mut before = None;
    let view = |row: &AccountRow| {
        let is_new = before.replace(row.participant) != Some(row.participant);
        let number = Reference::Participant(row.participant);
        let (debit, credit) = sides(row.amount().0.into());
        AccountView {
            number,
            who: is_new.then(|| name(locale, row.participant, row.name.as_deref())),
            href: number.href(),
            journal: format!("/ops/journal?participant={number}&account={}", row.kind),
            kind: locale.t(format!("account.{}", row.kind)).into_owned(),
            debit,
            credit,
        }
    };
    rows.iter().map(view).collect()
}

/// The trial balance as a file for a spreadsheet.
pub(super) fn csv(locale: Locale, rows: &[AccountRow]) -> Result<Vec<u8>, csv::Error> {
    // Without the mark, a spreadsheet takes Chinese for another encoding.
    let mut file = csv::Writer::from_writer(Vec::from("\u{feff}"));
    let head = ["number", "participant", "account", "debit", "credit"];
    file.write_record(head.map(|column| locale.t(format!("books.csv.{column}")).into_owned()))?;
    let decimal = |is_side: bool, amount: Money| {
        if is_side {
            market::decimal(i128::from(amount.0).abs())
        } else {
            String::new()
        }
    };
    for row in rows {
        let kind = locale.t(format!("account.{}", row.kind));
        let amount = row.amount();
        file.write_record([
            Reference::Participant(row.participant).to_string(),
            harmless(name(locale, row.participant, row.name.as_deref())),
            kind.into_owned(),
            decimal(amount < Money::ZERO, amount),
            decimal(amount > Money::ZERO, amount),
        ])?;
    }
    Ok(file.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: String) -> String {
    if cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\t', '\r'])
    {
        format!("'{cell}")
    } else {
        cell
    }
}

/// Every kind of account, by code and in words.
pub(super) fn kinds(locale: Locale) -> Vec<(&'static str, String)> {
    let named = |kind: AccountKind| {
        let words = locale.t(format!("account.{}", kind.code()));
        (kind.code(), words.into_owned())
    };
    AccountKind::ALL.map(named).into()
}

/// Every reason of an entry, by code and in words.
pub(super) fn reasons(locale: Locale) -> Vec<(&'static str, String)> {
    let named = |code| (code, locale.t(format!("entry.{code}")).into_owned());
    super::forms::REASONS.map(named).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_formula() {
        for name in ["=1+1", "+1", "-1", "@x", "\t=1", " =1"] {
            assert_eq!(harmless(name.to_owned()), format!("'{name}"));
        }
        assert_eq!(harmless("黔云 = 算力".to_owned()), "黔云 = 算力");
    }
}
