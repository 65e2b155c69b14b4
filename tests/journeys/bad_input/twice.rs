//! A form that is sent twice, at once or one after the other, has one effect.

use super::forms::{Form, Kind, forms};
use super::{Sent, filled_in, open, path_of, renew, said, send, visitor};
use crate::support::visitor::Page;
use crate::world::effects::{self, Tables};
use crate::world::{Faults, World};

/// What each command is written down in, also one that changes nothing.
const LOG: [&str; 2] = ["commands", "engine"];

/// Numbers as a Chinese keyboard may type them: in full width.
fn in_full_width(form: &Form, sent: &Sent) -> Sent {
    let wide = |one: char| match one {
        '0'..='9' => char::from_u32(u32::from(one) - 0x30 + 0xff10).unwrap_or(one),
        '.' => '．',
        _ => one,
    };
    let is_number = |name: &str| {
        let field = form.fields.iter().find(|field| field.name == name);
        field.is_some_and(|field| matches!(field.kind, Kind::Whole | Kind::Count | Kind::Money))
    };
    let sent = sent.iter().map(|(name, value)| {
        let value = if is_number(name) {
            value.chars().map(wide).collect()
        } else {
            value.clone()
        };
        (name.clone(), value)
    });
    sent.collect()
}

fn rows(tables: &Tables, table: &str) -> i64 {
    tables.get(table).map_or(0, |(count, _)| *count)
}

async fn send_twice(world: &World, form: &Form, faults: &mut Faults) {
    renew(world).await;
    let sent = in_full_width(form, &filled_in(world, form).await);
    let path = path_of(form);
    let before = effects::tables(&world.app).await;
    let mut one = visitor(world, form, "zh-CN");
    let mut other = one.clone();
    let mut third = one.clone();
    let (first, second) =
        tokio::join!(send(&mut one, &path, &sent), send(&mut other, &path, &sent));
    let once = effects::tables(&world.app).await;
    let is_done = |page: &Page| page.status.is_success() || page.status.is_redirection();
    let are_done = is_done(&first) && is_done(&second);
    // The browser shows the later answer, whichever it is.
    let is_fine = are_done || form.is_once && (is_done(&first) || is_done(&second));
    faults.expect(is_fine, || {
        format!("{form}: is refused: {} and {}", said(&first), said(&second))
    });
    for (table, made) in form.makes {
        let now = rows(&once, table) - rows(&before, table);
        faults.expect(now == *made, || {
            format!(
                "{form}: made {now} {table} of {made}: {} and {}",
                said(&first),
                said(&second)
            )
        });
    }
    let third = send(&mut third, &path, &sent).await;
    let (mut once, mut twice) = (once, effects::tables(&world.app).await);
    for table in LOG.iter().chain(form.repeats).chain(form.notes) {
        once.remove(*table);
        twice.remove(*table);
    }
    faults.expect(once == twice, || {
        let changed = effects::changed(&once, &twice);
        format!(
            "{form}: sent once more it changed {changed}: {}",
            said(&third)
        )
    });
    for page in [first, second, third] {
        faults.expect(!page.status.is_server_error(), || {
            format!("{form}: {}", said(&page))
        });
    }
}

#[tokio::test]
async fn a_form_that_is_sent_twice_has_one_effect() {
    let world = open().await;
    let mut faults = Faults::default();
    let mut seen = Vec::new();
    for form in forms() {
        // The same in another way is the same form.
        if !seen.contains(&form.path) {
            seen.push(form.path);
            send_twice(&world, &form, &mut faults).await;
        }
    }
    faults.none();
    world.app.stop().await;
}

#[test]
fn what_makes_something_new_says_what() {
    let making = [
        "/market/{symbol}/orders",
        "/sign-up",
        "/join",
        "/settings/members/invitations",
        "/keys",
        "/leases/{id}/problem",
        "/disputes/{id}/messages",
        "/disputes/{id}/proposals",
        "/wallet/deposits",
        "/ops/halts",
        "/ops/relations",
        "/ops/leases/{id}/default",
        "/provide/apply",
        "/provide/pools",
        "/provide/pools/{id}/tariffs",
        "/provide/pools/{id}/machines",
        "/provide/pools/{id}/machines/{host}/token",
        "/provide/pools/{id}/maintenance",
    ];
    for path in making {
        let form = forms().into_iter().find(|form| form.path == path);
        let form = form.unwrap_or_else(|| panic!("{path} is no form"));
        assert!(!form.makes.is_empty(), "{path} makes something");
    }
}
