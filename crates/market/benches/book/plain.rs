//! The plain limit book: one instrument, one period, 100,000 resting, then 2,000,000 adds,
//! cancels and crosses, against the crate `matchcore` on the same stream with the same trades.

use matchcore::{
    CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder,
    NewOrder, OrderBook, OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy,
    SequenceNumber, Side, SubmitCmd, TimeInForce, Timestamp,
};

use crate::trader::{Trade, Trader};
use crate::{ROUNDS, Random, each, median, processor_time};

const RESTING: usize = 100_000;
const OPERATIONS: usize = 2_000_000;
const MIDDLE: i64 = 100_000;
const WIDTH: i64 = 1_000;

#[derive(Clone, Copy)]
enum Operation {
    Place {
        is_bid: bool,
        price: i64,
        units: i64,
    },
    /// The order that was placed as this one, from 1.
    Cancel(usize),
}

pub(crate) fn run() {
    let (stream, trades) = stream();
    let measured = &stream[RESTING..];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut trader = trader();
        for operation in &stream[..RESTING] {
            apply(&mut trader, *operation);
        }
        trader.trades.clear();
        let begun = processor_time();
        for operation in measured {
            apply(&mut trader, *operation);
        }
        ours.push(processor_time() - begun);
        assert!(
            trader.trades == trades,
            "our trades are those of the stream"
        );
        theirs.push(matchcore(&stream, &trades));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "plain book: {} operations, {} trades: ours {:.1} ns an operation, matchcore {:.1} ns; \
         {:.2} × as fast",
        measured.len(),
        trades.len(),
        each(ours, measured.len()),
        each(theirs, measured.len()),
        theirs.as_secs_f64() / ours.as_secs_f64(),
    );
}

fn trader() -> Trader {
    // Memory that is only a record is there before the clock starts, as `matchcore`'s is.
    Trader::with_room_for(RESTING + OPERATIONS)
}

fn apply(trader: &mut Trader, operation: Operation) {
    match operation {
        Operation::Place {
            is_bid: true,
            price,
            units,
        } => trader.place_bid(price, units),
        Operation::Place {
            is_bid: false,
            price,
            units,
        } => trader.place_ask(price, units),
        Operation::Cancel(number) => trader.cancel(number),
    }
}

/// Orders that fill the book, then the mix: half adds, a quarter cancels, a quarter crosses; and
/// the trades that it makes.
fn stream() -> (Vec<Operation>, Vec<Trade>) {
    let mut random = Random(7);
    let mut trader = trader();
    let mut stream = Vec::new();
    let mut resting: Vec<usize> = Vec::new();
    while stream.len() < RESTING + OPERATIONS {
        if stream.len() == RESTING {
            trader.trades.clear();
        }
        let turn = if stream.len() < RESTING {
            0
        } else {
            random.below(4)
        };
        let is_bid = random.below(2) == 0;
        // As many rest at the end as at the beginning.
        let is_full = stream.len() >= RESTING && trader.resting() > RESTING;
        let away = match turn {
            0 | 1 if !is_full => random.among(1, WIDTH),
            0..3 => {
                let at = random.below(resting.len() as i64) as usize;
                let number = resting.swap_remove(at);
                if trader.rests(number) {
                    let operation = Operation::Cancel(number);
                    stream.push(operation);
                    apply(&mut trader, operation);
                }
                continue;
            }
            _ => -WIDTH,
        };
        let operation = Operation::Place {
            is_bid,
            price: if is_bid { MIDDLE - away } else { MIDDLE + away },
            units: random.among(1, 20),
        };
        stream.push(operation);
        apply(&mut trader, operation);
        let number = trader.placed();
        if trader.rests(number) {
            resting.push(number);
        }
    }
    (stream, trader.trades)
}

/// The time that `matchcore` takes for the measured part.
fn matchcore(stream: &[Operation], trades: &[Trade]) -> std::time::Duration {
    let mut book: OrderBook = OrderBook::new("plain");
    // It numbers an order as the command that places it.
    let mut numbers = vec![0];
    let commands: Vec<Command> = (0..)
        .zip(stream)
        .map(|(number, operation)| Command {
            meta: CommandMeta {
                sequence_number: SequenceNumber(number),
                timestamp: Timestamp(number),
            },
            kind: command(*operation, number, &mut numbers),
        })
        .collect();
    let mut made = vec![(0, 0, 0); OPERATIONS];
    made.clear();
    let mut each_of = |command: &Command, made: &mut Vec<(u64, u64, u64)>| {
        if let CommandOutcome::Applied(CommandReport::Submit(effects)) = book.execute(command)
            && let Some(result) = effects.target_order().match_result()
        {
            made.extend(result.trades().iter().map(|trade| {
                let maker = trade.maker_order_id().0;
                (maker, trade.price().0, trade.quantity().0)
            }));
        }
    };
    for command in &commands[..RESTING] {
        each_of(command, &mut made);
    }
    made.clear();
    let begun = processor_time();
    for command in &commands[RESTING..] {
        each_of(command, &mut made);
    }
    let time = processor_time() - begun;
    let same = made.len() == trades.len()
        && made.iter().zip(trades).all(|(theirs, ours)| {
            let (price, units) = (ours.price as u64, ours.units as u64);
            *theirs == (numbers[ours.maker as usize], price, units)
        });
    assert!(same, "matchcore makes the same trades");
    time
}

fn command(operation: Operation, number: u64, numbers: &mut Vec<u64>) -> CommandKind {
    match operation {
        Operation::Place {
            is_bid,
            price,
            units,
        } => {
            numbers.push(number);
            let side = if is_bid { Side::Buy } else { Side::Sell };
            CommandKind::Submit(SubmitCmd {
                order: NewOrder::Limit(LimitOrder::new(
                    Price(price as u64),
                    QuantityPolicy::Standard {
                        quantity: Quantity(units as u64),
                    },
                    OrderFlags::new(side, false, TimeInForce::Gtc),
                )),
            })
        }
        Operation::Cancel(order) => CommandKind::Cancel(CancelCmd {
            order_id: OrderId(numbers[order]),
            order_kind: OrderKind::Limit,
        }),
    }
}
