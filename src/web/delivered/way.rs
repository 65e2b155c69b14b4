//! A lease's way on its machines, step by step.

use askama::Template;
use askama::filters::HtmlSafe;
use market::LeaseId;
use sqlx::PgPool;

use super::{queries, shown};
use crate::web::error::Error;
use crate::web::i18n::Locale;
use crate::web::{format, say};

/// The steps that a lease has taken, the latest first.
#[derive(Template)]
#[template(path = "components/way.html")]
pub struct Way {
    locale: Locale,
    steps: Vec<Step>,
}

impl HtmlSafe for Way {}

struct Step {
    at: String,
    machine: String,
    state: String,
    tone: &'static str,
    reason: String,
    actor: String,
    evidence: Option<String>,
}

impl Way {
    /// # Arguments
    /// `shows` says whether what shows the steps may be read.
    pub(super) async fn of(
        db: &PgPool,
        locale: Locale,
        lease: LeaseId,
        shows: bool,
    ) -> Result<Self, Error> {
        let rows = queries::steps(db, lease).await?;
        let steps = rows.iter().map(|row| Step {
            at: locale.second(row.at()),
            machine: format::machine(row.at()),
            state: say::lease_state(locale, &row.state),
            tone: match row.state.as_str() {
                "running" | "ending" => "teal",
                "failed" | "suspended" => "amber",
                _ => "",
            },
            reason: say::lease_reason(locale, &row.reason),
            actor: actor(locale, &row.actor),
            evidence: shown(&row.evidence).filter(|_| shows),
        });
        Ok(Self {
            locale,
            steps: steps.collect(),
        })
    }
}

/// Who caused a step, by how the tables have it.
fn actor(locale: Locale, actor: &str) -> String {
    match actor.split_once(':') {
        Some(("agent", number)) => locale.tr("course.by.agent", [("n", number)]),
        None if actor == "exchange" => locale.t("course.by.exchange").into_owned(),
        _ => actor.to_owned(),
    }
}
