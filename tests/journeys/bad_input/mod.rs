//! Bad input is normal: whatever is sent to a form, the answer says what is wrong, where it is
//! wrong and in the reader's language, keeps what was typed, and changes nothing.
//!
//! The URLs come from the router's own table, what their forms are from [`forms`]; a form without
//! an entry there fails, and so does a field of a page that its form's entry does not have.

mod expired;
mod forms;
mod questions;
mod twice;
mod wrong;

use std::fmt;

use axum::http::Method;
use sluice::router::routes;
use sluice::web::{Access, Role};

use crate::support::people::{self, Factor};
use crate::support::visitor::{Page, Visitor};
use crate::world::rows::{self, Row};
use crate::world::{A, Caller, Place, World};
use forms::{Form, Kind};

/// What everybody signs in with.
const PASSWORD: &str = "a river through the hills";

/// The secret of every second factor that is there, in the letters of base32.
const SECRET: &str = "LJNFUWS2LJNFUWS2LJNFUWS2LJNFUWS2";

/// What a page must never make an element of.
const MARKUP: &str = "\"><img src=x onerror=alert(1)>";

/// A form's fields as they are sent.
type Sent = Vec<(String, String)>;

impl fmt::Display for Form {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.path)
    }
}

/// The world of the matrix, with a password for everybody and two more people of A.
async fn open() -> World {
    let mut world = World::open().await;
    let enrolling = people::member(&world.app, A, &[Role::Buyer], "enrolling").await;
    enrolling
        .clone()
        .post("/second-factor/enrolment", &[])
        .await;
    let roles = [Role::Owner];
    let with = people::member_with(&world.app, A, &roles, "with-factor", Factor::Given).await;
    for (name, visitor) in [("enrolling", enrolling), ("with-factor", with)] {
        world.callers.push(Caller {
            name,
            place: Place::Of(A),
            roles: vec![Role::Owner],
            is_suspended: false,
            visitor,
        });
    }
    let hash = sluice::web::passwords::hash(&world.app.app, PASSWORD.to_owned()).await;
    for sql in [
        "UPDATE users SET password_hash = $1, login_key = login",
        // A second session and a second invitation, to be ended and taken back.
        "INSERT INTO sessions (id, token_sha256, user_id, created_at, seen_at)
             OVERRIDING SYSTEM VALUE
         SELECT 9101, sha256('9101'), id, now(), now() FROM users
         WHERE login = 'buyer-of-a' AND $1 <> ''",
        "INSERT INTO invitations
             (id, participant, token_sha256, roles, note, invited_by, invited_at, expires_at)
             OVERRIDING SYSTEM VALUE
         SELECT 9102, 2, sha256('9102'), '{buyer}', '', 9001, now(), now() + interval '1 day'
         WHERE $1 <> ''",
        "DELETE FROM matrix_sessions WHERE $1 <> ''",
        "INSERT INTO matrix_sessions SELECT * FROM sessions WHERE $1 <> ''",
        // The secret of who is about to turn a factor on is known too.
        "UPDATE second_factors SET secret = decode(repeat('5a', 20), 'hex') WHERE $1 <> ''",
    ] {
        let hash = hash.as_ref().expect("a hash");
        let written = sqlx::query(sql)
            .bind(hash)
            .execute(&world.app.database.pool);
        written.await.expect("it is written");
    }
    world
}

/// Lets everybody be signed in again, and give a code that they have given already.
async fn renew(world: &World) {
    world.sign_in_again().await;
    for sql in [
        "UPDATE sessions SET seen_at = now()",
        "UPDATE second_factors SET last_step = 0",
    ] {
        let done = sqlx::query(sql).execute(&world.app.database.pool).await;
        done.expect("it is written");
    }
}

/// What fills in a form's URL.
fn row_of(form: &Form) -> Row {
    let rows = rows::rows();
    let found = rows
        .into_iter()
        .find(|row| row.path == form.path && row.method == Method::POST);
    found.unwrap_or_else(|| panic!("{form} is no URL of the matrix"))
}

fn path_of(form: &Form) -> String {
    let row = row_of(form);
    row.path_of(form.about.unwrap_or(row.own()))
}

