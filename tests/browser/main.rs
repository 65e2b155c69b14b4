//! What only a real browser shows, as one program.

#[path = "../journeys/support/app.rs"]
mod app;
mod buy;
mod live;
#[path = "../journeys/support/market.rs"]
mod market;
#[path = "../journeys/support/postgres.rs"]
mod postgres;
mod shop;
mod support;
mod tools;
