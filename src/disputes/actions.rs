//! Answering, proposing and ruling.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{Command, DisputeId, Money, Rejection};

use super::forms::{Decision, Message, Proposal};
use super::pages::{self, Typed};
use super::queries::{self, Proposed, Room, Side};
use super::store;
use crate::app::App;
use crate::sequencer::Actor;
use crate::web::acts::Origin;
use crate::web::form::{client_id, form_id};
use crate::web::{Error, FieldErrors, Form, Locale, Member, Role, Shell, say};

/// A dispute that is being acted on: who acts, as what, and how a refusal is shown.
struct Desk {
    app: App,
    shell: Shell,
    member: Member,
    room: Room,
    side: Side,
}

impl Desk {
    async fn open(app: App, shell: Shell, member: Member, id: &str) -> Result<Self, Error> {
        let id: DisputeId = id.parse().map_err(|_| Error::NotFound)?;
        let (room, side) = queries::room(&app.db, &member, id)
            .await?
            .ok_or(Error::NotFound)?;
        Ok(Self {
            app,
            shell,
            member,
            room,
            side,
        })
    }

    fn locale(&self) -> Locale {
        self.shell.locale
    }

    /// The page as it stands now, with what was typed and why it was refused.
    async fn refuse(self, status: StatusCode, typed: Typed) -> Result<Response, Error> {
        let id = self.room.id;
        let (room, side) = queries::room(&self.app.db, &self.member, id)
            .await?
            .ok_or(Error::NotFound)?;
        let page = pages::draw_room(&self.app, self.shell, &self.member, room, side, typed);
        Ok((status, page.await?).into_response())
    }

    /// On to the page, after everyone who has it open was told.
    fn done(self, anchor: &str) -> Response {
        self.app.feed.tell_of_dispute(self.room.id);
        Redirect::to(&format!("/disputes/{}{anchor}", self.room.id)).into_response()
    }

    /// That it is ruled, by whom and when.
    async fn ruled_by(&self) -> Result<Option<String>, Error> {
        let Some(ruled) = &self.room.ruled else {
            return Ok(None);
        };
        let by = match &ruled.by {
            Some(actor) if self.side == Side::Platform => {
                queries::name_of(&self.app.db, actor).await?
            }
            _ => None,
        };
        let locale = self.locale();
        let by = by.unwrap_or_else(|| locale.t("dispute.arbiter").into_owned());
        let at = locale.minute(ruled.at);
        let words = [("name", &*by), ("at", &*at)];
        Ok(Some(locale.tr("dispute.ruled_already", words)))
    }
}

