//! The ticket: what is typed to buy, and the order that it means.

use jiff::civil::Date;
use market::catalogue::Grade;
use market::{
    ClientId, Flexible, Hour, InstrumentId, Money, ParticipantId, Period, PlaceOrder, Rejection,
    Side, Target, TimeInForce, Timestamp,
};
use serde::Deserialize;

use super::queries::Key;
use crate::clock;
use crate::web::form::{form_id, plain, price, whole};
use crate::web::image::Image;
use crate::web::placing::Access;
use crate::web::window::Window;
use crate::web::{FieldErrors, Locale, error, format};

/// The hours of a ticket that names none.
pub(super) const HOURS: i64 = 4;

/// The most units that a ticket takes; a typing error is likelier than a larger order.
const MOST_UNITS: i64 = 1_000_000;

/// The most hours of the period in which a ticket's hours may lie wherever they are cheapest.
pub(super) const MOST_WITHIN: i64 = 168;

/// How many more hours than it wants a ticket has to lie in, where it does not say.
const ROOM: i64 = 24;

/// The most runs that are looked at for a ticket that may be split: each is a look at the books,
/// which nobody else reads meanwhile.
const MOST_RUNS: i64 = 4_000;

/// What a ticket names in place of a key that is chosen later.
pub(super) const LATER: &str = "later";

/// The ticket as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ticket {
    pub(super) mode: String,
    pub(super) day: String,
    pub(super) hour: String,
    pub(super) hours: String,
    /// `within` for hours that may lie anywhere until the end that is named.
    pub(super) timing: String,
    pub(super) to_day: String,
    pub(super) to_hour: String,
    pub(super) split: String,
    pub(super) min_run: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) tif: String,
    pub(super) until_day: String,
    pub(super) until_hour: String,
    pub(super) min_fill: String,
    pub(super) post_only: String,
    pub(super) client_id: String,
    pub(super) hold: String,
    pub(super) image: String,
    pub(super) ssh_key: String,
}

/// What a ticket means.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The hours that are wanted, as early as they may begin.
    pub(super) window: Window,
    /// Where they may lie instead.
    pub(super) within: Option<Within>,
    pub(super) units: i64,
    /// The limit; none where the book is to say it.
    pub(super) price: Option<Money>,
    pub(super) tif: TimeInForce,
    pub(super) min_fill: Option<i64>,
    pub(super) post_only: bool,
}

/// Where the hours of a ticket may lie, and whether in several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) period: Period,
    pub(super) flexible: Flexible,
}

impl Ticket {
    /// What is to be found started: an image that runs on the grade, and one of these keys, or
    /// none as yet.
    pub(super) fn access(
        &self,
        locale: Locale,
        grade: Option<&Grade>,
        keys: &[Key],
    ) -> Result<Access, FieldErrors> {
        let mut errors = FieldErrors::default();
        let image = Image::of(&self.image).filter(|image| image.fits(grade));
        if image.is_none() {
            errors.add("image", locale.t("access.bad.image"));
        }
        let known = |id: &i64| keys.iter().any(|key| key.id == *id);
        let ssh_key = match self.ssh_key.as_str() {
            "" | LATER => Some(None),
            typed => whole(typed).filter(known).map(Some),
        };
        if ssh_key.is_none() {
            errors.add("ssh_key", locale.t("access.bad.key"));
        }
        match (image, ssh_key) {
            (Some(image), Some(ssh_key)) => Ok(Access {
                image: &image.code,
                ssh_key,
            }),
            _ => Err(errors),
        }
    }

    /// Whether it takes what the book has now and leaves nothing in it, with no more to be said.
    pub(super) fn is_simple(&self) -> bool {
        self.mode != "advanced"
    }

    /// Whether its hours may lie anywhere in a period.
    pub(super) fn is_within(&self) -> bool {
        self.timing == "within"
    }

    /// The period that it names; what can't be read of it is of the next hours that can be had.
    pub(super) fn window(&self, soon: Timestamp) -> Window {
        let next = Window::next(soon, HOURS);
        Window::nearest(&self.day, &self.hour, &self.hours, &next)
    }

