//! A compact profile of the traces, from which a replay can draw where they are not: how many
//! nodes have how many cards, how many jobs come in each hour, and how their class, cards and hours
//! are distributed. No row of a trace can be read from it: what belongs together in a row is kept
//! only as a distribution by class.

use std::collections::BTreeMap;

use market::catalogue::Grade;

use super::dice::{Dice, Draw};
use super::tables::{Class, HOUR_SECONDS, Job, Node, Rows};

/// The profile that the project carries, as `sluice replay --write-profile` derived it.
const BUILT_IN: &str = include_str!("../../data/profile.json");

/// The published facts that go with it: prices and the map to grades.
pub const PRICES: &str = include_str!("../../data/gpu_prices.csv");
/// See [`PRICES`].
pub const GRADES: &str = include_str!("../../data/grade_map.csv");

/// The profile of a trace of nodes and one of jobs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where it comes from.
    pub source: String,
    /// The usable nodes.
    pub nodes: Vec<Hosts>,
    /// The nodes that are not usable, by reason.
    pub nodes_left_out: BTreeMap<String, i64>,
    /// The rows of jobs that are not usable, by reason.
    pub jobs_left_out: BTreeMap<String, i64>,
    /// The hour after the last one of any job, from the trace's start.
    pub span_hours: i64,
    /// Hours of the trace in which jobs were asked for, each with how many.
    pub arrivals: Vec<(i64, i64)>,
    /// Jobs by class.
    pub classes: Vec<OfClass>,
}

/// Nodes of one grade with as many cards.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// The grade.
    pub grade: String,
    /// Cards a node.
    pub cards: i64,
    /// How many such nodes.
    pub nodes: i64,
}

/// Jobs of one class.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfClass {
    /// The class.
    pub class: Class,
    /// How many ask for a part of a card.
    pub parts: i64,
    /// How many ask for so many whole cards.
    pub cards: Vec<(i64, i64)>,
    /// How many run for so many hours: from, to (both included), jobs. Each step is twice as wide
    /// as the one before.
    pub hours: Vec<(i64, i64, i64)>,
}

impl Profile {
    /// The profile that the project carries.
    ///
    /// # Errors
    /// When it is not one.
    pub fn built_in() -> Result<Self, serde_json::Error> {
        serde_json::from_str(BUILT_IN)
    }

    /// The profile of what was read from the traces.
    pub fn of(nodes: &[Node], jobs: &[Job], rows: &Rows) -> Self {
        let (mut hosts, mut arrivals) = (BTreeMap::new(), BTreeMap::new());
        for node in nodes {
            *hosts.entry((node.grade.name, node.cards)).or_default() += 1;
        }
        for job in jobs {
            let hour = job.created.div_euclid(HOUR_SECONDS);
            *arrivals.entry(hour).or_default() += 1;
        }
        let left_out = |of_nodes| -> BTreeMap<String, i64> {
            let reasons = rows.left_out.iter();
            reasons
                .filter(|(reason, _)| NODE_REASONS.contains(reason) == of_nodes)
                .map(|(reason, rows)| ((*reason).to_owned(), *rows))
                .collect()
        };
        Self {
            source: SOURCE.to_owned(),
            nodes: hosts
                .into_iter()
                .map(|((grade, cards), nodes)| Hosts {
                    grade: grade.to_owned(),
                    cards,
                    nodes,
                })
                .collect(),
            nodes_left_out: left_out(true),
            jobs_left_out: left_out(false),
            span_hours: jobs.iter().map(Job::end).max().unwrap_or(0),
            arrivals: arrivals.into_iter().collect(),
            classes: classes(jobs),
        }
    }

    /// Nodes and jobs that it may stand for: the nodes exactly, the jobs drawn.
    pub fn draw(&self, seed: u64, rows: &mut Rows) -> (Vec<Node>, Vec<Job>) {
        let mut nodes = Vec::new();
        for hosts in &self.nodes {
            let grade = Grade::of(&hosts.grade);
            let count = usize::try_from(hosts.nodes).unwrap_or(0);
            let node = grade.map(|grade| Node {
                grade,
                cards: hosts.cards,
            });
            nodes.extend(node.into_iter().flat_map(|node| vec![node; count]));
        }
        rows.count("nodes", i64::try_from(nodes.len()).unwrap_or(0));
        for (reason, left_out) in &self.nodes_left_out {
            rows.count("nodes", *left_out);
            let known = NODE_REASONS.into_iter().find(|known| known == reason);
            rows.count_left_out(known.unwrap_or("unknown_model"), *left_out);
        }
        let mut jobs = Vec::new();
        for &(hour, count) in &self.arrivals {
            for _ in 0..count {
                let dice = Dice::of(seed, Draw::Profile, jobs.len());
                jobs.extend(self.job(hour, dice));
            }
        }
        rows.count("jobs", i64::try_from(jobs.len()).unwrap_or(0));
        jobs.sort_by_key(|job| job.created);
        (nodes, jobs)
    }

