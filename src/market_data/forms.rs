//! What the buy sentence asks for, and how the table is narrowed.

use market::Timestamp;
use market::catalogue::{Grade, REGIONS, Region};
use serde::Deserialize;

use crate::web::form::whole;
use crate::web::window::Window;

/// The words of the sentence, as they come in the query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sentence {
    units: String,
    grade: String,
    day: String,
    hour: String,
    hours: String,
    region: String,
}

/// What the sentence asks for; a word that can't be read is as if it were not there.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// How many units; the grade's lot when not said.
    pub(super) units: i64,
    /// Of which grade.
    pub(super) grade: &'static Grade,
    /// When.
    pub(super) window: Window,
    /// Where; anywhere when not said.
    pub(super) region: Option<&'static Region>,
}

/// The hours that are asked for when none are said.
const HOURS: i64 = 4;

impl Sentence {
    pub(super) fn read(
        &self,
        now: Timestamp,
        soon: Timestamp,
        listed: &[&'static Grade],
    ) -> Option<Wish> {
        let known = |name: &str| listed.iter().copied().find(|grade| grade.name == name);
        let grade = known(&self.grade)
            .or_else(|| known("A100-80GB"))
            .or_else(|| listed.first().copied())?;
        let next = Window::next(soon, HOURS);
        let window = Window::read(&self.day, &self.hour, &self.hours, &next)
            .ok()
            .filter(|window| window.period.start.begins() >= now)
            .unwrap_or(next);
        let region = REGIONS
            .iter()
            .find(|region| region.symbol_part() == self.region);
        let units = whole(&self.units)
            .filter(|units| (1..=1_000_000).contains(units))
            .unwrap_or_else(|| grade.lot.max(8));
        Some(Wish {
            units,
            grade,
            window,
            region,
        })
    }
}

impl Wish {
    /// As a query, with another region or none.
    pub(super) fn query(&self, region: Option<&Region>) -> String {
        format!(
            "units={}&grade={}&{}&region={}",
            self.units,
            self.grade.name,
            self.window.query(),
            region.map_or("", Region::symbol_part),
        )
    }
}
