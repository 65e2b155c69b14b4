//! Making a token, and taking one back.

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::forms::NewToken;
use super::pages::{self, Typed};
use super::store::{self, Made};
use crate::app::App;
use crate::web::acts::{self, Act, Origin};
use crate::web::session::Fresh;
use crate::web::{Error, FieldErrors, Form, Member, Role, Shell, token};

/// `POST /settings/tokens`: a token for a program of this member's. The form holds it, so sent
/// twice it is one token; nothing else ever shows it again.
///
/// # Errors
/// When the database fails.
pub async fn make(
    State(app): State<App>,
    _: Fresh,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(mut form): Form<NewToken>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let refuse = async |form, errors, notice, status: StatusCode| {
        let typed = Typed {
            form,
            errors,
            notice,
        };
        let page = pages::draw(&app, shell.clone(), &member, typed).await?;
        Ok((status, page).into_response())
    };
    let terms = match form.read(locale) {
        Ok(terms) => terms,
        Err(errors) => return refuse(form, errors, None, StatusCode::UNPROCESSABLE_ENTITY).await,
    };
    let token = match form.token() {
        Some(token) => token.to_owned(),
        None => token::secret()?,
    };
    let mut db = app.db.begin().await.context("making a token")?;
    let no_errors = FieldErrors::default();
    match store::make(&mut db, &member, token::hash(&token), &terms).await? {
        Made::Now(id) => {
            let act = Act {
                what: "token_made",
                subject: format!("token:{id}"),
                detail: json!({ "name": terms.name, "scopes": terms.scopes }),
            };
            acts::record(&mut db, &origin, act).await?;
            db.commit().await.context("making a token")?;
        }
        Made::Before => {}
        Made::Another => {
            // What is typed now is another token: it has to be meant.
            form.token = token::secret()?;
            let notice = Some(locale.t("tokens.used").into_owned());
            return refuse(form, no_errors, notice, StatusCode::CONFLICT).await;
        }
        Made::TooMany => {
            let most = store::MOST.to_string();
            let notice = Some(locale.tr("tokens.too_many", [("n", &*most)]));
            return refuse(form, no_errors, notice, StatusCode::CONFLICT).await;
        }
    }
    let page = pages::Made {
        shell,
        name: terms.name,
        token,
    };
    Ok(page.into_response())
}

/// `POST /settings/tokens/{id}/revocation`: one's own token, or as an owner any member's.
///
/// # Errors
/// [`Error::NotFound`] for another's as for none; when the database fails.
pub async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
) -> Result<Response, Error> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let is_owner = member.roles.have(&[Role::Owner]);
    let mut db = app.db.begin().await.context("taking a token back")?;
    if !store::revoke(&mut db, &member, is_owner, id).await? {
        return Err(Error::NotFound);
    }
    let act = Act {
        what: "token_revoked",
        subject: format!("token:{id}"),
        detail: json!({}),
    };
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("taking a token back")?;
    Ok(Redirect::to("/settings/tokens?revoked").into_response())
}
