//! The bare market behind JSON lines: one command a line in, one event a line out, no database.
//!
//! The same lines in give the same bytes out. docs/PROTOCOL.md has the lines; what they do is in
//! docs/MARKET_RULES.md.

mod line;
mod names;
mod print;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use market::{
    ClientId, Command, ListInstrument, Market, Money, OpenPool, ParticipantId, Period, Rejection,
    Rules, Timestamp,
};

use self::line::{HourLine, Line, Verb};
use self::names::Names;
use self::print::{Printer, What};
use crate::protocol::{Flaw, Numbers as _, OrderLine, ReplaceLine, instant, lease_number};

/// The longest line that is read, in bytes; a longer one is an error.
const LONGEST_LINE: usize = 1 << 20;

/// Runs the commands of `input` through a new market under `rules` and prints to `output` what
/// happens, journal entries included where `postings` asks for them.
///
/// Gives the number of lines that could not be read; each of them was answered by an `error`.
///
/// # Errors
/// When `input` can't be read or `output` can't be written.
pub fn run(
    mut input: impl BufRead,
    output: impl Write,
    rules: Rules,
    postings: bool,
) -> io::Result<u64> {
    let mut simulation = Simulation {
        market: Market::new(rules),
        names: Names::default(),
        owners: BTreeMap::new(),
        printer: Printer::new(output, postings),
        last: None,
    };
    let mut errors = 0;
    for number in 1.. {
        let read = match read_line(&mut input)? {
            Some(Ok(text)) if text.trim().is_empty() => continue,
            Some(Ok(text)) => simulation.read(&text),
            Some(Err(error)) => Err(Flaw::syntax(error)),
            None => break,
        };
        simulation.printer.line = number;
        match read {
            Ok(line) => simulation.answer(line)?,
            Err(flaw) => {
                errors += 1;
                let error = flaw.to_string();
                simulation
                    .printer
                    .print(simulation.last, What::Error { error })?;
            }
        }
    }
    simulation.printer.end()?;
    Ok(errors)
}

/// The next line without its end, what is wrong with it, or `None` after the last. Of a line that
/// is too long only so much is kept in memory.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, String>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST_LINE).expect("a mebibyte fits") + 1;
    input.take(limit).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > LONGEST_LINE {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(format!("longer than {LONGEST_LINE} bytes"))));
    }
    let text = String::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"));
    Ok(Some(text))
}

struct Simulation<W> {
    market: Market,
    names: Names,
    /// Whose each accepted order is: here an order's id is unique in the whole file.
    owners: BTreeMap<String, ParticipantId>,
    printer: Printer<W>,
    /// When the last good line was.
    last: Option<Timestamp>,
}

impl<W: Write> Simulation<W> {
    /// Reads a line, changing nothing.
    fn read(&self, text: &str) -> Result<Line, Flaw> {
        let line = line::read(text)?;
        match self.last {
            Some(last) if line.at < last => Err(Flaw::of(
                "bad_value",
                "at",
                format_args!(
                    "is earlier than {}, that of the line before",
                    instant::print(last)
                ),
            )),
            _ => Ok(line),
        }
    }

    fn answer(&mut self, line: Line) -> io::Result<()> {
        let at = line.at;
        self.last = Some(at);
        match line.verb {
            Verb::Instrument { symbol, lot, tick } => {
                let command = Command::ListInstrument(ListInstrument {
                    instrument: self.names.instrument(&symbol),
                    symbol: symbol.clone(),
                    lot,
                    tick,
                });
                self.apply(at, &command, Some(symbol))
            }
            Verb::Deposit { org, amount } => {
                let participant = self.names.participant(&org);
                let command = Command::Deposit {
                    participant,
                    amount,
                };
                self.apply(at, &command, Some(org))
            }
            Verb::Pool {
                pool,
                org,
                symbol,
                units,
                start,
                end,
                access,
            } => {
                let command = Command::OpenPool(OpenPool {
                    pool: self.names.pool(&pool),
                    participant: self.names.participant(&org),
                    instrument: self.names.instrument(&symbol),
                    units,
                    start,
                    end,
                    access,
                });
                self.apply(at, &command, Some(pool))
            }
            Verb::Order { org, order } => self.order(at, &org, &order),
            Verb::Cancel { id, org } => {
                self.change(at, id, org, |participant, client_id| Command::CancelOrder {
                    participant,
                    client_id,
                })
            }
            Verb::CancelAll { org, symbol } => {
                let instrument = symbol.map(|symbol| self.names.instrument(&symbol));
                let command = Command::CancelAll {
                    participant: self.names.participant(&org),
                    instrument,
                };
                self.apply(at, &command, Some(org))
            }
            Verb::Replace { org, change } => {
                let ReplaceLine { id, units, price } = change;
                self.change(at, id, org, |participant, client_id| {
                    Command::ReplaceOrder {
                        participant,
                        client_id,
                        units,
                        price,
                    }
                })
            }
            Verb::Deliver(line) => self.deliver(at, line),
            Verb::Correct(line) => self.correct(at, line),
            Verb::Dispute { org, lease, amount } => self.dispute(at, &org, lease, amount),
            Verb::HandBack {
                org,
                lease,
                start,
                end,
            } => {
                let command = Command::HandBack {
                    participant: self.names.participant(&org),
                    lease: lease_number(&lease),
                    start,
                    end,
                };
                self.apply(at, &command, Some(lease))
            }
            Verb::Default { lease } => {
                let command = Command::Default {
                    lease: lease_number(&lease),
                };
                self.apply(at, &command, Some(lease))
            }
            Verb::Rules { rules, from } => {
                let command = Command::SetRules { rules, from };
                self.apply(at, &command, None)
            }
            Verb::Halt { symbol, until } => {
                let instrument = self.names.instrument(&symbol);
                let command = Command::Halt { instrument, until };
                self.apply(at, &command, Some(symbol))
            }
            Verb::Related { orgs } => {
                let participants = orgs.iter().map(|org| self.names.participant(org));
                let participants = participants.collect();
                self.apply(at, &Command::Relate { participants }, None)
            }
            Verb::Ruling { dispute, award } => self.ruling(at, dispute, award),
            Verb::Balance { org } => self.balance(at, &org),
            Verb::Book { symbol, start, end } => self.book(at, symbol, start, end),
            Verb::Tick => self.apply(at, &Command::Tick, None),
            Verb::Later { id } => self.refuse(at, id, Rejection::NotSupported),
        }
    }

