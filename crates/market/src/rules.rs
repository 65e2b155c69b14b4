//! Rule sets: what an operator decides, with the version that each trade keeps.

use std::collections::BTreeMap;

use crate::command::{Access, PlaceOrder, TimeInForce};
use crate::lease::{FEE_PARTS, fee_rate};
use crate::money::{Money, WHOLE_BPS, ceil_div};
use crate::time::HOUR_MINUTES;

/// A rule set. Shares are in basis points (1/10,000), times in whole hours.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Which rule set this is; 0 is "none".
    pub version: i64,
    /// The seller's fee.
    pub seller_fee: Fees,
    /// The buyer's fee, on top of the price.
    #[serde(default)]
    pub buyer_fee: Fees,
    /// The provider's pledge at each trade, as a share of the lease's price.
    pub bond_bps: i64,
    /// How long after an hour a claim about it can be made: until then what it earned can't be
    /// withdrawn, and the bond stays until as long after the lease's end.
    pub claim_window_hours: i64,
    /// How long after an hour its readings may come; then it settles as not delivered. Not longer
    /// than the claim window. `None`: it waits for ever.
    pub reading_deadline_hours: Option<i64>,
    /// When a lease can be resold.
    #[serde(default)]
    pub resale: Resale,
    /// When hours of a lease can be handed back.
    #[serde(default)]
    pub hand_back: HandBack,
    /// How orders meet.
    #[serde(default)]
    pub mode: Mode,
    /// How many minutes before an hour begins it can be had of a prepared pool at the latest.
    #[serde(default)]
    pub gate_minutes: i64,
    /// Whether a bid may start with the hour in course: instant pools alone have it.
    #[serde(default)]
    pub current_hour: bool,
    /// Between which prices orders are let in.
    #[serde(default)]
    pub bands: Bands,
    /// How much is let in.
    #[serde(default)]
    pub limits: Limits,
    /// Service levels by the name that ends a symbol.
    pub service_levels: BTreeMap<String, ServiceLevel>,
}

/// When a lease can be resold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resale {
    /// Whether it can be at all.
    pub allowed: bool,
    /// How many hours after the trade that made the lease it can be offered.
    pub cooling_off_hours: i64,
}

/// When hours of a lease can be handed back, and who gets what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandBack {
    /// Whether they can be at all.
    pub allowed: bool,
    /// How many hours before the first of them at the latest.
    pub notice_hours: i64,
    /// The holder's share of their escrow; the rest is the provider's.
    pub holder_bps: i64,
}

/// How orders meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Bids and asks rest and meet as they come.
    #[default]
    Continuous,
    /// Asks are taken as they stand; bids don't rest.
    Listed,
}

/// Between which prices orders are let in: around the median of recent trades, else around the
/// grade's reference, and never outside fixed limits. 0 stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// How far from the reference, as a share of it.
    pub width_bps: i64,
    /// No ask is lower, per unit-hour.
    pub lowest: Money,
    /// No bid is higher, per unit-hour.
    pub highest: Money,
    /// What stands for the median where nothing traded, by grade.
    pub references: BTreeMap<String, Money>,
}

/// How much is let in. 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Open asks of one pool.
    pub asks_per_pool: i64,
    /// Instruments of one bid.
    pub instruments_per_bid: i64,
    /// Hours of the period in which a flexible bid may lie.
    pub flexible_hours: i64,
    /// Unit-hours that a participant, with those related to it, may have still to come of one
    /// instrument, by open bids and leases.
    #[serde(default)]
    pub position_unit_hours: i64,
}

impl Default for Resale {
    fn default() -> Self {
        Self {
            allowed: true,
            cooling_off_hours: 0,
        }
    }
}

/// A fee: a flat part a unit-hour, and a share of what is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// A delivered unit-hour, in 1/10,000 yuan.
    pub flat: Money,
    /// The share of what is paid when the order was accepted earlier than its counterpart.
    pub maker_bps: i64,
    /// The share of what is paid otherwise.
    pub taker_bps: i64,
}

impl Fees {
    /// The larger of the two shares: what is held until it is known which is due.
    pub fn dearest_bps(&self) -> i64 {
        self.maker_bps.max(self.taker_bps)
    }

    /// The fee of an order that comes to one that rests, on so many units over so many minutes at a
    /// price, in 1/10,000 yuan, where all is delivered: rounded down.
    pub fn taken(&self, price: Money, units: i64, minutes: i64) -> i128 {
        fee_rate(price, self.taker_bps, self.flat)
            .saturating_mul(units.into())
            .saturating_mul(minutes.into())
            .div_euclid(FEE_PARTS)
    }

