//! Lines of `sluice simulate`: whatever comes in, the market answers and its journal sums to zero.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let rules = sluice::rules::load(None).expect("the standard rules are good");
    sluice::simulate::run(lines, std::io::sink(), rules, true).expect("a sink takes everything");
});
