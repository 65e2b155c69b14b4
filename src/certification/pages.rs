//! The application and its state, and what an identifier stands for.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use market::catalogue::{REGIONS, Region};
use serde::Deserialize;

use super::api;
use super::forms::Application;
use super::fragments::{Outcome, Saved};
use super::queries::{self, Sent};
use crate::app::App;
use crate::clock;
use crate::web::error::encoded;
use crate::web::identifier::{BadIdentifier, Identifier, Subject};
use crate::web::symbol::{Symbol, cluster};
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Shell, format};

#[derive(Template, WebTemplate)]
#[template(path = "certification/apply.html")]
pub(super) struct Apply {
    shell: Shell,
    form: Application,
    errors: FieldErrors,
    saved: Saved,
    refused: Option<Refusal>,
    regions: Vec<(&'static str, String)>,
}

struct Refusal {
    at: String,
    reason: String,
    note: Option<String>,
}

#[derive(Template, WebTemplate)]
#[template(path = "certification/state.html")]
struct Standing {
    shell: Shell,
    is_certified: bool,
    identifier: Option<Identifier>,
    submitted_at: String,
    decided_at: Option<String>,
    facts: Vec<(&'static str, String)>,
}

/// `GET /provide/apply`: the form, or what became of what was sent.
///
/// # Errors
/// When the database can't be read.
pub async fn apply(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let saved = (uri.query() == Some("saved")).then_some(());
    let typed = kept
        .form("/provide/apply")
        .or_else(|| kept.form("/provide/apply/draft"))
        .map(|form| (form, FieldErrors::default()));
    draw(&app, kept.told(shell), &member, typed, saved).await
}

/// The page as the application stands, or the form as it was typed with what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    typed: Option<(Application, FieldErrors)>,
    saved: Option<()>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let latest = queries::latest(&app.db, member.participant).await?;
    if let Some(sent) = &latest
        && ["submitted", "certified"].contains(&sent.state.as_str())
    {
        let identifier = queries::identifier(&app.db, member.participant).await?;
        return Ok(state(shell, sent, identifier).into_response());
    }
    let refused = latest.as_ref().and_then(|sent| refusal(locale, sent));
    let outcome = match (&latest, saved) {
        (Some(sent), Some(())) if sent.state == "draft" => {
            Outcome::At(format::clock_time(sent.saved_at))
        }
        _ => Outcome::Nothing,
    };
    let (form, errors) = typed.unwrap_or_else(|| {
        let form = latest.map(|sent| sent.form).unwrap_or_default();
        (form, FieldErrors::default())
    });
    let regions = REGIONS
        .iter()
        .map(|region| (region.code, place(region, locale)));
    let page = Apply {
        form,
        errors,
        saved: Saved { locale, outcome },
        refused,
        regions: regions.collect(),
        shell,
    };
    Ok(page.into_response())
}

/// A region as one picks it: `贵州 · 贵安`.
fn place(region: &'static Region, locale: Locale) -> String {
    let hub = match locale {
        Locale::Zh => region.hub_zh,
        Locale::En => region.hub_en,
    };
    format!("{hub} · {}", cluster(region, locale))
}

fn refusal(locale: Locale, sent: &Sent) -> Option<Refusal> {
    let code = sent.reason.as_deref()?;
    let key = format!("apply.reason.{code}");
    let words = locale.t(&key);
    Some(Refusal {
        at: locale.minute(sent.decided_at?),
        // A code that the catalogue has no words for is shown as it is.
        reason: if words == key {
            code.to_owned()
        } else {
            words.into_owned()
        },
        note: sent.note.clone().filter(|note| !note.is_empty()),
    })
}

fn state(shell: Shell, sent: &Sent, identifier: Option<Identifier>) -> Standing {
    let locale = shell.locale;
    let form = &sent.form;
    let region = Region::of(&form.region);
    let facts = vec![
        ("apply.legal_name", form.legal_name.clone()),
        ("apply.credit_code", form.credit_code.clone()),
        (
            "apply.contact",
            format!(
                "{} · {} · {}",
                form.contact_name, form.contact_phone, form.contact_mail
            ),
        ),
        (
            "apply.region",
            region.map_or_else(|| form.region.clone(), |region| place(region, locale)),
        ),
        ("apply.site_address", form.site_address.clone()),
        ("apply.capacity", form.capacity.clone()),
    ];
    let minute = |at| locale.minute(at);
    Standing {
        is_certified: sent.state == "certified",
        identifier,
        submitted_at: sent.submitted_at.map(minute).unwrap_or_default(),
        decided_at: sent.decided_at.map(minute),
        facts,
        shell,
    }
}

/// What is looked up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LookedUp {
    identifier: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "certification/verify.html")]
