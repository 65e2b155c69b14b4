//! What is typed to change an order or to decide on a request.

use market::{Market, Money, MoneyError, Order, Rejection};
use serde::Deserialize;

use crate::web::form::{plain, whole};
use crate::web::{FieldErrors, Locale, placing, say};

/// The most units that a form takes; a typing error is likelier than a larger order.
const MOST_UNITS: i64 = 1_000_000;

/// A change of an open bid, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Change {
    pub(super) units: String,
    pub(super) price: String,
    /// The order as it was shown when the change was confirmed.
    pub(super) was: String,
}

/// What was typed about a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Opinion {
    pub(super) reason: String,
}

impl Change {
    /// A change that nobody has typed into: the order as it is.
    pub(super) fn of(order: &Order) -> Self {
        let price = order.price.to_string();
        Self {
            units: order.units.to_string(),
            price: price
                .strip_suffix("00")
                .map_or(price.clone(), str::to_owned),
            was: placing::as_shown(order),
        }
    }

    /// The new total and limit, or what is wrong with them by field.
    pub(super) fn read(&self, locale: Locale) -> Result<(i64, Money), FieldErrors> {
        let mut errors = FieldErrors::default();
        let units = whole(&self.units).filter(|units| (1..=MOST_UNITS).contains(units));
        if units.is_none() {
            errors.add("units", locale.t("ticket.bad.units"));
        }
        let price = plain(&self.price).parse::<Money>();
        if price.is_ok_and(|price| price <= Money::ZERO) {
            errors.add("price", say::rejection(locale, Rejection::NotATick));
        }
        if let Err(error) = price {
            let key = match error {
                MoneyError::NotANumber => "ticket.bad.price",
                MoneyError::TooManyDecimals => "ticket.bad.decimals",
                MoneyError::TooLarge => "ticket.bad.large",
            };
            errors.add("price", locale.t(key));
        }
        match (units, price) {
            (Some(units), Ok(price)) if errors.is_empty() => Ok((units, price)),
            _ => Err(errors),
        }
    }
}

/// What the market would say no to whatever the books are, so that it is said before anything is
/// confirmed.
pub(super) fn flaw(
    market: &Market,
    order: &Order,
    (units, price): (i64, Money),
) -> Option<Rejection> {
    let is_tick = |tick: Money| price.0.checked_rem(tick.0) == Some(0);
    let mut instruments = order.instruments.iter();
    let fits = instruments.all(|one| {
        let listed = market.instrument(*one).map(|one| one.listed.tick);
        listed.is_some_and(is_tick)
    });
    if order.done.is_some() {
        Some(Rejection::OrderDone)
    } else if units.checked_rem(order.lot) != Some(0) {
        Some(Rejection::NotALot)
    } else if order.min_fill() > units {
        Some(Rejection::MinFillOverUnits)
    } else if price <= Money::ZERO || !fits {
        Some(Rejection::NotATick)
    } else {
        None
    }
}

/// The field that a refused change is about; none for what is about all of it.
pub(super) fn field_of(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::NotALot | Rejection::MinFillOverUnits => Some("units"),
        Rejection::NotATick | Rejection::WouldTrade => Some("price"),
        _ => None,
    }
}
