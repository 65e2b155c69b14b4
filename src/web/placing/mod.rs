//! The one place where a member's bid goes to the market: at once, or, above the amount that an
//! owner of their participant has set, as a request that somebody else approves.
//!
//! The amount bounds what one member orders without a second person within 24 hours of the market
//! clock, so that an order in parts is one. What counts is the most that an open order can cost;
//! of one that is done, what it has bought. The participant's row is locked from the look at that
//! sum to the market's answer, so that two orders sent at once are looked at one after the other.

mod programs;
mod requests;
mod store;

use anyhow::Context;
use market::{
    ClientId, Command, EventKind, HOUR_MICROS, HOUR_MINUTES, LeaseId, Money, Order, OrderId,
    ParticipantId, PlaceOrder, Rules, Side,
};
use serde_json::json;
use sqlx::PgConnection;

use super::acts::Origin;
use super::error::Error;
use super::session::Member;
use crate::app::App;
use crate::sequencer::{Actor, Receipt, SubmitError};

pub use programs::{Came, Wish, grant};
pub use requests::{Decided, RequestId, approve, decline, withdraw};
pub use store::{Request, request, requests};

/// For how many hours what was ordered without a second person counts.
pub const COUNTED_HOURS: i64 = 24;

/// How many requests of a participant may wait.
pub const MOST_WAITING: i64 = 100;

/// What an order is to find started, and by which key.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The image's code.
    pub image: &'static str,
    /// One of the participant's keys; none as yet.
    pub ssh_key: Option<i64>,
}

/// What has come of a bid.
#[derive(Debug)]
pub enum Placed {
    /// The market has answered.
    Answered(Receipt),
    /// A second person is to approve it.
    Asked(RequestId),
    /// A request with other terms has this client id.
    Used,
    /// As many requests wait as may.
    TooMany,
    /// It needs a second person, and may not wait for one.
    Exceeds(Excess),
    /// It is not known whether the market has it: the same client id tells.
    Uncertain,
}

/// What has come of a change of an open bid.
#[derive(Debug)]
pub enum Replaced {
    /// The market has answered.
    Answered(Receipt),
    /// The order is like that already.
    AsIs,
    /// The order is not as it was shown any more.
    Changed,
    /// It would cost more than may be ordered without a second person.
    Exceeds(Excess),
    /// It is not known whether it was done.
    Uncertain,
}

/// Why a bid needs a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The most that it can cost, in 1/10,000 yuan.
    pub cost: i128,
    /// What may be ordered without a second person; of an order that one approved, what was
    /// approved.
    pub above: Money,
    /// What its member has ordered within [`COUNTED_HOURS`] beside it.
    pub already: Money,
}

/// The most that an order can cost under these rules, in 1/10,000 yuan: its limit for all the
/// unit-hours that it wants, and the buyer's fee on that.
pub fn cost(rules: &Rules, order: &PlaceOrder) -> i128 {
    let hours = match &order.side {
        Side::Buy {
            flexible: Some(flexible),
            ..
        } => flexible.duration,
        _ => order.end.0.saturating_sub(order.start.0) / HOUR_MICROS,
    };
    let minutes = hours.saturating_mul(HOUR_MINUTES);
    rules.buyer_fee.need(order.price, order.units, minutes)
}

/// Sends a member's bid to the market, or keeps it as a request. What it is to find started is
/// kept before either.
///
/// # Errors
/// When the database fails, or the market takes no commands.
pub async fn place(
    app: &App,
    origin: &Origin,
    member: &Member,
    order: PlaceOrder,
    access: Access,
) -> Result<Placed, Error> {
    store::keep_access(&app.db, member, &order.client_id, access).await?;
    place_as(app, origin, member, order, true).await
}