/// `POST /disputes/{id}/messages`: something that both parties see.
///
/// # Errors
/// [`Error::NotFound`] for others' disputes as for none, [`Error::Role`] for members who don't
/// speak for their participant.
pub async fn say(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(mut message): Form<Message>,
) -> Result<Response, Error> {
    let desk = Desk::open(app, shell, member, &id).await?;
    let speaks = match desk.side {
        Side::Claimant => Role::Buyer,
        Side::Provider => Role::Operator,
        Side::Platform => Role::Arbiter,
    };
    if !desk.member.roles.have(&[speaks]) {
        return Err(Error::Role);
    }
    let locale = desk.locale();
    if let Some(notice) = desk.ruled_by().await? {
        let typed = Typed::message(message, FieldErrors::default(), Some(notice));
        return desk.refuse(StatusCode::CONFLICT, typed).await;
    }
    let text = match message.read(locale) {
        Ok(text) => text,
        Err(errors) => {
            let typed = Typed::message(message, errors, None);
            return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
        }
    };
    let Some(form_id) = form_id(&message.form_id) else {
        message.form_id = client_id();
        let notice = Some(locale.t("said.again").into_owned());
        let typed = Typed::message(message, FieldErrors::default(), notice);
        return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    let now = desk.app.clock.now();
    let (db, room) = (&desk.app.db, &desk.room);
    if store::say(db, &desk.member, room.id, form_id, &text, now).await? {
        return Ok(desk.done("#messages"));
    }
    let most = queries::MOST_MESSAGES.to_string();
    let notice = locale.tr("dispute.bad.messages", [("n", &most)]);
    let typed = Typed::message(message, FieldErrors::default(), Some(notice));
    desk.refuse(StatusCode::CONFLICT, typed).await
}

/// `POST /disputes/{id}/proposals`: a ruling as one arbiter would have it.
///
/// # Errors
/// [`Error::NotFound`] where there is no such dispute.
pub async fn propose(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    origin: Origin,
    Form(proposal): Form<Proposal>,
) -> Result<Response, Error> {
    let desk = Desk::open(app, shell, member, &id).await?;
    let locale = desk.locale();
    if let Some(notice) = desk.ruled_by().await? {
        let typed = Typed::proposal(proposal, FieldErrors::default(), Some(notice));
        return desk.refuse(StatusCode::CONFLICT, typed).await;
    }
    let now = desk.app.clock.now();
    if !desk.room.is_answered && now < desk.room.answer_until {
        let until = locale.minute(desk.room.answer_until);
        let notice = Some(locale.tr("dispute.too_early", [("until", &until)]));
        let typed = Typed::proposal(proposal, FieldErrors::default(), notice);
        return desk.refuse(StatusCode::CONFLICT, typed).await;
    }
    let (sum, reason) = match proposal.read(locale, &desk.room) {
        Ok(read) => read,
        Err(errors) => {
            let typed = Typed::proposal(proposal, errors, None);
            return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
        }
    };
    if !proposal.names(sum) {
        let notice = Some(locale.t("dispute.award_changed").into_owned());
        let typed = Typed::proposal(proposal, FieldErrors::default(), notice);
        return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    }
    let (db, user, room) = (&desk.app.db, desk.member.user, desk.room.id);
    if store::propose(db, &origin, user, room, (sum, &reason), now).await? {
        return Ok(desk.done("#ruling"));
    }
    let standing = queries::proposals(&desk.app.db, desk.room.id).await?;
    let standing = standing.into_iter().find(Proposed::stands);
    let is_own = standing.as_ref().is_some_and(|standing| {
        (standing.proposer, standing.sum, standing.reason.as_str()) == (user, sum, &*reason)
    });
    if is_own {
        return Ok(desk.done("#ruling"));
    }
    let notice = standing.map(|standing| {
        let at = locale.minute(standing.at);
        let words = [("name", &*standing.proposer_name), ("at", &*at)];
        locale.tr("dispute.proposed_already", words)
    });
    let typed = Typed::proposal(proposal, FieldErrors::default(), notice);
    desk.refuse(StatusCode::CONFLICT, typed).await
}

/// `POST /disputes/{id}/decision`: approve a proposal, go on with an approval that was cut short,
/// return it, or withdraw one's own.
///
/// # Errors
/// [`Error::NotFound`] where there is no such dispute.
pub async fn decide(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    origin: Origin,
    Form(decision): Form<Decision>,
) -> Result<Response, Error> {
    let desk = Desk::open(app, shell, member, &id).await?;
    // What is no number is the number of no proposal.
    let proposal: i64 = decision.proposal.parse().unwrap_or_default();
    match decision.decision.as_str() {
        "approve" => approve(desk, &origin, proposal, decision).await,
        "resume" => resume(desk, &origin, proposal, decision).await,
        "return" => send_back(desk, &origin, proposal, decision).await,
        "withdraw" => withdraw(desk, &origin, proposal, decision).await,
        _ => {
            let notice = Some(desk.locale().t("said.again").into_owned());
            let typed = Typed::decision(decision, FieldErrors::default(), notice);
            desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await
        }
    }
}

async fn approve(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    decision: Decision,
) -> Result<Response, Error> {
    let (user, room) = (desk.member.user, desk.room.id);
    let one = find(&desk, proposal).await?;
    if let Some(refused) = own(&desk, one.as_ref(), &decision) {
        return desk.refuse(StatusCode::FORBIDDEN, refused).await;
    }
    if let Some(notice) = desk.ruled_by().await? {
        if one.is_some_and(|one| one.decider == Some(user) && one.stands()) {
            return Ok(desk.done("?ruled"));
        }
        let typed = Typed::decision(decision, FieldErrors::default(), Some(notice));
        return desk.refuse(StatusCode::CONFLICT, typed).await;
    }
    let opinion = match decision.read(desk.locale()) {
        Ok(opinion) => opinion,
        Err(errors) => {
            let typed = Typed::decision(decision, errors, None);
            return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
        }
    };
    let now = desk.app.clock.now();
    let begun = store::begin_approval(&desk.app.db, origin, user, (room, proposal), &opinion, now);
    match begun.await? {
        Some(award) => rule(desk, origin, proposal, award, decision).await,
        None => not_open(desk, proposal, decision).await,
    }
}

/// Goes on with an approval whose ruling is not known to be made. The market rules once, so it
/// does not matter how often it is asked.
async fn resume(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    decision: Decision,
) -> Result<Response, Error> {
    let one = find(&desk, proposal).await?;
    if let Some(refused) = own(&desk, one.as_ref(), &decision) {
        return desk.refuse(StatusCode::FORBIDDEN, refused).await;
    }
    let award = one
        .filter(|one| one.state == "approving")
        .map(|one| one.sum.amount);
    match award {
        Some(award) => rule(desk, origin, proposal, award, decision).await,
        None => not_open(desk, proposal, decision).await,
    }
}

/// Sends the ruling of an approved proposal, and notes that it is made.
async fn rule(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    award: Money,
    decision: Decision,
) -> Result<Response, Error> {
    let dispute = desk.room.id;
    let command = Command::RuleDispute { dispute, award };
    let actor = Actor::User(desk.member.user);
    let rejection = match desk.app.sequencer.submit(actor, command).await {
        Ok(receipt) => receipt.rejection(),
        Err(_) => {
            // It stays approved; whether it is ruled, the market tells, and asking again is safe.
            desk.app.feed.tell_of_dispute(dispute);
            let notice = Some(desk.locale().t("dispute.uncertain_ruling").into_owned());
            let typed = Typed::decision(decision, FieldErrors::default(), notice);
            return desk.refuse(StatusCode::SERVICE_UNAVAILABLE, typed).await;
        }
    };
    match rejection {
        None | Some(Rejection::AlreadyRuled) => {
            store::end_approval(&desk.app.db, origin, (dispute, proposal)).await?;
            Ok(desk.done("?ruled"))
        }
        Some(rejection) => {
            let of = (dispute, proposal);
            store::undo_approval(&desk.app.db, origin, of, rejection.code()).await?;
            desk.app.feed.tell_of_dispute(dispute);
            let notice = Some(say::rejection(desk.locale(), rejection));
            let typed = Typed::decision(decision, FieldErrors::default(), notice);
            desk.refuse(StatusCode::CONFLICT, typed).await
        }
    }
}

async fn send_back(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    decision: Decision,
) -> Result<Response, Error> {
    let one = find(&desk, proposal).await?;
    if let Some(refused) = own(&desk, one.as_ref(), &decision) {
        return desk.refuse(StatusCode::FORBIDDEN, refused).await;
    }
    let opinion = match decision.read(desk.locale()) {
        Ok(opinion) => opinion,
        Err(errors) => {
            let typed = Typed::decision(decision, errors, None);
            return desk.refuse(StatusCode::UNPROCESSABLE_ENTITY, typed).await;
        }
    };
    finish_drop(desk, origin, proposal, decision, Some(&opinion)).await
}

async fn withdraw(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    decision: Decision,
) -> Result<Response, Error> {
    finish_drop(desk, origin, proposal, decision, None).await
}

async fn finish_drop(
    desk: Desk,
    origin: &Origin,
    proposal: i64,
    decision: Decision,
    opinion: Option<&str>,
) -> Result<Response, Error> {
    let (db, user, now) = (&desk.app.db, desk.member.user, desk.app.clock.now());
    let of = (desk.room.id, proposal);
    if store::drop_proposal(db, origin, user, of, opinion, now).await? {
        return Ok(desk.done("#ruling"));
    }
    not_open(desk, proposal, decision).await
}

/// The proposal of this number.
async fn find(desk: &Desk, proposal: i64) -> Result<Option<Proposed>, Error> {
    let proposals = queries::proposals(&desk.app.db, desk.room.id).await?;
    Ok(proposals.into_iter().find(|one| one.id == proposal))
}

/// The refusal of a second person who is the first one.
fn own(desk: &Desk, one: Option<&Proposed>, decision: &Decision) -> Option<Typed> {
    let is_own = one.is_some_and(|one| one.proposer == desk.member.user);
    let notice = || Some(desk.locale().t("dispute.own_proposal").into_owned());
    is_own.then(|| Typed::decision(decision.clone(), FieldErrors::default(), notice()))
}

/// Why a proposal can't be decided on any more: who did what with it, or that it is another one
/// now. Whoever sent the same approval twice is shown its result.
async fn not_open(desk: Desk, proposal: i64, decision: Decision) -> Result<Response, Error> {
    let locale = desk.locale();
    let one = find(&desk, proposal).await?;
    let is_approval = ["approve", "resume"].contains(&decision.decision.as_str());
    let notice = match &one {
        Some(one) if one.decider.is_some() => {
            let again = one.decider == Some(desk.member.user)
                && is_approval == ["approving", "approved"].contains(&one.state.as_str());
            if again {
                return Ok(desk.done("#ruling"));
            }
            let at = one.decided_at.map(|at| locale.minute(at));
            let words = [
                ("name", one.decider_name.as_deref().unwrap_or_default()),
                ("at", at.as_deref().unwrap_or_default()),
            ];
            locale.tr(format!("dispute.decided.{}", one.state), words)
        }
        _ => locale.t("dispute.stale").into_owned(),
    };
    let typed = Typed::decision(decision, FieldErrors::default(), Some(notice));
    desk.refuse(StatusCode::CONFLICT, typed).await
}
