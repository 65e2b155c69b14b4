//! Whatever order readings come in, how often, and which of them are lost: what they come to is
//! worked out from the set of those that came. The expected figures are worked out here from what
//! really ran, by code that shares nothing with the tally.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use reading::{
    Added, BadRow, Digest, Gap, Hour, Minute, Reading, Run, SealedHour, Tally, unit_minutes,
};

const AGENT: u64 = 7;
const LEASE: u64 = 12;
/// 2026-11-26T14:00:00Z.
const FIRST: u32 = 29_928_360;

/// What an honest agent says of these minutes (how many were skipped before, units).
fn chain(minutes: &[(u32, u32)]) -> Vec<Reading> {
    let mut before = Digest::beginning(AGENT, LEASE);
    let mut minute = FIRST;
    let each = minutes
        .iter()
        .zip(1..)
        .map(|(&(skipped, units), sequence)| {
            minute += skipped;
            let reading = Reading {
                agent: AGENT,
                lease: LEASE,
                sequence,
                minute: Minute(minute),
                units,
                before,
            };
            before = reading.hash();
            minute += 1;
            reading
        });
    each.collect()
}

/// Of so many readings those that come, in the order in which they come.
fn arriving<'a>(all: &'a [Reading], picks: &[Index]) -> Vec<&'a Reading> {
    picks.iter().map(|pick| pick.get(all)).collect()
}

fn tally<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> Tally {
    let mut tally = Tally::new(AGENT, LEASE);
    for reading in readings {
        tally.add(reading).expect("it is of this chain");
    }
    tally
}

fn minutes() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let skipped = prop_oneof![8 => Just(0_u32), 1 => 1_u32..90];
    let units = prop_oneof![4 => Just(8_u32), 1 => 0_u32..8];
    prop::collection::vec((skipped, units), 1..150)
}

fn picks(most: usize) -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..most)
}

/// What really ran in the hours of what came: minute by minute.
fn ran(came: &[&Reading]) -> BTreeMap<Hour, BTreeMap<u32, u32>> {
    let mut hours: BTreeMap<Hour, BTreeMap<u32, u32>> = BTreeMap::new();
    for reading in came {
        let minute = reading.minute;
        let hour = hours.entry(Hour(minute.0.div_euclid(60))).or_default();
        hour.insert(minute.0 % 60, reading.units);
    }
    hours
}

