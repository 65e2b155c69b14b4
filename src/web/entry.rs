//! A journal entry as a table: its lines with their sum, as it was booked or as it would be.

use askama::Template;
use askama::filters::HtmlSafe;
use market::{Account, Money, Posting};

use super::format;
use super::i18n::Locale;

/// A journal entry, as a fragment.
#[derive(Template)]
#[template(path = "components/entry.html")]
pub struct EntryTable {
    locale: Locale,
    title: String,
    caption: String,
    is_booked: bool,
    lines: Vec<(String, String)>,
    total: String,
}

impl HtmlSafe for EntryTable {}

impl EntryTable {
    /// The table of these postings, whose accounts' owners have the names that `name` gives.
    pub fn new(
        locale: Locale,
        (title, caption): (String, String),
        is_booked: bool,
        postings: &[Posting],
        name: impl Fn(Account) -> String,
    ) -> Self {
        let line = |posting: &Posting| {
            let kind = locale.t(format!("account.{}", posting.account.kind.code()));
            let account = format!("{kind} · {}", name(posting.account));
            (account, format::signed(posting.amount))
        };
        let total: Money = postings.iter().map(|posting| posting.amount).sum();
        Self {
            locale,
            title,
            caption,
            is_booked,
            lines: postings.iter().map(line).collect(),
            total: format::four(total),
        }
    }
}