    /// The same as its person typed it: the price of a simple one is the book's.
    pub(super) fn as_typed(&self) -> Self {
        let mut typed = self.clone();
        if typed.is_simple() {
            typed.price.clear();
        }
        typed
    }

    /// The same for whatever limit gets all of it.
    pub(super) fn without_limit(&self) -> Self {
        Self {
            mode: String::new(),
            price: String::new(),
            ..self.clone()
        }
    }

    /// The same in exactly these hours.
    pub(super) fn at(&self, window: &Window) -> Self {
        Self {
            timing: String::new(),
            day: window.day(),
            hour: window.hour().to_string(),
            hours: window.hours().to_string(),
            ..self.clone()
        }
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
        let within = window.as_ref().ok().filter(|_| self.is_within());
        let within = within.and_then(|window| self.read_within(window, locale, &mut errors));
        let units = whole(&self.units).filter(|units| (1..=MOST_UNITS).contains(units));
        if units.is_none() {
            errors.add("units", locale.t("ticket.bad.units"));
        }
        let is_open = self.is_simple() && self.price.is_empty();
        let price = (!is_open).then(|| price(&self.price, locale, &mut errors));
        let advanced = self.read_advanced(locale, &mut errors);
        match (window, units, price, advanced) {
            (Ok(window), Some(units), price, Some((tif, min_fill, post_only)))
                if errors.is_empty() =>
            {
                Ok(Terms {
                    window,
                    within,
                    units,
                    price: price.flatten(),
                    tif,
                    min_fill,
                    post_only,
                })
            }
            _ => Err(errors),
        }
    }

    /// Where its hours may lie.
    fn read_within(
        &self,
        window: &Window,
        locale: Locale,
        errors: &mut FieldErrors,
    ) -> Option<Within> {
        let (start, hours) = (window.period.start, window.hours());
        let Some(end) = self.to(window) else {
            errors.add("to_day", locale.t("ticket.bad.to"));
            return None;
        };
        let room = end.0 - start.0;
        let words = [
            ("room", &*room.max(0).to_string()),
            ("hours", &hours.to_string()),
            ("most", &MOST_WITHIN.to_string()),
        ];
        if room < hours {
            errors.add("to_day", locale.tr("ticket.bad.narrow", words));
            return None;
        }
        if room > MOST_WITHIN {
            errors.add("to_day", locale.tr("ticket.bad.wide", words));
            return None;
        }
        let splittable = !self.split.is_empty();
        let min_run = match self.min_run.trim() {
            _ if !splittable => Some(1),
            "" => Some(1),
            typed => whole(typed).filter(|least| (1..=hours).contains(least)),
        };
        let Some(min_run) = min_run else {
            errors.add("min_run", locale.tr("ticket.bad.min_run", words));
            return None;
        };
        if splittable && room * (hours - min_run + 1) > MOST_RUNS {
            errors.add("min_run", locale.t("ticket.bad.many_runs"));
            return None;
        }
        Some(Within {
            period: Period { start, end },
            flexible: Flexible {
                duration: hours,
                splittable,
                min_run,
            },
        })
    }

    /// The end of the period in which its hours may lie; a day later than the earliest where none
    /// is named.
    pub(super) fn to(&self, window: &Window) -> Option<Hour> {
        let (day, hour) = (self.to_day.trim(), self.to_hour.trim());
        if day.is_empty() && hour.is_empty() {
            let latest = window.period.start.0 + MOST_WITHIN;
            return Some(Hour((window.period.end.0 + ROOM).min(latest)));
        }
        let day: Date = day.parse().ok()?;
        let hour: i64 = plain(hour).parse().ok().filter(|h| (1..=24).contains(h))?;
        let begins = day.to_zoned(format::zone()).ok()?.timestamp();
        Some(Hour(clock::stamp(begins).hour().0 + hour))
    }

