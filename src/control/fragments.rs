//! Interventions in words, and what a default would do.

use std::collections::BTreeMap;

use market::{
    Account, Command, EventKind, Hour, LeaseId, Market, Money, ParticipantId, Posting, Reason,
    Rejection, Side, Timestamp,
};

use super::queries::{HaltRow, RelationRow};
use crate::app::App;
use crate::web::entry::EntryTable;
use crate::web::reference::Reference;
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, format, say};

/// A halt in a list.
pub(super) struct HaltView {
    pub(super) symbol: String,
    pub(super) title: String,
    pub(super) until: String,
    pub(super) machine: String,
    /// For how long it still holds.
    pub(super) left: String,
    pub(super) asked_at: String,
    pub(super) login: String,
    pub(super) reason: String,
    pub(super) note: Option<String>,
    pub(super) state: String,
    pub(super) tone: &'static str,
}

impl HaltView {
    pub(super) fn new(locale: Locale, row: &HaltRow, now: Timestamp) -> Self {
        let (state, tone) = match &row.rejected {
            Some(code) => (format!("rejection.{code}"), "amber"),
            None if !row.is_done => ("control.state.unknown".to_owned(), "amber"),
            None if row.is_prolonged => ("control.state.prolonged".to_owned(), ""),
            None => ("control.state.over".to_owned(), ""),
        };
        let until = row.until();
        Self {
            title: Symbol::new(&row.symbol).title(locale),
            symbol: row.symbol.clone(),
            until: locale.minute(until),
            machine: format::machine(until),
            left: locale.span(until.0.saturating_sub(now.0)),
            asked_at: locale.minute(row.asked_at()),
            login: row.login.clone(),
            reason: say::halt(locale, &row.reason),
            note: row.note.clone(),
            state: locale.t(state).into_owned(),
            tone,
        }
    }
}

/// A participant where it is named.
pub(super) struct Named {
    pub(super) number: Reference,
    pub(super) name: String,
}

impl Named {
    pub(super) fn new(number: i64, name: Option<&str>) -> Self {
        let number = Reference::Participant(number);
        Self {
            number,
            name: name.map_or_else(|| number.to_string(), str::to_owned),
        }
    }
}

/// A relation in a list.
pub(super) struct RelationView {
    pub(super) one: Named,
    pub(super) other: Named,
    pub(super) asked_at: String,
    pub(super) login: String,
    pub(super) reason: String,
    pub(super) note: Option<String>,
    pub(super) is_done: bool,
    /// Everybody who counts as one by it, where these are more than two.
    pub(super) group: Vec<Named>,
}

impl RelationView {
    pub(super) fn new(
        locale: Locale,
        row: &RelationRow,
        group: &[ParticipantId],
        names: &BTreeMap<ParticipantId, String>,
    ) -> Self {
        let group = group.iter().filter(|_| group.len() > 2);
        Self {
            one: Named::new(row.one, Some(&row.one_name)),
            other: Named::new(row.other, Some(&row.other_name)),
            asked_at: locale.minute(row.asked_at()),
            login: row.login.clone(),
            reason: say::relation(locale, &row.reason),
            note: row.note.clone(),
            is_done: row.is_done,
            group: group
                .map(|one| Named::new(one.0, names.get(one).map(String::as_str)))
                .collect(),
        }
    }
}

/// What a default would do, by the market's own account: a copy of it does it.
#[derive(Clone, Debug)]
pub(super) struct Reckoning {
    /// The first hour that would be lacking.
    pub(super) from: Hour,
    pub(super) hours: i64,
    pub(super) unit_hours: i64,
    /// Back from escrow, to the holder and to resellers.
    pub(super) refunded: Money,
    /// Whether the holder wants what is left bought in, and how much of it would be.
    pub(super) wants_buy_in: bool,
    pub(super) bought: i64,
    /// Of the bond, for what is dearer and as penalty.
    pub(super) difference: Money,
    pub(super) penalty: Money,
    /// What all its entries change together, by account.
    pub(super) postings: Vec<Posting>,
}

impl Reckoning {
    /// What would be done now; off the threads of requests, since a whole market is copied.
    ///
    /// # Errors
    /// What the market would say; and when the machine is going down.
    pub(super) async fn of(app: &App, lease: LeaseId) -> Result<Result<Self, Rejection>, Error> {
        let (feed, now) = (app.feed.clone(), app.clock.now());
        let reckoned = tokio::task::spawn_blocking(move || {
            let market = feed.market().clone();
            Self::by(market, now, lease)
        });
        let reckoned = reckoned.await;
        Ok(reckoned.map_err(|error| anyhow::Error::new(error).context("reckoning a default"))?)
    }

