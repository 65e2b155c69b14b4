//! The rule sets under which the market is tried.

use std::collections::BTreeMap;

use market::{Bands, CreditStep, Fees, HandBack, Limits, Mode, Money, Resale, Rules, ServiceLevel};

use crate::workload::Workload;

/// A rule set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RuleSet {
    /// No fee, no bond, no deadline.
    None,
    /// Those of rules/standard.toml.
    Standard,
    /// None at first, then one after the other of [`changes`].
    Changing,
    /// Odd figures, short times and large shares, to round and to run short often.
    Odd,
}

impl RuleSet {
    /// Every rule set.
    pub const ALL: [Self; 4] = [Self::None, Self::Standard, Self::Odd, Self::Changing];

    /// Its rules.
    pub fn rules(self) -> Rules {
        match self {
            Self::None | Self::Changing => Rules::none(),
            Self::Standard => standard(),
            Self::Odd => odd(),
        }
    }

    /// The commands of a seed under it.
    pub fn workload(self, seed: u64) -> Workload {
        let changes = if self == Self::Changing {
            changes()
        } else {
            Vec::new()
        };
        Workload::new(seed).changing(changes)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Standard => "standard",
            Self::Odd => "odd",
            Self::Changing => "changing",
        }
    }
}

/// A service level of this availability, penalty and maintenance, with credits as (below, credit).
fn level(
    [availability_bps, penalty_bps, maintenance_bps]: [i64; 3],
    steps: &[(i64, i64)],
) -> ServiceLevel {
    let credits = steps.iter().map(|&(below_bps, credit_bps)| CreditStep {
        below_bps,
        credit_bps,
    });
    ServiceLevel {
        availability_bps,
        penalty_bps,
        grace_minutes: 0,
        default_minutes: 0,
        maintenance_bps,
        maintenance_notice_hours: 0,
        credits: credits.collect(),
    }
}

fn standard() -> Rules {
    Rules {
        version: 3,
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
        mode: Mode::Continuous,
        gate_minutes: 15,
        current_hour: false,
        bands: Bands::default(),
        limits: Limits {
            asks_per_pool: 10_000,
            instruments_per_bid: 64,
            flexible_hours: 744,
            position_unit_hours: 0,
        },
        service_levels: BTreeMap::from([
            (
                "BRONZE".to_owned(),
                ServiceLevel {
                    grace_minutes: 60,
                    default_minutes: 240,
                    maintenance_notice_hours: 24,
                    ..level([9500, 1000, 200], &[(9500, 200), (9000, 500)])
                },
            ),
            (
                "SILVER".to_owned(),
                ServiceLevel {
                    grace_minutes: 30,
                    default_minutes: 120,
                    maintenance_notice_hours: 48,
                    ..level([9900, 1000, 50], &[(9900, 300), (9500, 600), (9000, 1000)])
                },
            ),
            (
                "GOLD".to_owned(),
                ServiceLevel {
                    grace_minutes: 15,
                    default_minutes: 60,
                    maintenance_notice_hours: 72,
                    ..level([9990, 1000, 0], &[(9990, 500), (9900, 800), (9500, 1000)])
                },
            ),
        ]),
    }
}

/// Rule sets that follow each other, again and again; who gives them numbers them.
fn changes() -> Vec<Rules> {
    let banded = Bands {
        width_bps: 3_000,
        lowest: Money(1_000),
        highest: Money(2_800),
        references: BTreeMap::from([
            ("A".to_owned(), Money(1_500)),
            ("C".to_owned(), Money(2_001)),
        ]),
    };
    vec![
        Rules {
            current_hour: true,
            buyer_fee: Fees {
                flat: Money(3),
                maker_bps: 21,
                taker_bps: 77,
            },
            ..odd()
        },
        Rules {
            gate_minutes: 45,
            current_hour: true,
            bands: banded,
            limits: Limits {
                position_unit_hours: 150,
                ..Limits::default()
            },
            ..standard()
        },
        Rules {
            mode: Mode::Listed,
            gate_minutes: 90,
            limits: Limits {
                asks_per_pool: 3,
                instruments_per_bid: 1,
                flexible_hours: 4,
                position_unit_hours: 60,
            },
            ..odd()
        },
        Rules {
            current_hour: true,
            gate_minutes: 15,
            resale: Resale {
                allowed: false,
                cooling_off_hours: 0,
            },
            ..Rules::none()
        },
    ]
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
        mode: Mode::Continuous,
        gate_minutes: 0,
        current_hour: false,
        bands: Bands::default(),
        limits: Limits {
            position_unit_hours: 250,
            ..Limits::default()
        },
        service_levels: BTreeMap::from([
            (
                "SILVER".to_owned(),
                level([9900, 1234, 1111], &[(9000, 4000), (9900, 1717)]),
            ),
            (
                "GOLD".to_owned(),
                level([9999, 4321, 5000], &[(9999, 333), (5000, 9999)]),
            ),
        ]),
    }
}