    /// How long it stands, its smallest fill, and whether it must rest.
    fn read_advanced(
        &self,
        locale: Locale,
        errors: &mut FieldErrors,
    ) -> Option<(TimeInForce, Option<i64>, bool)> {
        if self.is_simple() {
            return Some((TimeInForce::Fok, None, false));
        }
        let tif = match self.tif.as_str() {
            "" | "gtc" => Some(TimeInForce::Gtc),
            "gtd" => self.until().map(|until| TimeInForce::Gtd { until }),
            "ioc" => Some(TimeInForce::Ioc),
            "fok" => Some(TimeInForce::Fok),
            _ => None,
        };
        if tif.is_none() {
            let (field, key) = match self.tif.as_str() {
                "gtd" => ("until", "ticket.bad.until"),
                _ => ("tif", "ticket.bad.tif"),
            };
            errors.add(field, locale.t(key));
        }
        let min_fill = match self.min_fill.trim() {
            "" => Some(None),
            typed => whole(typed)
                .filter(|units| (1..=MOST_UNITS).contains(units))
                .map(Some),
        };
        if min_fill.is_none() {
            errors.add("min_fill", locale.t("ticket.bad.units"));
        }
        let post_only = !self.post_only.is_empty();
        if post_only && matches!(tif, Some(TimeInForce::Ioc | TimeInForce::Fok)) {
            errors.add("post_only", locale.t("ticket.bad.post_only"));
        }
        Some((tif?, min_fill?, post_only))
    }

    /// Until when it is to stand, in China's time.
    fn until(&self) -> Option<Timestamp> {
        let day: Date = self.until_day.trim().parse().ok()?;
        let hour: i8 = plain(&self.until_hour).parse().ok()?;
        let at = (0..24).contains(&hour).then(|| day.at(hour, 0, 0, 0))?;
        let at = at.to_zoned(format::zone()).ok()?.timestamp();
        Some(clock::stamp(at))
    }

    /// A client id of a browser's ticket: 16 to 64 letters, digits and hyphens.
    pub(super) fn client_id(&self) -> Option<ClientId> {
        form_id(&self.client_id).map(|id| ClientId(id.to_owned()))
    }

    /// Whether the amount that the button named is this one.
    pub(super) fn names_hold(&self, hold: i128) -> bool {
        let named = self.hold.parse::<Money>();
        named.is_ok_and(|named| i128::from(named.0) == hold)
    }

