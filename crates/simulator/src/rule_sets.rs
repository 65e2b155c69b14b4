//! The rule sets under which the market is tried.

use std::collections::BTreeMap;

use market::{CreditStep, Fees, HandBack, Money, Resale, Rules, ServiceLevel};

/// A rule set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RuleSet {
    /// No fee, no bond, no deadline.
    None,
    /// Those of rules/standard.toml.
    Standard,
    /// Odd figures, short times and large shares, to round and to run short often.
    Odd,
}

impl RuleSet {
    /// Every rule set.
    pub const ALL: [Self; 3] = [Self::None, Self::Standard, Self::Odd];

    /// Its rules.
    pub fn rules(self) -> Rules {
        match self {
            Self::None => Rules::none(),
            Self::Standard => standard(),
            Self::Odd => odd(),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Standard => "standard",
            Self::Odd => "odd",
        }
    }
}

/// A service level of this availability and penalty, with credits as (below, credit).
fn level(availability_bps: i64, penalty_bps: i64, steps: &[(i64, i64)]) -> ServiceLevel {
    let credits = steps.iter().map(|&(below_bps, credit_bps)| CreditStep {
        below_bps,
        credit_bps,
    });
    ServiceLevel {
        availability_bps,
        penalty_bps,
        credits: credits.collect(),
    }
}

fn standard() -> Rules {
    Rules {
        version: 1,
        seller_fee: Fees {
            flat: Money(0),
            maker_bps: 200,
            taker_bps: 200,
        },
        buyer_fee: Fees::default(),
        bond_bps: 1000,
        claim_window_hours: 72,
        reading_deadline_hours: Some(24),
        resale: Resale {
            allowed: true,
            cooling_off_hours: 0,
        },
        hand_back: HandBack {
            allowed: false,
            notice_hours: 24,
            holder_bps: 5000,
        },
        service_levels: BTreeMap::from([
            (
                "BRONZE".to_owned(),
                level(9500, 1000, &[(9500, 200), (9000, 500)]),
            ),
            (
                "SILVER".to_owned(),
                level(9900, 1000, &[(9900, 300), (9500, 600), (9000, 1000)]),
            ),
            (
                "GOLD".to_owned(),
                level(9990, 1000, &[(9990, 500), (9900, 800), (9500, 1000)]),
            ),
        ]),
    }
}

fn odd() -> Rules {
    Rules {
        version: 9,
        seller_fee: Fees {
            flat: Money(37),
            maker_bps: 133,
            taker_bps: 277,
        },
        buyer_fee: Fees {
            flat: Money(11),
            maker_bps: 271,
            taker_bps: 183,
        },
        bond_bps: 3333,
        claim_window_hours: 3,
        reading_deadline_hours: Some(3),
        resale: Resale {
            allowed: true,
            cooling_off_hours: 1,
        },
        hand_back: HandBack {
            allowed: true,
            notice_hours: 1,
            holder_bps: 7777,
        },
        service_levels: BTreeMap::from([
            (
                "SILVER".to_owned(),
                level(9900, 1234, &[(9000, 4000), (9900, 1717)]),
            ),
            (
                "GOLD".to_owned(),
                level(9999, 4321, &[(9999, 333), (5000, 9999)]),
            ),
        ]),
    }
}
