//! What becomes of a request: a second person approves or declines it, or whoever asked withdraws
//! it.
//!
//! A request is approved as a ruling is (docs/decisions/0007): the approval is written first, then
//! the order is sent, and the market tells by the client id whether it was made. Its row is locked
//! while it is sent, so that nobody declines or withdraws what is on its way.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use market::{Command, Rejection, UnknownId};
use serde_json::json;
use sqlx::PgConnection;

use super::store::{self, Step};
use crate::app::App;
use crate::sequencer::Receipt;
use crate::web::acts::{self, Act, Origin};
use crate::web::error::Error;
use crate::web::session::Member;

/// The number of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub i64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl FromStr for RequestId {
    type Err = UnknownId;

    fn from_str(text: &str) -> Result<Self, UnknownId> {
        let digits = text.strip_prefix('r').ok_or(UnknownId)?;
        if digits.starts_with(['0', '+', '-']) {
            return Err(UnknownId);
        }
        digits.parse().map(Self).map_err(|_| UnknownId)
    }
}

/// What has come of a decision.
#[derive(Debug)]
pub enum Decided {
    /// The market has the order.
    Ordered(Receipt),
    /// It was declined or withdrawn.
    Ended,
    /// The market refused the order: the request waits again.
    Rejected(Rejection),
    /// Whoever asked is not who approves or declines, and nobody else withdraws.
    NotTheirs,
    /// Whoever asked may not order any more.
    AskerGone,
    /// It does not wait any more.
    Closed,
    /// It is not known whether the market has the order: approving again tells.
    Uncertain,
}

/// Approves a request and sends its order. One that was approved already is sent again: the client
/// id makes it one order.
///
/// # Errors
/// [`Error::NotFound`] where there is no such request; when the database fails, or the market takes
/// no commands.
pub async fn approve(
    app: &App,
    origin: &Origin,
    member: &Member,
    id: RequestId,
) -> Result<Decided, Error> {
    let now = app.clock.now();
    let mut db = app.db.begin().await.context("approving a request")?;
    match store::approve(&mut db, member, id, now).await? {
        Step::Done => {
            record(&mut db, origin, "order_approved", id, json!({})).await?;
            db.commit().await.context("approving a request")?;
        }
        Step::NotTheirs => return Ok(Decided::NotTheirs),
        Step::AskerGone => return Ok(Decided::AskerGone),
        Step::Closed => return Ok(Decided::Closed),
        Step::Already => drop(db),
    }
    let mut db = app.db.begin().await.context("sending an approved order")?;
    let Some(order) = store::to_send(&mut db, member.participant, id).await? else {
        return Ok(Decided::Closed);
    };
    let Some(receipt) = super::submit(app, member, Command::PlaceOrder(order)).await? else {
        app.feed.tell_of_participant(member.participant);
        return Ok(Decided::Uncertain);
    };
    let rejection = receipt.rejection();
    if let Some(rejection) = rejection {
        store::reopen(&mut db, id, rejection.code()).await?;
        let detail = json!({ "rejected": rejection.code() });
        record(&mut db, origin, "approved_order_rejected", id, detail).await?;
    }
    db.commit().await.context("sending an approved order")?;
    app.feed.tell_of_participant(member.participant);
    Ok(rejection.map_or(Decided::Ordered(receipt), Decided::Rejected))
}

/// Declines a request, with the reason.
///
/// # Errors
/// [`Error::NotFound`] where there is no such request; when the database fails.
pub async fn decline(
    app: &App,
    origin: &Origin,
    member: &Member,
    id: RequestId,
    reason: &str,
) -> Result<Decided, Error> {
    end(app, origin, member, id, Some(reason)).await
}

/// Withdraws one's own request.
///
/// # Errors
/// [`Error::NotFound`] where there is no such request; when the database fails.
pub async fn withdraw(
    app: &App,
    origin: &Origin,
    member: &Member,
    id: RequestId,
) -> Result<Decided, Error> {
    end(app, origin, member, id, None).await
}

async fn end(
    app: &App,
    origin: &Origin,
    member: &Member,
    id: RequestId,
    reason: Option<&str>,
) -> Result<Decided, Error> {
    let now = app.clock.now();
    let mut db = app.db.begin().await.context("ending a request")?;
    match store::end(&mut db, member, id, reason, now).await? {
        Step::Done => {}
        Step::NotTheirs => return Ok(Decided::NotTheirs),
        Step::AskerGone => return Ok(Decided::AskerGone),
        Step::Closed => return Ok(Decided::Closed),
        Step::Already => return Ok(Decided::Ended),
    }
    let (what, detail) = match reason {
        Some(reason) => ("order_declined", json!({ "reason": reason })),
        None => ("order_withdrawn", json!({})),
    };
    record(&mut db, origin, what, id, detail).await?;
    db.commit().await.context("ending a request")?;
    app.feed.tell_of_participant(member.participant);
    Ok(Decided::Ended)
}

/// Writes the act's row, in its own transaction.
pub(super) async fn record(
    db: &mut PgConnection,
    origin: &Origin,
    what: &'static str,
    id: RequestId,
    detail: serde_json::Value,
) -> Result<(), Error> {
    let act = Act {
        what,
        subject: format!("request:{}", id.0),
        detail,
    };
    acts::record(db, origin, act).await
}