    /// A job that is asked for in this hour. It ends with the trace at the latest.
    fn job(&self, hour: i64, mut dice: Dice) -> Option<Job> {
        let weights: Vec<i64> = self.classes.iter().map(OfClass::jobs).collect();
        let of = &self.classes[dice.weighted(&weights)?];
        let mut weights: Vec<i64> = of.cards.iter().map(|(_, jobs)| *jobs).collect();
        weights.push(of.parts);
        let place = dice.weighted(&weights)?;
        let cards = of.cards.get(place).map(|(cards, _)| *cards);
        let weights: Vec<i64> = of.hours.iter().map(|(.., jobs)| *jobs).collect();
        let (low, high, _) = of.hours[dice.weighted(&weights)?];
        let created = hour * HOUR_SECONDS + dice.between(0, HOUR_SECONDS - 1);
        let mut job = Job {
            created,
            hours: dice.between(low, high),
            cards: cards.unwrap_or(1),
            part: cards.is_none(),
            class: of.class,
            grades: Vec::new(),
        };
        job.hours = job.hours.min(self.span_hours - job.start()).max(1);
        Some(job)
    }
}

impl OfClass {
    fn jobs(&self) -> i64 {
        self.hours.iter().map(|(.., jobs)| jobs).sum()
    }
}

const SOURCE: &str = "derived by `sluice replay --write-profile` from Alibaba's cluster traces: \
    cluster-trace-v2026-spot-gpu (nodes) and cluster-trace-gpu-v2023, openb_pod_list_default (jobs)";

/// Reasons that leave a node out; every other leaves out a job.
const NODE_REASONS: [&str; 4] = [
    "no_cards",
    "not_whole_lots",
    "undisclosed_model",
    "unknown_model",
];

fn classes(jobs: &[Job]) -> Vec<OfClass> {
    let mut by_class: BTreeMap<Class, Vec<&Job>> = BTreeMap::new();
    for job in jobs {
        by_class.entry(job.class).or_default().push(job);
    }
    let of_class = |(class, jobs): (Class, Vec<&Job>)| {
        let (mut cards, mut hours) = (BTreeMap::new(), BTreeMap::new());
        let mut parts = 0;
        for job in jobs {
            if job.part {
                parts += 1;
            } else {
                *cards.entry(job.cards).or_default() += 1;
            }
            *hours.entry(step_of(job.hours)).or_default() += 1;
        }
        let hours = hours.into_iter();
        OfClass {
            class,
            parts,
            cards: cards.into_iter().collect(),
            hours: hours.map(|((low, high), jobs)| (low, high, jobs)).collect(),
        }
    };
    by_class.into_iter().map(of_class).collect()
}

/// The step of the histogram that has this many hours: 1, 2, 3 to 4, 5 to 8, …
fn step_of(hours: i64) -> (i64, i64) {
    let mut high = 1;
    while high < hours {
        high *= 2;
    }
    (high / 2 + 1, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double() {
        let steps = [1, 2, 3, 4, 5, 8, 9, 3_483].map(step_of);
        let expected = [
            (1, 1),
            (2, 2),
            (3, 4),
            (3, 4),
            (5, 8),
            (5, 8),
            (9, 16),
            (2_049, 4_096),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_is_drawn_is_what_the_profile_says() {
        let profile = Profile::built_in().unwrap();
        let mut rows = Rows::default();
        let (nodes, jobs) = profile.draw(1, &mut rows);
        let again = Profile::of(&nodes, &jobs, &rows);
        assert_eq!(again.nodes, profile.nodes);
        assert_eq!(again.nodes_left_out, profile.nodes_left_out);
        assert_eq!(again.arrivals, profile.arrivals);
        assert!(again.span_hours <= profile.span_hours);
        let whole: i64 = profile.classes.iter().map(OfClass::jobs).sum();
        assert_eq!(rows.read["jobs"], whole);
        for (drawn, class) in again.classes.iter().zip(&profile.classes) {
            assert_eq!(drawn.class, class.class);
            let (drawn, meant) = (drawn.jobs() * 1_000 / whole, class.jobs() * 1_000 / whole);
            assert!((drawn - meant).abs() < 30, "{drawn} of {meant} in 1000");
        }
        assert_ne!(
            jobs,
            profile.draw(2, &mut rows).1,
            "another seed, other jobs"
        );
    }
}
