//! The published tables: grades, prices, nodes and jobs, with a record separator between each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::replay::tables::Rows;

fuzz_target!(|tables: &[u8]| {
    let mut parts = tables.split(|byte| *byte == 0x1e);
    let mut rows = Rows::default();
    let mut part = || parts.next().unwrap_or_default();
    let Ok(grades) = rows.grades(part()) else { return };
    let _ = rows.prices(part());
    let _ = rows.nodes(part(), &grades);
    let _ = rows.jobs(part(), &grades);
});
