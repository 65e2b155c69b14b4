//! How often someone may try: signing in by address and name, signing up by address.
//!
//! The name counts only together with the address, so that nobody can lock another out.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, QuantaInstant};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};

use super::signed::Signer;
use crate::names;

/// How many keys a limiter may know before those that have recovered are forgotten.
const KEYS: usize = 10_000;

/// How many orders a participant's programs may send at once.
const MOST_ORDERS: u32 = 2_000;

/// The limiters of one server.
#[derive(Debug)]
pub struct Throttle {
    sign_in: DefaultKeyedRateLimiter<(IpAddr, String)>,
    sign_in_address: DefaultKeyedRateLimiter<IpAddr>,
    sign_up: DefaultKeyedRateLimiter<IpAddr>,
    second_factor: DefaultKeyedRateLimiter<i64>,
    kept: DefaultKeyedRateLimiter<IpAddr>,
    token: DefaultKeyedRateLimiter<IpAddr>,
    requests: DefaultKeyedRateLimiter<i64>,
    signers: DefaultKeyedRateLimiter<Signer>,
    orders: DefaultKeyedRateLimiter<i64>,
}

/// Too soon: how many seconds to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSoon(pub u64);

impl Default for Throttle {
    fn default() -> Self {
        Self {
            sign_in: limiter(10, Duration::from_secs(60)),
            sign_in_address: limiter(100, Duration::from_secs(2)),
            sign_up: limiter(20, Duration::from_secs(180)),
            second_factor: limiter(10, Duration::from_secs(300)),
            kept: limiter(20, Duration::from_secs(30)),
            token: limiter(100, Duration::from_secs(1)),
            requests: limiter(200, Duration::from_millis(10)),
            signers: limiter(200, Duration::from_millis(25)),
            orders: limiter(MOST_ORDERS, Duration::from_millis(2)),
        }
    }
}

impl Throttle {
    /// Counts an attempt to sign in: ten at once by name and address, then one a minute; a
    /// hundred at once by address, then one every two seconds.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn sign_in(&self, address: IpAddr, name: &str) -> Result<(), TooSoon> {
        let address = network(address);
        check(&self.sign_in_address, &address)?;
        check(&self.sign_in, &(address, names::key(name)))
    }

    /// Counts an attempt to sign up: twenty at once by address, then one every three minutes.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn sign_up(&self, address: IpAddr) -> Result<(), TooSoon> {
        check(&self.sign_up, &network(address))
    }

    /// Counts a code that a person gives as a second factor: ten at once, then one every five
    /// minutes. Only who knows the person's password can use these up.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn second_factor(&self, user: i64) -> Result<(), TooSoon> {
        check(&self.second_factor, &user)
    }

    /// Counts a form that is kept for who signs in: twenty at once by address, then one every
    /// thirty seconds.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn kept(&self, address: IpAddr) -> Result<(), TooSoon> {
        check(&self.kept, &network(address))
    }

    /// Counts a token that is none, or a signature that is nobody's: a hundred at once by address, then one a second.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn token(&self, address: IpAddr) -> Result<(), TooSoon> {
        check(&self.token, &network(address))
    }

    /// Counts a request of a token: two hundred at once, then a hundred a second.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn request(&self, token: i64) -> Result<(), TooSoon> {
        check(&self.requests, &token)
    }

    /// Counts a request of a machine: two hundred at once, then forty a second.
    ///
    /// # Errors
    /// When it is too soon.
    pub fn signer(&self, signer: Signer) -> Result<(), TooSoon> {
        check(&self.signers, &signer)
    }

    /// Counts orders, changes and cancels that a participant's programs send: two thousand at once,
    /// then five hundred a second.
    ///
    /// # Errors
    /// When it is too soon, or more than may come at once.
    pub fn orders(&self, participant: i64, count: u32) -> Result<(), TooSoon> {
        forget(&self.orders);
        let Some(count) = NonZeroU32::new(count) else {
            return Ok(());
        };
        match self.orders.check_key_n(&participant, count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(wait(&until)),
            Err(_) => Err(TooSoon(1)),
        }
    }
}

fn limiter<K: Clone + Eq + Hash>(burst: u32, step: Duration) -> DefaultKeyedRateLimiter<K> {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(step).expect("a step is longer than nothing");
    RateLimiter::keyed(quota.allow_burst(burst))
}

fn check<K: Clone + Eq + Hash>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), TooSoon> {
    forget(limiter);
    limiter.check_key(key).map_err(|until| wait(&until))
}

/// Forgets keys that have recovered, where there are many.
fn forget<K: Clone + Eq + Hash>(limiter: &DefaultKeyedRateLimiter<K>) {
    if limiter.len() > KEYS {
        limiter.retain_recent();
    }
}

fn wait(until: &NotUntil<QuantaInstant>) -> TooSoon {
    let wait = until.wait_time_from(DefaultClock::default().now());
    TooSoon(wait.as_secs() + 1)
}

/// An address of IPv6 stands for its network: one subscriber has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_by_name_and_address_then_a_wait() {
        let throttle = Throttle::default();
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let there: IpAddr = "192.0.2.2".parse().unwrap();
        for _ in 0..10 {
            assert_eq!(throttle.sign_in(here, "ada"), Ok(()));
        }
        let TooSoon(seconds) = throttle.sign_in(here, "Ada").unwrap_err();
        assert!((1..=60).contains(&seconds));
        assert_eq!(throttle.sign_in(here, "bob"), Ok(()));
        assert_eq!(throttle.sign_in(there, "ada"), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let throttle = Throttle::default();
        for last in 0..20 {
            let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, last));
            assert_eq!(throttle.sign_up(address), Ok(()));
        }
        let address: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        assert!(throttle.sign_up(address).is_err());
    }
}
