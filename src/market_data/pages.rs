//! The overview.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::catalogue::REGIONS;

use super::forms::{Sentence, Wish};
use super::fragments::{self, Bill, Viewer};
use super::queries;
use crate::app::App;
use crate::web::shelf::Drawn;
use crate::web::window::soon;
use crate::web::{Error, Shell};

#[derive(Template, WebTemplate)]
#[template(path = "market_data/index.html")]
struct Index {
    shell: Shell,
    units: i64,
    grades: Vec<&'static str>,
    grade: &'static str,
    days: Vec<(String, String)>,
    day: String,
    hour: i8,
    hours: i64,
    lengths: Vec<i64>,
    regions: Vec<(&'static str, String)>,
    region: &'static str,
    period: String,
    unit_hours: String,
    bill: Bill,
    alternatives: Drawn,
    table: Drawn,
    strip: Drawn,
}

#[derive(Template, WebTemplate)]
#[template(path = "market_data/empty.html")]
struct Empty {
    shell: Shell,
}

/// `GET /`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    shell: Shell,
    uri: Uri,
    Query(sentence): Query<Sentence>,
) -> Result<Response, Error> {
    let now = app.clock.now();
    let grades = queries::listed_grades(&app.feed.market());
    let Some(wish) = sentence.read(now, soon(&app.clock), &grades) else {
        return Ok(Empty { shell }.into_response());
    };
    let participant = shell.member.as_ref().map(|member| member.participant);
    let viewer = Viewer {
        locale: shell.locale,
        participant,
    };
    let scope = fragments::scope_of(&uri);
    let shared = fragments::shared(&app, viewer.locale, &wish, scope).await?;
    let bill = fragments::bill(&app, &viewer, &wish, &shared);
    // The stream is of the very hours that the page shows, also when it goes on for long.
    let live = format!(
        "/overview/live?{}{}",
        wish.query(wish.region),
        scope.query()
    );
    let locale = shell.locale;
    let Wish {
        units,
        grade,
        window,
        region,
    } = wish;
    let mut lengths = vec![1, 2, 4, 8, 12, 24, 48, 72, 168];
    if !lengths.contains(&window.hours()) {
        lengths.push(window.hours());
        lengths.sort_unstable();
    }
    let regions = REGIONS
        .iter()
        .map(|region| (region.symbol_part(), fragments::region_name(region, locale)));
    let page = Index {
        shell: shell.live_from(live),
        units,
        grades: grades.iter().map(|grade| grade.name).collect(),
        grade: grade.name,
        days: window.days(now, 14, locale),
        day: window.day(),
        hour: window.hour(),
        hours: window.hours(),
        lengths,
        regions: regions.collect(),
        region: region.map_or("", |region| region.symbol_part()),
        period: locale.period(window.period),
        unit_hours: crate::web::format::count(units.saturating_mul(window.hours())),
        bill,
        alternatives: shared.alternatives.clone(),
        table: shared.table.clone(),
        strip: shared.strip.clone(),
    };
    Ok(page.into_response())
}
