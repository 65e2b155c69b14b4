//! Bodies of `POST /api/v1/orders`: each order is read or refused, and a market takes what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use market::{
    Access, Command, InstrumentId, ListInstrument, Market, Money, OpenPool, ParticipantId, PoolId,
};
use sluice::protocol::{Fields, Known, OrderLine};

const WHO: ParticipantId = ParticipantId(1);

fuzz_target!(|body: &str| {
    let mut market = small();
    let one = Fields::read(body).map(|one| vec![one]);
    for mut fields in one.or_else(|_| Fields::read_list(body)).unwrap_or_default() {
        let Ok(line) = OrderLine::read(&mut fields) else { continue };
        let placed = line.numbered(WHO, &mut Known(&market));
        let _ = market.quote(&placed);
        market.apply(market.now(), &Command::PlaceOrder(placed));
    }
});

/// One instrument with a pool, and money to buy from it.
fn small() -> Market {
    let mut market = Market::new(sluice::rules::load(None).expect("the standard rules are good"));
    let instant = |text| sluice::protocol::instant::read(text).expect("an instant");
    let at = instant("2026-11-02T00:00:00Z");
    for command in [
        Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(1),
            symbol: "A100-80GB.GUZ-GAN.SILVER".to_owned(),
            lot: 1,
            tick: Money(100),
        }),
        Command::Deposit { participant: WHO, amount: Money(10_000_000) },
        Command::OpenPool(OpenPool {
            pool: PoolId(1),
            participant: WHO,
            instrument: InstrumentId(1),
            units: 8,
            start: at,
            end: instant("2026-12-02T00:00:00Z"),
            access: Access::Instant,
        }),
    ] {
        market.apply(at, &command);
    }
    market
}
