//! Quantities at the edge of what can be counted: refused or reckoned exactly, never wrapped.

use market::{
    Access, Account, AccountKind, ClientId, Command, Delivered, Event, EventKind, Fees, Hour,
    InstrumentId, LeaseId, ListInstrument, Market, Money, OpenPool, ParticipantId, PlaceOrder,
    PoolId, Rejection, Rules, Side, Target, TimeInForce, Timestamp,
};

const PROVIDER: ParticipantId = ParticipantId(1);
const BUYER: ParticipantId = ParticipantId(2);

/// 900 billion yuan, the largest amount that can be read.
const MOST_READ: Money = Money(9_000_000_000_000_000);

fn last(events: &[Event]) -> &EventKind {
    &events.last().expect("the command did something").kind
}

fn order(participant: ParticipantId, side: Side, units: i64) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant,
        client_id: ClientId(format!("order of {participant}")),
        side,
        units,
        price: Money(1),
        start: Hour(1).begins(),
        end: Hour(2).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

/// A market in which the buyer has all the money that there can be.
fn with_all_money(rules: Rules) -> Market {
    let mut market = Market::new(rules);
    let start = Timestamp(0);
    let deposit = |amount| Command::Deposit {
        participant: BUYER,
        amount,
    };
    for _ in 0..16 {
        market.apply(start, &deposit(MOST_READ));
    }
    let refused = market.apply(start, &deposit(MOST_READ));
    assert_eq!(*last(&refused), EventKind::Rejected(Rejection::BadAmount));
    market.apply(start, &deposit(Money(6_000_000_000_000_000)));
    let refused = market.apply(start, &deposit(Money(1)));
    assert_eq!(*last(&refused), EventKind::Rejected(Rejection::BadAmount));

    let instrument = InstrumentId(1);
    let listed = ListInstrument {
        instrument,
        symbol: "X.Y.Z".to_owned(),
        lot: 1,
        tick: Money(1),
    };
    market.apply(start, &Command::ListInstrument(listed));
    let pool = OpenPool {
        pool: PoolId(1),
        participant: PROVIDER,
        instrument,
        units: i64::MAX,
        start: Hour(1).begins(),
        end: Hour(2).begins(),
        access: Access::Instant,
    };
    market.apply(start, &Command::OpenPool(pool));
    let sell = Side::Sell {
        pool: PoolId(1),
        min_hours: 1,
        weekly: None,
    };
    market.apply(start, &order(PROVIDER, sell, i64::MAX));
    market
}

fn buy() -> Side {
    Side::Buy {
        target: Target::Instruments(vec![InstrumentId(1)]),
        min_fill: None,
        flexible: None,
        buy_in: false,
    }
}

fn deliver(market: &mut Market, minutes: i64) -> (Money, Money, Money) {
    let command = Command::Deliver {
        lease: LeaseId(1),
        hour: Hour(1).begins(),
        delivered: Delivered::Minutes(minutes),
        excused: 0,
    };
    let events = market.apply(Hour(2).begins(), &command);
    for event in events {
        if let EventKind::Settled(settled) = event.kind {
            return (settled.paid, settled.refunded, settled.fee);
        }
    }
    panic!("the hour settles");
}

#[test]
fn all_the_money_buys_as_many_units_and_settles() {
    let units = 150_000_000_000_000_000;
    let mut market = with_all_money(Rules::none());
    let one_too_many = market.apply(Timestamp(0), &order(BUYER, buy(), units + 1));
    let short = Rejection::InsufficientFunds { missing: 1 };
    assert_eq!(*last(&one_too_many), EventKind::Rejected(short));
    market.apply(Timestamp(0), &order(BUYER, buy(), units));
    let third = Money(50_000_000_000_000_000);
    assert_eq!(deliver(&mut market, 20), (third, third + third, Money(0)));
    let cash = |participant| {
        let account = Account::of(participant, AccountKind::Cash);
        market.ledger().balance(account)
    };
    assert_eq!((cash(PROVIDER), cash(BUYER)), (third, third + third));
}

#[test]
fn an_absurd_flat_fee_takes_all_that_was_earned_and_no_more() {
    let rules = Rules {
        version: 1,
        seller_fee: Fees {
            flat: MOST_READ,
            maker_bps: 10_000,
            taker_bps: 10_000,
        },
        ..Rules::none()
    };
    let mut market = with_all_money(rules.checked().expect("the rules hold"));
    market.apply(Timestamp(0), &order(BUYER, buy(), 150_000_000_000_000_000));
    let whole = Money(150_000_000_000_000_000);
    assert_eq!(deliver(&mut market, 60), (Money(0), Money(0), whole));
}

#[test]
fn a_correction_that_can_not_be_paid_is_cut_to_the_last_minute_of_all_there_are() {
    let rules = Rules {
        version: 1,
        reading_deadline_hours: Some(24),
        ..Rules::none()
    };
    let units = 150_000_000_000_000_000;
    let mut market = with_all_money(rules.checked().expect("the rules hold"));
    market.apply(Timestamp(0), &order(BUYER, buy(), units));
    deliver(&mut market, 60);
    // Of what was earned all but 1,234.5678 yuan is on hold for a bid of the provider's.
    let elsewhere = PlaceOrder {
        participant: PROVIDER,
        client_id: ClientId("a bid".to_owned()),
        side: buy(),
        units: units - 12_345_678,
        price: Money(1),
        start: Hour(3).begins(),
        end: Hour(4).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    };
    market.apply(Hour(2).begins(), &Command::PlaceOrder(elsewhere));
    let command = Command::Correct {
        lease: LeaseId(1),
        hour: Hour(1).begins(),
        delivered: Delivered::Minutes(0),
        excused: 0,
    };
    let events = market.apply(Hour(2).begins(), &command);
    let corrected = events.iter().find_map(|event| {
        if let EventKind::Corrected(corrected) = &event.kind {
            Some(corrected)
        } else {
            None
        }
    });
    let corrected = corrected.expect("some of it can be paid");
    // A unit-hour is 1/10,000 yuan.
    assert_eq!(corrected.unit_minutes, (units - 12_345_678) * 60);
    assert_eq!(corrected.refunded, Money(12_345_678));
}
