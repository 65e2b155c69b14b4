//! The leases, one of them, and the keys that open them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::{Hour, LeaseId, Period, Rejection};

use super::forms::{AccessForm, HandBack, KeyForm, LATER, ListQuery, Rename, field_of};
use super::fragments::{self, Cost, Doings, Hours, List, Stage, StageTag, Timeline, WayIn};
use super::queries::{self, AccessKey, Key, LeaseRow};
use crate::app::App;
use crate::web::delivered::Delivered;
use crate::web::failure::Failure;
use crate::web::image::Image;
use crate::web::symbol::Symbol;
use crate::web::window::Window;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Role, Shell, format, say};

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
    units: String,
    /// What it has still, where that is not what was traded.
    held: Option<String>,
    period: String,
    price: String,
    stage: StageTag,
    /// What has just been done.
    said: Option<&'static str>,
    state: Timeline,
    hours: Hours,
    cost: Cost,
    facts: Vec<Fact>,
    login: Login,
    doings: Doings,
    failure: Failure,
    way_in: WayIn,
    delivered: Delivered,
    errors: FieldErrors,
    /// Whether something was chosen in the form and not taken yet.
    is_changing: bool,
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
    /// What is chosen in the form.
    chosen: AccessForm,
}

#[derive(Template, WebTemplate)]
#[template(path = "leases/keys.html")]
pub(super) struct Keys {
    shell: Shell,
    keys: Vec<Key>,
    form: KeyForm,
    pub(super) errors: FieldErrors,
    pub(super) renamed: Option<Renamed>,
    is_done: bool,
}

/// A key's new name as it was typed, and what is wrong with it.
pub(super) struct Renamed {
    pub(super) key: i64,
    pub(super) name: String,
    pub(super) error: Option<String>,
}

impl Keys {
    /// What was typed as this key's new name.
    fn renamed(&self, key: &Key) -> Option<&Renamed> {
        self.renamed
            .as_ref()
            .filter(|renamed| renamed.key == key.id)
    }
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
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let said = match uri.query() {
        Some("bought") => Some("lease.bought"),
        Some("handed-back") => Some("hand_back.done"),
        _ => None,
    };
    let chosen = kept
        .form(&format!("/leases/{id}/access"))
        .map(|chosen| (chosen, FieldErrors::default()));
    let page = draw(&app, kept.told(shell), row, chosen, said);
    Ok(page.await?.into_response())
}

/// The page of a lease, with what was chosen for it and what is wrong with that.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    row: LeaseRow,
    chosen: Option<(AccessForm, FieldErrors)>,
    said: Option<&'static str>,
) -> Result<Show, Error> {
    let (chosen, errors) = chosen.unzip();
    let is_restored = shell.is_restored && chosen.is_some();
    let (locale, now) = (shell.locale, app.clock.now());
    let parts = fragments::parts(app, locale, &row).await?;
    let symbol = Symbol::new(&row.symbol);
    let live = format!("/leases/{}/live", row.id);
    Ok(Show {
        id: row.id.to_string(),
        units: row.held.units(now),
        held: row.held.note(locale, now),
        period: locale.period(row.period),
        price: format::money(row.price),
        stage: parts.stage,
        said,
        state: parts.state,
        hours: parts.hours,
        cost: parts.cost,
        facts: facts(app, locale, &row, &symbol).await?,
        login: login(app, &shell, &row, &symbol, chosen).await?,
        doings: parts.doings,
        failure: parts.failure,
        way_in: parts.way_in,
        delivered: parts.delivered,
        is_changing: is_restored || errors.is_some(),
        errors: errors.unwrap_or_default(),
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
            "hand_back" => "lease.fact.hand_back_entry",
            _ => "lease.fact.entry",
        };
        let href = Some(format!("/wallet/entries/e{entry}"));
        facts.push(fact(key, format!("J-{entry}"), href, true));
    }
    Ok(facts)
}

async fn login(
    app: &App,
    shell: &Shell,
    row: &LeaseRow,
    symbol: &Symbol,
    chosen: Option<AccessForm>,
) -> Result<Login, Error> {
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
        chosen: chosen.unwrap_or_else(|| AccessForm {
            image: row.image.clone().unwrap_or_default(),
            ssh_key: row
                .key
                .as_ref()
                .map_or_else(|| LATER.to_owned(), |key| key.id.to_string()),
        }),
    })
}

/// Which hours of a lease are handed back, and what of their price returns.
#[derive(Template, WebTemplate)]
#[template(path = "leases/hand_back.html")]
pub(super) struct HandBackPage {
    shell: Shell,
    id: String,
    title: String,
    period: String,
    form: HandBack,
    /// Why nothing can be handed back now.
    closed: Option<String>,
    until: String,
    bill: Option<HandBackBill>,
    errors: FieldErrors,
    notice: Option<String>,
}