    /// What a bid at this limit needs for so many units over so many minutes, in 1/10,000 yuan:
    /// price and the dearest fee, each rounded up. It may be absurd, so the type is wide.
    pub fn need(&self, limit: Money, units: i64, minutes: i64) -> i128 {
        let price = ceil_div(limit.times(units, minutes), HOUR_MINUTES.into());
        let fee = fee_rate(limit, self.dearest_bps(), self.flat)
            .saturating_mul(units.into())
            .saturating_mul(minutes.into());
        price.saturating_add(ceil_div(fee, FEE_PARTS))
    }
}

/// What a service level promises, and what a broken promise costs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// The share of unit-minutes that it promises.
    pub availability_bps: i64,
    /// What a provider who defaults pays, as a share of the price of what is left and not bought in.
    #[serde(default)]
    pub penalty_bps: i64,
    /// How many minutes after its start a lease may be without a first probe that it passed before
    /// its provider is in default; 0 for never. Who watches leases keeps to it: the market itself
    /// only ends those of which it is told.
    #[serde(default)]
    pub grace_minutes: i64,
    /// So many minutes in a row that a lease which had begun lacks put its provider in default; 0
    /// for never. As `grace_minutes` it is kept outside the market.
    #[serde(default)]
    pub default_minutes: i64,
    /// The share of the unit-minutes owed that declared maintenance may excuse.
    #[serde(default)]
    pub maintenance_bps: i64,
    /// How many hours before its first minute maintenance has to be declared: kept outside the
    /// market too.
    #[serde(default)]
    pub maintenance_notice_hours: i64,
    /// What is credited below which availability.
    pub credits: Vec<CreditStep>,
}

/// One row of a credit table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditStep {
    /// It applies when the delivered share of unit-minutes is below this.
    pub below_bps: i64,
    /// The credit, as a share of the lease's price.
    pub credit_bps: i64,
}

/// A rule set that can't hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRules {
    /// A share outside 0 to 10,000.
    #[error("{0} must be between 0 and 10000 basis points")]
    Share(String),
    /// A negative amount or time.
    #[error("{0} must not be negative")]
    Negative(&'static str),
    /// Readings may come after the bond is free.
    #[error("reading_deadline_hours must be set and not exceed claim_window_hours")]
    Deadline,
}

impl Rules {
    /// No fee, no bond, no credit, no deadline (MATCHING, "Rules none").
    pub fn none() -> Self {
        Self {
            version: 0,
            seller_fee: Fees::default(),
            buyer_fee: Fees::default(),
            bond_bps: 0,
            claim_window_hours: 0,
            reading_deadline_hours: None,
            resale: Resale::default(),
            hand_back: HandBack::default(),
            mode: Mode::default(),
            gate_minutes: 0,
            current_hour: false,
            bands: Bands::default(),
            limits: Limits::default(),
            service_levels: BTreeMap::new(),
        }
    }

    /// This rule set, if it can hold.
    ///
    /// # Errors
    /// When a share, an amount or a time is out of range, or a bond could be freed before the
    /// credit that it stands for is known.
    pub fn checked(self) -> Result<Self, BadRules> {
        self.check_shares()?;
        let not_negative = [
            ("seller_fee.flat", self.seller_fee.flat.0),
            ("buyer_fee.flat", self.buyer_fee.flat.0),
            ("resale.cooling_off_hours", self.resale.cooling_off_hours),
            ("hand_back.notice_hours", self.hand_back.notice_hours),
            ("gate_minutes", self.gate_minutes),
            ("bands.lowest", self.bands.lowest.0),
            ("bands.highest", self.bands.highest.0),
            ("limits.asks_per_pool", self.limits.asks_per_pool),
            (
                "limits.instruments_per_bid",
                self.limits.instruments_per_bid,
            ),
            ("limits.flexible_hours", self.limits.flexible_hours),
            (
                "limits.position_unit_hours",
                self.limits.position_unit_hours,
            ),
            ("claim_window_hours", self.claim_window_hours),
            (
                "reading_deadline_hours",
                self.reading_deadline_hours.unwrap_or(0),
            ),
        ];
        if let Some((name, _)) = not_negative.iter().find(|(_, value)| *value < 0) {
            return Err(BadRules::Negative(name));
        }
        if self.bands.references.values().any(|price| price.0 < 0) {
            return Err(BadRules::Negative("bands.references"));
        }
        for level in self.service_levels.values() {
            let times = [
                ("grace_minutes", level.grace_minutes),
                ("default_minutes", level.default_minutes),
                ("maintenance_notice_hours", level.maintenance_notice_hours),
            ];
            if let Some((name, _)) = times.iter().find(|(_, time)| *time < 0) {
                return Err(BadRules::Negative(name));
            }
        }
        let in_time = self
            .reading_deadline_hours
            .is_some_and(|hours| hours <= self.claim_window_hours);
        if self.bond_bps > 0 && !in_time {
            return Err(BadRules::Deadline);
        }
        Ok(self)
    }

