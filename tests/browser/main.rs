//! What only a real browser shows, as one program.

#[path = "../journeys/support/app.rs"]
mod app;
mod approvals;
mod bad_input;
mod buy;
mod control;
mod day;
mod disputes;
mod keyboard;
mod live;
#[expect(dead_code, reason = "the journeys use all of it")]
#[path = "../journeys/support/machine.rs"]
mod machine;
mod machines;
#[path = "../journeys/support/market.rs"]
mod market;
mod oversight;
mod pages;
#[path = "../journeys/support/people.rs"]
mod people;
#[path = "../journeys/support/postgres.rs"]
mod postgres;
mod shop;
mod support;
mod tools;
#[expect(dead_code, reason = "the journeys use all of it")]
#[path = "../journeys/support/visitor.rs"]
mod visitor;
mod without_scripts;
