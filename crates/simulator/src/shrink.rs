//! From a run that fails to the few of its commands that are enough for it to fail.

use std::panic;

use crate::rule_sets::RuleSet;

/// How many shorter runs are tried at most.
const TRIES: usize = 3_000;

/// The steps of a seed's run, from 1 on, that are enough for it to fail: of a run that fails, no
/// single one can be left out, unless the tries ran out before.
pub fn steps(seed: u64, steps: u64, rules: RuleSet) -> Vec<u64> {
    let commands = crate::commands(seed, steps, rules);
    // Each shorter run may make the market panic again; that is said once, by the whole run.
    let said = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let kept = fewest(commands.len(), |kept| {
        crate::judge(kept.iter().filter_map(|at| commands.get(*at)), rules).is_err()
    });
    panic::set_hook(said);
    (1..)
        .zip(0..commands.len())
        .filter_map(|(step, at)| kept.binary_search(&at).is_ok().then_some(step))
        .collect()
}

/// Of the numbers below `count`, as few as are enough for `fails`, in order: ever smaller pieces
/// are left out where it still fails without them (after delta debugging, Zeller 1999).
fn fewest(count: usize, fails: impl Fn(&[usize]) -> bool) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..count).collect();
    let mut piece = count.div_ceil(2);
    let mut tries = 0;
    while piece > 0 {
        let mut at = 0;
        let before = kept.len();
        while at < kept.len() && tries < TRIES {
            tries += 1;
            let end = kept.len().min(at.saturating_add(piece));
            let without: Vec<usize> = kept
                .iter()
                .enumerate()
                .filter_map(|(place, number)| (!(at..end).contains(&place)).then_some(*number))
                .collect();
            if fails(&without) {
                kept = without;
            } else {
                at = end;
            }
        }
        // Single ones are tried until a whole pass leaves none out.
        if piece > 1 {
            piece = piece.div_ceil(2);
        } else if kept.len() == before || tries == TRIES {
            piece = 0;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let needed = [3, 17, 18, 99];
        let fails = |kept: &[usize]| needed.iter().all(|number| kept.contains(number));
        assert_eq!(fewest(100, fails), needed);
        assert_eq!(fewest(1, |_| true), Vec::<usize>::new());
    }

    #[test]
    fn what_needs_one_of_many_keeps_one() {
        let fails = |kept: &[usize]| kept.iter().any(|number| number % 7 == 3);
        assert_eq!(fewest(1_000, fails).len(), 1);
    }
}