    fn check_shares(&self) -> Result<(), BadRules> {
        let share = |name: &str, bps: i64| {
            if (0..=WHOLE_BPS).contains(&bps) {
                Ok(())
            } else {
                Err(BadRules::Share(name.to_owned()))
            }
        };
        share("seller_fee.maker_bps", self.seller_fee.maker_bps)?;
        share("seller_fee.taker_bps", self.seller_fee.taker_bps)?;
        share("buyer_fee.maker_bps", self.buyer_fee.maker_bps)?;
        share("buyer_fee.taker_bps", self.buyer_fee.taker_bps)?;
        share("bond_bps", self.bond_bps)?;
        share("bands.width_bps", self.bands.width_bps)?;
        share("hand_back.holder_bps", self.hand_back.holder_bps)?;
        for (name, level) in &self.service_levels {
            let of_level = |key: &str| format!("service_levels.{name}.{key}");
            share(&of_level("availability_bps"), level.availability_bps)?;
            share(&of_level("penalty_bps"), level.penalty_bps)?;
            share(&of_level("maintenance_bps"), level.maintenance_bps)?;
            for step in &level.credits {
                share(&of_level("below_bps"), step.below_bps)?;
                share(&of_level("credit_bps"), step.credit_bps)?;
            }
        }
        Ok(())
    }

    /// How many minutes before its last start an order expires: a bid that rests and is pinned to a
    /// pool whose units have to be prepared. One that never rests may be exempt from the gate.
    pub(crate) fn gate_of(&self, placed: &PlaceOrder, access: Access) -> i32 {
        let rests = matches!(placed.tif, TimeInForce::Gtc | TimeInForce::Gtd { .. });
        if rests && placed.is_pinned() && access == Access::Prepared {
            // Nobody sees the other end of a gate of 4,000 years.
            i32::try_from(self.gate_minutes).unwrap_or(i32::MAX)
        } else {
            0
        }
    }

    /// Whether it limits what a participant may have still to come of an instrument.
    pub(crate) fn limits_positions(&self) -> bool {
        self.limits.position_unit_hours > 0
    }

    /// How many of the unit-minutes that a lease of the named service level owes declared
    /// maintenance may excuse: rounded down.
    pub fn excusable(&self, level: &str, promised: i64) -> i64 {
        let level = self.service_levels.get(level);
        let bps = level.map_or(0, |level| level.maintenance_bps);
        let excusable = i128::from(promised) * i128::from(bps);
        i64::try_from(excusable.div_euclid(WHOLE_BPS.into())).expect("no more than what is owed")
    }

    /// The credit, in basis points of the lease's price, for this many of this many unit-minutes
    /// under the named service level: that of the lowest step that applies. What is excused is not
    /// among those promised.
    pub fn credit_bps(&self, level: &str, delivered: i64, promised: i64) -> i64 {
        let Some(level) = self.service_levels.get(level) else {
            return 0;
        };
        level
            .credits
            .iter()
            .filter(|step| {
                i128::from(delivered) * i128::from(WHOLE_BPS)
                    < i128::from(step.below_bps) * i128::from(promised)
            })
            .min_by_key(|step| step.below_bps)
            .map_or(0, |step| step.credit_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_not_before_the_end_of_its_hour() {
        let rules = Rules {
            reading_deadline_hours: Some(-1),
            ..Rules::none()
        };
        let refused = BadRules::Negative("reading_deadline_hours");
        assert_eq!(rules.checked(), Err(refused));
    }

    #[test]
    fn a_bond_outlasts_the_deadline_of_the_last_reading() {
        let rules = |claim_window_hours, reading_deadline_hours| {
            let rules = Rules {
                bond_bps: 1,
                claim_window_hours,
                reading_deadline_hours,
                ..Rules::none()
            };
            rules.checked().map(|_| ())
        };
        assert_eq!(rules(24, Some(24)), Ok(()));
        assert_eq!(rules(24, Some(25)), Err(BadRules::Deadline));
        assert_eq!(rules(24, None), Err(BadRules::Deadline));
    }
}
