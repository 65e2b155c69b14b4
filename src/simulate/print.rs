//! Lines out: one JSON object each, its keys always in the same order.

use std::io::{self, Write};

use market::{
    Account, AccountKind, Depth, Entry, Event, EventKind, Ledger, Level, Market, Money, OrderId,
    ParticipantId, Period, Reason, Rejection, Settled, Timestamp, Trade, decimal,
};
use serde::Serialize;

use super::names::Names;
use crate::protocol::instant;

/// Numbers the lines that go out.
pub(super) struct Printer<W> {
    output: W,
    postings: bool,
    seq: u64,
    /// The line in that what is printed answers.
    pub(super) line: u64,
}

#[derive(Serialize)]
struct Printed<'a> {
    seq: u64,
    at: Option<String>,
    line: u64,
    #[serde(flatten)]
    what: What<'a>,
}

/// What a line out says.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum What<'a> {
    Accepted {
        id: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    Rejected {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        missing: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lowest: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        highest: Option<String>,
    },
    Trade {
        trade: String,
        buy: &'a str,
        sell: &'a str,
        price: String,
        units: i64,
        start: String,
        end: String,
        pool: &'a str,
        maker: &'a str,
    },
    Lease {
        lease: String,
        trade: String,
        holder: &'a str,
        pool: &'a str,
        units: i64,
        start: String,
        end: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    Done {
        id: &'a str,
        why: &'static str,
    },
    Settled {
        lease: String,
        hour: String,
        paid: String,
        refunded: String,
        fee: String,
    },
    Corrected {
        lease: String,
        hour: String,
        unit_minutes: i64,
        paid: String,
        refunded: String,
        fee: String,
    },
    Credited {
        lease: String,
        holder: &'a str,
        amount: String,
    },
    Disputed {
        dispute: String,
        lease: String,
        claimant: &'a str,
        claimed: String,
        frozen: String,
    },
    Ruled {
        dispute: String,
        awarded: String,
        released: String,
        unfunded: String,
    },
    HandedBack {
        lease: String,
        start: String,
        end: String,
        refunded: String,
        paid: String,
    },
    Defaulted {
        lease: String,
        from: String,
        difference: String,
        penalty: String,
    },
    Posted {
        entry: String,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        postings: Vec<PostingOut<'a>>,
    },
    Balance {
        org: &'a str,
        cash: String,
        hold: String,
        escrow: String,
        payable: String,
        bond: String,
        dispute: String,
    },
    Book {
        symbol: &'a str,
        start: String,
        end: String,
        asks: Vec<LevelOut>,
        bids: Vec<LevelOut>,
    },
    Error {
        error: String,
    },
}

/// One line of a journal entry; the marketplace's own accounts have no `org`.
#[derive(Serialize)]
pub(super) struct PostingOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a str>,
    account: &'static str,
    amount: String,
}

/// One price level of a book.
#[derive(Serialize)]
pub(super) struct LevelOut {
    price: String,
    units: i64,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(output: W, postings: bool) -> Self {
        Self {
            output,
            postings,
            seq: 0,
            line: 0,
        }
    }

    /// Prints an event of the market, if it has a line. `id` is what a rejection names.
    pub(super) fn event(
        &mut self,
        event: &Event,
        market: &Market,
        names: &Names,
        id: Option<&str>,
    ) -> io::Result<()> {
        let what = match &event.kind {
            EventKind::Rejected(why) => What::rejected(id, *why),
            EventKind::Posted(entry) if self.postings => What::posted(entry, market, names),
            kind => match What::happened(kind, market, names) {
                Some(what) => what,
                None => return Ok(()),
            },
        };
        self.print(Some(event.at), what)
    }

    /// Prints one line.
    pub(super) fn print(&mut self, at: Option<Timestamp>, what: What<'_>) -> io::Result<()> {
        self.seq += 1;
        let printed = Printed {
            seq: self.seq,
            at: at.map(instant::print),
            line: self.line,
            what,
        };
        serde_json::to_writer(&mut self.output, &printed)?;
        self.output.write_all(b"\n")
    }

    /// Makes sure that all is written.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<'a> What<'a> {
    pub(super) fn rejected(id: Option<&'a str>, why: Rejection) -> Self {
        let missing = match why {
            Rejection::InsufficientFunds { missing } => Some(decimal(missing)),
            _ => None,
        };
        let (lowest, highest) = match why {
            Rejection::OutsideBand { lowest, highest } => (lowest, highest),
            _ => (None, None),
        };
        Self::Rejected {
            id,
            reason: why.code(),
            missing,
            lowest: lowest.map(|price| price.to_string()),
            highest: highest.map(|price| price.to_string()),
        }
    }

