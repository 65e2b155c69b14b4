//! Opening, growing, offering, pausing.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::try_join_all;
use market::{
    ClientId, Command, InstrumentId, ListInstrument, OpenPool, Order, OrderId, PlaceOrder, Pool,
    PoolId, Rejection, Side, Weekly,
};

use super::forms::{Change, Faults, Growth, NewPool, PoolTerms, Tariff, field_of};
use super::fragments::{Refused, own};
use super::pages::{self, Typed};
use super::queries::{self, AskRow};
use super::store;
use crate::app::App;
use crate::replay::tariff::TICK;
use crate::sequencer::{Actor, Receipt, SubmitError};
use crate::web::{Error, FieldErrors, Form, Locale, Member, Shell, certificate, form, say};

/// What came of a command that a form sent.
enum Outcome {
    Done(Receipt),
    /// Why not, in a sentence; sent again, the form tells.
    Uncertain,
}

async fn submit(app: &App, member: &Member, command: Command) -> Result<Outcome, Error> {
    match app
        .sequencer
        .submit(Actor::User(member.user), command)
        .await
    {
        Ok(receipt) => Ok(Outcome::Done(receipt)),
        Err(SubmitError::Uncertain) => Ok(Outcome::Uncertain),
        Err(SubmitError::Busy | SubmitError::Stopped) => Err(Error::Busy),
    }
}

/// What a rejection says: at its field, or about the whole form.
fn said(locale: Locale, rejection: Rejection) -> (FieldErrors, Option<String>) {
    let mut errors = FieldErrors::default();
    let text = say::rejection(locale, rejection);
    match field_of(rejection) {
        Some(field) => {
            errors.add(field, text);
            (errors, None)
        }
        None => (errors, Some(text)),
    }
}

