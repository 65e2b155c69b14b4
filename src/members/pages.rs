//! One's own settings, the members, and where an invitation leads.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::forms::{self, ROLES};
use super::queries::{self, Offer};
use crate::app::App;
use crate::clock;
use crate::web::passwords::SHORTEST;
use crate::web::session::{self, Roles};
use crate::web::{
    Error, FieldErrors, Kept, Locale, Member, Role, Session, Shell, format, second_factor,
};

#[derive(Template, WebTemplate)]
#[template(path = "members/settings.html")]
pub(super) struct Settings {
    shell: Shell,
    login: String,
    participant: String,
    roles: Vec<String>,
    factor_since: Option<String>,
    factor_codes: i64,
    sessions: Vec<SessionView>,
    errors: FieldErrors,
    done: Option<&'static str>,
}

struct SessionView {
    number: i64,
    address: String,
    began: String,
    seen: String,
    is_this: bool,
}

impl Settings {
    fn shortest(&self) -> usize {
        SHORTEST
    }
}

/// The words for the settings' outcomes, by the query that a form leads to.
const DONE: [(&str, &str); 3] = [
    ("password", "settings.done.password"),
    ("ended", "settings.done.ended"),
    ("others", "settings.done.others"),
];

/// `GET /settings`
///
/// # Errors
/// When the database can't be read.
pub async fn settings(
    State(app): State<App>,
    uri: Uri,
    shell: Shell,
    session: Session,
) -> Result<Response, Error> {
    let page = draw(&app, uri.query(), shell, &session, FieldErrors::default());
    Ok(page.await?.into_response())
}

/// The settings with what is wrong with a form.
pub(super) async fn draw(
    app: &App,
    query: Option<&str>,
    shell: Shell,
    session: &Session,
    errors: FieldErrors,
) -> Result<Settings, Error> {
    let member = &session.member;
    let locale = shell.locale;
    let minute = |at| locale.minute(clock::stamp(at));
    let factor = second_factor::state(&app.db, member.user).await?;
    let sessions = session::of_person(&app.db, member, session.token).await?;
    let sessions = sessions.into_iter().map(|open| SessionView {
        number: open.number,
        address: open.address,
        began: minute(open.created_at),
        seen: minute(open.seen_at),
        is_this: open.is_this,
    });
    let done = DONE.iter().find(|(name, _)| query == Some(*name));
    Ok(Settings {
        login: member.login.clone(),
        participant: member.name.clone(),
        roles: words(locale, &member.roles),
        factor_since: factor.since.map(minute),
        factor_codes: factor.codes,
        sessions: sessions.collect(),
        errors,
        done: done.map(|(_, key)| *key),
        shell,
    })
}

/// Roles in the reader's words.
fn words(locale: Locale, roles: &Roles) -> Vec<String> {
    let word = |role: Role| locale.t(format!("role.{}", role.code())).into_owned();
    roles.given().map(word).collect()
}

#[derive(Template, WebTemplate)]
#[template(path = "members/members.html")]
pub(super) struct Members {
    shell: Shell,
    participant: String,
    is_owner: bool,
    members: Vec<MemberView>,
    invitations: Vec<InvitationView>,
    invite: forms::Invite,
    /// The amount above which an order needs a second person.
    above: Option<String>,
    approval: forms::Approval,
    /// Whether more than one member can approve or ask: else nobody is a second person.
    has_second: bool,
    errors: FieldErrors,
    notice: Option<String>,
    done: Option<&'static str>,
}

/// What was typed on the page, and what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) invite: forms::Invite,
    /// The amount, where it was typed.
    pub(super) approval: Option<forms::Approval>,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

struct MemberView {
    user: i64,
    login: String,
    roles: Roles,
    words: Vec<String>,
    has_factor: bool,
    since: String,
    is_this: bool,
    /// What was ticked and not taken yet.
    ticked: Option<forms::Ticked>,
}

struct InvitationView {
    number: i64,
    note: String,
    words: Vec<String>,
    by: String,
    until: String,
}

impl Members {
    fn roles(&self) -> [Role; 5] {
        ROLES
    }

    /// Ticks the boxes of a member, by their number, as somebody had ticked them.
    pub(super) fn tick(&mut self, ticked: Option<(&str, forms::Ticked)>) {
        if let Some((user, ticked)) = ticked
            && let Some(member) = self
                .members
                .iter_mut()
                .find(|one| one.user.to_string() == user)
        {
            member.ticked = Some(ticked);
        }
    }
}

impl MemberView {
    /// Whether this role's box is ticked.
    fn is_ticked(&self, role: Role) -> bool {
        if let Some(ticked) = &self.ticked {
            return ticked.has(role);
        }
        self.roles.given().any(|given| given == role)
    }
}

