//! What the book costs: as a plain limit book against `matchcore`, with little and with much
//! resting, with orders that are chosen to hurt, and in memory. `just bench` runs it in release;
//! docs/BENCHMARKS.md keeps the last run.
//!
//! `cargo bench -p market --bench book -- plain` runs one part.

#![expect(
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::integer_division,
    reason = "a benchmark is no part of the core: it reads a clock and prints ratios"
)]

mod flat;
mod hurt;
mod plain;
mod trader;
mod whole;

use std::time::Duration;

// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often everything is measured; the median counts.
const ROUNDS: usize = 5;

fn main() {
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    // Before other markets leave memory behind.
    if wanted("memory") {
        flat::memory();
    }
    if wanted("plain") {
        plain::run();
    }
    if wanted("flat") {
        flat::run();
    }
    if wanted("hurt") {
        hurt::run();
    }
}

/// The time that this thread has had a processor: the machine is shared, and what others do with
/// it is not measured.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps it");
    let nanoseconds = stat.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("its first number"))
}

/// The middle one of several measurements.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() >> 1]
}

/// Nanoseconds for each of so many.
fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// How many microseconds one of these takes: the median of several rounds, each long enough for
/// the kernel's count of processor time, which goes on in steps of some milliseconds.
fn microseconds(mut job: impl FnMut()) -> f64 {
    let round = |job: &mut dyn FnMut()| {
        let begun = processor_time();
        let mut count = 0;
        while processor_time() - begun < Duration::from_millis(100) {
            for _ in 0..20 {
                job();
            }
            count += 20;
        }
        (processor_time() - begun).div_f64(f64::from(count))
    };
    let times = (0..ROUNDS).map(|_| round(&mut job)).collect();
    median(times).as_secs_f64() * 1e6
}

/// A generator of its own, so that a run can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit as u64) as i64
    }

    /// From the first to the last of a range.
    pub(crate) fn among(&mut self, first: i64, last: i64) -> i64 {
        first + self.below(last - first + 1)
    }
}