struct Verify {
    shell: Shell,
    typed: String,
    found: Option<Found>,
    wrong: Option<&'static str>,
}

struct Found {
    identifier: String,
    kind: &'static str,
    name: String,
    is_good: bool,
    verdict: &'static str,
    facts: Vec<Fact>,
}

struct Fact {
    key: &'static str,
    value: String,
    href: Option<String>,
}

/// `GET /verify`: where an identifier is typed.
pub async fn look_up(shell: Shell, Query(asked): Query<LookedUp>) -> Response {
    let typed = asked.identifier.trim();
    if !typed.is_empty() {
        return Redirect::to(&format!("/verify/{}", encoded(typed))).into_response();
    }
    Verify {
        shell,
        typed: String::new(),
        found: None,
        wrong: None,
    }
    .into_response()
}

/// `GET /verify/{identifier}`: what it stands for, as a page or, where the asker accepts JSON
/// first or adds `.json`, as JSON.
///
/// # Errors
/// When the database can't be read.
pub async fn verify(
    State(app): State<App>,
    Path(typed): Path<String>,
    headers: HeaderMap,
    shell: Shell,
) -> Result<Response, Error> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|kinds| kinds.to_str().ok());
    let is_json = accept.is_some_and(|kinds| kinds.trim_start().starts_with("application/json"));
    let (typed, is_json) = match typed.strip_suffix(".json") {
        Some(typed) => (typed.to_owned(), true),
        None => (typed, is_json),
    };
    let read = Identifier::read(&typed);
    let found = match read {
        Ok(identifier) => api::answer(&app.db, identifier).await?,
        Err(_) => None,
    };
    let wrong = match (&found, read) {
        (Some(_), _) => None,
        (None, Err(BadIdentifier::Shape)) => Some("shape"),
        (None, Err(BadIdentifier::Check)) => Some("check"),
        (None, Ok(_)) => Some("unknown"),
    };
    let status = if wrong.is_none() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    if is_json {
        return Ok((status, api::json(found, wrong)).into_response());
    }
    let page = Verify {
        found: found.map(|answer| words(shell.locale, &answer)),
        wrong: wrong.map(|wrong| match wrong {
            "shape" => "verify.wrong.shape",
            "check" => "verify.wrong.check",
            _ => "verify.wrong.unknown",
        }),
        // A path can be as long as a request may be; what is echoed is short.
        typed: typed.chars().take(40).collect(),
        shell,
    };
    Ok((status, [(header::VARY, "accept")], page).into_response())
}

fn words(locale: Locale, answer: &api::Answer) -> Found {
    let provider = &answer.provider;
    let fact = |key, value: String| Fact {
        key,
        value,
        href: None,
    };
    let mut facts = Vec::new();
    if let Some(pool) = &answer.pool {
        let symbol = Symbol::new(&pool.symbol);
        facts.push(Fact {
            key: "verify.instrument",
            value: symbol.title(locale),
            href: Some(format!("/market/{}", pool.symbol)),
        });
        facts.push(fact("verify.units", format::count(pool.units)));
        facts.push(fact(
            "verify.period",
            format!("{} {}", locale.period(pool.period), format::ZONE),
        ));
        facts.push(fact(
            "verify.hosts",
            locale
                .t(if pool.is_simulated {
                    "verify.hosts.simulated"
                } else {
                    "verify.hosts.unknown"
                })
                .into_owned(),
        ));
        facts.push(Fact {
            key: "verify.provider",
            value: provider.name.clone(),
            href: Some(format!("/verify/{}", provider.identifier)),
        });
    }
    if let Some(name) = &provider.legal_name {
        facts.push(fact("verify.legal_name", name.clone()));
    }
    if let Some(region) = provider.region.as_deref().and_then(Region::of) {
        facts.push(fact("verify.region", place(region, locale)));
    }
    if let Some(at) = provider.certified_at {
        let at = locale.minute(clock::stamp(at));
        facts.push(fact("verify.since", format!("{at} {}", format::ZONE)));
    }
    if answer.pool.is_none() {
        facts.push(fact("verify.pools", format::count(provider.pools)));
    }
    let is_good = provider.is_certified && !provider.is_suspended;
    Found {
        identifier: answer.identifier.clone(),
        kind: match answer.subject {
            Subject::Provider(_) => "verify.kind.provider",
            Subject::Pool(_) => "verify.kind.pool",
        },
        name: answer
            .pool
            .as_ref()
            .map_or(&provider.name, |pool| &pool.name)
            .clone(),
        is_good,
        verdict: match (provider.is_suspended, is_good) {
            (true, _) => "verify.suspended",
            (false, true) => "verify.certified",
            (false, false) => "verify.uncertified",
        },
        facts,
    }
}