    fn by(mut market: Market, now: Timestamp, id: LeaseId) -> Result<Self, Rejection> {
        let lease = market.lease(id).ok_or(Rejection::UnknownLease)?;
        let side = &market.order(lease.buy).placed.side;
        let mut reckoned = Self {
            from: now.max(market.now()).next_hour(),
            hours: 0,
            unit_hours: 0,
            refunded: Money::ZERO,
            wants_buy_in: matches!(side, Side::Buy { buy_in: true, .. }),
            bought: 0,
            difference: Money::ZERO,
            penalty: Money::ZERO,
            postings: Vec::new(),
        };
        let at = now.max(market.now());
        let events = market.apply(at, &Command::Default { lease: id });
        let mut changes: BTreeMap<Account, Money> = BTreeMap::new();
        // What was due comes before it, and what its hours let others buy after it.
        let (mut has_begun, mut is_over) = (false, false);
        for event in &events {
            match &event.kind {
                EventKind::Rejected(rejection) => return Err(*rejection),
                EventKind::Settled(settled)
                    if settled.lease == id && settled.hour >= reckoned.from =>
                {
                    has_begun = true;
                    reckoned.hours += 1;
                    reckoned.unit_hours += settled.units;
                    reckoned.refunded += settled.refunded;
                }
                EventKind::Traded(trade) if has_begun && !is_over => {
                    reckoned.bought += trade.units * trade.period.hours();
                }
                EventKind::Defaulted {
                    lease,
                    from,
                    difference,
                    penalty,
                } if *lease == id => {
                    is_over = true;
                    reckoned.from = *from;
                    reckoned.difference = *difference;
                    reckoned.penalty = *penalty;
                }
                EventKind::Posted(entry)
                    if has_begun && !is_over || entry.reason == Reason::Default(id) =>
                {
                    for posting in &entry.postings {
                        *changes.entry(posting.account).or_default() += posting.amount;
                    }
                }
                _ => {}
            }
        }
        let changes = changes.into_iter();
        reckoned.postings = changes
            .filter(|(_, amount)| *amount != Money::ZERO)
            .map(|(account, amount)| Posting { account, amount })
            .collect();
        Ok(reckoned)
    }

    /// Whose accounts it would change.
    pub(super) fn participants(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        let postings = self.postings.iter();
        postings.map(|posting| posting.account.participant)
    }

    /// The effect on the books.
    pub(super) fn table(
        &self,
        locale: Locale,
        names: &BTreeMap<ParticipantId, String>,
    ) -> EntryTable {
        let head = (
            locale.t("default.effect").into_owned(),
            locale.t("default.effect_caption").into_owned(),
        );
        let name = |account: Account| {
            let known = names.get(&account.participant).cloned();
            known.unwrap_or_else(|| Reference::Participant(account.participant.0).to_string())
        };
        EntryTable::new(locale, head, false, &self.postings, name)
    }

    /// What would be refunded, paid and bought, with the bond before and after.
    pub(super) fn lines(&self, locale: Locale, bond: Money) -> Vec<(&'static str, String)> {
        let yuan = |amount: Money| format!("¥{}", format::four(amount));
        let left = [
            ("h", format::count(self.hours)),
            ("n", format::count(self.unit_hours)),
        ];
        let bought = [
            ("n", format::count(self.bought)),
            ("of", format::count(self.unit_hours)),
        ];
        let mut lines = vec![
            (
                "default.from",
                format!("{} UTC+8", locale.minute(self.from.begins())),
            ),
            ("default.left", locale.tr("default.left_value", left)),
            ("default.refunded", yuan(self.refunded)),
            (
                "default.buy_in",
                if self.wants_buy_in {
                    locale.tr("default.buy_in_value", bought)
                } else {
                    locale.t("default.buy_in_none").into_owned()
                },
            ),
        ];
        if self.wants_buy_in {
            lines.push(("default.difference", yuan(self.difference)));
        }
        lines.push(("default.penalty", yuan(self.penalty)));
        lines.push(("default.bond", yuan(bond)));
        let after = bond - self.difference - self.penalty;
        lines.push(("default.bond_after", yuan(after)));
        lines
    }
}
