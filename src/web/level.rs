//! Service levels in words, with the figures of the rule set.

use market::{Rules, ServiceLevel};

use super::format;
use super::i18n::Locale;

/// When the provider of a lease of a service level is in default, and what that costs.
pub fn defaults(locale: Locale, terms: &ServiceLevel) -> Vec<String> {
    let minutes =
        |key: &'static str, n: i64| (n > 0).then(|| locale.tr(key, [("n", &*format::count(n))]));
    let penalty = [("penalty", &*format::percent(terms.penalty_bps))];
    let said = [
        minutes("guide.grace", terms.grace_minutes),
        minutes("guide.missing", terms.default_minutes),
        Some(locale.tr("guide.penalty", penalty)),
    ];
    said.into_iter().flatten().collect()
}

/// What declared maintenance a service level excuses.
pub fn maintenance(locale: Locale, terms: &ServiceLevel) -> String {
    if terms.maintenance_bps == 0 {
        return locale.t("guide.no_maintenance").into_owned();
    }
    let words = [
        ("share", format::percent(terms.maintenance_bps)),
        ("n", format::count(terms.maintenance_notice_hours)),
    ];
    locale.tr("guide.maintenance", words)
}

/// What a service level promises, each clause in a sentence: how availability is counted, what is
/// credited below what, when the provider is in default and what that costs.
pub fn promises(locale: Locale, rules: &Rules, level: &str) -> Vec<String> {
    let mut promises = vec![locale.t("promise.minutes").into_owned()];
    let Some(terms) = rules.service_levels.get(level) else {
        return promises;
    };
    let promised = [("p", &*format::percent(terms.availability_bps))];
    promises.push(locale.tr("promise.availability", promised));
    promises.push(locale.t("promise.formula").into_owned());
    for step in &terms.credits {
        let words = [
            ("below", &*format::percent(step.below_bps)),
            ("credit", &format::percent(step.credit_bps)),
        ];
        promises.push(locale.tr("promise.credit", words));
    }
    if terms.maintenance_bps > 0 {
        let words = [
            ("share", format::percent(terms.maintenance_bps)),
            ("n", format::count(terms.maintenance_notice_hours)),
        ];
        promises.push(locale.tr("promise.maintenance", words));
    }
    for (key, minutes) in [
        ("promise.grace", terms.grace_minutes),
        ("promise.missing", terms.default_minutes),
    ] {
        if minutes > 0 {
            promises.push(locale.tr(key, [("n", &*format::count(minutes))]));
        }
    }
    if terms.penalty_bps > 0 {
        let penalty = [("penalty", &*format::percent(terms.penalty_bps))];
        promises.push(locale.tr("promise.penalty", penalty));
    }
    promises
}