/// What returns and what stays, for the hours that are named.
struct HandBackBill {
    period: String,
    /// Day, hour and hours, as the button sends them.
    hours: [(&'static str, String); 3],
    lines: Vec<(&'static str, String)>,
    back: String,
    back_plain: String,
    kept: String,
}

/// The hours of a lease that can be handed back now, from the first to the last; none where there
/// are none, or the rules of its trade allow none.
pub(super) fn returnable(app: &App, row: &LeaseRow) -> Option<Window> {
    let market = app.feed.market();
    let lease = market.lease(row.id)?;
    let rules = market.rules_of(lease.rules).hand_back;
    let first = market.now().max(app.clock.now());
    let first = first.plus_hours(rules.notice_hours);
    let mut hours = lease.unsettled().filter(|hour| hour.begins() >= first);
    let start = hours.next().filter(|_| rules.allowed)?;
    let end = hours.last().unwrap_or(start);
    Some(Window {
        period: Period {
            start,
            end: Hour(end.0 + 1),
        },
    })
}

/// What the market's no means for a hand-back: at its field, or for all of it.
pub(super) fn no_hand_back(locale: Locale, no: Rejection) -> (FieldErrors, Option<String>) {
    let said = match no {
        Rejection::OverLease => locale.t("hand_back.offered").into_owned(),
        Rejection::OutsideLease => locale.t("hand_back.outside").into_owned(),
        no => say::rejection(locale, no),
    };
    let mut errors = FieldErrors::default();
    match field_of(no) {
        Some(field) => {
            errors.add(field, said);
            (errors, None)
        }
        None => (errors, Some(said)),
    }
}

/// `GET /leases/{id}/hand-back`: which hours, and what comes of it.
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none.
pub async fn hand_back(
    State(app): State<App>,
    Path(id): Path<String>,
    kept: Kept,
    shell: Shell,
    member: Member,
    Query(form): Query<HandBack>,
) -> Result<Response, Error> {
    let form = kept
        .form(&format!("/leases/{id}/hand-back"))
        .unwrap_or(form);
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, id).await?;
    let row = row.ok_or(Error::NotFound)?;
    let (shell, errors) = (kept.told(shell), FieldErrors::default());
    let page = draw_hand_back(&app, shell, &row, form, errors, None);
    Ok(page.into_response())
}

/// The same with hours as they were typed, and what is wrong with them.
pub(super) fn draw_hand_back(
    app: &App,
    shell: Shell,
    row: &LeaseRow,
    mut form: HandBack,
    mut errors: FieldErrors,
    mut notice: Option<String>,
) -> HandBackPage {
    let locale = shell.locale;
    let returnable = returnable(app, row);
    let like = returnable.clone().unwrap_or(Window { period: row.period });
    let mut bill = None;
    if let (Some(_), Ok(window)) = (&returnable, form.read(locale, &like)) {
        match hand_back_bill(app, locale, row, &window) {
            Ok(reckoned) => bill = Some(reckoned),
            Err(no) if errors.is_empty() && notice.is_none() => {
                (errors, notice) = no_hand_back(locale, no);
            }
            Err(_) => {}
        }
    } else if let Err(wrong) = form.read(locale, &like) {
        errors = wrong;
    }
    let fields = [
        (&mut form.day, like.day()),
        (&mut form.hour, like.hour().to_string()),
        (&mut form.hours, like.hours().to_string()),
    ];
    for (field, usual) in fields {
        if field.is_empty() {
            *field = usual;
        }
    }
    let closed = returnable.is_none().then(|| {
        let allowed = app.feed.market().rules_of(row.rules).hand_back.allowed;
        let key = if allowed {
            "hand_back.over"
        } else {
            "hand_back.not_allowed"
        };
        locale.t(key).into_owned()
    });
    HandBackPage {
        id: row.id.to_string(),
        title: Symbol::new(&row.symbol).title(locale),
        period: locale.period(row.period),
        until: locale.period(like.period),
        form,
        closed,
        bill,
        errors,
        notice,
        shell,
    }
}

/// What of the price of these hours returns to the holder, and what the provider keeps.
fn hand_back_bill(
    app: &App,
    locale: Locale,
    row: &LeaseRow,
    window: &Window,
) -> Result<HandBackBill, Rejection> {
    let (start, end) = (window.period.start.begins(), window.period.end.begins());
    let market = app.feed.market();
    let holder = market.lease(row.id).ok_or(Rejection::UnknownLease)?.holder;
    let returned = market.would_hand_back(holder, row.id, (start, end))?;
    let back = returned.share + returned.fee;
    let mut lines = vec![
        ("hand_back.price", format::four(returned.price)),
        ("hand_back.share", format::four(returned.share)),
    ];
    if returned.fee > market::Money::ZERO {
        lines.push(("hand_back.fee", format::four(returned.fee)));
    }
    Ok(HandBackBill {
        period: locale.period(window.period),
        hours: [
            ("day", window.day()),
            ("hour", window.hour().to_string()),
            ("hours", window.hours().to_string()),
        ],
        lines,
        back: format::four(back),
        back_plain: back.to_string(),
        kept: format::four(returned.paid()),
    })
}

/// `GET /keys`
///
/// # Errors
/// When the database can't be read.
pub async fn keys(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
    Query(asked): Query<KeyForm>,
) -> Result<Response, Error> {
    let form = kept.form("/keys").unwrap_or_else(|| KeyForm {
        back: asked.back,
        ..KeyForm::default()
    });
    let mut page = draw_keys(&app, kept.told(shell), &member, form).await?;
    let renamed = kept.form_of_row::<Rename>("/keys/", "/name");
    page.renamed = renamed.and_then(|(key, rename)| {
        Some(Renamed {
            key: key.parse().ok()?,
            name: rename.name,
            error: None,
        })
    });
    page.is_done = uri.query() == Some("added");
    Ok(page.into_response())
}

/// The keys, with one as it was typed.
pub(super) async fn draw_keys(
    app: &App,
    shell: Shell,
    member: &Member,
    form: KeyForm,
) -> Result<Keys, Error> {
    let keys = queries::keys(&app.db, member.participant).await?;
    Ok(Keys {
        shell,
        keys,
        form,
        errors: FieldErrors::default(),
        renamed: None,
        is_done: false,
    })
}
