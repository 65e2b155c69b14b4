//! The book beside a list that is looked through.

use proptest::prelude::*;

use super::offer::{Uneven, largest};
use super::*;
use crate::money::Money;
use crate::time::Hour;

#[derive(Clone, Debug)]
struct Listed {
    number: i64,
    is_bid: bool,
    price: i64,
    hours: Period,
    units: i64,
    min_hours: i64,
    weekly: Option<Weekly>,
    /// What an ask still offers, hours and units.
    offers: Vec<(Period, i64)>,
}

impl Listed {
    fn rank(&self) -> Rank {
        if self.is_bid {
            Rank::of_bid(Money(self.price), self.number)
        } else {
            Rank::of_ask(Money(self.price), self.number)
        }
    }

    fn enter(&self, book: &mut Book) {
        if self.is_bid {
            book.enter_bid(&self.bid());
        } else {
            book.enter_ask(&self.ask());
        }
    }

    fn leave(&self, book: &mut Book) {
        if self.is_bid {
            book.leave_bid(&self.bid());
        } else {
            book.leave_ask(&self.ask());
        }
    }

    fn ask(&self) -> RestingAsk<'_> {
        RestingAsk {
            order: OrderId(self.number),
            rank: self.rank(),
            weekly: self.weekly.as_ref(),
            access: self.access(),
            hours: self.hours,
            units: self.units,
            min_hours: self.min_hours,
        }
    }

    fn access(&self) -> Access {
        if self.units % 3 == 0 {
            Access::Prepared
        } else {
            Access::Instant
        }
    }

    /// Whether a bid begins late enough for what has to be prepared.
    fn takes_prepared(&self) -> bool {
        self.hours.start.0 % 2 == 0
    }

    fn bid(&self) -> RestingBid {
        RestingBid {
            order: OrderId(self.number),
            rank: self.rank(),
            pool: (self.min_hours == 3).then_some(PoolId(1)),
            hours: self.hours,
            need: self.units,
        }
    }

    fn serves(&self, bid: &Self) -> bool {
        let offered =
            |(hours, units): &(Period, i64)| hours.covers(bid.hours) && *units >= bid.units;
        self.offers.iter().any(offered)
            && bid.hours.hours() >= self.min_hours
            && self
                .weekly
                .as_ref()
                .is_none_or(|weekly| weekly.covers(bid.hours))
    }
}

fn nights() -> Weekly {
    let week: String = (0..168)
        .map(|hour| if hour % 24 < 9 { '1' } else { '0' })
        .collect();
    Weekly::try_from(week).unwrap()
}

/// An order; with a small range numbers coincide often, with a large one seldom.
fn listed(wide: i64) -> impl Strategy<Value = Listed> {
    let numbers = (
        1..4 * wide,
        0..20 * wide,
        1..8 * wide,
        1..3 * wide,
        1..4_i64,
    );
    (any::<bool>(), numbers, 0..6_u8).prop_map(|(is_bid, numbers, tariff)| {
        let (price, start, hours, units, min_hours) = numbers;
        let hours = Period {
            start: Hour(1_000 + start),
            end: Hour(1_000 + start + hours),
        };
        Listed {
            number: 0,
            is_bid,
            price,
            hours,
            units,
            min_hours,
            weekly: (tariff == 0 && !is_bid).then(nights),
            offers: vec![(hours, units)],
        }
    })
}

/// What a naive search finds, in order.
fn found_by_list(open: &[Listed], arriving: &Listed) -> Vec<i64> {
    let mut found: Vec<&Listed> = open
        .iter()
        .filter(|other| other.is_bid != arriving.is_bid)
        .filter(|other| match arriving.is_bid {
            true => {
                let is_ready = other.access() == Access::Instant || arriving.takes_prepared();
                is_ready && other.price <= arriving.price && other.serves(arriving)
            }
            // A bid that names a pool is not for this ask.
            false => {
                other.price >= arriving.price && other.min_hours != 3 && arriving.serves(other)
            }
        })
        .collect();
    found.sort_by_key(|other| other.rank());
    found.iter().map(|other| other.number).collect()
}

