//! What can be done about a lease now.

use askama::Template;
use askama::filters::HtmlSafe;

use super::super::pages;
use super::LeaseRow;
use crate::app::App;
use crate::web::Locale;
use crate::web::window::{Window, soon};

/// What can be done about a lease now.
#[derive(Template)]
#[template(path = "leases/_doings.html")]
pub(in crate::leases) struct Doings {
    locale: Locale,
    again: Again,
    /// The hours that can be handed back, and where.
    hand_back: Option<(String, String)>,
    problem: Option<Problem>,
}

impl HtmlSafe for Doings {}

/// Where a problem of the lease is reported, or dealt with.
struct Problem {
    key: &'static str,
    text: String,
    href: String,
    onward: &'static str,
}

/// A ticket like this lease: for the hours after it, or for the next ones.
struct Again {
    key: &'static str,
    period: String,
    href: String,
}

impl Doings {
    pub(super) fn new(app: &App, locale: Locale, row: &LeaseRow) -> Self {
        Self {
            locale,
            again: again(app, locale, row),
            hand_back: pages::returnable(app, row).map(|window| {
                let hours = locale.period(window.period);
                (hours, format!("/leases/{}/hand-back", row.id))
            }),
            problem: problem(app, locale, row),
        }
    }
}

/// The report of a problem while one can be made, or the dispute that is open.
fn problem(app: &App, locale: Locale, row: &LeaseRow) -> Option<Problem> {
    let market = app.feed.market();
    if let Some(dispute) = market.open_dispute(row.id) {
        return Some(Problem {
            key: "lease.disputed",
            text: dispute.id.to_string(),
            href: format!("/disputes/{}", dispute.id),
            onward: "claim.to_dispute",
        });
    }
    let (begins, ends) = (row.period.start.begins(), row.period.end.begins());
    let until = ends.plus_hours(market.rules().claim_window_hours);
    let now = app.clock.now();
    (begins <= now && now < until).then(|| Problem {
        key: "lease.problem",
        text: locale.tr("claim.until", [("until", &locale.minute(until))]),
        href: format!("/leases/{}/problem", row.id),
        onward: "claim.title",
    })
}

/// The hours after the lease while they can still be bought, else the next ones.
fn again(app: &App, locale: Locale, row: &LeaseRow) -> Again {
    let next = Window::next(soon(&app.clock), row.period.hours());
    let after = Window {
        period: market::Period {
            start: row.period.end,
            end: market::Hour(row.period.end.0 + row.period.hours()),
        },
    };
    let (key, window) = if after.period.start < next.period.start {
        ("lease.again", next)
    } else {
        ("lease.extend", after)
    };
    Again {
        key,
        period: locale.period(window.period),
        href: format!(
            "/market/{}?units={}&{}#ticket",
            row.symbol,
            row.held.most(app.clock.now()),
            window.query()
        ),
    }
}
