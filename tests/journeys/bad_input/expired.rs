//! A session that ends while somebody types: they are led to sign in, and then the form is back
//! with what was typed, and was not sent.

use axum::http::StatusCode;

use super::forms::{Field, Form, Kind, forms};
use super::{PASSWORD, SECRET, Sent, css, filled_in, open, path_of, renew, said, send, visitor};
use crate::support::visitor::{Page, Visitor};
use crate::world::{Faults, World, effects};

/// What writes down that somebody came in.
const ENTERING: [&str; 4] = ["acts", "sessions", "second_factors", "matrix_sessions"];

async fn expire(world: &World, name: &str) {
    let old = "UPDATE sessions SET seen_at = seen_at - interval '25 hours'
         WHERE user_id = (SELECT id FROM users WHERE login = $1)";
    let done = sqlx::query(old).bind(name);
    let done = done.execute(&world.app.database.pool).await;
    done.expect("sessions grow old");
}

/// Signs in where a form has led to, and gives a code where one is asked for; where that leads.
async fn enter(visitor: &mut Visitor, way: &str, name: &str) -> Page {
    let page = visitor.get(way).await;
    let typed = [("login", name), ("password", PASSWORD)];
    let form = "form[action='/sign-in']";
    let mut page = visitor.submit(&page, form, &typed).await;
    if page.location().starts_with("/second-factor") {
        let way = page.location().to_owned();
        let asks = visitor.get(&way).await;
        let code = crate::second_factor::code(SECRET, 0);
        let form = "form[action='/second-factor']";
        page = visitor.submit(&asks, form, &[("code", &code)]).await;
    }
    while page.status == StatusCode::SEE_OTHER {
        let onward = page.location().to_owned();
        page = visitor.get(&onward).await;
    }
    page
}

/// What somebody has typed or picked, and would have to type again.
fn is_typed(field: &Field) -> bool {
    !matches!(
        field.kind,
        Kind::FormId | Kind::Named | Kind::Secret | Kind::Free
    )
}

async fn lose_the_session(world: &World, form: &Form, referer: &str, faults: &mut Faults) {
    renew(world).await;
    let right = filled_in(world, form).await;
    let mut before = effects::tables(&world.app).await;
    expire(world, form.caller).await;
    let mut person = visitor(world, form, "en");
    let at = format!("{}{referer}", world.app.url);
    person.sends.push(("referer", at));
    let page = send(&mut person, &path_of(form), &right).await;
    let way = page
        .headers
        .get("location")
        .map(|way| way.to_str().expect("text"));
    let way = way.unwrap_or_default().to_owned();
    let is_kept = way.starts_with("/sign-in?next=") && way.contains("kept%3D");
    faults.expect(is_kept, || format!("{form}: is not kept: {}", said(&page)));
    if !is_kept {
        return;
    }
    let page = enter(&mut person, &way, form.caller).await;
    let mut after = effects::tables(&world.app).await;
    for table in ENTERING {
        before.remove(table);
        after.remove(table);
    }
    faults.expect(before == after, || {
        let changed = effects::changed(&before, &after);
        format!("{form}: was not sent and changed {changed}")
    });
    let own = css(form);
    let again = [Some(&*own), form.again].into_iter().flatten();
    let Some(found) = again.into_iter().find(|css| page.has(css)) else {
        faults.expect(false, || {
            format!("{form}: is not there again from {referer}: {}", said(&page))
        });
        return;
    };
    let is_told = page
        .texts("main .notice")
        .join(" ")
        .contains("Nothing was sent");
    faults.expect(is_told, || {
        format!("{form}: nobody says that it was not sent")
    });
    let (_, drawn) = page.form(found);
    for field in form.fields.iter().filter(|field| is_typed(field)) {
        let value = |fields: &Sent| {
            let found = fields.iter().find(|(name, _)| name == field.name);
            found
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        // Only what the confirming page adds is not on the ticket's.
        let is_there = page.has(&format!("{found} [name='{}']:not(button)", field.name));
        faults.expect(!is_there || value(&right) == value(&drawn), || {
            let (right, drawn) = (value(&right), value(&drawn));
            format!("{form}: {} was {right:?} and is {drawn:?}", field.name)
        });
    }
}

/// Every other form whose fields are kept. The page that somebody was on is the form's own, or
/// what its URL has answered before.
async fn lose_sessions(odd: bool) {
    let world = open().await;
    let mut faults = Faults::default();
    let kept = forms().into_iter().filter(|form| form.lost.is_none());
    let mut forms = 0;
    for (place, form) in kept.enumerate() {
        if (place % 2 == 1) == odd {
            let own = path_of(&form);
            let referer = if place % 4 < 2 {
                &own
            } else {
                form.page.unwrap_or(&own)
            };
            lose_the_session(&world, &form, referer, &mut faults).await;
            forms += 1;
        }
    }
    assert!(
        (10..=20).contains(&forms),
        "{forms} forms; more are not kept at a time"
    );
    faults.none();
    world.app.stop().await;
}

#[tokio::test]
async fn what_was_typed_survives_signing_in_again_one() {
    lose_sessions(false).await;
}

#[tokio::test]
async fn what_was_typed_survives_signing_in_again_two() {
    lose_sessions(true).await;
}

#[test]
fn what_is_not_kept_has_a_reason() {
    for form in forms() {
        let is_secret = |field: &Field| matches!(field.kind, Kind::Secret | Kind::Password);
        let has_text = form
            .fields
            .iter()
            .any(|field| is_typed(field) && !is_secret(field));
        let is_for_members = super::is_for_members(&form);
        assert!(
            form.lost.is_none() || !has_text || !is_for_members,
            "{form}: what is typed into it is to be kept"
        );
    }
}