fn found_by_book(book: &Book, arriving: &Listed) -> Vec<i64> {
    let (hours, units) = (arriving.hours, arriving.units);
    let limit = Money(arriving.price);
    let search = if arriving.is_bid {
        let mut search = Search::of_asks(Terms::given_by_bid(hours, units), limit);
        book.search_asks(&mut search, hours, arriving.takes_prepared());
        search
    } else {
        let given = Terms::given_by_ask(hours, units, arriving.min_hours);
        let mut search = Search::of_bids(given, limit);
        book.search_bids(&mut search, None);
        let weekly = arriving.weekly.as_ref();
        let by_hour = hours.each().map(|hour| {
            let holds = weekly.is_none_or(|weekly| weekly.holds(hour.of_week()));
            (hour.alone(), if holds { units } else { 0 })
        });
        search.becomes_uneven(Uneven::new(&by_hour.collect::<Vec<_>>()));
        search
    };
    search.map(|hit| hit.order.0).collect()
}

fn play(orders: Vec<(Listed, u8, usize)>) -> Result<(), TestCaseError> {
    let mut book = Book::default();
    let mut open: Vec<Listed> = Vec::new();
    for (number, (mut order, what, at)) in (1..).zip(orders) {
        order.number = number;
        prop_assert_eq!(found_by_book(&book, &order), found_by_list(&open, &order));
        let at = at.checked_rem(open.len());
        match (what, at) {
            (0..2, Some(at)) => open.swap_remove(at).leave(&mut book),
            (2, Some(at)) if !open[at].is_bid => {
                // A hole in the middle and fewer units after it.
                let ask = &mut open[at];
                let middle = Hour((ask.hours.start.0 + ask.hours.end.0) >> 1);
                let hours = [ask.hours.start, middle, Hour(middle.0 + 1), ask.hours.end];
                let stretches = hours.windows(2).zip([ask.units, 0, ask.units >> 1]);
                let stretches: Vec<(Period, i64)> = stretches
                    .map(|(pair, units)| {
                        (
                            Period {
                                start: pair[0],
                                end: pair[1],
                            },
                            units,
                        )
                    })
                    .filter(|(hours, _)| hours.start < hours.end)
                    .collect();
                let offers = largest(&stretches, 1);
                book.narrow(&ask.ask(), offers.clone());
                ask.offers = offers;
            }
            (3, Some(at)) if !open[at].is_bid => {
                let ask = &mut open[at];
                book.widen(&ask.ask());
                ask.offers = vec![(ask.hours, ask.units)];
            }
            _ => {
                order.enter(&mut book);
                open.push(order);
            }
        }
    }
    for order in open {
        order.leave(&mut book);
    }
    prop_assert!(book.asks.is_empty() && book.bids.is_empty());
    prop_assert!(book.tariffs.is_empty() && book.pinned.is_empty() && book.narrowed.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_book_finds_what_a_list_finds_among_few_numbers(
        orders in proptest::collection::vec((listed(2), 0..9_u8, any::<usize>()), 1..400),
    ) {
        play(orders)?;
    }

    #[test]
    fn the_book_finds_what_a_list_finds_among_many_numbers(
        orders in proptest::collection::vec((listed(60), 0..9_u8, any::<usize>()), 1..900),
    ) {
        play(orders)?;
    }

    #[test]
    fn the_largest_offers_are_what_can_be_sold(
        units in proptest::collection::vec(0..5_i64, 1..12),
        asked in (0..12_usize, 1..12_usize, 1..5_i64),
    ) {
        let stretches: Vec<(Period, i64)> =
            (0..).zip(&units).map(|(hour, units)| (Hour(hour).alone(), *units)).collect();
        let (from, hours, wanted) = asked;
        let from = from.min(units.len() - 1);
        let to = (from + hours).min(units.len());
        let can = units[from..to].iter().all(|units| *units >= wanted);
        let bounds = |at: usize| Hour(i64::try_from(at).unwrap());
        let period = Period { start: bounds(from), end: bounds(to) };
        let offers = largest(&stretches, 1);
        let offered = offers.iter().any(|(hours, units)| hours.covers(period) && *units >= wanted);
        prop_assert_eq!(offered, can);
        prop_assert!(offers.len() <= stretches.len());
        let uneven = Uneven::new(&stretches);
        let least = units[from..to].iter().min().copied().unwrap();
        prop_assert_eq!(uneven.least(period.start, period.end), least);
    }
}
