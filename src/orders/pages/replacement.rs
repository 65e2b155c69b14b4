//! What a change of an open bid changes, before it is made.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use market::{Account, AccountKind, HOUR_MINUTES, Market, Money, Order, Rejection};

use super::super::forms::{self, Change};
use super::super::fragments::{View, why};
use super::{Typed, draw, row};
use crate::app::App;
use crate::web::placing::{self, Excess};
use crate::web::quote::Reckoned;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Shell, format, say};

/// The page that shows what a change of an order changes before it is made.
#[derive(Template, WebTemplate)]
#[template(path = "orders/replace.html")]
pub(in super::super) struct Replace {
    shell: Shell,
    order: View,
    change: Change,
    /// What, before and after.
    rows: Vec<(&'static str, String, String)>,
    /// What more is held, or returns.
    hold: String,
    place: String,
    outcome: Option<String>,
    missing: Option<String>,
    notice: Option<String>,
}

/// `GET /orders/{id}/replacement`: what a change would change.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn replacement(
    State(app): State<App>,
    Path(id): Path<String>,
    kept: Kept,
    shell: Shell,
    member: Member,
    Query(change): Query<Change>,
) -> Result<Response, Error> {
    let change = kept
        .form(&format!("/orders/{id}/replace"))
        .unwrap_or(change);
    confirm(&app, kept.told(shell), &member, &id, change, None).await
}

/// The page that asks whether a change is meant, or the order with what is wrong with the change.
pub(in super::super) async fn confirm(
    app: &App,
    shell: Shell,
    member: &Member,
    id: &str,
    change: Change,
    notice: Option<(StatusCode, String)>,
) -> Result<Response, Error> {
    let row = row(app, member, id).await?;
    let locale = shell.locale;
    let order = why::order_of(&row, &app.feed.market()).cloned();
    let order = order.filter(market::Order::is_bid).ok_or(Error::NotFound)?;
    let to = match change.read(locale) {
        Ok(to) => to,
        Err(errors) => return refuse(app, shell, member, id, change, errors, None).await,
    };
    let flaw = forms::flaw(&app.feed.market(), &order, to);
    if let Some(flaw) = flaw {
        return refuse_for(app, shell, member, id, change, flaw).await;
    }
    if (order.units, order.price) == to {
        let notice = Some(locale.t("change.same").into_owned());
        return refuse(
            app,
            shell,
            member,
            id,
            change,
            FieldErrors::default(),
            notice,
        )
        .await;
    }
    if let Some(excess) = placing::excess_of_change(app, &order, to).await? {
        let notice = Some(too_much(locale, excess));
        return refuse(
            app,
            shell,
            member,
            id,
            change,
            FieldErrors::default(),
            notice,
        )
        .await;
    }
    let (status, notice) = notice.unzip();
    let market = app.feed.market();
    let view = View::new(locale, &row, &market, app.clock.now());
    let page = Replace::new(shell, &market, &order, view, (change, to), notice);
    Ok((status.unwrap_or_default(), page).into_response())
}

impl Replace {
    fn new(
        shell: Shell,
        market: &Market,
        order: &Order,
        view: View,
        (change, (units, price)): (Change, (i64, Money)),
        notice: Option<String>,
    ) -> Self {
        let locale = shell.locale;
        let fees = market.rules().buyer_fee;
        let rest_is_cancelled = units <= order.filled;
        let left = if rest_is_cancelled {
            0
        } else {
            units - order.filled
        };
        let minutes = order.hours() * HOUR_MINUTES - order.late_minutes;
        let hold = fees.need(price, left, minutes);
        let more = hold - i128::from(order.held.0);
        let (place, moves) = if rest_is_cancelled {
            ("change.place.ends", false)
        } else if price == order.price && units < order.units {
            ("change.place.kept", false)
        } else {
            ("change.place.lost", true)
        };
        let amount = format::amount(more.abs());
        let hold_key = match more {
            0 => "change.hold.same",
            1.. => "change.hold.more",
            _ => "change.hold.less",
        };
        let outcome = moves.then(|| {
            let mut placed = order.placed.clone();
            placed.units = left;
            Reckoned::new(market, placed, Some(price)).map_or_else(
                |rejection| say::rejection(locale, rejection),
                |reckoned| reckoned.outcome(locale),
            )
        });
        let cash = Account::of(order.participant(), AccountKind::Cash);
        let missing = more - i128::from(market.ledger().balance(cash).0);
        let count = format::count;
        Self {
            order: view,
            rows: vec![
                (
                    "ticket.units",
                    count(order.units),
                    count(units.max(order.filled)),
                ),
                (
                    "ticket.price",
                    format::money(order.price),
                    format::money(price),
                ),
                ("change.left", count(order.remaining()), count(left)),
                (
                    "orders.held",
                    format::money(order.held),
                    format::amount(hold),
                ),
            ],
            hold: locale.tr(hold_key, [("amount", &amount)]),
            place: locale.t(place).into_owned(),
            outcome,
            missing: (missing > 0).then(|| format::amount(missing)),
            change: Change {
                was: placing::as_shown(order),
                ..change
            },
            notice,
            shell,
        }
    }
}

/// Why a change would need a second person.
pub(in super::super) fn too_much(locale: Locale, excess: Excess) -> String {
    let words = [
        ("cost", &*format::amount(excess.cost)),
        ("above", &format::money(excess.above)),
        ("already", &format::money(excess.already)),
        ("h", &placing::COUNTED_HOURS.to_string()),
    ];
    let key = if excess.already > Money::ZERO {
        "change.too_much_sum"
    } else {
        "change.too_much"
    };
    locale.tr(key, words)
}

/// The order again, with what the market would say no to.
pub(in super::super) async fn refuse_for(
    app: &App,
    shell: Shell,
    member: &Member,
    id: &str,
    change: Change,
    rejection: Rejection,
) -> Result<Response, Error> {
    let said = say::rejection(shell.locale, rejection);
    let mut errors = FieldErrors::default();
    let mut notice = None;
    match forms::field_of(rejection) {
        Some(field) => errors.add(field, said),
        None => notice = Some(said),
    }
    refuse(app, shell, member, id, change, errors, notice).await
}

/// The order again, with a change as it was typed and what is wrong with it.
pub(in super::super) async fn refuse(
    app: &App,
    shell: Shell,
    member: &Member,
    id: &str,
    change: Change,
    errors: FieldErrors,
    notice: Option<String>,
) -> Result<Response, Error> {
    let typed = Typed {
        change: Some(change),
        errors,
        notice,
    };
    let page = draw(app, shell, member, id, typed).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
