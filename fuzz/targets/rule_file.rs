//! A rule file: it is read or refused, and a market runs under what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &str| {
    if let Ok(rules) = sluice::rules::read("fuzz", file) {
        let lines: &[u8] = include_bytes!("../corpus/json_line/day.jsonl");
        sluice::simulate::run(lines, std::io::sink(), rules, true).expect("a sink takes everything");
    }
});
