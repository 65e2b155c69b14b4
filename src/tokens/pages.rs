//! The tokens that are good, and the one that was just made.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::forms::{DAYS, NEVER, NewToken};
use super::queries;
use crate::app::App;
use crate::clock;
use crate::web::token::{self, Scope};
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Role, Shell};

#[derive(Template, WebTemplate)]
#[template(path = "tokens/index.html")]
pub(super) struct Index {
    shell: Shell,
    /// Whether those of all members are listed.
    is_owner: bool,
    /// Whether this member's programs could do anything.
    may_make: bool,
    tokens: Vec<TokenView>,
    form: NewToken,
    errors: FieldErrors,
    notice: Option<String>,
    done: Option<&'static str>,
}

struct TokenView {
    id: i64,
    name: String,
    login: String,
    scopes: Vec<String>,
    made: String,
    until: Option<String>,
    used: Option<(String, String)>,
    is_own: bool,
}

impl Index {
    fn scopes(&self) -> [Scope; 3] {
        Scope::ALL
    }

    /// How long a token may be good, with whether it is chosen.
    fn days(&self) -> Vec<(&'static str, bool)> {
        let all = DAYS.into_iter().chain([NEVER]);
        all.map(|days| (days, self.form.days == days)).collect()
    }
}

/// What was typed, and what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) form: NewToken,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

/// `GET /settings/tokens`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let typed = Typed {
        form: kept.form("/settings/tokens").unwrap_or_default(),
        ..Typed::default()
    };
    let page = draw(&app, kept.told(shell), &member, typed).await?;
    let done = (uri.query() == Some("revoked")).then_some("tokens.done.revoked");
    Ok(Index { done, ..page }.into_response())
}

/// The tokens with what was typed and what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    typed: Typed,
) -> Result<Index, Error> {
    let Typed {
        mut form,
        errors,
        notice,
    } = typed;
    if form.token().is_none() {
        form.token = token::secret()?;
    }
    let locale = shell.locale;
    let minute = |at| locale.minute(clock::stamp(at));
    let is_owner = member.roles.have(&[Role::Owner]);
    let tokens = queries::tokens(&app.db, member, is_owner).await?;
    let tokens = tokens.into_iter().map(|row| TokenView {
        id: row.id,
        name: row.name,
        login: row.login,
        scopes: words(locale, &row.scopes),
        made: minute(row.made_at),
        until: row.expires_at.map(minute),
        used: row.used.map(|(at, from)| (minute(at), from)),
        is_own: row.is_own,
    });
    Ok(Index {
        is_owner,
        may_make: member.roles.have(&[Role::Buyer, Role::Operator]) && !member.is_suspended,
        tokens: tokens.collect(),
        form,
        errors,
        notice,
        done: None,
        shell,
    })
}

/// Scopes in the reader's words.
pub(super) fn words(locale: Locale, scopes: &[Scope]) -> Vec<String> {
    let word = |scope: &Scope| locale.t(format!("scope.{}", scope.code())).into_owned();
    scopes.iter().map(word).collect()
}

/// A token, this once.
#[derive(Template, WebTemplate)]
#[template(path = "tokens/made.html")]
pub(super) struct Made {
    pub(super) shell: Shell,
    pub(super) name: String,
    pub(super) token: String,
}