fn visitor(world: &World, form: &Form, language: &str) -> Visitor {
    visitor_named(world, form.caller, language)
}

fn visitor_named(world: &World, name: &str, language: &str) -> Visitor {
    let caller = world.callers.iter().find(|one| one.name == name);
    let caller = caller.unwrap_or_else(|| panic!("nobody is called {name}"));
    let mut visitor = caller.visitor.clone();
    visitor.sends = vec![("accept-language", language.to_owned())];
    visitor
}

/// What finds a form on its page.
fn css(form: &Form) -> String {
    let path = path_of(form);
    form.drawn
        .map_or_else(|| format!("form[action='{path}']"), str::to_owned)
}

/// The page that a form stands on.
async fn page(world: &World, form: &Form) -> Option<Page> {
    let mut visitor = visitor(world, form, "en");
    let mut page = visitor.get(form.page?).await;
    if page.status.is_redirection() {
        let onward = page.location().to_owned();
        page = visitor.get(&onward).await;
    }
    assert!(
        page.has(&css(form)),
        "{form} is not on its page: {}",
        page.body
    );
    Some(page)
}

/// A form as its page has it, filled in so that nothing is wrong.
async fn filled_in(world: &World, form: &Form) -> Sent {
    let drawn = match page(world, form).await {
        Some(page) => page.form(&css(form)).1,
        None => Sent::new(),
    };
    let mut sent = Sent::new();
    for field in &form.fields {
        let as_drawn = drawn.iter().find(|(name, _)| name == field.name);
        let as_drawn = as_drawn.map(|(_, value)| value.clone()).unwrap_or_default();
        let typed = match field.typed {
            "{code}" => crate::second_factor::code(SECRET, 0),
            "" if field.kind != Kind::Tick => as_drawn,
            typed => typed.to_owned(),
        };
        if field.kind != Kind::Tick || !typed.is_empty() {
            sent.push((field.name.to_owned(), typed));
        }
    }
    sent
}

async fn send(visitor: &mut Visitor, path: &str, sent: &[(String, String)]) -> Page {
    let fields: Vec<(&str, &str)> = sent
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    visitor.post(path, &fields).await
}

/// An answer in short.
fn said(page: &Page) -> String {
    let location = page.headers.get("location");
    let location = location.and_then(|location| location.to_str().ok());
    let words = page.texts("h1, [role=alert], .field-error").join(" | ");
    format!("{} {} {words}", page.status, location.unwrap_or_default())
}

#[test]
fn every_form_has_an_entry_and_every_entry_a_form() {
    let mut wrong = Vec::new();
    let forms = forms::forms();
    let posts: Vec<&str> = routes()
        .into_iter()
        .filter(|route| route.method == Method::POST)
        .map(|route| route.path)
        .collect();
    assert!(posts.len() > 20, "the router names its forms");
    for path in &posts {
        if forms.iter().all(|form| form.path != *path) {
            wrong.push(format!(
                "{path} has no entry in tests/journeys/bad_input/forms/entries.rs: add one that says \
                 where the form stands, who sends it and what its fields are for"
            ));
        }
    }
    for form in &forms {
        if !posts.contains(&form.path) {
            wrong.push(format!("{form} has an entry and is no form"));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[tokio::test]
async fn every_field_of_every_page_is_in_its_forms_entry() {
    let world = open().await;
    let mut wrong = Vec::new();
    let forms = forms::forms();
    for form in &forms {
        let Some(page) = page(&world, form).await else {
            continue;
        };
        let css = css(form);
        let drawn = page.attributes(&format!("{css} [name]:not(button)"), "name");
        for name in drawn {
            let known = forms.iter().filter(|other| other.path == form.path);
            if !known
                .flat_map(|form| &form.fields)
                .any(|field| field.name == name)
            {
                wrong.push(format!("{form}: the page's {name} is not in its entry"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
    world.app.stop().await;
}

/// Whether whoever sends a form must have signed in.
fn is_for_members(form: &Form) -> bool {
    let routes = routes();
    let route = routes
        .iter()
        .find(|route| route.path == form.path && route.method == Method::POST);
    route.is_some_and(|route| route.access != Access::Anyone)
}
