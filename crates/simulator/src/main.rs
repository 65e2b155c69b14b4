//! Seeded random commands for the market, judged by an independent auditor.

fn main() {}
