//! Rule sets: what an operator decides, with the version that each trade keeps.

use std::collections::BTreeMap;

use crate::money::{Money, WHOLE_BPS};

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
}

/// What a service level promises, and what a broken promise credits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// The share of unit-minutes that it promises.
    pub availability_bps: i64,
    /// What a provider who defaults pays, as a share of the price of what is left and not bought in.
    #[serde(default)]
    pub penalty_bps: i64,
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
            service_levels: BTreeMap::new(),
        }
    }

    /// This rule set, if it can hold.
    ///
    /// # Errors
    /// When a share, an amount or a time is out of range, or a bond could be freed before the
    /// credit that it stands for is known.
    pub fn checked(self) -> Result<Self, BadRules> {
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
        share("hand_back.holder_bps", self.hand_back.holder_bps)?;
        for (name, level) in &self.service_levels {
            share(
                &format!("service_levels.{name}.availability_bps"),
                level.availability_bps,
            )?;
            share(
                &format!("service_levels.{name}.penalty_bps"),
                level.penalty_bps,
            )?;
            for step in &level.credits {
                share(&format!("service_levels.{name}.below_bps"), step.below_bps)?;
                share(
                    &format!("service_levels.{name}.credit_bps"),
                    step.credit_bps,
                )?;
            }
        }
        if self.seller_fee.flat < Money::ZERO {
            return Err(BadRules::Negative("seller_fee.flat"));
        }
        if self.buyer_fee.flat < Money::ZERO {
            return Err(BadRules::Negative("buyer_fee.flat"));
        }
        if self.resale.cooling_off_hours < 0 {
            return Err(BadRules::Negative("resale.cooling_off_hours"));
        }
        if self.hand_back.notice_hours < 0 {
            return Err(BadRules::Negative("hand_back.notice_hours"));
        }
        if self.claim_window_hours < 0 {
            return Err(BadRules::Negative("claim_window_hours"));
        }
        if self.reading_deadline_hours.is_some_and(|hours| hours < 0) {
            return Err(BadRules::Negative("reading_deadline_hours"));
        }
        let in_time = self
            .reading_deadline_hours
            .is_some_and(|hours| hours <= self.claim_window_hours);
        if self.bond_bps > 0 && !in_time {
            return Err(BadRules::Deadline);
        }
        Ok(self)
    }

    /// The credit, in basis points of the lease's price, for this many of this many unit-minutes
    /// under the named service level: that of the lowest step that applies.
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
