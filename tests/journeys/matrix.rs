//! Every URL × every kind of caller: what is answered, and what is changed.
//!
//! The URLs and who may call them come from the router's own table, what fills them in from
//! [`rows`]. A URL without a row there fails. To add a URL: one line in [`rows::rows`], and in
//! [`crate::world`] whatever object it needs.

use axum::http::{Method, StatusCode};
use sluice::router::{Route, program_routes, routes, signed_routes};
use sluice::web::{Access, Role};

use crate::support::visitor::Page;
use crate::world::rows::{self, Row};
use crate::world::{Caller, Faults, Place, World, effects};

/// What somebody gets at a URL, before what it is about is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    SignIn,
    SecondFactor,
    Forbidden,
    NotFound,
    NoToken,
}

/// Whether one of these roles is had; an owner has all of their participant's.
fn has(caller: &Caller, any: &[Role]) -> bool {
    any.iter().any(|role| {
        caller.roles.contains(role) || !role.is_of_platform() && caller.roles.contains(&Role::Owner)
    })
}

/// What the declared rule means for a caller, worked out here a second time.
fn door(access: Access, caller: &Caller) -> Door {
    use Access::{
        Active, Agent, Anyone, Entering, Member, Participant, ParticipantOr, Platform, SignedIn,
        Token, Vantage,
    };
    let trades = match caller.place {
        _ if access == Anyone => return Door::Open,
        // Whoever has no key that signs is nobody there.
        _ if matches!(access, Agent | Vantage) => return Door::NoToken,
        Place::Program(_, has) => {
            return match access {
                Token(_) if caller.is_suspended => Door::Forbidden,
                Token(scopes) if scopes.iter().any(|scope| has.contains(scope)) => Door::Open,
                Token(_) => Door::Forbidden,
                _ => Door::SignIn,
            };
        }
        // A cookie says nothing to the API.
        _ if matches!(access, Token(_)) => return Door::NoToken,
        Place::Nobody => return Door::SignIn,
        Place::Entering if access == Entering => return Door::Open,
        Place::Entering => return Door::SecondFactor,
        Place::Platform => false,
        Place::Of(_) => true,
    };
    let opens = |is_open: bool, otherwise: Door| if is_open { Door::Open } else { otherwise };
    match access {
        Anyone | Entering | SignedIn => Door::Open,
        Token(_) | Agent | Vantage => Door::NoToken,
        Participant => opens(trades, Door::NotFound),
        Platform(roles) => opens(!trades && has(caller, roles), Door::NotFound),
        ParticipantOr(roles) => opens(trades || has(caller, roles), Door::NotFound),
        Member(_) | Active(_) if !trades => Door::NotFound,
        Member(roles) => opens(has(caller, roles), Door::Forbidden),
        Active(roles) => opens(has(caller, roles) && !caller.is_suspended, Door::Forbidden),
    }
}

/// Whether an answer is what the door makes of it; an open one answers what its row says.
fn is_answer_of(door: Door, row: &Row, page: &Page) -> bool {
    let to = |path: &str| {
        let location = page.headers.get("location");
        location.is_some_and(|location| location.as_bytes().starts_with(path.as_bytes()))
    };
    match door {
        Door::Open => row.answers.contains(&page.status.as_u16()),
        Door::SignIn => page.status == StatusCode::SEE_OTHER && to("/sign-in?next="),
        Door::SecondFactor => page.status == StatusCode::SEE_OTHER && to("/second-factor?next="),
        Door::Forbidden => page.status == StatusCode::FORBIDDEN,
        Door::NotFound => page.status == StatusCode::NOT_FOUND,
        Door::NoToken => page.status == StatusCode::UNAUTHORIZED,
    }
}

/// The rows in the order of the router's table; fails with what is missing or over.
fn rows_of_all() -> Vec<(Route, Row)> {
    let mut routes = routes();
    assert!(routes.len() > 20, "the router names its URLs");
    routes.extend(program_routes());
    routes.extend(signed_routes());

    let mut rows = rows::rows();
    rows.extend(rows::of_programs());
    rows.extend(rows::of_machines());
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for route in &routes {
        let place = rows
            .iter()
            .position(|row| row.path == route.path && row.method == route.method);
        match place {
            Some(place) => found.push((route.clone(), rows.remove(place))),
            None => missing.push(format!(
                "{} {} has no row in tests/journeys/world/rows.rs: add one that says what fills \
                 in its path and what to send",
                route.method, route.path
            )),
        }
    }
    missing.extend(rows.iter().map(|row| {
        let Row { method, path, .. } = row;
        format!("{method} {path} has a row in tests/journeys/world/rows.rs and is no URL")
    }));
    assert!(missing.is_empty(), "\n  {}", missing.join("\n  "));
    found
}

#[test]
fn every_url_has_a_row() {
    rows_of_all();
}

