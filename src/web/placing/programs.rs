//! What members' programs send: one after the other, or, where no amount of their participant's
//! asks for a second person, in a row without waiting for each answer.

use market::{ClientId, Command, Money, PlaceOrder, Rejection, Side};

use super::{Excess, Placed, Replaced, RequestId, place_as, replace_as};
use crate::app::App;
use crate::sequencer::{Actor, Receipt, SubmitError};
use crate::web::acts::Origin;
use crate::web::attendance::{self, AttendanceId};
use crate::web::error::Error;
use crate::web::session::Member;
use crate::web::token::Bearer;

/// What a program wants.
#[derive(Clone, Debug)]
pub enum Wish {
    /// An order.
    Place(PlaceOrder),
    /// An open order with another total, another price or both.
    Replace {
        /// Which order.
        client_id: ClientId,
        /// The new total, in units.
        units: Option<i64>,
        /// The new price, per unit-hour.
        price: Option<Money>,
    },
    /// An open order no more.
    Cancel(ClientId),
}

impl Wish {
    /// The order that it is about.
    pub fn client_id(&self) -> &ClientId {
        match self {
            Self::Place(order) => &order.client_id,
            Self::Replace { client_id, .. } | Self::Cancel(client_id) => client_id,
        }
    }

    /// Whether it may let a bid cost more.
    fn is_for_bid(&self) -> bool {
        match self {
            Self::Place(order) => matches!(order.side, Side::Buy { .. }),
            Self::Replace { .. } => true,
            Self::Cancel(_) => false,
        }
    }

    fn command(self, member: &Member) -> Command {
        let participant = member.participant;
        match self {
            Self::Place(order) => Command::PlaceOrder(order),
            Self::Replace {
                client_id,
                units,
                price,
            } => Command::ReplaceOrder {
                participant,
                client_id,
                units,
                price,
            },
            Self::Cancel(client_id) => Command::CancelOrder {
                participant,
                client_id,
            },
        }
    }
}

/// What has come of a wish.
#[derive(Debug)]
pub enum Came {
    /// The market has answered.
    Answered(Receipt),
    /// The market would say no.
    Rejected(Rejection),
    /// A second person is to approve it.
    Asked(RequestId),
    /// A request with other terms has this client id.
    Used,
    /// As many requests wait as may.
    TooMany,
    /// It needs a second person, who could not be there in time.
    Exceeds(Excess),
    /// The market takes no commands just now: nothing was done.
    Busy,
    /// It is not known whether it was done: the same client id tells.
    Uncertain,
    /// The program attends no more under the number that it named.
    Left,
}

/// Does what a program wants, in its order, as the member whose token it has. What it places while
/// it attends ends with that.
///
/// # Errors
/// When the database fails.
pub async fn grant(
    app: &App,
    origin: &Origin,
    bearer: &Bearer,
    wishes: Vec<Wish>,
    attends: Option<&AttendanceId>,
) -> Result<Vec<Came>, Error> {
    let Some(id) = attends else {
        return grant_all(app, origin, bearer, wishes, true).await;
    };
    let placed: Vec<&ClientId> = wishes
        .iter()
        .filter(|wish| matches!(wish, Wish::Place(_)))
        .map(Wish::client_id)
        .collect();
    let Some(held) = attendance::hold(app, bearer, id, &placed).await? else {
        return Ok(wishes.iter().map(|_| Came::Left).collect());
    };
    let came = grant_all(app, origin, bearer, wishes, false).await;
    drop(held);
    came
}

async fn grant_all(
    app: &App,
    origin: &Origin,
    bearer: &Bearer,
    wishes: Vec<Wish>,
    may_wait: bool,
) -> Result<Vec<Came>, Error> {
    let member = &bearer.member;
    if !bearer.is_counted {
        return Ok(in_a_row(app, member, wishes).await);
    }
    let mut came = Vec::with_capacity(wishes.len());
    for wish in wishes {
        came.push(if wish.is_for_bid() {
            alone(app, origin, member, wish, may_wait).await?
        } else {
            in_a_row(app, member, vec![wish])
                .await
                .pop()
                .unwrap_or(Came::Busy)
        });
    }
    Ok(came)
}

/// Sends all of it, then waits for the answers. Once something finds no room, nothing after it is
/// sent: it may be about the same order.
async fn in_a_row(app: &App, member: &Member, wishes: Vec<Wish>) -> Vec<Came> {
    let actor = Actor::User(member.user);
    let mut has_room = true;
    let mut sent = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let answer = has_room.then(|| app.sequencer.send(actor, wish.command(member)));
        let answer = answer.and_then(Result::ok);
        has_room = answer.is_some();
        sent.push(answer);
    }
    let mut came = Vec::with_capacity(sent.len());
    for answer in sent {
        came.push(match answer {
            None => Came::Busy,
            Some(answer) => match answer.await {
                Ok(receipt) => Came::Answered(receipt),
                Err(SubmitError::Uncertain) => Came::Uncertain,
                Err(SubmitError::Busy | SubmitError::Stopped) => Came::Busy,
            },
        });
    }
    came
}

/// A bid, or a change of an order, of a participant whose members may need a second person.
async fn alone(
    app: &App,
    origin: &Origin,
    member: &Member,
    wish: Wish,
    may_wait: bool,
) -> Result<Came, Error> {
    let came = match wish {
        Wish::Place(order) => place_as(app, origin, member, order, may_wait)
            .await
            .map(Came::from),
        Wish::Replace {
            client_id,
            units,
            price,
        } => replace_as(app, member, &client_id, units, price)
            .await
            .map(Came::from),
        Wish::Cancel(_) => Ok(Came::Busy),
    };
    match came {
        Ok(came) => Ok(came),
        Err(Error::NotFound) => Ok(Came::Rejected(Rejection::UnknownOrder)),
        Err(Error::Busy) => Ok(Came::Busy),
        Err(error) => Err(error),
    }
}

impl From<Placed> for Came {
    fn from(placed: Placed) -> Self {
        match placed {
            Placed::Answered(receipt) => Self::Answered(receipt),
            Placed::Asked(id) => Self::Asked(id),
            Placed::Used => Self::Used,
            Placed::TooMany => Self::TooMany,
            Placed::Exceeds(excess) => Self::Exceeds(excess),
            Placed::Uncertain => Self::Uncertain,
        }
    }
}

impl From<Replaced> for Came {
    fn from(replaced: Replaced) -> Self {
        match replaced {
            Replaced::Answered(receipt) => Self::Answered(receipt),
            Replaced::Exceeds(excess) => Self::Exceeds(excess),
            Replaced::AsIs | Replaced::Changed | Replaced::Uncertain => Self::Uncertain,
        }
    }
}
