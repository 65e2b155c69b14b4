//! What is typed to change an order or to decide on a request.

use market::{Market, Money, Order, Rejection};
use serde::Deserialize;

use crate::web::form::{plain_price, price, whole};
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
        Self {
            units: order.units.to_string(),
            price: plain_price(order.price),
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
        let price = price(&self.price, locale, &mut errors);
        if price.is_some_and(|price| price <= Money::ZERO) {
            errors.add("price", say::rejection(locale, Rejection::NotATick));
        }
        match (units, price) {
            (Some(units), Some(price)) if errors.is_empty() => Ok((units, price)),
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
