//! Jobs become bids: which grade, how many units, where, for how much, and how a buyer behaves.

use std::collections::BTreeMap;

use market::catalogue::Grade;
use market::{Hour, InstrumentId, Money, ParticipantId, Timestamp, YUAN};

use super::dice::{Dice, Draw};
use super::fleet::{Fleet, by_grade};
use super::tables::{HOUR_SECONDS, Job, Node};
use super::tariff::{TICK, Tariff};

/// 2026-01-01T00:00:00Z: second 0 of a trace.
pub const ORIGIN: Hour = Hour(490_896);

/// Buyers in the replay.
pub const BUYERS: usize = 200;

/// What work that is tied to a region bids, in basis points of its grade's reference.
const TIED_LIMIT: (i64, i64) = (10_200, 15_000);

/// What work that can go anywhere bids.
const FREE_LIMIT: (i64, i64) = (7_600, 12_000);

/// What tied work accepts, and what the other does.
const TIED_LEVELS: [&str; 2] = ["SILVER", "GOLD"];
const FREE_LEVELS: [&str; 3] = ["BRONZE", "SILVER", "GOLD"];

/// By how much an impatient buyer raises a limit, in basis points of it.
const RAISED_BPS: i64 = 11_000;

/// The instant so many seconds after a trace's start.
pub fn at_second(seconds: i64) -> Timestamp {
    Timestamp(ORIGIN.begins().0 + seconds * 1_000_000)
}

/// The hour so many hours after a trace's start.
pub fn at_hour(hours: i64) -> Hour {
    Hour(ORIGIN.0 + hours)
}

/// How a bid stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Until its start.
    Rests,
    /// Until this second of the trace.
    Until(i64),
    /// It trades at once what it can.
    AtOnce,
    /// All at once or nothing.
    Whole,
}

/// A bid to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// Which job it is, in order of creation.
    pub job: usize,
    /// The buyer.
    pub participant: ParticipantId,
    /// When it is placed, in seconds of the trace.
    pub at: i64,
    /// The grade.
    pub grade: &'static str,
    /// What it can be filled from.
    pub instruments: Vec<InstrumentId>,
    /// How many units.
    pub units: i64,
    /// No fill is smaller.
    pub min_fill: Option<i64>,
    /// The limit.
    pub price: Money,
    /// Its first hour and the hour after its last, from the trace's start.
    pub hours: (i64, i64),
    /// How long it stands.
    pub stands: Stands,
    /// When it is cancelled if it still rests, in seconds.
    pub cancel: Option<i64>,
    /// When its limit is raised if it still rests, in seconds, and to what.
    pub raise: Option<(i64, Money)>,
}

impl Bid {
    /// The most that it may ever hold.
    pub fn need(&self) -> i128 {
        let limit = self.raise.map_or(self.price, |(_, price)| price);
        limit.times(self.units, self.hours.1 - self.hours.0)
    }
}

/// A job and the grade that it takes.
#[derive(Clone, Debug)]
pub struct Graded<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its place in the order of creation.
    pub at: usize,
    /// Its grade.
    pub grade: &'static Grade,
    /// Its cards, rounded up to the grade's lot.
    pub units: i64,
}

/// What was rounded, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rounded {
    /// Jobs for which a part of a card would have done.
    pub parts_of_a_card: i64,
    /// Jobs that ask for fewer cards than whole lots.
    pub up_to_a_lot: i64,
    /// Cards more than were asked for, to whole lots.
    pub cards_added: i64,
}

