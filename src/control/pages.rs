//! The halts, the relations, and the page on which a lease is found to be failed.

use std::collections::BTreeSet;

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::{InstrumentId, LeaseId, ParticipantId, Rejection, Timestamp};

use super::forms::{Asked, DefaultForm, HALTS, Halt, LONGEST, RELATIONS, Relation, shown};
use super::fragments::{HaltView, Named, Reckoning, RelationView};
use super::queries::{self, PAGE};
use crate::app::App;
use crate::web::entry::EntryTable;
use crate::web::failure::{self, Failure, Reader};
use crate::web::form::client_id;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Kept, Locale, Role, Shell, format, say};

/// What is said on a page that a form led back to.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
    pub(super) is_done: bool,
}

impl Said {
    /// What is wrong with the fields.
    pub(super) fn wrong(errors: FieldErrors) -> Self {
        Self {
            errors,
            ..Self::default()
        }
    }

    /// Something about all of it.
    pub(super) fn notice(notice: String) -> Self {
        Self {
            notice: Some(notice),
            ..Self::default()
        }
    }

    /// That the form has a new number, and is to be sent again.
    pub(super) fn again(locale: Locale) -> Self {
        Self::notice(locale.t("said.again").into_owned())
    }

    /// What the address says.
    fn done(uri: &Uri) -> Self {
        Self {
            is_done: uri.query() == Some("done"),
            ..Self::default()
        }
    }
}

