//! Members' programs, whose tokens are written as their page would write them.

use sluice::web::{Role, Scope, token};

use super::app::TestApp;
use super::people;
use super::visitor::Visitor;

/// A program of a member of a participant with these roles, whose token is for these scopes.
pub(crate) async fn program(
    app: &TestApp,
    of: i64,
    roles: &[Role],
    scopes: &[Scope],
    login: &str,
) -> Visitor {
    people::member(app, of, roles, login).await;
    program_of(app, scopes, login).await
}

/// Another program of the member who signs in under this name.
pub(crate) async fn program_of(app: &TestApp, scopes: &[Scope], login: &str) -> Visitor {
    let token = token::secret().expect("a token");
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.code()).collect();
    let insert = "INSERT INTO api_tokens (user_id, token_sha256, name, scopes, made_at)
         SELECT id, $1, 'a program', $2, now() FROM users WHERE login = $3";
    let inserted = sqlx::query(insert)
        .bind(token::hash(&token).as_slice())
        .bind(scopes)
        .bind(login)
        .execute(&app.database.pool)
        .await;
    inserted.expect("a token is written");
    let mut program = Visitor::new(app);
    program
        .sends
        .push(("authorization", format!("Bearer {token}")));
    program
        .sends
        .push(("content-type", "application/json".to_owned()));
    program
}
