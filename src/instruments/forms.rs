//! The ticket: what is typed to buy, and the order that it means.

use market::{
    ClientId, InstrumentId, Money, MoneyError, ParticipantId, PlaceOrder, Rejection, Side, Target,
    TimeInForce, Timestamp,
};
use serde::Deserialize;

use crate::web::form::{plain, whole};
use crate::web::window::Window;
use crate::web::{FieldErrors, Locale, quote};

/// The hours of a ticket that names none.
pub(super) const HOURS: i64 = 4;

/// The most units that a ticket takes; a typing error is likelier than a larger order.
const MOST_UNITS: i64 = 1_000_000;

/// The ticket as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ticket {
    pub(super) day: String,
    pub(super) hour: String,
    pub(super) hours: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) tif: String,
    pub(super) client_id: String,
    pub(super) hold: String,
}

/// What a ticket means.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) window: Window,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) tif: TimeInForce,
}

impl Ticket {
    /// The period that it names, or the next hours that can be had.
    pub(super) fn window(&self, soon: Timestamp) -> Window {
        let next = Window::next(soon, HOURS);
        Window::read(&self.day, &self.hour, &self.hours, &next).unwrap_or(next)
    }

    /// What it means, or what is wrong with it by field.
    pub(super) fn read(&self, locale: Locale, soon: Timestamp) -> Result<Terms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let next = Window::next(soon, HOURS);
        let window = Window::read(&self.day, &self.hour, &self.hours, &next);
        if let Err(field) = window {
            errors.add(
                field.name(),
                locale.t(format!("ticket.bad.{}", field.name())),
            );
        }
        let units = whole(&self.units).filter(|units| (1..=MOST_UNITS).contains(units));
        if units.is_none() {
            errors.add("units", locale.t("ticket.bad.units"));
        }
        let price = plain(&self.price).parse::<Money>();
        if let Err(error) = price {
            let key = match error {
                MoneyError::NotANumber => "ticket.bad.price",
                MoneyError::TooManyDecimals => "ticket.bad.decimals",
                MoneyError::TooLarge => "ticket.bad.large",
            };
            errors.add("price", locale.t(key));
        }
        let tif = match self.tif.as_str() {
            "" | "gtc" => Some(TimeInForce::Gtc),
            "ioc" => Some(TimeInForce::Ioc),
            "fok" => Some(TimeInForce::Fok),
            _ => None,
        };
        if tif.is_none() {
            errors.add("tif", locale.t("ticket.bad.tif"));
        }
        match (window, units, price, tif) {
            (Ok(window), Some(units), Ok(price), Some(tif)) => Ok(Terms {
                window,
                units,
                price,
                tif,
            }),
            _ => Err(errors),
        }
    }

    /// A client id of a browser's ticket: 16 to 64 letters, digits and hyphens.
    pub(super) fn client_id(&self) -> Option<ClientId> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_ours =
            (16..=64).contains(&self.client_id.len()) && self.client_id.bytes().all(is_plain);
        is_ours.then(|| ClientId(self.client_id.clone()))
    }

    /// Whether the amount that the button named is the one that will be held.
    pub(super) fn names_hold(&self, terms: &Terms) -> bool {
        let hold = quote::hold(terms.price, terms.units, terms.window.hours());
        hold.is_some() && self.hold.parse::<Money>().ok() == hold
    }
}

impl Terms {
    /// The order of these terms.
    pub(super) fn order(
        &self,
        participant: ParticipantId,
        client_id: ClientId,
        instrument: InstrumentId,
    ) -> PlaceOrder {
        PlaceOrder {
            participant,
            client_id,
            side: Side::Buy {
                target: Target::Instruments(vec![instrument]),
                min_fill: None,
            },
            units: self.units,
            price: self.price,
            start: self.window.period.start.begins(),
            end: self.window.period.end.begins(),
            tif: self.tif,
            post_only: false,
        }
    }
}

/// The field that a rejection is about; none for what is about the whole ticket.
pub(super) fn field_of(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::NotALot | Rejection::MinFillOverUnits => Some("units"),
        Rejection::NotATick => Some("price"),
        Rejection::BadPeriod | Rejection::PeriodStarted | Rejection::PeriodOver => Some("day"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_791_181_920_000_000);

    fn ticket() -> Ticket {
        Ticket {
            units: "8".to_owned(),
            price: "9.98".to_owned(),
            hold: "319.36".to_owned(),
            ..Ticket::default()
        }
    }

    #[test]
    fn a_ticket_means_an_order() {
        let terms = ticket().read(Locale::En, NOW).unwrap();
        assert_eq!(
            (terms.units, terms.price, terms.tif),
            (8, Money(99_800), TimeInForce::Gtc)
        );
        assert_eq!(terms.window.hours(), 4);
        assert!(ticket().names_hold(&terms));
        let other = Ticket {
            hold: "319.35".to_owned(),
            ..ticket()
        };
        assert!(!other.names_hold(&terms));
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        let bad = |change: fn(&mut Ticket), field: &str| {
            let mut ticket = ticket();
            change(&mut ticket);
            let errors = ticket.read(Locale::En, NOW).unwrap_err();
            assert!(errors.get(field).is_some(), "{field}");
        };
        bad(|t| t.units = "1.5".to_owned(), "units");
        bad(|t| t.units = "0".to_owned(), "units");
        bad(|t| t.units = "9".repeat(30), "units");
        bad(|t| t.price = "-1".to_owned() + "e9", "price");
        bad(|t| t.price = "1.00001".to_owned(), "price");
        bad(|t| t.price = "9".repeat(30), "price");
        bad(|t| t.day = "2026-13-01".to_owned(), "day");
        bad(|t| t.hours = "-4".to_owned(), "hours");
        bad(|t| t.tif = "gtd".to_owned(), "tif");
    }

    #[test]
    fn an_absurd_order_has_no_hold_to_confirm() {
        let ticket = Ticket {
            price: "899999999999".to_owned(),
            units: "1000000".to_owned(),
            hours: "9600".to_owned(),
            ..ticket()
        };
        let terms = ticket.read(Locale::En, NOW).unwrap();
        assert!(!ticket.names_hold(&terms));
    }
}
