//! The disputes, and one of them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::DisputeId;
use serde::Deserialize;

use super::forms::{Decision, Message, Proposal};
use super::fragments::{self, Decide, List, Ruling, Summary, Talk};
use super::queries::{self, Room, Side, Stage};
use crate::app::App;
use crate::web::evidence::Evidence;
use crate::web::minutes::LONGEST;
use crate::web::{Error, FieldErrors, Kept, Member, Role, Shell};

#[derive(Template, WebTemplate)]
#[template(path = "disputes/index.html")]
struct Index {
    shell: Shell,
    list: List,
}

/// Where in the decided disputes a reader is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Only disputes below this number.
    pub(super) below: String,
}

/// `GET /disputes`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    Query(place): Query<Place>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let below = place.below.parse().ok();
    let list = fragments::list(&app, shell.locale, &member, below).await?;
    let shell = match below {
        // A page of the past does not change.
        Some(_) => shell,
        None => shell.live_from("/disputes/live".to_owned()),
    };
    Ok(Index { shell, list }.into_response())
}

/// What was typed into a dispute's forms, and why it was refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub(super) message: Option<Message>,
    pub(super) proposal: Option<Proposal>,
    pub(super) decision: Option<Decision>,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

impl Typed {
    pub(super) fn message(message: Message, errors: FieldErrors, notice: Option<String>) -> Self {
        Self {
            message: Some(message),
            errors,
            notice,
            ..Self::default()
        }
    }

    pub(super) fn proposal(
        proposal: Proposal,
        errors: FieldErrors,
        notice: Option<String>,
    ) -> Self {
        Self {
            proposal: Some(proposal),
            errors,
            notice,
            ..Self::default()
        }
    }

    pub(super) fn decision(
        decision: Decision,
        errors: FieldErrors,
        notice: Option<String>,
    ) -> Self {
        Self {
            decision: Some(decision),
            errors,
            notice,
            ..Self::default()
        }
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "disputes/show.html")]
pub(super) struct RoomPage {
    shell: Shell,
    id: String,
    summary: Summary,
    evidence: Evidence,
    talk: Talk,
    ruling: Ruling,
    decide: Option<Decide>,
    /// The form of a message, for who speaks while there is something to say.
    message: Option<Message>,
    /// A message that can't be sent any more.
    unsent: Option<String>,
    longest: usize,
    errors: FieldErrors,
    notice: Option<String>,
    done: Option<&'static str>,
}

/// A dispute with what was typed and why it was refused.
pub(super) async fn draw_room(
    app: &App,
    shell: Shell,
    member: &Member,
    room: Room,
    side: Side,
    typed: Typed,
) -> Result<RoomPage, Error> {
    let parts = fragments::parts(app, shell.locale, member, &room, side, &typed).await?;
    let speaks = match side {
        Side::Claimant => Role::Buyer,
        Side::Provider => Role::Operator,
        Side::Platform => Role::Arbiter,
    };
    let stage = room.stage(app.clock.now());
    let speaks = member.roles.have(&[speaks]) && stage != Stage::Ruled;
    let is_arbiter = member.roles.have(&[Role::Arbiter]);
    let can_propose = is_arbiter && [Stage::Answered, Stage::Overdue].contains(&stage);
    let can_approve = is_arbiter && stage == Stage::Proposed;
    // What has no form to stand in any more is shown, so that it is not lost.
    let message = typed.message.as_ref().filter(|_| !speaks);
    let proposal = typed.proposal.as_ref().filter(|_| !can_propose);
    let decision = typed.decision.as_ref().filter(|_| !can_approve);
    let unsent = message
        .map(|typed| &typed.text)
        .or_else(|| proposal.map(|typed| &typed.reason))
        .or_else(|| decision.map(|typed| &typed.opinion))
        .filter(|text| !text.is_empty())
        .cloned();
    Ok(RoomPage {
        id: room.id.to_string(),
        shell: shell.live_from(format!("/disputes/{}/live", room.id)),
        summary: parts.summary,
        evidence: parts.evidence,
        talk: parts.talk,
        ruling: parts.ruling,
        decide: parts.decide,
        message: speaks.then(|| typed.message.unwrap_or_else(Message::untyped)),
        unsent,
        longest: LONGEST,
        errors: typed.errors,
        notice: typed.notice,
        done: None,
    })
}

/// `GET /disputes/{id}`
///
/// # Errors
/// [`Error::NotFound`] for others' disputes as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: DisputeId = id.parse().map_err(|_| Error::NotFound)?;
    let (room, side) = queries::room(&app.db, &member, id)
        .await?
        .ok_or(Error::NotFound)?;
    let typed = Typed {
        message: kept.form(&format!("/disputes/{id}/messages")),
        proposal: kept.form(&format!("/disputes/{id}/proposals")),
        decision: kept.form(&format!("/disputes/{id}/decision")),
        ..Typed::default()
    };
    let shell = kept.told(shell);
    let mut page = draw_room(&app, shell, &member, room, side, typed).await?;
    page.done = match uri.query() {
        Some("opened") => Some("dispute.opened"),
        Some("ruled") => Some("dispute.now_ruled"),
        _ => None,
    };
    Ok(page.into_response())
}
