//! The leases, one of them, and the keys that open them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::LeaseId;

use super::forms::{KeyForm, ListQuery};
use super::fragments::{self, Cost, Doings, Hours, List, Stage, StageTag, Timeline};
use super::queries::{self, AccessKey, Key, LeaseRow};
use crate::app::App;
use crate::web::image::Image;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Locale, Member, Role, Shell, format};

#[derive(Template, WebTemplate)]
#[template(path = "leases/index.html")]
struct Index {
    shell: Shell,
    list: List,
    /// The ways to narrow it: address, text, and whether it is so now.
    filters: Vec<(String, &'static str, bool)>,
}

#[derive(Template, WebTemplate)]
#[template(path = "leases/show.html")]
pub(super) struct Show {
    shell: Shell,
    id: String,
    symbol: Symbol,
    units: i64,
    period: String,
    price: String,
    stage: StageTag,
    is_new: bool,
    state: Timeline,
    hours: Hours,
    cost: Cost,
    facts: Vec<Fact>,
    login: Login,
    doings: Doings,
    errors: FieldErrors,
}

struct Fact {
    key: &'static str,
    value: String,
    href: Option<String>,
    is_code: bool,
}

/// How the holder gets in.
struct Login {
    image: Option<&'static Image>,
    key: Option<AccessKey>,
    /// What can be chosen instead, until the lease starts.
    images: Vec<&'static Image>,
    keys: Vec<Key>,
    can_change: bool,
}

#[derive(Template, WebTemplate)]
#[template(path = "leases/keys.html")]
pub(super) struct Keys {
    shell: Shell,
    keys: Vec<Key>,
    form: KeyForm,
    errors: FieldErrors,
    is_done: bool,
}

/// `GET /leases`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    shell: Shell,
    member: Member,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    let list = fragments::list(&app, shell.locale, &member, &query).await?;
    let filter = query.filter();
    let all = (
        ListQuery::address(None, None),
        "leases.all",
        filter.stage.is_none(),
    );
    let stages = Stage::FILTERS.into_iter().map(|stage| {
        let address = ListQuery::address(Some(stage), None);
        (address, stage.key(), filter.stage == Some(stage))
    });
    let filters = [all].into_iter().chain(stages).collect();
    let live =
        ListQuery::address(filter.stage, filter.before).replacen("/leases", "/leases/live", 1);
    Ok(Index {
        shell: shell.live_from(live),
        list,
        filters,
    }
    .into_response())
}

/// `GET /leases/{id}`
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let is_new = uri.query() == Some("bought");
    let page = draw(&app, shell, row, FieldErrors::default(), is_new);
    Ok(page.await?.into_response())
}

/// The page of a lease, with what is wrong with what was chosen for it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    row: LeaseRow,
    errors: FieldErrors,
    is_new: bool,
) -> Result<Show, Error> {
    let locale = shell.locale;
    let parts = fragments::parts(app, locale, &row).await?;
    let symbol = Symbol::new(&row.symbol);
    let live = format!("/leases/{}/live", row.id);
    Ok(Show {
        id: row.id.to_string(),
        units: row.units,
        period: locale.period(row.period),
        price: format::money(row.price),
        stage: parts.stage,
        is_new,
        state: parts.state,
        hours: parts.hours,
        cost: parts.cost,
        facts: facts(app, locale, &row, &symbol).await?,
        login: login(app, &shell, &row, &symbol).await?,
        doings: parts.doings,
        errors,
        symbol,
        shell: shell.live_from(live),
    })
}

async fn facts(
    app: &App,
    locale: Locale,
    row: &LeaseRow,
    symbol: &Symbol,
) -> Result<Vec<Fact>, Error> {
    let fact = |key, value: String, href: Option<String>, is_code| Fact {
        key,
        value,
        href,
        is_code,
    };
    let provider = row.provider.clone().unwrap_or_default();
    let mut facts = vec![
        fact("lease.fact.provider", provider, None, false),
        fact("lease.fact.pool", format!("p{}", row.pool), None, true),
        fact(
            "lease.fact.instrument",
            row.symbol.clone(),
            Some(format!("/market/{}", row.symbol)),
            true,
        ),
        fact(
            "lease.fact.order",
            row.order.to_string(),
            Some(format!("/orders/{}", row.order)),
            true,
        ),
        fact(
            "lease.fact.note",
            format!("t{}", row.id.0),
            Some(format!("/trades/t{}", row.id.0)),
            true,
        ),
        fact("lease.fact.rules", format!("v{}", row.rules), None, false),
        fact("lease.fact.level", symbol.level(locale), None, false),
    ];
    for (reason, entry) in queries::entries(&app.db, row.id).await? {
        let key = match reason.as_str() {
            "credit" => "lease.fact.credit_entry",
            _ => "lease.fact.entry",
        };
        let href = Some(format!("/wallet/entries/e{entry}"));
        facts.push(fact(key, format!("J-{entry}"), href, true));
    }
    Ok(facts)
}

async fn login(app: &App, shell: &Shell, row: &LeaseRow, symbol: &Symbol) -> Result<Login, Error> {
    let has_begun = app.clock.now() >= row.period.start.begins();
    let can_change = !has_begun && shell.may(&[Role::Buyer]);
    let keys = match &shell.member {
        Some(member) if can_change => queries::keys(&app.db, member.participant).await?,
        _ => Vec::new(),
    };
    Ok(Login {
        image: row.image.as_deref().and_then(Image::of),
        key: row.key.clone(),
        images: Image::for_grade(symbol.grade),
        keys,
        can_change,
    })
}

/// `GET /keys`
///
/// # Errors
/// When the database can't be read.
pub async fn keys(
    State(app): State<App>,
    uri: Uri,
    shell: Shell,
    member: Member,
    Query(form): Query<KeyForm>,
) -> Result<Response, Error> {
    let is_done = uri.query() == Some("added");
    let form = KeyForm {
        back: form.back,
        ..KeyForm::default()
    };
    let page = draw_keys(&app, shell, &member, form, FieldErrors::default(), is_done);
    Ok(page.await?.into_response())
}

/// The keys, with one as it was typed and what is wrong with it.
pub(super) async fn draw_keys(
    app: &App,
    shell: Shell,
    member: &Member,
    form: KeyForm,
    errors: FieldErrors,
    is_done: bool,
) -> Result<Keys, Error> {
    let keys = queries::keys(&app.db, member.participant).await?;
    Ok(Keys {
        shell,
        keys,
        form,
        errors,
        is_done,
    })
}
