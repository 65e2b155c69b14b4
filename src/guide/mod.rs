//! How buying, delivery, refunds and disputes work, in plain words, with the figures of the rule
//! set in force. docs/MARKET_RULES.md is the exact book.
//!
//! `GET /guide`

pub mod pages;