proptest! {
    #[test]
    fn what_came_of_an_honest_chain_is_what_ran(minutes in minutes(), picks in picks(300)) {
        let all = chain(&minutes);
        let came = arriving(&all, &picks);
        let mut tally = tally(came.iter().copied());
        let expected = ran(&came);
        prop_assert_eq!(tally.first_break(), None);
        for (&hour, minutes) in &expected {
            let sum: u32 = minutes.values().sum();
            prop_assert_eq!(tally.unit_minutes(hour), u64::from(sum));
            let most_4: u32 = minutes.values().map(|&units| units.min(4)).sum();
            prop_assert_eq!(unit_minutes([&tally], hour, 4), u64::from(most_4));
        }

        let numbers: BTreeSet<u64> = came.iter().map(|one| one.sequence).collect();
        let highest = numbers.last().copied().unwrap_or(0);
        let lost: BTreeSet<u64> = (1..highest).filter(|one| !numbers.contains(one)).collect();
        let said = tally.missing();
        prop_assert!(said.windows(2).all(|two| two[0].last + 1 < two[1].first));
        let said: BTreeSet<u64> = said.iter().flat_map(|gap| gap.first..=gap.last).collect();
        prop_assert_eq!(said, lost);

        for (hour, minutes) in expected {
            let row = tally.seal(hour).expect("hours are sealed in order");
            let of_run = |run: &Run| {
                let run = *run;
                (run.first..run.first + run.minutes).map(move |at| (u32::from(at), run.units))
            };
            let kept: BTreeMap<u32, u32> = row.runs.iter().flat_map(of_run).collect();
            prop_assert_eq!(&kept, &minutes);
            prop_assert_eq!(row.unit_minutes(), u64::from(minutes.values().sum::<u32>()));
            prop_assert!(row.runs.len() <= minutes.len());
            let bytes = row.to_bytes();
            prop_assert_eq!(SealedHour::from_bytes(AGENT, LEASE, hour, &bytes), Ok(row));
        }
        prop_assert_eq!(tally.missing(), vec![]);
    }

    /// Also of a chain that was forged: two readings of one number, broken links, minutes that go
    /// back. The order that things come in changes nothing, nor how often they do.
    #[test]
    fn any_order_and_any_repetition_of_anything_signed_gives_the_same(
        minutes in minutes(),
        forged in prop::collection::vec((any::<Index>(), 0_u32..300, 0_u32..9, any::<bool>()), 0..6),
        first in picks(200),
        again in picks(200),
        later in picks(200),
        order in any::<[u8; 32]>(),
    ) {
        let mut all = chain(&minutes);
        for (index, minute, units, link) in forged {
            let mut one = index.get(&all).clone();
            one.minute = Minute(FIRST + minute);
            one.units = units;
            if link {
                one.before = Digest::of(b"another story");
            }
            all.push(one);
        }
        let came = arriving(&all, &first);
        let one = tally(came.iter().copied());
        let mut shuffled: Vec<&Reading> = came.clone();
        if !came.is_empty() {
            shuffled.extend(again.iter().map(|pick| *pick.get(&came)));
        }
        shuffled.sort_by_key(|reading| Digest::of(&[&order[..], &reading.bytes()].concat()));
        let other = tally(shuffled);
        prop_assert_eq!(&one, &other);

        // Sealed where it stands, both go on alike, and so does one that was read back.
        let (mut one, mut other) = (one, other);
        let hour = Minute(FIRST).hour();
        let row = one.seal(hour).expect("the first hour");
        prop_assert_eq!(Some(row.clone()), other.seal(hour));
        let mut back = Tally::after(&row);
        for reading in came.iter().copied().chain(arriving(&all, &later)) {
            one.add(reading).expect("of this chain");
            back.add(reading).expect("of this chain");
        }
        for reading in arriving(&all, &later).into_iter().rev() {
            other.add(reading).expect("of this chain");
        }
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.first_break(), back.first_break());
        for hour in hour.0..hour.0 + 6 {
            prop_assert_eq!(one.seal(Hour(hour)), back.seal(Hour(hour)));
        }
    }

    /// From the first break on nothing counts, whatever came and comes.
    #[test]
    fn nothing_counts_from_a_break_on(
        minutes in minutes(),
        at in any::<Index>(),
        kind in 0..3,
    ) {
        let all = chain(&minutes);
        let at = at.index(all.len());
        let mut forged = all[at].clone();
        match kind {
            0 => forged.units += 1,
            1 => forged.before = Digest::of(b"another story"),
            // A minute that a lower number spoke of.
            _ => forged.minute = Minute(FIRST - 1 + u32::try_from(at).expect("few")),
        }
        let with_both = all.iter().chain([&forged]);
        let tally_of_both = tally(with_both);
        let number = forged.sequence;
        prop_assert_eq!(tally_of_both.first_break(), Some(number));
        for hour in 0..300 {
            let hour = Hour(FIRST.div_euclid(60) + hour);
            let sound = all.iter().filter(|one| one.sequence < number && one.minute.hour() == hour);
            let sum: u64 = sound.map(|one| u64::from(one.units)).sum();
            prop_assert_eq!(tally_of_both.unit_minutes(hour), sum);
        }
        // In place of the true one it is found by its link or its minute, or by the next one's.
        let mut replaced = all.clone();
        replaced[at] = forged.clone();
        let expected = match (kind, all.len() - at) {
            (0, 1) => None,
            (0, _) => Some(number + 1),
            (1, _) => Some(number),
            _ if at > 0 => Some(number),
            (_, 1) => None,
            _ => Some(number + 1),
        };
        prop_assert_eq!(tally(&replaced).first_break(), expected);
    }

    #[test]
    fn bytes_that_are_no_row_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let hour = Hour(1);
        if let Ok(row) = SealedHour::from_bytes(AGENT, LEASE, hour, &bytes) {
            prop_assert_eq!(row.to_bytes(), bytes);
        }
    }
}

#[test]
fn what_a_reading_was_is_said() {
    let all = chain(&[(0, 8); 61]);
    let mut tally = Tally::new(AGENT, LEASE);
    assert_eq!(tally.add(&all[1]), Ok(Added::New));
    assert_eq!(tally.missing(), [Gap { first: 1, last: 1 }]);
    assert_eq!(tally.add(&all[1]), Ok(Added::Again));
    let mut another = all[1].clone();
    another.units = 7;
    assert_eq!(tally.add(&another), Ok(Added::Another));
    tally.seal(Minute(FIRST).hour()).expect("it is open");
    assert_eq!(tally.seal(Minute(FIRST).hour()), None);
    assert_eq!(tally.add(&all[0]), Ok(Added::TooLate));
    assert_eq!(tally.add(&all[60]), Ok(Added::Broken));
    assert_eq!(
        tally.first_break(),
        Some(2),
        "sealed as broken it stays broken"
    );
    let mut of_other = all[0].clone();
    of_other.agent = 8;
    assert!(tally.add(&of_other).is_err());
}

