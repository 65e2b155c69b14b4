//! What many probes from many places come to: which minutes they deny.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reading::Minute;

/// How long a probe's word counts, in market time: a vantage that has gone says nothing for ever.
/// `store.rs` has it as SQL.
const OPINION: SignedDuration = SignedDuration::from_mins(15);

/// A place from which probes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// Its number.
    pub id: i64,
    /// From when on it counts.
    pub since: Timestamp,
    /// Until when; `None` while it does.
    pub until: Option<Timestamp>,
}

/// Probes of one stay from one place that came to the same, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From where.
    pub vantage: i64,
    /// The first of them.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// What they came to.
    pub passed: bool,
}

/// How many of so many vantages decide: more than half.
pub fn quorum(vantages: usize) -> usize {
    vantages / 2 + 1
}

/// Whether a minute is denied: at some instant of it a quorum of the vantages are failing at once.
/// A vantage fails from the first of its failed probes until the first that passes again, and no
/// longer than its word counts after the last of them.
///
/// Whatever the order of the spans, and however often each is told, it is the same; and what is
/// probed after the minute says nothing about it.
///
/// # Arguments
/// `spans` are those of one stay on one machine; `vantages` all, with when they count.
pub fn denied(spans: &[Span], vantages: &[Vantage], minute: Minute) -> bool {
    let begins = minute.begins();
    let ends = Minute(minute.0.saturating_add(1)).begins();
    let counts = |vantage: &&Vantage| {
        vantage.since <= begins && vantage.until.is_none_or(|until| begins < until)
    };
    let counted = vantages.iter().filter(counts);
    let mut of: BTreeMap<i64, Vec<Span>> =
        counted.map(|vantage| (vantage.id, Vec::new())).collect();
    let needed = quorum(of.len());
    for span in spans {
        if let Some(own) = of.get_mut(&span.vantage) {
            own.push(*span);
        }
    }
    let failing: Vec<(Timestamp, Timestamp)> = of
        .into_values()
        .flat_map(failing)
        .map(|(from, to)| (from.max(begins), to.min(ends)))
        .filter(|(from, to)| from < to)
        .collect();
    failing.len() >= needed
        && failing.iter().any(|(at, _)| {
            let together = failing.iter().filter(|(from, to)| from <= at && at < to);
            together.count() >= needed
        })
}