/// The same without a word about what it is to find started. Where it may not wait for a second
/// person, it is refused.
async fn place_as(
    app: &App,
    origin: &Origin,
    member: &Member,
    order: PlaceOrder,
    may_wait: bool,
) -> Result<Placed, Error> {
    let of = member.participant;
    let mut db = app.db.begin().await.context("placing an order")?;
    let above = store::lock(&mut db, of).await?;
    // What was asked for once stays asked for, whatever the amount is by now.
    if let Some((id, asked)) = store::asked(&mut db, of, &order.client_id).await? {
        let is_same = asked == order;
        return Ok(if is_same {
            Placed::Asked(id)
        } else {
            Placed::Used
        });
    }
    let cost = cost(app.feed.market().rules(), &order);
    // An order that is there already is answered by the market and made by no answer.
    let is_there = app.feed.market().order_of(of, &order.client_id).is_some();
    let excess = match above {
        Some(above) if !is_there => {
            let bid = Bid::new(of, Actor::User(member.user), &order.client_id, cost);
            bid.excess(app, &mut db, above).await?
        }
        _ => None,
    };
    if let Some(excess) = excess {
        if !may_wait {
            return Ok(Placed::Exceeds(excess));
        }
        let asked = store::ask(&mut db, member, &order, cost, app.clock.now()).await?;
        let Some(id) = asked else {
            return Ok(Placed::TooMany);
        };
        let detail = json!({ "client_id": order.client_id, "cost": cost.to_string() });
        requests::record(&mut db, origin, "order_requested", id, detail).await?;
        db.commit().await.context("keeping a request")?;
        app.feed.tell_of_participant(of);
        return Ok(Placed::Asked(id));
    }
    let command = Command::PlaceOrder(order);
    if above.is_none() {
        // Nothing is counted, so nobody waits for anybody.
        db.commit().await.context("placing an order")?;
        let sent = submit(app, member, command).await?;
        return Ok(sent.map_or(Placed::Uncertain, Placed::Answered));
    }
    let sent = submit(app, member, command).await?;
    db.commit().await.context("placing an order")?;
    Ok(sent.map_or(Placed::Uncertain, Placed::Answered))
}

/// The request that a ticket has become, if it has.
///
/// # Errors
/// When the database can't be read.
pub async fn asked(
    app: &App,
    of: ParticipantId,
    client_id: &ClientId,
) -> Result<Option<RequestId>, Error> {
    let mut db = app.db.acquire().await.context("looking for a request")?;
    let asked = store::asked(&mut db, of, client_id).await?;
    Ok(asked.map(|(id, _)| id))
}

/// Why a bid that a member is about to send would need a second person; none when it needs none.
///
/// # Errors
/// When the database can't be read.
pub async fn excess(
    app: &App,
    member: &Member,
    client_id: &ClientId,
    cost: Money,
) -> Result<Option<Excess>, Error> {
    let mut db = app.db.acquire().await.context("looking at an amount")?;
    let Some(above) = store::above(&mut db, member.participant).await? else {
        return Ok(None);
    };
    let actor = Actor::User(member.user);
    let bid = Bid::new(member.participant, actor, client_id, cost.0.into());
    bid.excess(app, &mut db, above).await
}

/// An order as a page shows it: a change is made of the one that its person saw.
pub fn as_shown(order: &Order) -> String {
    format!("{}-{}-{}", order.units, order.price, order.filled)
}

/// Changes a member's open bid: its total and its limit.
///
/// # Errors
/// [`Error::NotFound`] where there is no such order; when the database fails, or the market takes
/// no commands.
pub async fn replace(
    app: &App,
    member: &Member,
    client_id: &ClientId,
    was: &str,
    to: (i64, Money),
) -> Result<Replaced, Error> {
    let of = member.participant;
    let mut db = app.db.begin().await.context("changing an order")?;
    let above = store::lock(&mut db, of).await?;
    let order = order_of(app, of, client_id).ok_or(Error::NotFound)?;
    if (order.units, order.price) == to {
        return Ok(Replaced::AsIs);
    }
    if order.done.is_none() && as_shown(&order) != was {
        return Ok(Replaced::Changed);
    }
    let done = change(app, &mut db, member, &order, above, to).await?;
    db.commit().await.context("changing an order")?;
    Ok(done)
}

/// The same for a program, which was shown nothing: what it leaves out stays as it is.
async fn replace_as(
    app: &App,
    member: &Member,
    client_id: &ClientId,
    units: Option<i64>,
    price: Option<Money>,
) -> Result<Replaced, Error> {
    let of = member.participant;
    let mut db = app.db.begin().await.context("changing an order")?;
    let above = store::lock(&mut db, of).await?;
    let order = order_of(app, of, client_id).ok_or(Error::NotFound)?;
    let to = (units.unwrap_or(order.units), price.unwrap_or(order.price));
    let done = change(app, &mut db, member, &order, above, to).await?;
    db.commit().await.context("changing an order")?;
    Ok(done)
}

/// Changes an order, whose participant's row is locked, unless that needs a second person.
async fn change(
    app: &App,
    db: &mut PgConnection,
    member: &Member,
    order: &Order,
    above: Option<Money>,
    (units, price): (i64, Money),
) -> Result<Replaced, Error> {
    let excess = raised(app, db, order, above, (units, price)).await?;
    if let Some(excess) = excess {
        return Ok(Replaced::Exceeds(excess));
    }
    let command = Command::ReplaceOrder {
        participant: order.participant(),
        client_id: order.placed.client_id.clone(),
        units: (units != order.units).then_some(units),
        price: (price != order.price).then_some(price),
    };
    let sent = submit(app, member, command).await?;
    Ok(sent.map_or(Replaced::Uncertain, Replaced::Answered))
}

