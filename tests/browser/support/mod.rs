//! A real Chromium, driven from a test.

mod between;
mod browser;
mod driver;
mod person;

pub(crate) use between::{Between, Network};
pub(crate) use browser::Browser;
pub(crate) use person::Person;

/// The first hour of the first lease, in hours after the market's opening.
pub(crate) fn first_hour(app: &crate::app::TestApp) -> i64 {
    let market = app.app.feed.market();
    let lease = market.lease(market::LeaseId(1)).expect("there is a lease");
    lease.period.start.0 - crate::market::OPENING.0
}
