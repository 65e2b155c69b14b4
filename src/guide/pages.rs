//! The guide.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use market::Rules;

use crate::app::App;
use crate::web::symbol::level;
use crate::web::{Locale, Shell, format};

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
}

struct Chapter {
    key: &'static str,
    /// Whether the table of service levels belongs to it.
    has_levels: bool,
    clauses: Vec<String>,
}

/// What a service level promises, and what it credits below which availability.
struct Level {
    name: String,
    availability: String,
    credits: Vec<(String, String)>,
}

/// `GET /guide`
pub async fn index(State(app): State<App>, shell: Shell) -> impl axum::response::IntoResponse {
    let rules = app.feed.market().rules().clone();
    let locale = shell.locale;
    Index {
        version: rules.version,
        chapters: chapters(locale, &rules),
        levels: levels(locale, &rules),
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
        name: level(locale, name),
        availability: format::percent(terms.availability_bps),
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
