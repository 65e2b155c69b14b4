//! A real Chromium, driven from a test.

mod browser;
mod driver;
mod person;

pub(crate) use browser::Browser;
pub(crate) use person::Person;
