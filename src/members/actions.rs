//! Changing one's own sign-in, and who may act for a participant: whoever has a second factor gives
//! it anew for that.

use std::net::SocketAddr;

use anyhow::Context;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::forms::{Approval, Invite, Join, Password, Ticked};
use super::pages::Typed;
use super::store::{Invited, Kept, NewInvitation, NotJoined};
use super::{pages, queries, store};
use crate::app::App;
use crate::clock;
use crate::web::acts::{self, Act, Origin};
use crate::web::headers::site;
use crate::web::session::Fresh;
use crate::web::throttle::TooSoon;
use crate::web::{Error, FieldErrors, Form, Member, Session, Shell, passwords, session};

/// `POST /settings/password`: a new password for the one in force; the person's other sessions
/// end.
///
/// # Errors
/// When the database fails, or too many passwords wait to be hashed.
pub async fn password(
    State(app): State<App>,
    _: Fresh,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    origin: Origin,
    shell: Shell,
    session: Session,
    Form(form): Form<Password>,
) -> Result<Response, Error> {
    let member = session.member.clone();
    let locale = shell.locale;
    let mut errors = FieldErrors::default();
    if let Err(TooSoon(seconds)) = app.web.throttle.sign_in(peer.ip(), &member.login) {
        let text = locale.tr("sign_in.too_soon", [("s", &seconds.to_string())]);
        errors.add("current", text);
        let page = pages::draw(&app, None, shell, &session, errors).await?;
        let mut response = (StatusCode::TOO_MANY_REQUESTS, page).into_response();
        let wait = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
        return Ok(response);
    }
    if let Err(weak) = passwords::check(&form.password, &[&member.name, &member.login]) {
        errors.add("password", weak.text(locale));
    } else {
        let hash = queries::password(&app.db, member.user).await?;
        let is_possible = form.current.len() <= passwords::LONGEST_BYTES;
        let current = if is_possible {
            form.current
        } else {
            String::new()
        };
        if !passwords::verify(&app, current, hash).await? {
            errors.add("current", locale.t("settings.wrong_password"));
            let mut db = app.db.begin().await.context("refusing a password")?;
            let act = Act::of_user("password_change_failed", member.user);
            acts::record(&mut db, &origin, act).await?;
            db.commit().await.context("refusing a password")?;
        }
    }
    if !errors.is_empty() {
        let page = pages::draw(&app, None, shell, &session, errors).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let hash = passwords::hash(&app, form.password).await?;
    let mut db = app.db.begin().await.context("changing a password")?;
    store::password(&mut db, member.user, &hash).await?;
    let ended = session::end_others(&mut db, member.user, Some(session.token)).await?;
    let act = Act::of_user("password_changed", member.user);
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("changing a password")?;
    ended.tell(&app);
    Ok(Redirect::to("/settings?password").into_response())
}

/// `POST /settings/sessions/{id}/end`: one of one's own sessions.
///
/// # Errors
/// [`Error::NotFound`] for another person's as for none; when the database fails.
pub async fn end_session(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
) -> Result<Response, Error> {
    let number: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let mut db = app.db.begin().await.context("ending a session")?;
    let ended = session::end_one(&mut db, member.user, number).await?;
    let ended = ended.ok_or(Error::NotFound)?;
    let act = Act::of_user("session_ended", member.user).with(json!({ "session": number }));
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("ending a session")?;
    ended.tell(&app);
    Ok(Redirect::to("/settings?ended").into_response())
}

/// `POST /settings/sessions/end-others`: all of one's own sessions but this one.
///
/// # Errors
/// When the database fails.
pub async fn end_others(
    State(app): State<App>,
    origin: Origin,
    session: Session,
) -> Result<Response, Error> {
    let user = session.member.user;
    let mut db = app.db.begin().await.context("ending sessions")?;
    let ended = session::end_others(&mut db, user, Some(session.token)).await?;
    if !ended.is_none() {
        acts::record(&mut db, &origin, Act::of_user("other_sessions_ended", user)).await?;
    }
    db.commit().await.context("ending sessions")?;
    ended.tell(&app);
    Ok(Redirect::to("/settings?others").into_response())
}

/// `POST /settings/members/{id}/roles`: the roles that a member has from now on.
///
/// # Errors
/// [`Error::NotFound`] for another participant's member as for none; when the database fails.
pub async fn roles(
    State(app): State<App>,
    _: Fresh,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(ticked): Form<Ticked>,
) -> Result<Response, Error> {
    let user: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let after = ticked.codes();
    let mut db = app.db.begin().await.context("changing roles")?;
    let before = match store::roles(&mut db, member.participant, user, &after).await? {
        Ok(before) => before,
        Err(kept) => return stays(&app, shell, &member, kept, Some((&id, ticked))).await,
    };
    // The same once more is no act.
    let has_changed =
        before.len() != after.len() || before.iter().any(|role| !after.contains(role));
    if has_changed {
        let detail = json!({ "before": before, "after": after });
        let act = Act::of_user("roles_changed", user).with(detail);
        acts::record(&mut db, &origin, act).await?;
    }
    db.commit().await.context("changing roles")?;
    Ok(Redirect::to("/settings/members?roles").into_response())
}

/// `POST /settings/members/{id}/removal`: a member is none any more; their sessions end at once.
///
/// # Errors
/// [`Error::NotFound`] for another participant's member as for none; when the database fails.
pub async fn remove(
    State(app): State<App>,
    _: Fresh,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let user: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let mut db = app.db.begin().await.context("removing a member")?;
    let before = match store::remove(&mut db, member.participant, user).await? {
        Ok(before) => before,
        Err(kept) => return stays(&app, shell, &member, kept, None).await,
    };
    let ended = session::end_others(&mut db, user, None).await?;
    let detail = json!({ "before": before });
    let act = Act::of_user("member_removed", user).with(detail);
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("removing a member")?;
    ended.tell(&app);
    Ok(Redirect::to("/settings/members?removed").into_response())
}

/// `POST /settings/members/approval`: the amount above which an order needs a second person.
///
/// # Errors
/// When the database fails.
pub async fn approval(
    State(app): State<App>,
    _: Fresh,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(form): Form<Approval>,
) -> Result<Response, Error> {
    let above = match form.read(shell.locale) {
        Ok(above) => above,
        Err(errors) => {
            let typed = Typed {
                approval: Some(form),
                errors,
                ..Typed::default()
            };
            let page = pages::draw_members(&app, shell, &member, typed).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let mut db = app.db.begin().await.context("setting an amount")?;
    let before = store::approval_above(&mut db, member.participant, above).await?;
    if before != above {
        let act = Act {
            what: "approval_amount_changed",
            subject: format!("participant:{}", member.participant.0),
            detail: json!({ "before": before, "after": above }),
        };
        acts::record(&mut db, &origin, act).await?;
    }
    db.commit().await.context("setting an amount")?;
    Ok(Redirect::to("/settings/members?approval").into_response())
}

/// Why nothing was changed, with what was ticked.
async fn stays(
    app: &App,
    shell: Shell,
    member: &Member,
    kept: Kept,
    ticked: Option<(&str, Ticked)>,
) -> Result<Response, Error> {
    if kept == Kept::Unknown {
        return Err(Error::NotFound);
    }
    let typed = Typed {
        notice: Some(shell.t("members.last_owner").into_owned()),
        ..Typed::default()
    };
    let mut page = pages::draw_members(app, shell, member, typed).await?;
    page.tick(ticked);
    Ok((StatusCode::CONFLICT, page).into_response())
}

/// `POST /settings/members/invitations`: a link for a new member. The form holds what makes the link, so
/// sent twice it is one invitation with one link; nothing else ever shows that again.
///
/// # Errors
/// When the database fails.
pub async fn invite(
    State(app): State<App>,
    _: Fresh,
    headers: HeaderMap,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(mut form): Form<Invite>,
) -> Result<Response, Error> {
    let errors = form.check(shell.locale);
    if !errors.is_empty() {
        let typed = Typed {
            invite: form,
            errors,
            ..Typed::default()
        };
        let page = pages::draw_members(&app, shell, &member, typed).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let token = match form.token() {
        Some(token) => token.to_owned(),
        None => session::secret()?,
    };
    let roles = form.roles.codes();
    let new = NewInvitation {
        of: member.participant,
        token: hash(&token),
        roles: &roles,
        note: form.note.trim(),
        by: member.user,
    };
    let mut db = app.db.begin().await.context("inviting")?;
    match store::invite(&mut db, new).await? {
        Invited::Now(number) => {
            let act = Act {
                what: "invited",
                subject: format!("invitation:{number}"),
                detail: json!({ "roles": roles }),
            };
            acts::record(&mut db, &origin, act).await?;
            db.commit().await.context("inviting")?;
        }
        Invited::Before => {}
        Invited::Another => {
            // What is typed now is another invitation: it has to be meant.
            form.token = session::secret()?;
            let typed = Typed {
                invite: form,
                notice: Some(shell.t("members.used").into_owned()),
                ..Typed::default()
            };
            let page = pages::draw_members(&app, shell, &member, typed).await?;
            return Ok((StatusCode::CONFLICT, page).into_response());
        }
    }
    let until = clock::stamp(clock::wall() + store::GOOD_FOR);
    let page = pages::Invited {
        link: format!("{}/join?invitation={token}", site(&headers)),
        note: form.note.trim().to_owned(),
        until: shell.locale.minute(until),
        shell,
    };
    Ok(page.into_response())
}

/// `POST /settings/members/invitations/{id}/revocation`
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none or a used one; when the database
/// fails.
pub async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
) -> Result<Response, Error> {
    let number: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let mut db = app.db.begin().await.context("revoking an invitation")?;
    if !store::revoke(&mut db, member.participant, number).await? {
        return Err(Error::NotFound);
    }
    let act = Act {
        what: "invitation_revoked",
        subject: format!("invitation:{number}"),
        detail: json!({}),
    };
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("revoking an invitation")?;
    Ok(Redirect::to("/settings/members?revoked").into_response())
}

/// `POST /join`: whoever has an invitation becomes a member and is signed in. Sent twice it is one
/// member.
///
/// # Errors
/// When the database fails, or too many passwords wait to be hashed.
pub async fn join(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    origin: Origin,
    shell: Shell,
    Form(mut form): Form<Join>,
) -> Result<Response, Error> {
    let token = hash(&form.invitation);
    let Some(offer) = queries::offer(&app.db, token).await? else {
        return again(&app, peer, &headers, &origin, shell, form).await;
    };
    let errors = form.check(&offer.participant, shell.locale);
    let password = std::mem::take(&mut form.password);
    let login = form.login.trim().to_owned();
    let mut page = pages::Join::new(shell, &offer, form, errors);
    if !page.errors.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    if let Err(TooSoon(seconds)) = app.web.throttle.sign_up(peer.ip()) {
        let locale = page.shell.locale;
        page.notice = Some(locale.tr("sign_up.too_soon", [("s", &seconds.to_string())]));
        let wait = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
        return Ok((StatusCode::TOO_MANY_REQUESTS, wait, page).into_response());
    }
    let password_hash = passwords::hash(&app, password.clone()).await?;
    let mut db = app.db.begin().await.context("joining")?;
    let joined = match store::join(&mut db, token, &login, &password_hash).await? {
        Ok(joined) => joined,
        Err(NotJoined::NoInvitation) => {
            drop(db);
            let form = Join {
                password,
                ..page.form
            };
            return again(&app, peer, &headers, &origin, page.shell, form).await;
        }
        Err(NotJoined::Taken) => {
            let text = page.shell.t("sign_up.taken.login");
            page.errors.add("login", text);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let begun = session::start(&mut db, &app, &headers, &origin, joined.user, false).await?;
    let act = Act::of_user("joined", joined.user).with(json!({
        "invitation": joined.invitation,
        "participant": joined.participant,
        "roles": joined.roles,
    }));
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("joining")?;
    Ok((begun.cookie(&app), Redirect::to("/")).into_response())
}

/// An invitation that is good no more. The same form once more is whoever has joined by it, coming
/// in.
async fn again(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    origin: &Origin,
    shell: Shell,
    form: Join,
) -> Result<Response, Error> {
    let login = form.login.trim();
    let joined = queries::joined(&app.db, hash(&form.invitation), login).await?;
    let Some((user, known)) = joined else {
        return Ok(pages::no_invitation(shell));
    };
    if app.web.throttle.sign_in(peer.ip(), login).is_err()
        || !passwords::verify(app, form.password, Some(known)).await?
    {
        return Ok(pages::no_invitation(shell));
    }
    let mut db = app.db.begin().await.context("signing in")?;
    let begun = session::start(&mut db, app, headers, origin, user, false).await?;
    let act = Act::of_user("sign_in", user);
    let act = act.with(json!({ "second_factor_due": begun.is_entering }));
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("signing in")?;
    Ok((begun.cookie(app), Redirect::to("/")).into_response())
}

/// What the tables know an invitation's token by.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