/// Two agents that together say more than the lease has are paid for what it has.
#[test]
fn a_minute_never_comes_once_nothing_can_come_between() {
    use reading::Told::{Never, NotYet, Units};
    // Minute 1 was never seen: the numbers around it follow each other.
    let all = chain(&[(0, 8), (1, 0), (0, 8)]);
    let hour = Minute(FIRST).hour();
    let told = |of: &[&Reading]| {
        let told = tally(of.iter().copied()).told(hour);
        assert_eq!(told.len(), 60);
        assert!(told[5..].iter().all(|one| *one == NotYet));
        [told[0], told[1], told[2], told[3], told[4]]
    };
    let none = NotYet;
    assert_eq!(told(&[]), [none; 5]);
    assert_eq!(told(&[&all[0]]), [Units(8), none, none, none, none]);
    // The second is still on its way: it may be about minute 1.
    assert_eq!(
        told(&[&all[0], &all[2]]),
        [Units(8), none, none, Units(8), none]
    );
    assert_eq!(
        told(&[&all[1], &all[0]]),
        [Units(8), Never, Units(0), none, none]
    );
    assert_eq!(told(&[&all[1]]), [none, none, Units(0), none, none]);
    // The next hour: from the first number on it is told that nothing was before.
    let late = chain(&[(62, 8)]);
    let next = tally(&late).told(Hour(hour.0 + 1));
    assert_eq!(next[..4], [Never, Never, Units(8), NotYet]);
    assert_eq!(tally(&late).told(hour), [Never; 60]);
    // What comes after a break counts for nothing.
    let mut other = all[2].clone();
    other.units = 7;
    let broken = tally(all.iter().chain([&other])).told(hour);
    assert_eq!(broken[..3], [Units(8), Never, Units(0)]);
    assert!(broken[3..].iter().all(|one| *one == Never));
}

#[test]
fn several_agents_of_one_lease_come_to_no_more_than_it_has() {
    let hour = Minute(FIRST).hour();
    let own = tally(&chain(&[(0, 8); 60]));
    let mut before = Digest::beginning(8, LEASE);
    let mut of_second = Tally::new(8, LEASE);
    for sequence in 1..=30 {
        let reading = Reading {
            agent: 8,
            lease: LEASE,
            sequence,
            minute: Minute(FIRST + u32::try_from(sequence).expect("few") - 1),
            units: 6,
            before,
        };
        before = reading.hash();
        of_second.add(&reading).expect("its own");
    }
    assert_eq!(unit_minutes([&own, &of_second], hour, 16), 30 * 14 + 30 * 8);
    assert_eq!(unit_minutes([&own, &of_second], hour, 10), 30 * 10 + 30 * 8);
}

#[test]
fn a_row_is_written_in_one_way() {
    let row = Tally::new(AGENT, LEASE)
        .seal(Hour(1))
        .expect("nothing is sealed");
    let bytes = row.to_bytes();
    assert_eq!(
        bytes[..4],
        [1, 0, 0, 0],
        "version, no runs, no number, no break"
    );
    let read = |bytes: &[u8]| SealedHour::from_bytes(AGENT, LEASE, Hour(1), bytes);
    assert_eq!(read(&bytes), Ok(row));
    let head = &bytes[4..];
    for wrong in [
        &[2, 0, 0, 0][..],
        // Numbers that are longer than they have to be, or do not end.
        &[1, 0, 0x80, 0, 0],
        &[
            1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0,
        ],
        // Runs that are empty, too long, overlap, or are one.
        &[1, 1, 0, 0, 8, 0, 0],
        &[1, 1, 59, 2, 8, 0, 0],
        &[1, 2, 0, 2, 8, 1, 2, 7, 0, 0],
        &[1, 2, 0, 2, 8, 2, 2, 8, 0, 0],
        // Something behind it.
        &[1, 0, 0, 0, 0],
    ] {
        assert_eq!(read(&[wrong, head].concat()), Err(BadRow), "{wrong:?}");
    }
    assert_eq!(read(&bytes[..35]), Err(BadRow));
}

/// The figures in the docs of `rest`.
#[test]
fn an_hour_at_rest_is_small() {
    let year = chain(&vec![(0, 8); 60 * 8_760]);
    let mut tally = Tally::new(AGENT, LEASE);
    let mut longest = 0;
    for hour in year.chunks(60) {
        for reading in hour {
            tally.add(reading).expect("its own");
        }
        let row = tally.seal(hour[0].minute.hour()).expect("in order");
        assert_eq!(row.unit_minutes(), 480);
        longest = longest.max(row.to_bytes().len());
    }
    assert_eq!(longest, 41);

    let worst = SealedHour {
        agent: AGENT,
        lease: LEASE,
        hour: Hour(1),
        runs: (0..60)
            .map(|first| Run {
                first,
                minutes: 1,
                units: u32::MAX - u32::from(first % 2),
            })
            .collect(),
        sequence: u64::MAX,
        head: Digest::beginning(AGENT, LEASE),
        broken: Some(u64::MAX),
    };
    assert_eq!(worst.to_bytes().len(), 474);
}