    /// `None` for what says nothing when it succeeds.
    fn happened(kind: &EventKind, market: &'a Market, names: &'a Names) -> Option<Self> {
        let what = match kind.clone() {
            EventKind::Accepted { order, again } => Self::Accepted {
                id: order_name(market, order),
                again,
            },
            EventKind::Traded(trade) => Self::trade(&trade, market, names),
            EventKind::Leased {
                lease,
                trade,
                parent,
            } => {
                let lease = market.lease(lease)?;
                Self::Lease {
                    lease: lease.id.to_string(),
                    trade: trade.to_string(),
                    holder: names.org(lease.holder)?,
                    pool: names.pool_name(lease.pool)?,
                    units: lease.units,
                    start: instant::print(lease.period.start.begins()),
                    end: instant::print(lease.period.end.begins()),
                    parent: parent.map(|parent| parent.to_string()),
                }
            }
            EventKind::Done { order, why } => Self::Done {
                id: order_name(market, order),
                why: why.code(),
            },
            EventKind::Settled(settled) => Self::settled(&settled),
            EventKind::Corrected(corrected) => Self::Corrected {
                lease: corrected.lease.to_string(),
                hour: instant::print(corrected.hour.begins()),
                unit_minutes: corrected.unit_minutes,
                paid: corrected.paid.to_string(),
                refunded: corrected.refunded.to_string(),
                fee: corrected.fee.to_string(),
            },
            EventKind::Credited {
                lease,
                holder,
                amount,
            } => Self::Credited {
                lease: lease.to_string(),
                holder: names.org(holder)?,
                amount: amount.to_string(),
            },
            EventKind::Disputed {
                dispute,
                lease,
                claimant,
                claimed,
                frozen,
            } => Self::Disputed {
                dispute: dispute.to_string(),
                lease: lease.to_string(),
                claimant: names.org(claimant)?,
                claimed: claimed.to_string(),
                frozen: frozen.to_string(),
            },
            EventKind::HandedBack {
                lease,
                period,
                refunded,
                paid,
            } => Self::HandedBack {
                lease: lease.to_string(),
                start: instant::print(period.start.begins()),
                end: instant::print(period.end.begins()),
                refunded: refunded.to_string(),
                paid: paid.to_string(),
            },
            EventKind::Defaulted {
                lease,
                from,
                difference,
                penalty,
            } => Self::Defaulted {
                lease: lease.to_string(),
                from: instant::print(from.begins()),
                difference: difference.to_string(),
                penalty: penalty.to_string(),
            },
            EventKind::Ruled {
                dispute,
                awarded,
                released,
                unfunded,
            } => Self::Ruled {
                dispute: dispute.to_string(),
                awarded: awarded.to_string(),
                released: released.to_string(),
                unfunded: unfunded.to_string(),
            },
            EventKind::InstrumentListed
            | EventKind::PoolOpened { .. }
            | EventKind::RulesSet { .. }
            | EventKind::Halted { .. }
            | EventKind::Related { .. }
            | EventKind::Rejected(_)
            | EventKind::Posted(_) => return None,
        };
        Some(what)
    }

    fn trade(trade: &Trade, market: &'a Market, names: &'a Names) -> Self {
        Self::Trade {
            trade: trade.trade.to_string(),
            buy: order_name(market, trade.buy),
            sell: order_name(market, trade.sell),
            price: trade.price.to_string(),
            units: trade.units,
            start: instant::print(trade.period.start.begins()),
            end: instant::print(trade.period.end.begins()),
            pool: names.pool_name(trade.pool).unwrap_or_default(),
            maker: order_name(market, trade.maker),
        }
    }

    fn settled(settled: &Settled) -> Self {
        Self::Settled {
            lease: settled.lease.to_string(),
            hour: instant::print(settled.hour.begins()),
            paid: settled.paid.to_string(),
            refunded: settled.refunded.to_string(),
            fee: settled.fee.to_string(),
        }
    }

    fn posted(entry: &Entry, market: &Market, names: &'a Names) -> Self {
        let of = match entry.reason {
            Reason::Deposit | Reason::Payout => None,
            Reason::Hold(order) | Reason::Release(order) => {
                Some(order_name(market, order).to_owned())
            }
            Reason::Trade(trade) => Some(trade.to_string()),
            Reason::Settlement(lease)
            | Reason::Correction(lease)
            | Reason::Credit(lease)
            | Reason::BondRelease(lease)
            | Reason::HandBack(lease)
            | Reason::BuyIn(lease)
            | Reason::Default(lease) => Some(lease.to_string()),
            Reason::Dispute(dispute) | Reason::Ruling(dispute) => Some(dispute.to_string()),
        };
        let postings = entry.postings.iter();
        Self::Posted {
            entry: entry.id.to_string(),
            reason: entry.reason.code(),
            of,
            postings: postings
                .map(|posting| PostingOut {
                    org: names.org(posting.account.participant),
                    account: posting.account.kind.code(),
                    amount: posting.amount.to_string(),
                })
                .collect(),
        }
    }

    pub(super) fn balance(org: &'a str, participant: ParticipantId, ledger: &Ledger) -> Self {
        let balance = |kind| {
            let amount: Money = ledger.balance(Account::of(participant, kind));
            amount.to_string()
        };
        Self::Balance {
            org,
            cash: balance(AccountKind::Cash),
            hold: balance(AccountKind::Hold),
            escrow: balance(AccountKind::Escrow),
            payable: balance(AccountKind::Payable),
            bond: balance(AccountKind::Bond),
            dispute: balance(AccountKind::Dispute),
        }
    }

    pub(super) fn book(symbol: &'a str, period: Period, depth: &Depth) -> Self {
        let levels = |levels: &[Level]| {
            levels
                .iter()
                .map(|level| LevelOut {
                    price: level.price.to_string(),
                    units: level.units,
                })
                .collect()
        };
        Self::Book {
            symbol,
            start: instant::print(period.start.begins()),
            end: instant::print(period.end.begins()),
            asks: levels(&depth.asks),
            bids: levels(&depth.bids),
        }
    }
}

/// The name that an order's participant gave it.
fn order_name(market: &Market, order: OrderId) -> &str {
    &market.order(order).placed.client_id.0
}
