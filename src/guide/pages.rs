//! The guide.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use market::{Fees, Mode, Money, Rules, Timestamp};

use crate::app::App;
use crate::web::{Locale, Shell, format, level, symbol};

/// Figures of a rule set: what each is, and how it reads.
type Figures = Vec<(String, String)>;

/// The chapters, each with its clauses: keys of the catalogue.
const CHAPTERS: [(&str, &[&str]); 6] = [
    (
        "guide.buy",
        &[
            "guide.buy.hold",
            "guide.buy.order",
            "guide.buy.fill",
            "guide.buy.rest",
        ],
    ),
    (
        "guide.deliver",
        &[
            "guide.deliver.access",
            "guide.deliver.minutes",
            "guide.deliver.end",
        ],
    ),
    (
        "guide.pay",
        &[
            "guide.pay.hour",
            "guide.pay.formula",
            "guide.pay.refund",
            "guide.pay.deadline",
            "guide.pay.credit",
        ],
    ),
    (
        "guide.dispute",
        &[
            "guide.dispute.claim",
            "guide.dispute.freeze",
            "guide.dispute.answer",
            "guide.dispute.ruling",
        ],
    ),
    (
        "guide.provide",
        &[
            "guide.provide.certificate",
            "guide.provide.capacity",
            "guide.provide.bond",
            "guide.provide.fee",
        ],
    ),
    (
        "guide.proof",
        &[
            "guide.proof.entry",
            "guide.proof.identifier",
            "guide.proof.log",
        ],
    ),
];

#[derive(Template, WebTemplate)]
#[template(path = "guide/index.html")]
struct Index {
    shell: Shell,
    version: i64,
    chapters: Vec<Chapter>,
    levels: Vec<Level>,
    to_come: Vec<ToCome>,
}

/// A rule set that is to come, with what differs from the one before it.
struct ToCome {
    version: i64,
    from: String,
    /// What it is, how it is until then, and how it will be.
    changes: Vec<(String, String, String)>,
}

struct Chapter {
    key: &'static str,
    /// Whether the table of service levels belongs to it.
    has_levels: bool,
    clauses: Vec<String>,
}

/// What a service level promises, when its provider is in default, what maintenance it allows, and
/// what it credits below which availability.
struct Level {
    name: String,
    availability: String,
    defaults: Vec<String>,
    maintenance: String,
    credits: Vec<(String, String)>,
}

/// `GET /guide`
pub async fn index(State(app): State<App>, shell: Shell) -> impl axum::response::IntoResponse {
    let (rules, announced) = {
        let market = app.feed.market();
        let announced = market.rules_to_come();
        let announced: Vec<(Timestamp, Rules)> = announced
            .map(|(from, rules)| (from, rules.clone()))
            .collect();
        (market.rules().clone(), announced)
    };
    let locale = shell.locale;
    Index {
        version: rules.version,
        chapters: chapters(locale, &rules),
        levels: levels(locale, &rules),
        to_come: to_come(locale, &rules, &announced),
        shell,
    }
}