    /// Lets the market do a command. `id` is what a rejection of it names.
    fn apply(&mut self, at: Timestamp, command: &Command, id: Option<String>) -> io::Result<()> {
        for event in self.market.apply(at, command) {
            let id = id.as_deref();
            self.printer.event(&event, &self.market, &self.names, id)?;
        }
        Ok(())
    }

    /// Lets happen what is due, then rejects what the market itself can't be asked.
    fn refuse(&mut self, at: Timestamp, id: Option<String>, why: Rejection) -> io::Result<()> {
        self.apply(at, &Command::Tick, None)?;
        self.printer
            .print(Some(at), What::rejected(id.as_deref(), why))
    }

    fn order(&mut self, at: Timestamp, org: &str, order: &OrderLine) -> io::Result<()> {
        let participant = self.names.participant(org);
        let owner = self.owners.get(&order.id);
        let taken = owner.is_some_and(|owner| *owner != participant);
        if taken {
            return self.refuse(at, Some(order.id.clone()), Rejection::DuplicateId);
        }
        let placed = order.numbered(participant, &mut self.names);
        let client_id = placed.client_id.clone();
        self.apply(at, &Command::PlaceOrder(placed), Some(order.id.clone()))?;
        if self.market.order_of(participant, &client_id).is_some() {
            self.owners.insert(order.id.clone(), participant);
        }
        Ok(())
    }

    /// Changes an order for whoever the line names, else for the order's owner.
    fn change(
        &mut self,
        at: Timestamp,
        id: String,
        org: Option<String>,
        command: impl FnOnce(ParticipantId, ClientId) -> Command,
    ) -> io::Result<()> {
        let participant = match org {
            Some(org) => Some(self.names.participant(&org)),
            None => self.owners.get(&id).copied(),
        };
        match participant {
            Some(participant) => {
                let command = command(participant, ClientId(id.clone()));
                self.apply(at, &command, Some(id))
            }
            None => self.refuse(at, Some(id), Rejection::UnknownOrder),
        }
    }

    fn deliver(&mut self, at: Timestamp, line: HourLine) -> io::Result<()> {
        let command = Command::Deliver {
            lease: lease_number(&line.lease),
            hour: line.hour,
            delivered: line.delivered,
            excused: line.excused,
        };
        self.apply(at, &command, Some(line.lease))
    }

    fn correct(&mut self, at: Timestamp, line: HourLine) -> io::Result<()> {
        let command = Command::Correct {
            lease: lease_number(&line.lease),
            hour: line.hour,
            delivered: line.delivered,
            excused: line.excused,
        };
        self.apply(at, &command, Some(line.lease))
    }

    fn dispute(
        &mut self,
        at: Timestamp,
        org: &str,
        lease: String,
        amount: Money,
    ) -> io::Result<()> {
        let command = Command::OpenDispute {
            participant: self.names.participant(org),
            lease: lease_number(&lease),
            amount,
        };
        self.apply(at, &command, Some(lease))
    }

    fn ruling(&mut self, at: Timestamp, dispute: String, award: Money) -> io::Result<()> {
        let Ok(number) = dispute.parse() else {
            return self.refuse(at, Some(dispute), Rejection::UnknownDispute);
        };
        let command = Command::RuleDispute {
            dispute: number,
            award,
        };
        self.apply(at, &command, Some(dispute))
    }

    fn balance(&mut self, at: Timestamp, org: &str) -> io::Result<()> {
        self.apply(at, &Command::Tick, None)?;
        let participant = self.names.participant(org);
        let balance = What::balance(org, participant, self.market.ledger());
        self.printer.print(Some(at), balance)
    }

    fn book(
        &mut self,
        at: Timestamp,
        symbol: String,
        start: Timestamp,
        end: Timestamp,
    ) -> io::Result<()> {
        let instrument = self.names.instrument(&symbol);
        if self.market.instrument(instrument).is_none() {
            return self.refuse(at, Some(symbol), Rejection::UnknownSymbol);
        }
        let Some(period) = Period::try_new(start, end, at) else {
            return self.refuse(at, Some(symbol), Rejection::BadPeriod);
        };
        self.apply(at, &Command::Tick, None)?;
        let depth = self.market.depth(instrument, period);
        let book = What::book(&symbol, period, &depth);
        self.printer.print(Some(at), book)
    }
}
