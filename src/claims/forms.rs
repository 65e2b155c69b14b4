//! What is typed to report a problem, and the claim that it means.

use market::{Period, Timestamp};
use serde::Deserialize;

use super::queries::Lease;
use crate::web::form::client_id;
use crate::web::minutes::{Bounds, Sum, TypedSum, statement};
use crate::web::window::Window;
use crate::web::{FieldErrors, Locale};

/// What can be wrong with a lease.
pub(super) const REASONS: [&str; 6] = [
    "not_reachable",
    "wrong_grade",
    "interconnect",
    "slow",
    "data_lost",
    "other",
];

/// The report of a problem as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    pub(super) reason: String,
    pub(super) day: String,
    pub(super) hour: String,
    pub(super) hours: String,
    pub(super) by: String,
    pub(super) minutes: String,
    pub(super) units: String,
    pub(super) amount: String,
    pub(super) text: String,
    pub(super) form_id: String,
    /// The amount that the button named.
    pub(super) claim: String,
}

/// What a report means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) reason: String,
    pub(super) period: Period,
    pub(super) sum: Sum,
    pub(super) text: String,
}

impl Report {
    /// A report that nobody has typed into: of the lease's last hour that has begun.
    pub(super) fn new(lease: &Lease, now: Timestamp) -> Self {
        let window = Window {
            period: lease.last_begun(now),
        };
        Self {
            day: window.day(),
            hour: window.hour().to_string(),
            hours: "1".to_owned(),
            by: "minutes".to_owned(),
            units: lease.units.to_string(),
            form_id: client_id(),
            ..Self::default()
        }
    }

    /// The hours and the sum, or what is wrong with them by field.
    pub(super) fn sum(
        &self,
        locale: Locale,
        lease: &Lease,
        now: Timestamp,
        errors: &mut FieldErrors,
    ) -> Option<(Period, Sum)> {
        let like = Window {
            period: lease.last_begun(now),
        };
        let period = match Window::read(&self.day, &self.hour, &self.hours, &like) {
            Ok(window) => window.period,
            Err(field) => {
                let key = format!("ticket.bad.{}", field.name());
                errors.add(field.name(), locale.t(key));
                return None;
            }
        };
        if !lease.period.covers(period) {
            let own = locale.period(lease.period);
            errors.add("day", locale.tr("claim.bad.outside", [("period", &own)]));
            return None;
        }
        if period.end.0 > now.hour().0 + 1 {
            errors.add("day", locale.t("claim.bad.not_begun"));
            return None;
        }
        let bounds = Bounds {
            price: lease.price,
            units: lease.units,
            hours: period.hours(),
            least: 1,
            most: lease.total(),
        };
        let typed = TypedSum {
            by: &self.by,
            minutes: &self.minutes,
            units: &self.units,
            amount: &self.amount,
        };
        let sum = typed.read(locale, &bounds, errors)?;
        Some((period, sum))
    }

    /// What it means, or what is wrong with it by field.
    pub(super) fn read(
        &self,
        locale: Locale,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Claim, FieldErrors> {
        let mut errors = FieldErrors::default();
        let is_reason = REASONS.contains(&self.reason.as_str());
        if !is_reason {
            errors.add("reason", locale.t("claim.bad.reason"));
        }
        let sum = self.sum(locale, lease, now, &mut errors);
        let text = statement(locale, &self.text);
        match (sum, text) {
            (Some((period, sum)), Ok(text)) if is_reason => Ok(Claim {
                reason: self.reason.clone(),
                period,
                sum,
                text,
            }),
            (_, text) => {
                if let Err(wrong) = text {
                    errors.add("text", wrong);
                }
                Err(errors)
            }
        }
    }

    /// Whether the amount that the button named is the one that will be claimed.
    pub(super) fn names(&self, claim: &Claim) -> bool {
        self.claim.parse::<market::Money>().ok() == Some(claim.sum.amount)
    }
}

#[cfg(test)]
mod tests {
    use market::{Hour, LeaseId, Money};

    use super::*;

    /// 2026-11-01T01:00:00Z.
    const NOW: Timestamp = Timestamp(1_793_494_800_000_000);

    /// Four hours of eight units at 10.00, of which two and a half are over.
    fn lease() -> Lease {
        let start = NOW.hour().0 - 2;
        Lease {
            id: LeaseId(1),
            symbol: "A10.GUZ-GAN.SILVER".to_owned(),
            provider: "黔云算力".to_owned(),
            units: 8,
            price: Money(100_000),
            period: Period {
                start: Hour(start),
                end: Hour(start + 4),
            },
        }
    }

    fn report() -> Report {
        Report {
            reason: "slow".to_owned(),
            minutes: "40".to_owned(),
            text: "half the speed".to_owned(),
            ..Report::new(&lease(), NOW)
        }
    }

    #[test]
    fn a_report_means_a_claim_about_the_hour_in_course() {
        let claim = report().read(Locale::En, &lease(), NOW).unwrap();
        assert_eq!(claim.sum.amount, Money(533_333));
        assert_eq!(claim.period.hours(), 1);
        assert_eq!(claim.period.start, NOW.hour());
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        let bad = |change: fn(&mut Report), field: &str| {
            let mut report = report();
            change(&mut report);
            let errors = report.read(Locale::En, &lease(), NOW).unwrap_err();
            assert!(errors.get(field).is_some(), "{field}: {errors:?}");
        };
        bad(|r| r.reason = "unheard_of".to_owned(), "reason");
        bad(|r| r.day = "2026-02-30".to_owned(), "day");
        bad(|r| r.day = "2026-02-03".to_owned(), "day");
        bad(|r| r.hours = "2".to_owned(), "day");
        bad(|r| r.minutes = "61".to_owned(), "minutes");
        bad(|r| r.minutes = "0".to_owned(), "minutes");
        bad(|r| r.minutes = "9".repeat(40), "minutes");
        bad(|r| r.units = "9".to_owned(), "units");
        bad(|r| r.text = " \r\n ".to_owned(), "text");
        bad(|r| r.text = "長".repeat(4_001), "text");
        bad(|r| r.text = "a\0b".to_owned(), "text");
        for amount in [
            "",
            "0",
            "-1",
            "1.00001",
            "320.0001",
            "1e9",
            "9999999999999999999999",
        ] {
            let report = Report {
                by: "amount".to_owned(),
                amount: amount.to_owned(),
                ..report()
            };
            let errors = report.read(Locale::En, &lease(), NOW).unwrap_err();
            assert!(errors.get("amount").is_some(), "{amount}");
        }
    }

    #[test]
    fn an_amount_is_claimed_as_it_was_typed_and_confirmed() {
        let report = Report {
            by: "amount".to_owned(),
            amount: "３２０.00".to_owned(),
            claim: "320.0000".to_owned(),
            text: "a".repeat(4_000),
            ..report()
        };
        let claim = report.read(Locale::En, &lease(), NOW).unwrap();
        assert_eq!(claim.sum.minutes, None);
        assert!(report.names(&claim));
        let unconfirmed = Report {
            claim: "320.0001".to_owned(),
            ..report
        };
        assert!(!unconfirmed.names(&claim));
    }
}