/// Each chapter with the figures in force in its clauses; a clause about what the rule set does
/// not have is left out.
fn chapters(locale: Locale, rules: &Rules) -> Vec<Chapter> {
    let deadline = rules.reading_deadline_hours.unwrap_or_default();
    let figures = [
        ("claim", rules.claim_window_hours.to_string()),
        ("deadline", deadline.to_string()),
        ("bond", format::percent(rules.bond_bps)),
        ("maker", format::percent(rules.seller_fee.maker_bps)),
        ("taker", format::percent(rules.seller_fee.taker_bps)),
    ];
    let holds = |key: &&&str| match **key {
        "guide.pay.deadline" => rules.reading_deadline_hours.is_some(),
        "guide.pay.credit" => !rules.service_levels.is_empty(),
        "guide.provide.bond" => rules.bond_bps > 0,
        _ => true,
    };
    let chapter = |(key, clauses): &(&'static str, &'static [&'static str])| Chapter {
        key,
        has_levels: *key == "guide.pay",
        clauses: clauses
            .iter()
            .filter(holds)
            .map(|clause| locale.tr(clause, &figures))
            .collect(),
    };
    CHAPTERS.iter().map(chapter).collect()
}

fn levels(locale: Locale, rules: &Rules) -> Vec<Level> {
    let mut levels: Vec<_> = rules.service_levels.iter().collect();
    levels.sort_by_key(|(_, level)| level.availability_bps);
    let drawn = levels.into_iter().map(|(name, terms)| Level {
        name: symbol::level(locale, name),
        availability: format::percent(terms.availability_bps),
        defaults: level::defaults(locale, terms),
        maintenance: level::maintenance(locale, terms),
        credits: terms
            .credits
            .iter()
            .map(|step| {
                (
                    format::percent(step.below_bps),
                    format::percent(step.credit_bps),
                )
            })
            .collect(),
    });
    drawn.collect()
}

/// The rule sets that are to come, each against the one before it.
fn to_come(locale: Locale, in_force: &Rules, announced: &[(Timestamp, Rules)]) -> Vec<ToCome> {
    let mut before = figures(locale, in_force);
    let each = announced.iter().map(|(from, rules)| {
        let after = figures(locale, rules);
        let changes = changes(&before, &after);
        before = after;
        ToCome {
            version: rules.version,
            from: locale.minute(*from),
            changes,
        }
    });
    each.collect()
}

/// What differs between two lists of figures; what only one of them has is a dash in the other.
fn changes(before: &Figures, after: &Figures) -> Vec<(String, String, String)> {
    let value = |of: &Figures, name: &str| {
        let found = of.iter().find(|(known, _)| known == name);
        found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(name, _)| value(after, name) == "–");
    let names = after.iter().chain(gone).map(|(name, _)| name);
    names
        .map(|name| (name.clone(), value(before, name), value(after, name)))
        .filter(|(_, was, is)| was != is)
        .collect()
}

/// Everything that a rule set decides, as it reads.
fn figures(locale: Locale, rules: &Rules) -> Figures {
    let yes_no = |yes: bool| {
        locale
            .t(if yes { "rules.yes" } else { "rules.no" })
            .into_owned()
    };
    let hours = |n: i64| locale.tr("rules.hours", [("n", &format::count(n))]);
    let yuan = |amount: Money| match amount {
        Money::ZERO => locale.t("rules.none").into_owned(),
        amount => format!("{} {}", format::money(amount), locale.t("unit.price")),
    };
    let limit = |n: i64| match n {
        0 => locale.t("rules.none").into_owned(),
        n => format::count(n),
    };
    let mode = match rules.mode {
        Mode::Continuous => "rules.mode.continuous",
        Mode::Listed => "rules.mode.listed",
    };
    let deadline = rules.reading_deadline_hours;
    let no_deadline = || locale.t("rules.none").into_owned();
    let (resale, hand_back, bands) = (&rules.resale, &rules.hand_back, &rules.bands);
    let gate = [("n", format::count(rules.gate_minutes))];
    let mut figures = Figures::new();
    let mut add = |key: &str, value: String| {
        figures.push((locale.t(format!("rules.{key}")).into_owned(), value));
    };
    add("mode", locale.t(mode).into_owned());
    add("seller_fee", fees(locale, rules.seller_fee));
    add("buyer_fee", fees(locale, rules.buyer_fee));
    add("bond", format::percent(rules.bond_bps));
    add("claim_window", hours(rules.claim_window_hours));
    add("deadline", deadline.map_or_else(no_deadline, hours));
    add("gate", locale.tr("rules.minutes", gate));
    add("current_hour", yes_no(rules.current_hour));
    add("resale", yes_no(resale.allowed));
    add("cooling_off", hours(resale.cooling_off_hours));
    add("hand_back", yes_no(hand_back.allowed));
    add("notice", hours(hand_back.notice_hours));
    add("holder_share", format::percent(hand_back.holder_bps));
    add(
        "band",
        match bands.width_bps {
            0 => no_deadline(),
            width => format!("±{}", format::percent(width)),
        },
    );
    add("lowest", yuan(bands.lowest));
    add("highest", yuan(bands.highest));
    add("asks", limit(rules.limits.asks_per_pool));
    add("instruments", limit(rules.limits.instruments_per_bid));
    add("flexible", limit(rules.limits.flexible_hours));
    for (grade, price) in &bands.references {
        let name = locale.tr("rules.reference", [("grade", grade)]);
        figures.push((name, yuan(*price)));
    }
    figures.extend(figures_of_levels(locale, rules));
    figures
}

fn fees(locale: Locale, fees: Fees) -> String {
    let words = [
        ("maker", format::percent(fees.maker_bps)),
        ("taker", format::percent(fees.taker_bps)),
        ("flat", format::money(fees.flat)),
    ];
    let key = if fees.flat == Money::ZERO {
        "rules.fees"
    } else {
        "rules.fees_flat"
    };
    locale.tr(key, words)
}

/// What each service level promises, excuses, credits and costs on default.
fn figures_of_levels(locale: Locale, rules: &Rules) -> Figures {
    let each = rules.service_levels.iter().map(|(name, terms)| {
        let steps = terms.credits.iter().map(|step| {
            let words = [
                ("below", format::percent(step.below_bps)),
                ("credit", format::percent(step.credit_bps)),
            ];
            locale.tr("guide.step", words)
        });
        let steps: Vec<String> = steps.collect();
        let comma = locale.t("desk.list_comma");
        let words = [
            ("availability", format::percent(terms.availability_bps)),
            ("defaults", level::defaults(locale, terms).join(&comma)),
            ("maintenance", level::maintenance(locale, terms)),
            ("credits", steps.join(&comma)),
        ];
        (symbol::level(locale, name), locale.tr("rules.level", words))
    });
    each.collect()
}