/// Why a change of an open bid would need a second person; none when it needs none.
///
/// # Errors
/// When the database can't be read.
pub async fn excess_of_change(
    app: &App,
    order: &Order,
    to: (i64, Money),
) -> Result<Option<Excess>, Error> {
    let mut db = app.db.acquire().await.context("looking at an amount")?;
    let above = store::above(&mut db, order.participant()).await?;
    raised(app, &mut db, order, above, to).await
}

/// What a change that lets an order cost more exceeds. It counts against whoever placed the order,
/// whoever changes it; one that a second person approved may cost what was approved.
async fn raised(
    app: &App,
    db: &mut PgConnection,
    order: &Order,
    above: Option<Money>,
    (units, price): (i64, Money),
) -> Result<Option<Excess>, Error> {
    // Nobody spends by an ask.
    let Some(above) = above.filter(|_| order.is_bid()) else {
        return Ok(None);
    };
    let rules = app.feed.market().rules().clone();
    let minutes = order.hours() * HOUR_MINUTES;
    let cost = rules.buyer_fee.need(price, units, minutes);
    let is_raised = price.times(units, 1) > order.price.times(order.units, 1);
    if !is_raised {
        return Ok(None);
    }
    let (of, client_id) = (order.participant(), &order.placed.client_id);
    if let Some((_, approved)) = store::asked(db, of, client_id).await? {
        let most = self::cost(&rules, &approved);
        let excess = Excess {
            cost,
            above: Money(i64::try_from(most).unwrap_or(i64::MAX)),
            already: Money::ZERO,
        };
        return Ok((cost > most).then_some(excess));
    }
    let actor = store::placed_by(db, of, client_id).await?;
    let bid = Bid {
        of,
        actor,
        client_id,
        cost,
    };
    bid.excess(app, db, above).await
}

/// A bid that is looked at: whose, who placed it, and the most that it can cost.
struct Bid<'a> {
    of: ParticipantId,
    actor: String,
    client_id: &'a ClientId,
    cost: i128,
}

impl<'a> Bid<'a> {
    fn new(of: ParticipantId, actor: Actor, client_id: &'a ClientId, cost: i128) -> Self {
        Self {
            of,
            actor: actor.to_string(),
            client_id,
            cost,
        }
    }

    /// How it exceeds what may be ordered without a second person.
    async fn excess(
        &self,
        app: &App,
        db: &mut PgConnection,
        above: Money,
    ) -> Result<Option<Excess>, Error> {
        let since = app.clock.now().plus_hours(-COUNTED_HOURS);
        let fees = app.feed.market().rules().buyer_fee;
        let already = store::ordered_alone(db, self, since, fees).await?;
        let is_over = self.cost.saturating_add(already.0.into()) > above.0.into();
        Ok(is_over.then_some(Excess {
            cost: self.cost,
            above,
            already,
        }))
    }
}

/// A participant's order of this name, as it stands.
fn order_of(app: &App, of: ParticipantId, client_id: &ClientId) -> Option<Order> {
    let market = app.feed.market();
    let id = market.order_of(of, client_id)?;
    Some(market.order(id).clone())
}

/// Sends a command as a member; none when it is not known whether it was done.
async fn submit(app: &App, member: &Member, command: Command) -> Result<Option<Receipt>, Error> {
    match app
        .sequencer
        .submit(Actor::User(member.user), command)
        .await
    {
        Ok(receipt) => Ok(Some(receipt)),
        Err(SubmitError::Uncertain) => Ok(None),
        Err(SubmitError::Busy | SubmitError::Stopped) => Err(Error::Busy),
    }
}

/// Where an accepted order led: its lease when it made one and is filled, else the order.
pub fn onward(receipt: &Receipt) -> String {
    let mut order: Option<OrderId> = None;
    let mut leases: Vec<LeaseId> = Vec::new();
    let mut is_filled = false;
    for event in &receipt.events {
        match &event.kind {
            EventKind::Accepted { order: id, .. } => order = Some(*id),
            // What came before the acceptance had fallen due, and is others'.
            EventKind::Leased { lease, .. } if order.is_some() => leases.push(*lease),
            EventKind::Done {
                order: id,
                why: market::DoneWhy::Filled,
            } => {
                is_filled |= order == Some(*id);
            }
            _ => {}
        }
    }
    match (order, leases.as_slice()) {
        (Some(_), [lease]) if is_filled => format!("/leases/{lease}?bought"),
        (Some(order), _) => format!("/orders/{order}"),
        (None, _) => "/orders".to_owned(),
    }
}