/// Gives each job a grade of the fleet; a job that wants more cards than the fleet has of its
/// grade is counted in `too_large` and left out.
pub fn grade<'a>(jobs: &'a [Job], nodes: &[Node], seed: u64) -> (Vec<Graded<'a>>, Rounded, i64) {
    let fleet = Mix::of(nodes);
    let mut rounded = Rounded::default();
    let (mut graded, mut too_large) = (Vec::new(), 0);
    for (at, job) in jobs.iter().enumerate() {
        let Some((grade, cards)) = fleet.draw(job, &mut Dice::of(seed, Draw::Grade, at)) else {
            too_large += 1;
            continue;
        };
        let units = (job.cards + grade.lot - 1).div_euclid(grade.lot) * grade.lot;
        if units > cards {
            too_large += 1;
            continue;
        }
        rounded.parts_of_a_card += i64::from(job.part);
        rounded.up_to_a_lot += i64::from(units > job.cards);
        rounded.cards_added += units - job.cards;
        graded.push(Graded {
            job,
            at,
            grade,
            units,
        });
    }
    (graded, rounded, too_large)
}

/// The most units that jobs of each grade want in any one hour.
pub fn peaks(work: &[Graded<'_>]) -> BTreeMap<&'static str, i64> {
    let mut changes: BTreeMap<&'static str, BTreeMap<i64, i64>> = BTreeMap::new();
    for wanted in work {
        let changes = changes.entry(wanted.grade.name).or_default();
        *changes.entry(wanted.job.start()).or_default() += wanted.units;
        *changes.entry(wanted.job.end()).or_default() -= wanted.units;
    }
    let peak = |changes: &BTreeMap<i64, i64>| {
        let running = changes.values().scan(0, |units, change| {
            *units += change;
            Some(*units)
        });
        running.max().unwrap_or(0)
    };
    changes
        .iter()
        .map(|(grade, changes)| (*grade, peak(changes)))
        .collect()
}

/// The bid that each job becomes.
pub fn bids(
    work: &[Graded<'_>],
    fleet: &Fleet,
    tariffs: &BTreeMap<&'static str, Tariff>,
    seed: u64,
) -> Vec<Bid> {
    let mut books: BTreeMap<(&str, bool), Books> = BTreeMap::new();
    for wanted in work {
        for tied in [true, false] {
            books
                .entry((wanted.grade.name, tied))
                .or_insert_with(|| Books::of(fleet, wanted.grade.name, tied));
        }
    }
    let mut bids = Vec::with_capacity(work.len());
    for wanted in work {
        let tied = wanted.job.class.is_tied();
        let Books { listed, pressures } = &books[&(wanted.grade.name, tied)];
        let mut dice = Dice::of(seed, Draw::Bid, wanted.at);
        let instruments = if tied {
            let home = dice.weighted(pressures).map_or(0, |place| listed[place]);
            same_region(fleet, listed, home)
        } else {
            listed
                .iter()
                .map(|at| fleet.instruments[*at].instrument)
                .collect()
        };
        bids.push(bid(
            wanted,
            instruments,
            &tariffs[wanted.grade.name],
            &mut dice,
        ));
    }
    bids
}

/// The instruments that suit work of a grade, and how hard tied work presses on each.
struct Books {
    listed: Vec<usize>,
    pressures: Vec<i64>,
}

impl Books {
    fn of(fleet: &Fleet, grade: &str, tied: bool) -> Self {
        let levels = if tied {
            &TIED_LEVELS[..]
        } else {
            &FREE_LEVELS[..]
        };
        let listed = fleet.instruments_of(grade, levels);
        let pressures = listed.iter().map(|at| fleet.pressure(*at)).collect();
        Self { listed, pressures }
    }
}

fn same_region(fleet: &Fleet, listed: &[usize], home: usize) -> Vec<InstrumentId> {
    let region = fleet.instruments[home].region.code;
    let listed = listed.iter().map(|at| &fleet.instruments[*at]);
    listed
        .filter(|listed| listed.region.code == region)
        .map(|listed| listed.instrument)
        .collect()
}

fn bid(
    wanted: &Graded<'_>,
    instruments: Vec<InstrumentId>,
    tariff: &Tariff,
    dice: &mut Dice,
) -> Bid {
    let job = wanted.job;
    let tied = job.class.is_tied();
    let (low, high) = if tied { TIED_LIMIT } else { FREE_LIMIT };
    let price = tariff.of_reference(&[dice.between(low, high)]);
    let buyer = dice.between(0, i64::try_from(BUYERS).expect("two hundred") - 1);
    let start = job.start() * HOUR_SECONDS;
    // Whole minutes fit between the order and its start only if there is room for one.
    let room = start - job.created > 60;
    let later = |dice: &mut Dice| dice.between(job.created + 1, start - 1);
    let stands = match (tied, dice.between(1, 40)) {
        (false, 1..=5) => Stands::AtOnce,
        (true, 1..=4) => Stands::Whole,
        (_, 40) if room => Stands::Until(job.created + (start - job.created) / 2),
        _ => Stands::Rests,
    };
    let rests = room && stands == Stands::Rests;
    let cancel = (rests && dice.one_in(12)).then(|| later(dice));
    let raise = (rests && tied && dice.one_in(5)).then(|| {
        let fen = price.0 * RAISED_BPS / YUAN / TICK.0;
        (later(dice), Money(fen * TICK.0))
    });
    Bid {
        job: wanted.at,
        participant: ParticipantId(FIRST_BUYER + buyer),
        at: job.created,
        grade: wanted.grade.name,
        instruments,
        units: wanted.units,
        min_fill: (job.cards > 1).then_some(wanted.units),
        price,
        hours: (job.start(), job.end()),
        stands,
        cancel,
        raise: raise.filter(|(at, _)| cancel.is_none_or(|cancel| *at < cancel)),
    }
}

/// The number of the first buyer; providers come before.
pub const FIRST_BUYER: i64 = 101;

/// How the fleet's nodes and cards divide into grades.
struct Mix {
    grades: Vec<&'static Grade>,
    nodes: Vec<i64>,
    cards: Vec<i64>,
}

impl Mix {
    fn of(nodes: &[Node]) -> Self {
        let hosts = by_grade(nodes);
        let named = hosts.keys().filter_map(|name| Grade::of(name));
        Self {
            grades: named.collect(),
            nodes: hosts
                .values()
                .map(|hosts| hosts.iter().map(|_| 1).sum())
                .collect(),
            cards: hosts.values().map(|hosts| hosts.iter().sum()).collect(),
        }
    }

    /// A grade for a job, and how many cards the fleet has of it (see the rules of the replay).
    fn draw(&self, job: &Job, dice: &mut Dice) -> Option<(&'static Grade, i64)> {
        let by_host = |grade: &Grade| grade.lot > 1;
        let named = |grade: &Grade| job.grades.iter().any(|named| named.name == grade.name);
        let weigh = |weights: &[i64], fits: &dyn Fn(&Grade) -> bool| -> Vec<i64> {
            let pairs = self.grades.iter().zip(weights);
            pairs
                .map(|(grade, weight)| if fits(grade) { *weight } else { 0 })
                .collect()
        };
        let first_choice = if self.grades.iter().any(|grade| named(grade)) {
            weigh(&self.nodes, &named)
        } else if job.part {
            weigh(&self.nodes, &|grade| !by_host(grade))
        } else if job.cards > 1 {
            weigh(&self.cards, &by_host)
        } else {
            self.nodes.clone()
        };
        let place = dice
            .weighted(&first_choice)
            .or_else(|| dice.weighted(&self.nodes))?;
        Some((self.grades[place], self.cards[place]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::decimal::Decimal;
    use super::super::tables::Class;
    use super::*;

    fn job(created: i64, hours: i64, cards: i64, part: bool) -> Job {
        Job {
            created,
            hours,
            cards,
            part,
            class: Class::BestEffort,
            grades: Vec::new(),
        }
    }

    fn nodes() -> Vec<Node> {
        let of = |grade, cards, hosts| {
            let grade = Grade::of(grade).unwrap();
            vec![Node { grade, cards }; hosts]
        };
        [of("A10", 1, 80), of("H800", 8, 20)].concat()
    }

    #[test]
    fn second_zero_is_new_year() {
        // 2026-01-01T00:00:00Z.
        assert_eq!(at_second(0), Timestamp(1_767_225_600_000_000));
    }

    #[test]
    fn parts_of_a_card_take_shared_hosts_and_several_cards_take_a_whole_one() {
        let parts = vec![job(0, 1, 1, true); 200];
        let (work, rounded, _) = grade(&parts, &nodes(), 1);
        assert!(work.iter().all(|wanted| wanted.grade.name == "A10"));
        assert_eq!((rounded.parts_of_a_card, rounded.up_to_a_lot), (200, 0));

        let several = vec![job(0, 1, 2, false); 200];
        let (work, rounded, _) = grade(&several, &nodes(), 1);
        assert!(work.iter().all(|w| w.grade.name == "H800" && w.units == 8));
        assert_eq!((rounded.up_to_a_lot, rounded.cards_added), (200, 1_200));

        // One card: as the nodes, four to one.
        let single = vec![job(0, 1, 1, false); 1_000];
        let (work, ..) = grade(&single, &nodes(), 1);
        let small = work.iter().filter(|w| w.grade.name == "A10").count();
        assert!((740..860).contains(&small), "{small}");
    }

    #[test]
    fn a_job_takes_the_grade_that_it_names_and_none_larger_than_the_fleet() {
        let named = Job {
            grades: vec![Grade::of("T4").unwrap(), Grade::of("H800").unwrap()],
            ..job(0, 1, 1, true)
        };
        let jobs = [named, job(0, 1, 500, false)];
        let (work, _, too_large) = grade(&jobs, &nodes(), 1);
        assert_eq!((work.len(), too_large), (1, 1));
        assert_eq!(work[0].grade.name, "H800");
    }

    #[test]
    fn peak_demand_counts_what_overlaps() {
        let jobs = [
            job(0, 3, 1, true),
            job(3_600, 1, 1, true),
            job(7_200, 1, 1, true),
        ];
        let (work, ..) = grade(&jobs, &nodes(), 1);
        assert_eq!(peaks(&work)["A10"], 2);
    }

    #[test]
    fn tied_work_stays_in_a_region_and_free_work_may_go_anywhere() {
        let mut jobs = vec![job(10, 1, 1, true); 400];
        for tied in &mut jobs[..200] {
            tied.class = Class::Sensitive;
        }
        let (work, ..) = grade(&jobs, &nodes(), 1);
        let fleet = Fleet::list(&nodes(), &peaks(&work), Decimal(7_000), 1);
        let tariff = Tariff {
            price_model: "A10".to_owned(),
            factor: Decimal(10_000),
            derived: false,
            days: vec![Decimal(10_000)],
            usd_cny: Decimal(71_000),
        };
        let tariffs = BTreeMap::from([("A10", tariff)]);
        let bids = bids(&work, &fleet, &tariffs, 1);
        let region = |id: &InstrumentId| {
            fleet
                .instruments
                .iter()
                .find(|l| l.instrument == *id)
                .unwrap()
                .region
                .code
        };
        for bid in &bids[..200] {
            let home = region(&bid.instruments[0]);
            assert!(bid.instruments.iter().all(|id| region(id) == home));
            assert!(bid.price >= Money(72_400), "102 % of 7.10 yuan, to the fen");
        }
        let all = fleet.instruments_of("A10", &FREE_LEVELS).len();
        assert!(bids[200..].iter().all(|bid| bid.instruments.len() == all));
        let homes = |bids: &[Bid]| -> std::collections::BTreeSet<_> {
            bids.iter().map(|bid| region(&bid.instruments[0])).collect()
        };
        assert!(homes(&bids[..200]).len() > 3, "different regions");
    }
}