/// The reasons of a list, in words.
fn reasons(
    locale: Locale,
    codes: &[&'static str],
    words: fn(Locale, &str) -> String,
) -> Vec<(&'static str, String)> {
    let codes = codes.iter();
    codes.map(|code| (*code, words(locale, code))).collect()
}

#[derive(Template, WebTemplate)]
#[template(path = "control/halts.html")]
pub(super) struct Halts {
    shell: Shell,
    may_act: bool,
    said: Said,
    holding: Vec<HaltView>,
    past: Vec<HaltView>,
    is_past: bool,
    next: Option<String>,
    /// What can be halted: its symbol, and what that is.
    symbols: Vec<(String, String)>,
    longest: String,
    reasons: Vec<(&'static str, String)>,
    form: Halt,
}

/// `GET /ops/halts`
///
/// # Errors
/// When the database can't be read.
pub async fn halts(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    Query(asked): Query<Asked>,
    shell: Shell,
) -> Result<Response, Error> {
    let form = kept.form("/ops/halts").unwrap_or_else(|| Halt {
        symbol: asked.symbol.clone(),
        form_id: client_id(),
        ..Halt::default()
    });
    let page = draw_halts(
        &app,
        kept.told(shell),
        form,
        Said::done(&uri),
        asked.before(),
    );
    Ok(page.await?.into_response())
}

/// The halts, with one as it was typed.
pub(super) async fn draw_halts(
    app: &App,
    shell: Shell,
    form: Halt,
    said: Said,
    before: Option<i64>,
) -> Result<Halts, Error> {
    let (locale, now) = (shell.locale, app.clock.now());
    let (holding, symbols) = {
        let market = app.feed.market();
        let halts = market.halts().filter(|(_, until)| *until > now);
        let holding: Vec<(InstrumentId, Timestamp)> = halts.collect();
        let listed = market.instruments().map(|one| {
            let symbol = &one.listed.symbol;
            (symbol.clone(), Symbol::new(symbol).title(locale))
        });
        let mut symbols: Vec<(String, String)> = listed.collect();
        symbols.sort();
        (holding, symbols)
    };
    let mut past = queries::halts(&app.db, &holding, before).await?;
    let is_cut = past.len() > PAGE;
    past.truncate(PAGE);
    let next = past.last().filter(|_| is_cut);
    let next = next.map(|last| format!("/ops/halts?before={}", last.id));
    let view = |rows: &[queries::HaltRow]| -> Vec<HaltView> {
        let rows = rows.iter();
        rows.map(|row| HaltView::new(locale, row, now)).collect()
    };
    Ok(Halts {
        may_act: shell.may(&[Role::Operations]),
        said,
        holding: view(&queries::holding(&app.db, &holding).await?),
        past: view(&past),
        is_past: before.is_some(),
        next,
        symbols,
        longest: format::count(LONGEST),
        reasons: reasons(locale, &HALTS, say::halt),
        form,
        shell,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "control/relations.html")]
pub(super) struct Relations {
    shell: Shell,
    may_act: bool,
    said: Said,
    rows: Vec<RelationView>,
    next: Option<String>,
    reasons: Vec<(&'static str, String)>,
    form: Relation,
}

/// `GET /ops/relations`
///
/// # Errors
/// When the database can't be read.
pub async fn relations(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    Query(asked): Query<Asked>,
    shell: Shell,
) -> Result<Response, Error> {
    let form = kept.form("/ops/relations").unwrap_or_else(|| Relation {
        one: asked.one.clone(),
        form_id: client_id(),
        ..Relation::default()
    });
    let page = draw_relations(
        &app,
        kept.told(shell),
        form,
        Said::done(&uri),
        asked.before(),
    );
    Ok(page.await?.into_response())
}

/// The relations, with one as it was typed.
pub(super) async fn draw_relations(
    app: &App,
    shell: Shell,
    form: Relation,
    said: Said,
    before: Option<i64>,
) -> Result<Relations, Error> {
    let mut rows = queries::relations(&app.db, before).await?;
    let is_cut = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows.last().filter(|_| is_cut);
    let next = next.map(|last| format!("/ops/relations?before={}", last.id));
    let groups: Vec<Vec<ParticipantId>> = {
        let market = app.feed.market();
        let of = rows.iter().map(|row| ParticipantId(row.one));
        of.map(|one| market.related_to(one)).collect()
    };
    let all: BTreeSet<ParticipantId> = groups.iter().flatten().copied().collect();
    let names = queries::names_of(&app.db, all).await?;
    let locale = shell.locale;
    Ok(Relations {
        may_act: shell.may(&[Role::Operations, Role::Surveillance]),
        said,
        rows: rows
            .iter()
            .zip(&groups)
            .map(|(row, group)| RelationView::new(locale, row, group, &names))
            .collect(),
        next,
        reasons: reasons(locale, &RELATIONS, say::relation),
        form,
        shell,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "control/default.html")]
pub(super) struct DefaultPage {
    shell: Shell,
    may_act: bool,
    said: Said,
    id: LeaseId,
    title: String,
    period: String,
    price: String,
    holder: Named,
    provider: Named,
    rules: i64,
    failure: Failure,
    /// Nothing of it is left that could be failed.
    is_over: bool,
    /// By whom and when it was asked for, where what came of it is not known.
    cut_short: Option<String>,
    lines: Vec<(&'static str, String)>,
    from: String,
    effect: Option<EntryTable>,
    reasons: Vec<(&'static str, String)>,
    form: DefaultForm,
}

/// `GET /ops/leases/{id}/default`: what a default would do, before it is found.
///
/// # Errors
/// [`Error::NotFound`] where there is no such lease.
pub async fn default(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
) -> Result<Response, Error> {
    let lease: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let form = kept.form(&format!("/ops/leases/{id}/default"));
    let form = form.unwrap_or_else(|| DefaultForm {
        form_id: client_id(),
        ..DefaultForm::default()
    });
    let page = draw_default(&app, kept.told(shell), lease, form, Said::done(&uri));
    Ok(page.await?.into_response())
}

/// The page of a default, with what was typed.
pub(super) async fn draw_default(
    app: &App,
    shell: Shell,
    id: LeaseId,
    mut form: DefaultForm,
    said: Said,
) -> Result<DefaultPage, Error> {
    let locale = shell.locale;
    let row = queries::lease(&app.db, id).await?.ok_or(Error::NotFound)?;
    let failure = Failure::of(&app.db, locale, id, Reader::Platform).await?;
    let standing = queries::standing(&app.db, "", Some(id.0)).await?;
    let cut_short = standing.filter(|one| one.command.is_none() && !failure.is_there());
    let reckoned = Reckoning::of(app, id).await?;
    let is_over = matches!(reckoned, Err(Rejection::LeaseOver));
    let reckoning = reckoned.ok();
    let names = match &reckoning {
        Some(reckoning) => queries::names_of(&app.db, reckoning.participants()).await?,
        None => std::collections::BTreeMap::new(),
    };
    form.shown = reckoning.as_ref().map_or_else(String::new, shown);
    Ok(DefaultPage {
        may_act: shell.may(&[Role::Operations]),
        said,
        id,
        title: format!(
            "{} × {}",
            format::count(row.units),
            Symbol::new(&row.symbol).title(locale)
        ),
        period: locale.period(row.period()),
        price: format::money(row.price()),
        holder: Named::new(row.holder, row.holder_name.as_deref()),
        provider: Named::new(row.provider, row.provider_name.as_deref()),
        rules: row.rules,
        failure,
        is_over,
        cut_short: cut_short.map(|one| {
            let at = locale.minute(one.asked_at());
            locale.tr("default.cut_short", [("name", &*one.login), ("at", &*at)])
        }),
        lines: reckoning
            .as_ref()
            .map_or_else(Vec::new, |one| one.lines(locale, row.bond())),
        from: reckoning
            .as_ref()
            .map_or_else(String::new, |one| locale.minute(one.from.begins())),
        effect: reckoning.as_ref().map(|one| one.table(locale, &names)),
        reasons: reasons(locale, &failure::REASONS, say::failure),
        form,
        shell,
    })
}
