//! Who may call a URL: one rule for each route, asked before its handler.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::error::Error;
use super::session::{Entering, Role, Session};
use super::signed::{Signed, Signer};
use super::token::{Bearer, Scope};

/// Who may call a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Whoever has given a password and still has to give, or to set up, a second factor; and
    /// whoever has signed in.
    Entering,
    /// Whoever has signed in.
    SignedIn,
    /// Members of a participant that trades.
    Participant,
    /// Members of a participant that trades, with one of these roles.
    Member(&'static [Role]),
    /// The same, and the participant is not suspended: what begins something new.
    Active(&'static [Role]),
    /// The platform's people with one of these roles. To others the URL is not there.
    Platform(&'static [Role]),
    /// Members of a participant that trades, and the platform's people with one of these roles.
    ParticipantOr(&'static [Role]),
    /// Programs with a token for one of these, whose participant is not suspended. Whoever has
    /// signed in is nobody here.
    Token(&'static [Scope]),
    /// Agents, whose requests are signed.
    Agent,
    /// Vantages, whose requests are signed.
    Vantage,
}

/// Lets through whom the rule lets through.
///
/// # Errors
/// [`Error::SignIn`] and [`Error::SecondFactor`] for who can still become one of them,
/// [`Error::Role`] and [`Error::Suspended`] for a member who may not, [`Error::NotFound`] where
/// the URL is none of theirs.
pub async fn gate(access: Access, request: Request, next: Next) -> Result<Response, Error> {
    let extensions = request.extensions();
    match access {
        Access::Token(scopes) => decide_token(scopes, extensions.get())?,
        Access::Agent | Access::Vantage => decide_signed(access, extensions.get())?,
        _ => decide(
            access,
            extensions.get::<Session>(),
            extensions.get::<Entering>().is_some(),
        )?,
    }
    Ok(next.run(request).await)
}

fn decide_token(scopes: &[Scope], bearer: Option<&Bearer>) -> Result<(), Error> {
    let bearer = bearer.ok_or(Error::SignIn)?;
    if bearer.member.is_suspended {
        return Err(Error::Suspended);
    }
    if !bearer.may(scopes) {
        return Err(Error::Scope);
    }
    Ok(())
}

fn decide_signed(access: Access, signed: Option<&Signed>) -> Result<(), Error> {
    match (access, signed) {
        (Access::Agent, Some(Signed(Signer::Agent(_))))
        | (Access::Vantage, Some(Signed(Signer::Vantage(_)))) => Ok(()),
        _ => Err(Error::SignIn),
    }
}

fn decide(access: Access, session: Option<&Session>, is_entering: bool) -> Result<(), Error> {
    if access == Access::Anyone || access == Access::Entering && is_entering {
        return Ok(());
    }
    let Some(session) = session else {
        return Err(if is_entering {
            Error::SecondFactor
        } else {
            Error::SignIn
        });
    };
    let member = &session.member;
    let trades = !member.is_of_platform();
    match access {
        Access::Anyone | Access::Entering | Access::SignedIn => Ok(()),
        Access::Platform(roles) if member.roles.have(roles) => Ok(()),
        Access::ParticipantOr(roles) if trades || member.roles.have(roles) => Ok(()),
        Access::Platform(_)
        | Access::ParticipantOr(_)
        | Access::Token(_)
        | Access::Agent
        | Access::Vantage => Err(Error::NotFound),
        _ if !trades => Err(Error::NotFound),
        Access::Participant => Ok(()),
        Access::Member(roles) | Access::Active(roles) if !member.roles.have(roles) => {
            Err(Error::Role)
        }
        Access::Active(_) if member.is_suspended => Err(Error::Suspended),
        Access::Member(_) | Access::Active(_) => Ok(()),
    }
}
