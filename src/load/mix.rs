//! Which orders are sent.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Options;
use crate::protocol::instant;

/// The hours of what trades.
const TRADED: i64 = 8;

/// The most hours of what rests.
pub(super) const LONGEST: i64 = 48;

/// Shares of what rests, what trades and what is cancelled, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    rest: u8,
    trade: u8,
    cancel: u8,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            rest: 50,
            trade: 35,
            cancel: 15,
        }
    }
}

/// The text is not three shares of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mix is three percentages that make a hundred, as in 50:35:15")]
pub struct BadMix;

impl FromStr for Mix {
    type Err = BadMix;

    fn from_str(text: &str) -> Result<Self, BadMix> {
        let shares: Result<Vec<u8>, _> = text.split(':').map(str::parse).collect();
        match shares.map_err(|_| BadMix)?.as_slice() {
            &[rest, trade, cancel]
                if u32::from(rest) + u32::from(trade) + u32::from(cancel) == 100 =>
            {
                Ok(Self {
                    rest,
                    trade,
                    cancel,
                })
            }
            _ => Err(BadMix),
        }
    }
}

/// What one token sends.
pub(super) struct Sender {
    pub(super) token: String,
    state: Mutex<State>,
}

struct State {
    random: ChaCha8Rng,
    prefix: String,
    number: u64,
    /// What is known to rest.
    resting: Vec<String>,
}

/// One request, and which of its orders are to rest.
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) orders: Vec<Option<String>>,
}

impl Sender {
    pub(super) fn new(options: &Options, index: usize, token: &str) -> Self {
        let seed = options.seed.wrapping_add(index as u64);
        let state = State {
            random: ChaCha8Rng::seed_from_u64(seed),
            // Of another run, or of another token of the same participant.
            prefix: format!("load-{:x}-{index}", options.seed),
            number: 0,
            resting: Vec::new(),
        };
        Self {
            token: token.to_owned(),
            state: Mutex::new(state),
        }
    }

    /// The next request.
    pub(super) fn request(&self, options: &Options) -> Request {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_list = options.orders_a_request > 1;
        let mut body = String::with_capacity(256 * options.orders_a_request);
        let mut orders = Vec::with_capacity(options.orders_a_request);
        for place in 0..options.orders_a_request {
            if is_list {
                body.push(if place == 0 { '[' } else { ',' });
            }
            orders.push(state.order(options, &mut body));
        }
        if is_list {
            body.push(']');
        }
        Request {
            body: body.into(),
            orders,
        }
    }

    /// Notes that an order rests.
    pub(super) fn rests(&self, id: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resting.push(id.to_owned());
    }
}

impl State {
    /// Writes one order; its id where it is to rest.
    fn order(&mut self, options: &Options, body: &mut String) -> Option<String> {
        let share = self.random.random_range(0..100);
        if share < options.mix.cancel && !self.resting.is_empty() {
            let at = self.random.random_range(0..self.resting.len());
            let id = self.resting.swap_remove(at);
            write!(body, r#"{{"do":"cancel","id":"{id}"}}"#).expect("a text takes all");
            return None;
        }
        self.number += 1;
        let id = format!("{}-{}", self.prefix, self.number);
        let rests = share < options.mix.cancel + options.mix.rest;
        let (rest, trade) = options.limits;
        let (price, hours) = if rests {
            (rest, self.random.random_range(1..LONGEST))
        } else {
            (trade, TRADED)
        };
        let after = self.random.random_range(0..=options.span - hours);
        let start = options.from.plus_hours(after);
        let symbol = self.random.random_range(0..options.symbols.len());
        write!(
            body,
            r#"{{"id":"{id}","side":"buy","symbols":["{}"],"units":{},"price":"{price}","start":"{}","end":"{}"}}"#,
            options.symbols[symbol],
            options.units,
            instant::print(start),
            instant::print(start.plus_hours(hours)),
        )
        .expect("a text takes all");
        rests.then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_three_shares_of_a_hundred() {
        assert_eq!("50:35:15".parse(), Ok(Mix::default()));
        for text in ["", "50:50", "50:35:16", "-1:86:15", "a:b:c", "50:35:15:0"] {
            assert_eq!(text.parse::<Mix>(), Err(BadMix), "{text}");
        }
    }
}
