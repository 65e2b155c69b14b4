//! A small market to try things on: one instrument, a provider with a pool and an ask, a buyer.

use market::{
    Access, ClientId, Command, Delivered, Hour, InstrumentId, LeaseId, ListInstrument, Money,
    OpenPool, ParticipantId, PlaceOrder, PoolId, Rules, Side, Target, TimeInForce, Timestamp,
};
use sluice::clock::MarketClock;
use sluice::sequencer::{self, Actor, Receipt, StartError, Started};

/// The provider.
pub(crate) const PROVIDER: ParticipantId = ParticipantId(1);
/// The buyer.
pub(crate) const BUYER: ParticipantId = ParticipantId(2);
/// The only instrument.
pub(crate) const INSTRUMENT: InstrumentId = InstrumentId(1);
/// 2026-10-25T00:00:00Z.
pub(crate) const OPENING: Hour = Hour(498_024);

/// A sequencer on this database, whose clock stands at the opening.
pub(crate) async fn start(url: &str, rules: Rules) -> (Started, MarketClock) {
    let (started, clock) = try_start(url, rules).await;
    (started.expect("the sequencer starts"), clock)
}

/// The same, where it may refuse to.
pub(crate) async fn try_start(
    url: &str,
    rules: Rules,
) -> (Result<Started, StartError>, MarketClock) {
    let clock = MarketClock::set_to(OPENING.begins());
    (start_at(url, rules, clock.clone()).await, clock)
}

/// A sequencer on this database with this clock; it may refuse to start.
pub(crate) async fn start_at(
    url: &str,
    rules: Rules,
    clock: MarketClock,
) -> Result<Started, StartError> {
    let options = sequencer::Options {
        database_url: url.to_owned(),
        rules,
        clock,
        queue: 1_000,
        batch: 100,
    };
    sequencer::start(options).await
}

/// Stops a sequencer and waits for its end.
pub(crate) fn stop(started: Started) {
    started.sequencer.stop();
    started.thread.join().expect("the sequencer ends");
}

/// Does a command as this program.
pub(crate) async fn submit(started: &Started, command: Command) -> Receipt {
    let submitted = started.sequencer.submit(Actor::System("journey"), command);
    submitted.await.expect("the command is committed")
}

/// The instrument, money for both, a pool of 64 units for 30 days with an ask for all at 10.00.
pub(crate) fn opening() -> Vec<Command> {
    vec![
        Command::ListInstrument(ListInstrument {
            instrument: INSTRUMENT,
            symbol: "A100-80GB.GUZ-GAN.SILVER".to_owned(),
            lot: 1,
            tick: Money(100),
        }),
        Command::Deposit {
            participant: PROVIDER,
            amount: Money(1_000_000_000),
        },
        Command::Deposit {
            participant: BUYER,
            amount: Money(1_000_000_000),
        },
        Command::OpenPool(OpenPool {
            pool: PoolId(1),
            participant: PROVIDER,
            instrument: INSTRUMENT,
            units: 64,
            start: hour(0),
            end: hour(720),
            access: Access::Instant,
        }),
        ask("ask", 64, 100_000),
    ]
}

/// The beginning of the hour so many after the opening.
pub(crate) fn hour(after: i64) -> Timestamp {
    Hour(OPENING.0 + after).begins()
}

/// The provider's ask on the pool, for all its hours, at so much a unit-hour.
pub(crate) fn ask(client_id: &str, units: i64, price: i64) -> Command {
    let side = Side::Sell {
        pool: PoolId(1),
        min_hours: 1,
        weekly: None,
    };
    order(PROVIDER, client_id, side, units, price, (0, 720))
}

/// The buyer's bid for these hours after the opening, at so much a unit-hour.
pub(crate) fn bid(client_id: &str, units: i64, price: i64, hours: (i64, i64)) -> Command {
    let target = Target::Instruments(vec![INSTRUMENT]);
    order(
        BUYER,
        client_id,
        Side::Buy {
            target,
            min_fill: None,
            flexible: None,
            buy_in: false,
        },
        units,
        price,
        hours,
    )
}

fn order(
    participant: ParticipantId,
    client_id: &str,
    side: Side,
    units: i64,
    price: i64,
    (from, to): (i64, i64),
) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant,
        client_id: ClientId(client_id.to_owned()),
        side,
        units,
        price: Money(price),
        start: hour(from),
        end: hour(to),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

/// What an hour of a lease got, in minutes for each unit.
pub(crate) fn deliver(lease: i64, after: i64, minutes: i64) -> Command {
    let delivered = Delivered::Minutes(minutes);
    Command::Deliver {
        lease: LeaseId(lease),
        hour: hour(after),
        delivered,
        excused: 0,
    }
}
