//! The wallet.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::forms::Deposit;
use super::fragments::{self, Balances, Journal};
use crate::app::App;
use crate::web::{Error, FieldErrors, Kept, Member, Shell, form};

#[derive(Template, WebTemplate)]
#[template(path = "funds/wallet.html")]
pub(super) struct Wallet {
    shell: Shell,
    balances: Balances,
    journal: Journal,
    deposit: Deposit,
    errors: FieldErrors,
    done: Option<&'static str>,
    has_test_money: bool,
}

/// `GET /wallet`
///
/// # Errors
/// When the database can't be read.
pub async fn wallet(
    State(app): State<App>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let done = match uri.query() {
        Some("deposited") => Some("deposit.done"),
        Some("again") => Some("deposit.again"),
        _ => None,
    };
    let deposit = kept.form("/wallet/deposits").unwrap_or_default();
    let page = draw(
        &app,
        kept.told(shell),
        &member,
        deposit,
        FieldErrors::default(),
        done,
    );
    Ok(page.await?.into_response())
}

/// The wallet with a deposit as it was typed and what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    mut deposit: Deposit,
    errors: FieldErrors,
    done: Option<&'static str>,
) -> Result<Wallet, Error> {
    // A page is one deposit: sent twice, it is booked once.
    if deposit.id().is_none() {
        deposit.form_id = form::client_id();
    }
    let (balances, journal) = fragments::parts(app, shell.locale, member).await?;
    let shell = shell.live_from("/wallet/live".to_owned());
    Ok(Wallet {
        shell,
        balances,
        journal,
        deposit,
        errors,
        done,
        has_test_money: app.web.options.test_money,
    })
}