    /// Each field that carries something, with its name: what a link to this ticket takes along.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let advanced = [
            ("price", &self.price),
            ("tif", &self.tif),
            ("until_day", &self.until_day),
            ("until_hour", &self.until_hour),
            ("min_fill", &self.min_fill),
            ("post_only", &self.post_only),
        ];
        let mut fields = vec![
            ("mode", self.mode.as_str()),
            ("day", &self.day),
            ("hour", &self.hour),
            ("hours", &self.hours),
            ("units", &self.units),
        ];
        if self.is_within() {
            fields.extend([
                ("timing", &*self.timing),
                ("to_day", &self.to_day),
                ("to_hour", &self.to_hour),
                ("split", &self.split),
                ("min_run", &self.min_run),
            ]);
        }
        if !self.is_simple() {
            fields.extend(advanced.map(|(name, value)| (name, value.as_str())));
        }
        fields.extend([("image", &*self.image), ("ssh_key", &*self.ssh_key)]);
        fields.retain(|(_, value)| !value.is_empty());
        fields
    }

    /// The same as a query.
    pub(super) fn query(&self) -> String {
        let pairs = self.fields().into_iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", error::encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
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
        let period = self
            .within
            .map_or(self.window.period, |within| within.period);
        PlaceOrder {
            participant,
            client_id,
            side: Side::Buy {
                target: Target::Instruments(vec![instrument]),
                min_fill: self.min_fill,
                flexible: self.within.map(|within| within.flexible),
                buy_in: false,
            },
            units: self.units,
            price: self.price.unwrap_or_default(),
            start: period.start.begins(),
            end: period.end.begins(),
            tif: self.tif,
            post_only: self.post_only,
        }
    }

    /// The field that a rejection of these terms is about; none for what is about all of them.
    pub(super) fn field_of(&self, rejection: Rejection, lot: i64) -> Option<&'static str> {
        match rejection {
            Rejection::NotALot if self.units.checked_rem(lot) == Some(0) => Some("min_fill"),
            Rejection::NotALot => Some("units"),
            Rejection::MinFillOverUnits => Some("min_fill"),
            Rejection::NotATick | Rejection::OutsideBand { .. } => Some("price"),
            Rejection::BadPeriod
            | Rejection::PeriodStarted
            | Rejection::PeriodOver
            | Rejection::GateClosed => Some("day"),
            Rejection::BadDuration => Some("hours"),
            Rejection::OverLimit => self.within.map(|_| "to_day"),
            Rejection::UntilPassed => Some("until"),
            Rejection::WouldTrade => Some("post_only"),
            _ => None,
        }
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
            mode: "advanced".to_owned(),
            ..Ticket::default()
        }
    }

    #[test]
    fn a_ticket_means_an_order() {
        let terms = ticket().read(Locale::En, NOW).unwrap();
        assert_eq!(
            (terms.units, terms.price, terms.tif),
            (8, Some(Money(99_800)), TimeInForce::Gtc)
        );
        assert_eq!(terms.window.hours(), 4);
        assert!(ticket().names_hold(3_193_600));
        assert!(!ticket().names_hold(3_193_500));
        // A simple one takes what there is and rests nowhere.
        let simple = Ticket {
            mode: String::new(),
            ..ticket()
        };
        let terms = simple.read(Locale::En, NOW).unwrap();
        assert_eq!((terms.tif, terms.post_only), (TimeInForce::Fok, false));
        // Its limit is the book's until it was confirmed.
        let open = Ticket {
            price: String::new(),
            ..simple
        };
        assert_eq!(open.read(Locale::En, NOW).unwrap().price, None);
    }

    #[test]
    fn hours_may_lie_anywhere_in_a_period() {
        let within = |change: fn(&mut Ticket)| {
            let mut ticket = Ticket {
                timing: "within".to_owned(),
                ..ticket()
            };
            change(&mut ticket);
            ticket.read(Locale::En, NOW).map(|terms| terms.within)
        };
        // Four hours from 15:00 in China, with a day's room.
        let some = within(|_| ()).unwrap().unwrap();
        assert_eq!(some.period.hours(), 28);
        let flexible = Flexible {
            duration: 4,
            splittable: false,
            min_run: 1,
        };
        assert_eq!(some.flexible, flexible);
        let split = |ticket: &mut Ticket| {
            ticket.to_day = "2026-10-05".to_owned();
            ticket.to_hour = "24".to_owned();
            ticket.split = "on".to_owned();
            ticket.min_run = "2".to_owned();
        };
        let some = within(split).unwrap().unwrap();
        assert_eq!(some.period.hours(), 9);
        let flexible = Flexible {
            splittable: true,
            min_run: 2,
            ..flexible
        };
        assert_eq!(some.flexible, flexible);
        // More ways to split it than are looked at.
        let many = within(|ticket| {
            ticket.hours = "84".to_owned();
            ticket.to_day = "2026-10-12".to_owned();
            ticket.to_hour = "15".to_owned();
            ticket.split = "on".to_owned();
        });
        assert!(many.unwrap_err().get("min_run").is_some());
        // Fixed hours are not in the way of what was typed beside them.
        let fixed = within(|ticket| {
            ticket.timing = "fixed".to_owned();
            ticket.to_day = "x".to_owned();
        });
        assert_eq!(fixed.unwrap(), None);
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
        bad(|t| t.tif = "day".to_owned(), "tif");
        bad(|t| t.tif = "gtd".to_owned(), "until");
        let bad_within = |to: (&str, &str), min_run: &str, field: &str| {
            let ticket = Ticket {
                timing: "within".to_owned(),
                to_day: to.0.to_owned(),
                to_hour: to.1.to_owned(),
                split: "on".to_owned(),
                min_run: min_run.to_owned(),
                ..ticket()
            };
            let errors = ticket.read(Locale::En, NOW).unwrap_err();
            assert!(errors.get(field).is_some(), "{field}");
        };
        bad_within(("2026-10-05", ""), "1", "to_day");
        bad_within(("2026-10-05", "25"), "1", "to_day");
        bad_within(("x", "9"), "1", "to_day");
        // It begins at 15:00 and has four hours.
        bad_within(("2026-10-05", "18"), "1", "to_day");
        bad_within(("2026-10-12", "16"), "1", "to_day");
        bad_within(("2026-10-05", "24"), "5", "min_run");
        bad_within(("2026-10-05", "24"), "0", "min_run");
    }
}