const MEMBERS_DONE: [(&str, &str); 4] = [
    ("approval", "members.done.approval"),
    ("roles", "members.done.roles"),
    ("removed", "members.done.removed"),
    ("revoked", "members.done.revoked"),
];

/// `GET /settings/members`
///
/// # Errors
/// When the database can't be read.
pub async fn members(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let done = MEMBERS_DONE
        .iter()
        .find(|(name, _)| uri.query() == Some(*name))
        .map(|(_, key)| *key);
    let typed = Typed {
        invite: kept
            .form("/settings/members/invitations")
            .unwrap_or_default(),
        approval: kept.form("/settings/members/approval"),
        ..Typed::default()
    };
    let page = draw_members(&app, kept.told(shell), &member, typed);
    let mut page = Members {
        done,
        ..page.await?
    };
    page.tick(kept.form_of_row("/settings/members/", "/roles"));
    Ok(page.into_response())
}

/// The members with what was typed and what is wrong with it.
pub(super) async fn draw_members(
    app: &App,
    shell: Shell,
    member: &Member,
    typed: Typed,
) -> Result<Members, Error> {
    let Typed {
        mut invite,
        approval,
        errors,
        notice,
    } = typed;
    if invite.token().is_none() {
        invite.token = session::secret()?;
    }
    let locale = shell.locale;
    let minute = |at| locale.minute(clock::stamp(at));
    let rows = queries::members(&app.db, member.participant).await?;
    let is_owner = member.roles.have(&[Role::Owner]);
    let invitations = if is_owner {
        queries::invitations(&app.db, member.participant).await?
    } else {
        Vec::new()
    };
    let above = queries::approval_above(&app.db, member.participant).await?;
    let approvers = rows.iter().filter(|row| row.roles.have(&[Role::Approver]));
    Ok(Members {
        shell,
        above: above.map(format::money),
        approval: approval.unwrap_or_else(|| forms::Approval::of(above)),
        has_second: approvers.count() > 1,
        participant: member.name.clone(),
        is_owner,
        members: rows
            .into_iter()
            .map(|row| MemberView {
                user: row.user,
                login: row.login,
                words: words(locale, &row.roles),
                roles: row.roles,
                has_factor: row.has_factor,
                since: minute(row.since),
                is_this: row.user == member.user,
                ticked: None,
            })
            .collect(),
        invitations: invitations
            .into_iter()
            .map(|row| InvitationView {
                number: row.number,
                note: row.note,
                words: words(locale, &row.roles),
                by: row.by,
                until: minute(row.until),
            })
            .collect(),
        invite,
        errors,
        notice,
        done: None,
    })
}

/// An invitation's link, this once.
#[derive(Template, WebTemplate)]
#[template(path = "members/invited.html")]
pub(super) struct Invited {
    pub(super) shell: Shell,
    pub(super) link: String,
    pub(super) note: String,
    pub(super) until: String,
}

/// Where an invitation leads.
#[derive(Template, WebTemplate)]
#[template(path = "members/join.html")]
pub(super) struct Join {
    pub(super) shell: Shell,
    participant: String,
    roles: Vec<String>,
    pub(super) form: forms::Join,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

impl Join {
    fn shortest(&self) -> usize {
        SHORTEST
    }

    pub(super) fn new(shell: Shell, offer: &Offer, form: forms::Join, errors: FieldErrors) -> Self {
        Self {
            participant: offer.participant.clone(),
            roles: words(shell.locale, &offer.roles),
            shell,
            form,
            errors,
            notice: None,
        }
    }
}

/// An invitation that is not good: used, taken back, too old, or none.
#[derive(Template, WebTemplate)]
#[template(path = "members/no_invitation.html")]
struct NoInvitation {
    shell: Shell,
}

/// The answer to whoever has none that is good.
pub(super) fn no_invitation(shell: Shell) -> Response {
    (StatusCode::NOT_FOUND, NoInvitation { shell }).into_response()
}

/// The token of an invitation. It is in the query, which no log has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Followed {
    invitation: String,
}

/// `GET /join`
///
/// # Errors
/// When the database can't be read.
pub async fn join(
    State(app): State<App>,
    shell: Shell,
    Query(Followed { invitation }): Query<Followed>,
) -> Result<Response, Error> {
    let token = super::actions::hash(&invitation);
    let Some(offer) = queries::offer(&app.db, token).await? else {
        return Ok(no_invitation(shell));
    };
    let form = forms::Join {
        invitation,
        ..forms::Join::default()
    };
    Ok(Join::new(shell, &offer, form, FieldErrors::default()).into_response())
}