#[tokio::test]
async fn every_url_answers_every_caller_as_its_rule_says_and_a_refusal_changes_nothing() {
    let world = World::open().await;
    let mut faults = Faults::default();
    for (route, row) in &rows_of_all() {
        let path = row.path_of(row.own());
        world.sign_in_again().await;
        let before = effects::tables(&world.app).await;
        let (open, shut): (Vec<_>, Vec<_>) = world
            .callers
            .iter()
            .map(|caller| (caller, door(route.access, caller)))
            .partition(|(_, door)| *door == Door::Open);
        for (caller, door) in shut {
            let page = row.call(caller, &caller.visitor, &path).await;
            faults.expect(is_answer_of(door, row, &page), || {
                format!("{row}: {caller} should meet {door:?}, got {}", said(&page))
            });
        }
        let refused = effects::tables(&world.app).await;
        faults.expect(before == refused, || {
            let changed = effects::changed(&before, &refused);
            format!("{row}: was refused and changed {changed}")
        });
        let mut has_changed = false;
        for (caller, door) in open {
            let is_own = row.is_own(caller);
            let before = effects::tables(&world.app).await;
            let page = row.call(caller, &caller.visitor, &path).await;
            let is_right = if is_own {
                is_answer_of(door, row, &page)
            } else {
                page.status == StatusCode::NOT_FOUND
            };
            faults.expect(is_right, || {
                let whose = if is_own { "their own" } else { "another's" };
                format!("{row}: {caller} with {whose} object got {}", said(&page))
            });
            let after = effects::tables(&world.app).await;
            let may_change = is_own && row.method != Method::GET && row.changes;
            faults.expect(before == after || may_change, || {
                let changed = effects::changed(&before, &after);
                format!("{row}: {caller} changed {changed}")
            });
            has_changed |= before != after;
        }
        faults.expect(has_changed == row.changes, || {
            let changes = if row.changes { "nothing" } else { "something" };
            format!("{row}: of those who may, all together changed {changes}")
        });
    }
    faults.none();
    world.app.stop().await;
}

/// An answer in short.
fn said(page: &Page) -> String {
    let location = page.headers.get("location");
    let location = location.and_then(|location| location.to_str().ok());
    let heading = page.texts("h1").join(" ");
    format!("{} {} {heading}", page.status, location.unwrap_or_default())
}

#[tokio::test]
async fn anothers_object_answers_exactly_as_one_that_is_not_there() {
    let world = World::open().await;
    let mut faults = Faults::default();
    for (route, row) in &rows_of_all() {
        let Some((own, absent)) = row.object else {
            continue;
        };
        for caller in &world.callers {
            if row.is_own(caller) && !row.owners.is_empty() {
                continue;
            }
            let mut answers = Vec::new();
            for id in [own, absent] {
                let path = row.path_of(id);
                let page = row.call(caller, &caller.visitor, &path).await;
                answers.push(anonymous(&page, &path, id));
            }
            if row.owners.is_empty() && door(route.access, caller) == Door::Open {
                let (status, ..) = &answers[1];
                faults.expect(*status == StatusCode::NOT_FOUND, || {
                    format!("{row}: {caller} got {status} for what is not there")
                });
                continue;
            }
            faults.expect(answers[0] == answers[1], || {
                format!("{row}: {caller} can tell another's from none: {answers:#?}")
            });
        }
    }
    faults.none();
    world.app.stop().await;
}

/// An answer without the number of its request and without what was asked for.
fn anonymous(page: &Page, path: &str, asked: &str) -> (StatusCode, Vec<(String, String)>, String) {
    let id = page.headers.get("x-request-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or("none");
    let plain = |text: &str| {
        let encoded = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
        let text = text.replace(id, "").replace(path, "").replace(&encoded, "");
        let text = text.replace(&format!("\"id\":\"{asked}\""), "");
        // A form is kept under another token each time, until so many are kept.
        match text.split_once("%3Fkept%3D") {
            Some((start, rest)) => {
                let is_token = |c: char| c.is_alphanumeric() || "-_".contains(c);
                format!("{start}{}", rest.trim_start_matches(is_token))
            }
            None => text,
        }
    };
    let mut headers: Vec<(String, String)> = page
        .headers
        .iter()
        .filter(|(name, _)| !["date", "content-length", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default()))
        .filter(|(_, value)| !value.starts_with("sluice_kept="))
        .map(|(name, value)| (name, plain(value)))
        .collect();
    headers.sort();
    (page.status, headers, plain(&page.body))
}

#[tokio::test]
async fn no_form_of_another_site_is_taken_from_anyone() {
    let world = World::open().await;
    let mut faults = Faults::default();
    let before = effects::tables(&world.app).await;
    for (route, row) in &rows_of_all() {
        if row.method != Method::POST || route.path.starts_with("/api/") {
            continue;
        }
        for caller in &world.callers {
            let mut forged = caller.visitor.clone();
            forged
                .sends
                .push(("sec-fetch-site", "cross-site".to_owned()));
            let path = row.path_of(row.own());
            let page = row.call(caller, &forged, &path).await;
            faults.expect(page.status == StatusCode::FORBIDDEN, || {
                format!("{row}: {caller} from another site got {}", said(&page))
            });
        }
    }
    let after = effects::tables(&world.app).await;
    faults.expect(before == after, || {
        format!("forged forms changed {}", effects::changed(&before, &after))
    });
    faults.none();
    world.app.stop().await;
}

#[tokio::test]
async fn what_only_asks_changes_nothing_whatever_its_method_says() {
    let world = World::open().await;
    let mut faults = Faults::default();
    let before = effects::tables(&world.app).await;
    for (_, row) in &rows_of_all() {
        for caller in &world.callers {
            for method in ["HEAD", "OPTIONS", "TRACE"] {
                let path = row.path_of(row.own());
                let answer = caller.visitor.open(method, &path, String::new()).await;
                let status = answer.status();
                let is_right = method == "HEAD" || !status.is_success();
                faults.expect(is_right, || {
                    format!("{method} {path}: {caller} got {status}")
                });
            }
        }
    }
    let after = effects::tables(&world.app).await;
    faults.expect(before == after, || {
        format!("they changed {}", effects::changed(&before, &after))
    });
    faults.none();
    world.app.stop().await;
}
