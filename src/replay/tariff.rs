//! What a card-hour costs: a published index in US dollars, turned into yuan.

use std::collections::BTreeMap;

use market::catalogue::Grade;
use market::{Money, YUAN};

use super::decimal::{Decimal, scaled};
use super::tables::{GradeMap, IndexPrices};

/// The step of every price here: a fen.
pub const TICK: Money = Money(YUAN / 100);

/// The published price of a grade, or the one that is derived for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// The model whose price it takes.
    pub price_model: String,
    /// Times this.
    pub factor: Decimal,
    /// Whether no price of the grade itself is published.
    pub derived: bool,
    /// The index, US dollars a card-hour, by day.
    pub days: Vec<Decimal>,
    /// Yuan for a US dollar.
    pub usd_cny: Decimal,
}

impl Tariff {
    /// The median of the days: of two in the middle the lower, so that it was really published.
    pub fn median(&self) -> Decimal {
        let mut days = self.days.clone();
        days.sort_unstable();
        days[(days.len() - 1) / 2]
    }

    /// What a unit-hour costs nationwide, in yuan.
    pub fn reference(&self) -> Money {
        self.price(self.median(), &[])
    }

    /// What it costs by the index of the `week`th published day, the days coming round again,
    /// times some factors in basis points.
    pub fn in_week(&self, week: usize, factors: &[i64]) -> Money {
        self.price(self.days[week % self.days.len()], factors)
    }

    /// The reference times some factors in basis points.
    pub fn of_reference(&self, factors: &[i64]) -> Money {
        self.price(self.median(), factors)
    }

    fn price(&self, usd: Decimal, factors: &[i64]) -> Money {
        let mut fractions = vec![self.usd_cny.0, self.factor.0];
        fractions.extend_from_slice(factors);
        Money(scaled(usd.0, &fractions, TICK.0))
    }
}

/// The tariffs of every grade for which a price is published or can be derived.
pub fn tariffs(
    grades: &GradeMap,
    prices: &IndexPrices,
    usd_cny: Decimal,
) -> BTreeMap<&'static str, Tariff> {
    let mut tariffs = BTreeMap::new();
    for mapped in grades.values() {
        let known = mapped.grade.zip(prices.get(&mapped.price_model));
        if let Some((grade, days)) = known {
            tariffs.insert(
                grade.name,
                Tariff {
                    price_model: mapped.price_model.clone(),
                    factor: mapped.factor,
                    derived: is_derived(grade, &mapped.price_model),
                    days: days.clone(),
                    usd_cny,
                },
            );
        }
    }
    tariffs
}

fn is_derived(grade: &Grade, price_model: &str) -> bool {
    grade.name != price_model
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_fen_of_the_index_in_yuan() {
        let tariff = Tariff {
            price_model: "A100-80GB".to_owned(),
            factor: Decimal(4_006),
            derived: true,
            days: [27_000, 21_900, 23_000, 20_000].map(Decimal).to_vec(),
            usd_cny: Decimal(71_000),
        };
        assert_eq!(tariff.median(), Decimal(21_900));
        // 2.19 × 7.1 × 0.4006 = 6.228929…
        assert_eq!(tariff.reference(), Money(62_300));
        // 2.7 × 7.1 × 0.4006 × 0.84 = 6.450782…, on the first day and every fourth after it.
        assert_eq!(tariff.in_week(4, &[8_400]), Money(64_500));
        assert_eq!(tariff.of_reference(&[15_000]).0 % TICK.0, 0);
    }
}
