//! What probes found at a lease's doors.

use askama::Template;
use askama::filters::HtmlSafe;
use market::LeaseId;
use sqlx::PgPool;

use super::{queries, shown};
use crate::delivery::probes;
use crate::web::error::Error;
use crate::web::i18n::Locale;
use crate::web::{format, say};

/// Runs of probes that came to the same, the latest first.
#[derive(Template)]
#[template(path = "components/probed.html")]
pub struct Probed {
    locale: Locale,
    spans: Vec<Span>,
    /// How many places there are, and how many of them decide.
    rule: String,
}

impl HtmlSafe for Probed {}

struct Span {
    vantage: String,
    is_retired: bool,
    /// Which machine, of a lease that has several.
    machine: Option<String>,
    is_passed: bool,
    outcome: String,
    since: String,
    evidence: Option<String>,
}

impl Probed {
    /// # Arguments
    /// `shows` says whether what shows the outcomes may be read.
    pub(super) async fn of(
        db: &PgPool,
        locale: Locale,
        lease: LeaseId,
        shows: bool,
    ) -> Result<Self, Error> {
        let rows = queries::spans(db, lease).await?;
        let vantages = queries::vantages(db).await?;
        let quorum = probes::quorum(usize::try_from(vantages).unwrap_or(0));
        let words = [("n", vantages.to_string()), ("quorum", quorum.to_string())];
        let spans = rows.iter().map(|row| {
            let (first, last) = row.ends();
            let words = [
                ("from", locale.second(first)),
                ("to", format::clock_time(last)),
                ("n", format::count(row.probes)),
            ];
            let machine = row.machine.to_string();
            Span {
                vantage: row.vantage.clone(),
                is_retired: row.is_retired,
                machine: (row.machines > 1).then(|| locale.tr("probe.machine", [("n", &*machine)])),
                is_passed: row.passed,
                outcome: say::probe(locale, &row.reason),
                since: locale.tr("probe.since", words),
                evidence: shown(&row.evidence).filter(|_| shows),
            }
        });
        Ok(Self {
            locale,
            spans: spans.collect(),
            rule: locale.tr("probe.rule", words),
        })
    }
}