/// The stretches in which a vantage fails; none overlaps another.
fn failing(mut spans: Vec<Span>) -> Vec<(Timestamp, Timestamp)> {
    // One that was told before it had grown comes before itself, and ends where it begins.
    spans.sort_unstable();
    let until = |place: usize, span: &Span| {
        let counts = span.last.saturating_add(OPINION).unwrap_or(Timestamp::MAX);
        let next: Option<&Span> = spans.get(place + 1);
        next.map_or(counts, |next| counts.min(next.first))
    };
    let failed = spans.iter().enumerate().filter(|(_, span)| !span.passed);
    failed
        .map(|(place, span)| (span.first, until(place, span)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Minute = Minute(29_916_840);

    /// So many seconds after the minute's beginning.
    fn at(seconds: i64) -> Timestamp {
        MINUTE.begins() + SignedDuration::from_secs(seconds)
    }

    fn span(vantage: i64, first: i64, last: i64, passed: bool) -> Span {
        Span {
            vantage,
            first: at(first),
            last: at(last),
            passed,
        }
    }

    fn vantages(count: i64) -> Vec<Vantage> {
        let since = at(-1_000_000);
        (1..=count)
            .map(|id| Vantage {
                id,
                since,
                until: None,
            })
            .collect()
    }

    #[test]
    fn more_than_half_decide() {
        let decide: Vec<usize> = (0..6).map(quorum).collect();
        assert_eq!(decide, [1, 1, 2, 2, 3, 3]);
        assert!(
            !denied(&[span(1, 0, 0, false)], &[], MINUTE),
            "nobody's word"
        );
    }

    #[test]
    fn a_minute_is_denied_while_a_quorum_fails_at_once() {
        let three = vantages(3);
        let one = span(1, -300, -60, false);
        let two = span(2, -100, -60, false);
        assert!(denied(&[one, two], &three, MINUTE));
        assert!(!denied(&[one], &three, MINUTE), "one of three");
        assert!(denied(&[one], &vantages(1), MINUTE), "the only one");
        // One that passes again before the minute has failed until then.
        let again = span(2, -1, 30, true);
        assert!(!denied(&[one, two, again], &three, MINUTE));
        let late = span(2, 1, 30, true);
        assert!(
            denied(&[one, two, late], &three, MINUTE),
            "it failed in its first second"
        );
        // One after the other in one minute, and never at once.
        let first = [span(1, -90, -90, false), span(1, 20, 20, true)];
        let second = span(2, 40, 40, false);
        assert!(!denied(&[first[0], first[1], second], &three, MINUTE));
        assert!(denied(&[first[0], second], &three, MINUTE));
        // What comes after says nothing.
        assert!(!denied(&[one, span(2, 60, 90, false)], &three, MINUTE));
    }

    #[test]
    fn a_word_is_forgotten_after_a_quarter_of_an_hour_and_not_before() {
        let alone = vantages(1);
        assert!(denied(&[span(1, -2_000, -899, false)], &alone, MINUTE));
        assert!(!denied(&[span(1, -2_000, -900, false)], &alone, MINUTE));
    }

    #[test]
    fn who_is_new_or_retired_does_not_count() {
        let spans = [span(1, -60, 0, false), span(2, -60, 0, false)];
        let mut four = vantages(4);
        assert!(!denied(&spans, &four, MINUTE), "three of four are needed");
        four[3].since = at(1);
        assert!(denied(&spans, &four, MINUTE), "of three two");
        let mut others = vantages(4);
        others[0].until = Some(at(0));
        assert!(!denied(&spans, &others, MINUTE), "the first is retired");
        others.truncate(3);
        others[0].until = Some(at(1));
        assert!(denied(&spans, &others, MINUTE), "it was not by then");
    }

    /// Spans of a vantage that follow each other, as the table has them.
    fn told() -> impl Strategy<Value = Vec<(i64, i64, i64, bool)>> {
        let steps = vec((1_i64..4, 0_i64..700, 0_i64..400, any::<bool>()), 0..12);
        steps.prop_map(|steps| {
            let mut ends = BTreeMap::new();
            let mut spans = Vec::new();
            for (vantage, gap, long, passed) in steps {
                let end = ends.entry(vantage).or_insert(-1_500);
                let first = *end + 1 + gap;
                *end = first + long;
                spans.push((vantage, first, *end, passed));
            }
            spans
        })
    }

    fn spans(told: &[(i64, i64, i64, bool)]) -> Vec<Span> {
        let all = told.iter();
        all.map(|one| span(one.0, one.1, one.2, one.3)).collect()
    }

    /// Second by second, by the latest word of each.
    fn looked_at(told: &[(i64, i64, i64, bool)], count: i64) -> bool {
        (0..60).any(|second| {
            let fails = |vantage: &i64| {
                let own = told
                    .iter()
                    .filter(|one| one.0 == *vantage && one.1 <= second);
                let latest = own.max_by_key(|one| one.1);
                latest.is_some_and(|one| !one.3 && second < one.2 + 900)
            };
            let failing = (1..=count).filter(fails).count();
            failing > usize::try_from(count).expect("few") / 2
        })
    }

    proptest! {
        #[test]
        fn it_is_what_a_look_at_each_second_finds(told in told(), count in 1_i64..4) {
            let found = denied(&spans(&told), &vantages(count), MINUTE);
            prop_assert_eq!(found, looked_at(&told, count));
        }

        #[test]
        fn order_and_repetition_change_nothing(
            told in told(),
            shuffled in any::<prop::sample::Index>(),
            again in vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let all = spans(&told);
            let found = denied(&all, &vantages(3), MINUTE);
            let mut other = all.clone();
            if !all.is_empty() {
                // Some again, also as they were before they had grown.
                other.extend(again.iter().map(|one| *one.get(&all)));
                other.extend(again.iter().map(|one| {
                    let span = *one.get(&all);
                    Span { last: span.first, ..span }
                }));
                let first = shuffled.index(other.len());
                other.rotate_left(first);
                other.reverse();
            }
            prop_assert_eq!(denied(&other, &vantages(3), MINUTE), found);
        }

        #[test]
        fn one_vantage_alone_of_three_denies_nothing(told in told(), who in 1_i64..4) {
            let own: Vec<Span> = spans(&told).into_iter().filter(|one| one.vantage == who).collect();
            prop_assert!(!denied(&own, &vantages(3), MINUTE));
        }

        #[test]
        fn what_comes_after_a_minute_says_nothing_about_it(told in told()) {
            let all = spans(&told);
            let before: Vec<Span> = all.iter().filter(|one| one.first < at(60)).copied().collect();
            let found = denied(&all, &vantages(3), MINUTE);
            prop_assert_eq!(denied(&before, &vantages(3), MINUTE), found);
        }
    }
}