/// `POST /provide/pools`: opens a pool, and lists its instrument where nobody has.
///
/// # Errors
/// [`Error::Uncertified`]; when the market takes no commands.
pub async fn open(
    State(app): State<App>,
    shell: Shell,
    member: Member,
    Form(mut form): Form<NewPool>,
) -> Result<Response, Error> {
    let certificate = certificate::required(&app.db, member.participant).await?;
    let locale = shell.locale;
    let refuse = |form, errors, notice| {
        let page = pages::draw_new(&app, shell.clone(), &certificate, form, errors, notice);
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    let levels = pages::levels(&app);
    let terms = match form.read(locale, certificate.region, &levels) {
        Ok(terms) => terms,
        Err(errors) => return refuse(form, errors, None),
    };
    let Some(name) = form::form_id(&form.form_id).map(|id| ClientId(id.to_owned())) else {
        form.form_id = form::client_id();
        return refuse(
            form,
            FieldErrors::default(),
            Some(locale.t("pools.again").into_owned()),
        );
    };
    let uncertain = || Some(locale.t("pools.uncertain").into_owned());
    let Some((instrument, lot)) = listed(&app, &member, &terms).await? else {
        return refuse(form, FieldErrors::default(), uncertain());
    };
    if terms.units % lot != 0 {
        let mut errors = FieldErrors::default();
        let lot = lot.to_string();
        errors.add("units", locale.tr("pools.bad.lot", [("n", &lot)]));
        return refuse(form, errors, None);
    }
    let (pool, named) = store::open(&app.db, &member, &name, &terms.name, terms.units, lot).await?;
    // To the market more units are growth; to whoever sends a form they are another pool.
    let opened = app.feed.market().pool(pool).map(|pool| pool.units);
    if named != terms.name || opened.is_some_and(|units| units != terms.units) {
        form.form_id = form::client_id();
        return refuse(
            form,
            FieldErrors::default(),
            Some(locale.t("pools.used").into_owned()),
        );
    }
    let command = Command::OpenPool(OpenPool {
        pool,
        participant: member.participant,
        instrument,
        units: terms.units,
        start: terms.start,
        end: terms.end,
        access: terms.access,
    });
    let Outcome::Done(receipt) = submit(&app, &member, command).await? else {
        return refuse(form, FieldErrors::default(), uncertain());
    };
    match receipt.rejection() {
        None => {
            // The first sending may have ended between the rows and the command.
            store::grow(&app.db, pool, terms.units, lot).await?;
            Ok(Redirect::to(&format!("/provide/pools/{pool}?opened")).into_response())
        }
        Some(Rejection::DuplicateId) => {
            // This form was a pool already; what is typed now is another one.
            form.form_id = form::client_id();
            refuse(
                form,
                FieldErrors::default(),
                Some(locale.t("pools.used").into_owned()),
            )
        }
        Some(rejection) => {
            store::forget(&app.db, pool).await?;
            let (errors, notice) = said(locale, rejection);
            refuse(form, errors, notice)
        }
    }
}

/// The instrument of these terms and its lot, listed now where nobody has; none when it is not
/// known whether it is.
async fn listed(
    app: &App,
    member: &Member,
    terms: &PoolTerms,
) -> Result<Option<(InstrumentId, i64)>, Error> {
    let find = || {
        let market = app.feed.market();
        let found = market
            .instruments()
            .find(|one| one.listed.symbol == terms.symbol);
        found.map(|one| (one.listed.instrument, one.listed.lot))
    };
    if let Some(found) = find() {
        return Ok(Some(found));
    }
    let command = Command::ListInstrument(ListInstrument {
        instrument: queries::instrument_number(&app.db).await?,
        symbol: terms.symbol.clone(),
        lot: terms.grade.lot,
        tick: TICK,
    });
    // Somebody else may have listed it meanwhile: then it is there all the same.
    let Outcome::Done(_) = submit(app, member, command).await? else {
        return Ok(None);
    };
    Ok(find())
}

/// `POST /provide/pools/{id}/units`: the pool has more units.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; [`Error::Uncertified`]; when the market takes no
/// commands.
pub async fn grow(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(form): Form<Growth>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let pool = own(&app, &member, id)?;
    certificate::required(&app.db, member.participant).await?;
    let locale = shell.locale;
    let lot = lot(&app, &pool);
    let refuse = async |errors, notice| {
        let typed = Typed {
            growth: Some((form.clone(), errors)),
            notice,
            ..Typed::default()
        };
        refused(&app, shell.clone(), &member, id, typed).await
    };
    let units = match form.read(locale) {
        Ok(units) => units,
        Err(errors) => return refuse(errors, None).await,
    };
    let mut errors = FieldErrors::default();
    if units < pool.units {
        let now = pool.units.to_string();
        errors.add("units", locale.tr("pools.bad.fewer", [("n", &now)]));
    } else if units % lot != 0 {
        let lot = lot.to_string();
        errors.add("units", locale.tr("pools.bad.lot", [("n", &lot)]));
    }
    if !errors.is_empty() {
        return refuse(errors, None).await;
    }
    let command = Command::OpenPool(OpenPool {
        pool: id,
        participant: pool.participant,
        instrument: pool.instrument,
        units,
        start: pool.period.start.begins(),
        end: pool.period.end.begins(),
        access: pool.access,
    });
    let Outcome::Done(receipt) = submit(&app, &member, command).await? else {
        let notice = locale.t("pools.uncertain").into_owned();
        return refuse(FieldErrors::default(), Some(notice)).await;
    };
    if let Some(rejection) = receipt.rejection() {
        let (errors, notice) = said(locale, rejection);
        return refuse(errors, notice).await;
    }
    store::grow(&app.db, id, units, lot).await?;
    Ok(back(id, "grown"))
}

fn lot(app: &App, pool: &Pool) -> i64 {
    let market = app.feed.market();
    let instrument = market.instrument(pool.instrument);
    instrument.map_or(1, |instrument| instrument.listed.lot)
}

fn back(id: PoolId, done: &str) -> Response {
    Redirect::to(&format!("/provide/pools/{id}?{done}")).into_response()
}

async fn refused(
    app: &App,
    shell: Shell,
    member: &Member,
    id: PoolId,
    typed: Typed,
) -> Result<Response, Error> {
    let page = pages::draw(app, shell, member, id, typed, "").await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// `POST /provide/pools/{id}/tariffs`: an ask of the pool.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; [`Error::Uncertified`]; when the market takes no
/// commands.
pub async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(mut tariff): Form<Tariff>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    certificate::required(&app.db, member.participant).await?;
    let locale = shell.locale;
    let refuse = async |tariff, errors, notice| {
        let typed = Typed {
            tariff: Some((tariff, errors)),
            notice,
            ..Typed::default()
        };
        refused(&app, shell.clone(), &member, id, typed).await
    };
    let terms = match tariff.read(locale) {
        Ok(terms) => terms,
        Err(errors) => return refuse(tariff, errors, None).await,
    };
    let Some(client_id) = form::form_id(&tariff.client_id).map(|id| ClientId(id.to_owned())) else {
        tariff.client_id = form::client_id();
        let notice = locale.t("pools.again").into_owned();
        return refuse(tariff, FieldErrors::default(), Some(notice)).await;
    };
    let order = PlaceOrder {
        participant: member.participant,
        client_id,
        side: Side::Sell {
            pool: id,
            min_hours: terms.min_hours,
            weekly: terms.weekly,
        },
        units: terms.units,
        price: terms.price,
        start: terms.start,
        end: terms.end,
        tif: market::TimeInForce::Gtc,
        post_only: false,
    };
    let Outcome::Done(receipt) = submit(&app, &member, Command::PlaceOrder(order)).await? else {
        let notice = locale.t("pools.uncertain").into_owned();
        return refuse(tariff, FieldErrors::default(), Some(notice)).await;
    };
    match receipt.rejection() {
        None => Ok(back(id, "listed")),
        Some(Rejection::DuplicateId) => {
            tariff.client_id = form::client_id();
            let notice = locale.t("tariff.used").into_owned();
            refuse(tariff, FieldErrors::default(), Some(notice)).await
        }
        Some(rejection) => {
            let (errors, notice) = said(locale, rejection);
            refuse(tariff, errors, notice).await
        }
    }
}

/// The ask of this number, if it is one of the pool's, whatever has become of it.
async fn ask_of(app: &App, pool: PoolId, ask: &str) -> Result<AskRow, Error> {
    let id: OrderId = ask.parse().map_err(|_| Error::NotFound)?;
    let ask = queries::ask(&app.db, pool, id).await?;
    ask.ok_or(Error::NotFound)
}

/// `POST /provide/pools/{id}/tariffs/{ask}`: another price, or other units.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; [`Error::Uncertified`]; when the market takes no
/// commands.
pub async fn change(
    State(app): State<App>,
    Path((id, ask)): Path<(String, String)>,
    shell: Shell,
    member: Member,
    Form(change): Form<Change>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    let ask = ask_of(&app, id, &ask).await?;
    certificate::required(&app.db, member.participant).await?;
    let locale = shell.locale;
    let refuse = async |errors, notice| {
        let refused_change = Refused {
            ask: ask.id,
            change: change.clone(),
            errors,
        };
        let typed = Typed {
            change: Some(refused_change),
            notice,
            ..Typed::default()
        };
        refused(&app, shell.clone(), &member, id, typed).await
    };
    let (units, price) = match change.read(locale) {
        Ok(read) => read,
        Err(errors) => return refuse(errors, None).await,
    };
    // A replace to the same terms would lose the tariff's place among others.
    if (units, price) == (ask.units, ask.price) {
        return Ok(back(id, "changed"));
    }
    let command = Command::ReplaceOrder {
        participant: member.participant,
        client_id: ask.client_id.clone(),
        units: (units != ask.units).then_some(units),
        price: (price != ask.price).then_some(price),
    };
    let Outcome::Done(receipt) = submit(&app, &member, command).await? else {
        let notice = locale.t("pools.uncertain").into_owned();
        return refuse(FieldErrors::default(), Some(notice)).await;
    };
    match receipt.rejection() {
        None => Ok(back(id, "changed")),
        Some(rejection) => {
            let (errors, notice) = said(locale, rejection);
            refuse(errors, notice).await
        }
    }
}

/// `POST /provide/pools/{id}/tariffs/{ask}/end`: the tariff stands no more, nor is it resumed.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; when the market takes no commands.
pub async fn end(
    State(app): State<App>,
    Path((id, ask)): Path<(String, String)>,
    member: Member,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    let ask = ask_of(&app, id, &ask).await?;
    store::end(&app.db, id, ask.id).await?;
    cancel(&app, &member, [ask.client_id]).await?;
    Ok(back(id, "ended"))
}

/// `POST /provide/pools/{id}/pause`: cancels the pool's asks and remembers their terms.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; when the market takes no commands.
pub async fn pause(
    State(app): State<App>,
    Path(id): Path<String>,
    member: Member,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let pool = own(&app, &member, id)?;
    let asks: Vec<Order> = {
        let market = app.feed.market();
        let open = pool.asks.iter().map(|ask| market.order(*ask).clone());
        open.collect()
    };
    store::remember(&app.db, member.participant, id, &asks).await?;
    let names = asks.into_iter().map(|ask| ask.placed.client_id);
    cancel(&app, &member, names).await?;
    Ok(back(id, "paused"))
}

/// Cancels asks; those that are done by then need nothing more.
async fn cancel(
    app: &App,
    member: &Member,
    asks: impl IntoIterator<Item = ClientId>,
) -> Result<(), Error> {
    let mut answers = Vec::new();
    for client_id in asks {
        let command = Command::CancelOrder {
            participant: member.participant,
            client_id,
        };
        let actor = Actor::User(member.user);
        let answer = app.sequencer.enqueue(app.clock.now(), actor, command).await;
        answers.push(answer.map_err(|_| Error::Busy)?);
    }
    for receipt in try_join_all(answers).await.map_err(|_| Error::Busy)? {
        match receipt.rejection() {
            None | Some(Rejection::OrderDone) => {}
            Some(rejection) => return Err(Error::Rejected(rejection)),
        }
    }
    Ok(())
}

/// `POST /provide/pools/{id}/resume`: places the paused asks again. What can't be is said and
/// stays paused.
///
/// # Errors
/// [`Error::NotFound`] for another participant's; [`Error::Uncertified`]; when the market takes no
/// commands.
pub async fn resume(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    certificate::required(&app.db, member.participant).await?;
    let locale = shell.locale;
    let mut why = None;
    for paused in queries::paused(&app.db, id).await? {
        let weekly = paused.weekly.and_then(|text| Weekly::try_from(text).ok());
        let order = PlaceOrder {
            participant: member.participant,
            client_id: ClientId(paused.resumes_as),
            side: Side::Sell {
                pool: id,
                min_hours: paused.min_hours,
                weekly,
            },
            units: paused.units,
            price: paused.price,
            start: paused.period.start.begins(),
            end: paused.period.end.begins(),
            tif: market::TimeInForce::Gtc,
            post_only: false,
        };
        match submit(&app, &member, Command::PlaceOrder(order)).await? {
            Outcome::Uncertain => why = Some(locale.t("pools.uncertain").into_owned()),
            Outcome::Done(receipt) => match receipt.rejection() {
                None => store::resumed(&app.db, paused.ask).await?,
                Some(rejection) => {
                    let said = say::rejection(locale, rejection);
                    why = Some(locale.tr("tariff.not_resumed", [("why", &*said)]));
                }
            },
        }
    }
    match why {
        None => Ok(back(id, "resumed")),
        Some(why) => {
            let typed = Typed {
                notice: Some(why),
                ..Typed::default()
            };
            refused(&app, shell, &member, id, typed).await
        }
    }
}

/// `POST /provide/pools/{id}/hosts/{host}`: when a simulated host is to fail.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn plan_faults(
    State(app): State<App>,
    Path((id, host)): Path<(String, String)>,
    shell: Shell,
    member: Member,
    Form(form): Form<Faults>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let host: i64 = host.parse().map_err(|_| Error::NotFound)?;
    own(&app, &member, id)?;
    let faults = match form.read(shell.locale) {
        Ok(faults) => faults,
        Err(errors) => {
            let typed = Typed {
                faults: Some((host, form, errors)),
                ..Typed::default()
            };
            return refused(&app, shell, &member, id, typed).await;
        }
    };
    if !store::plan_faults(&app.db, id, host, faults).await? {
        return Err(Error::NotFound);
    }
    Ok(back(id, "planned"))
}
