//! The market's answers in the reader's words.

use market::{DoneWhy, Flexible, Period, Rejection, TimeInForce};

use super::format;
use super::i18n::Locale;

/// Why the market said no, in one sentence with the way on.
pub fn rejection(locale: Locale, rejection: Rejection) -> String {
    match rejection {
        Rejection::InsufficientFunds { missing } => {
            let missing = format::wide(missing);
            locale.tr("rejection.insufficient_funds", [("missing", &missing)])
        }
        _ => locale
            .t(format!("rejection.{}", rejection.code()))
            .into_owned(),
    }
}

/// How long an order stands.
pub fn stands(locale: Locale, tif: TimeInForce) -> String {
    let key = match tif {
        TimeInForce::Gtd { until } => {
            return locale.tr("confirm.until", [("when", &locale.minute(until))]);
        }
        TimeInForce::Gtc => "ticket.tif.gtc",
        TimeInForce::Ioc => "ticket.tif.ioc",
        TimeInForce::Fok => "ticket.tif.fok",
    };
    locale.t(key).into_owned()
}

/// When a bid is to be delivered: its hours, or how many of which.
pub fn delivery(locale: Locale, period: Period, flexible: Option<Flexible>) -> String {
    let Some(flexible) = flexible else {
        return locale.period(period);
    };
    let words = [
        ("period", &*locale.period(period)),
        ("n", &flexible.duration.to_string()),
        ("least", &flexible.min_run.to_string()),
    ];
    let key = match flexible {
        Flexible {
            splittable: true, ..
        } => "delivery.split",
        _ => "delivery.within",
    };
    locale.tr(key, words)
}

/// Who gave a command, by how the command log has it: a person's sign-in name, or a part of the
/// program.
pub fn actor(locale: Locale, actor: &str, login: Option<&str>) -> String {
    match (login, actor.split_once(':')) {
        (Some(login), _) => login.to_owned(),
        (None, Some(("system", part))) => locale.tr("actor.system", [("part", part)]),
        _ => actor.to_owned(),
    }
}

/// Why an application is refused, by the coded reason.
pub fn refusal(locale: Locale, code: &str) -> String {
    known(locale, format!("refusal.{code}"), code)
}

/// Why a participant is suspended, by the coded reason.
pub fn suspension(locale: Locale, code: &str) -> String {
    known(locale, format!("suspension.{code}"), code)
}

/// Why a lease is found to be failed, by the coded reason.
pub fn failure(locale: Locale, code: &str) -> String {
    known(locale, format!("failure.reason.{code}"), code)
}

/// Why an instrument is halted, by the coded reason.
pub fn halt(locale: Locale, code: &str) -> String {
    known(locale, format!("halt.reason.{code}"), code)
}

/// Why participants are taken to be related, by the coded reason.
pub fn relation(locale: Locale, code: &str) -> String {
    known(locale, format!("relation.reason.{code}"), code)
}

/// What somebody did, as the record of acts has it.
pub fn act(locale: Locale, code: &str) -> String {
    known(locale, format!("act.{code}"), code)
}

/// Why an agent was ended, by the coded reason.
pub fn agent_ended(locale: Locale, code: &str) -> String {
    known(locale, format!("agent.ended.{code}"), code)
}

/// Where a lease stands on its machines, by the state's code.
pub fn lease_state(locale: Locale, code: &str) -> String {
    known(locale, format!("course.state.{code}"), code)
}

/// Why a lease came to a state, by the coded reason.
pub fn lease_reason(locale: Locale, code: &str) -> String {
    known(locale, format!("course.reason.{code}"), code)
}

/// What a probe came to, by its code.
pub fn probe(locale: Locale, code: &str) -> String {
    known(locale, format!("probe.outcome.{code}"), code)
}

/// What a machine's agent said that can't be true, by the case's code.
pub fn delivery_case(locale: Locale, code: &str) -> String {
    known(locale, format!("case.kind.{code}"), code)
}

/// The catalogue's text, or the code itself where an older or newer program wrote one that this
/// one has no words for.
fn known(locale: Locale, key: String, code: &str) -> String {
    let words = locale.t(&key);
    if words == key {
        code.to_owned()
    } else {
        words.into_owned()
    }
}

/// Why nothing more comes of an order.
pub fn done(locale: Locale, why: &str) -> String {
    locale.t(format!("order.done.{why}")).into_owned()
}

/// Every name that [`done`] can be asked for.
pub const DONE: [DoneWhy; 6] = [
    DoneWhy::Filled,
    DoneWhy::Cancelled,
    DoneWhy::Expired,
    DoneWhy::SelfTrade,
    DoneWhy::Unfilled,
    DoneWhy::Bond,
];
