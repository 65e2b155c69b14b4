//! A real Chromium, driven from a test.

mod browser;
mod driver;

pub(crate) use browser::Browser;
