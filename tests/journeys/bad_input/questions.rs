//! What is asked in an address: filters, searches, bills, previews, and the numbers in a path.
//!
//! Nobody's page fails for it: what means nothing is passed over or said, and never an element.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use sluice::router::routes;

use super::{MARKUP, open, said, visitor_named, wrong};
use crate::support::visitor::{Page, Visitor};
use crate::world::rows::{self, Row};
use crate::world::{Faults, World, call};

const TICKET: &[&str] = &[
    "mode",
    "day",
    "hour",
    "hours",
    "timing",
    "to_day",
    "to_hour",
    "split",
    "min_run",
    "units",
    "price",
    "tif",
    "until_day",
    "until_hour",
    "min_fill",
    "post_only",
    "client_id",
    "hold",
    "image",
    "ssh_key",
];
const SENTENCE: &[&str] = &["units", "grade", "day", "hour", "hours", "region", "scope"];
const REPORT: &[&str] = &[
    "reason", "day", "hour", "hours", "by", "minutes", "units", "amount",
];
const TARIFF: &[&str] = &[
    "days",
    "begins",
    "ends",
    "min_hours",
    "units",
    "price",
    "from_day",
    "from_hour",
    "to_day",
    "to_hour",
    "client_id",
];
const JOURNAL: &[&str] = &[
    "participant",
    "account",
    "reason",
    "about",
    "from",
    "to",
    "before",
];

/// Every page that is asked something: by whom, and what.
fn questions() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    vec![
        ("/", "buyer-of-a", SENTENCE),
        ("/overview/live", "nobody", SENTENCE),
        ("/market/{symbol}", "buyer-of-a", TICKET),
        ("/market/{symbol}/bill", "nobody", TICKET),
        ("/market/{symbol}/confirm", "buyer-of-a", TICKET),
        ("/market/{symbol}/live", "nobody", TICKET),
        ("/sign-up", "nobody", &["next"]),
        ("/sign-in", "nobody", &["next"]),
        ("/second-factor", "entering-member", &["next"]),
        ("/join", "nobody", &["invitation"]),
        (
            "/orders/{id}/replacement",
            "buyer-of-a",
            &["units", "price", "was"],
        ),
        ("/leases", "buyer-of-a", &["state", "before"]),
        ("/leases/live", "buyer-of-a", &["state", "before"]),
        ("/keys", "buyer-of-a", &["back"]),
        (
            "/leases/{id}/hand-back",
            "buyer-of-a",
            &["day", "hour", "hours", "back"],
        ),
        ("/leases/{id}/problem/claim", "buyer-of-a", REPORT),
        ("/disputes", "arbiter", &["below"]),
        (
            "/disputes/{id}/preview",
            "arbiter",
            &["by", "minutes", "units", "amount"],
        ),
        ("/wallet", "finance-of-a", &["account", "before"]),
        ("/wallet/live", "finance-of-a", &["account", "before"]),
        (
            "/wallet/statement.csv",
            "finance-of-a",
            &["account", "before"],
        ),
        ("/ops/search", "auditor", &["q"]),
        ("/ops/orders/{id}", "auditor", &["after"]),
        ("/ops/leases/{id}", "auditor", &["after"]),
        ("/ops/applications", "operations", &["state", "before"]),
        ("/ops/participants", "operations", &["q", "state", "before"]),
        ("/ops/cases", "auditor", &["state", "before"]),
        ("/ops/halts", "operations", &["before", "symbol"]),
        ("/ops/relations", "surveillance", &["before", "one"]),
        ("/ops/ledger", "auditor", &["account", "after"]),
        ("/ops/ledger.csv", "auditor", &["account", "after"]),
        ("/ops/journal", "auditor", JOURNAL),
        ("/verify", "nobody", &["identifier"]),
        ("/provide/pools/{id}", "operator-of-p", &["tariff"]),
        (
            "/provide/pools/{id}/machines",
            "operator-of-p",
            &["done", "declared"],
        ),
        (
            "/provide/pools/{id}/tariffs/preview",
            "operator-of-p",
            TARIFF,
        ),
        ("/provide/leases", "operator-of-p", &["state", "before"]),
    ]
}

/// What somebody may write into an address.
fn odd() -> Vec<String> {
    let texts = [
        "",
        "x",
        "-1",
        "0",
        "1e30",
        "１２",
        "99999999999999999999",
        "2026-02-30",
        "9999-12-31",
        "-009999-01-01",
        "a\0b",
        "\u{7}",
        "\u{202e}",
        MARKUP,
        "' OR 1=1 --",
        "//evil.example",
        "%",
        "e1-1",
        "\r\nset-cookie: x=1",
    ];
    let mut odd: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    odd.push("9".repeat(5_000));
    odd
}

/// What fills in a page's URL.
fn row_of(path: &str) -> Row {
    let rows = rows::rows();
    let found = rows
        .into_iter()
        .find(|row| row.path == path && row.method == Method::GET);
    found.unwrap_or_else(|| panic!("{path} is no page of the matrix"))
}

/// Asks without reading a stream to its end.
async fn ask(visitor: &Visitor, path: &str) -> Page {
    call(visitor, "GET", path, &[]).await
}

fn query(fields: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    query.finish()
}

#[tokio::test]
async fn whatever_is_asked_gets_a_page() {
    let world = open().await;
    let mut faults = Faults::default();
    for (path, caller, names) in questions() {
        let row = row_of(path);
        let path = row.path_of(row.own());
        let visitor = visitor_named(&world, caller, "en");
        let mut asked: Vec<String> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            // Each name by itself is asked a third of them, and all names together all.
            for value in odd().iter().skip(place % 3).step_by(3) {
                asked.push(query(&[(name, value)]));
            }
            asked.push(query(&[(name, "1"), (name, "2")]));
        }
        // A server takes no address of more than 64 KB.
        for value in odd().iter().filter(|value| value.len() < 1_000) {
            let all: Vec<(&str, &str)> = names.iter().map(|name| (*name, &**value)).collect();
            asked.push(query(&all));
        }
        asked.extend(
            [
                "%",
                "%ff%fe=%00",
                "&&&=&==",
                "kept=%00",
                "last-event-id=%00",
            ]
            .map(str::to_owned),
        );
        for query in asked {
            let page = ask(&visitor, &format!("{path}?{query}")).await;
            let start: String = query.chars().take(60).collect();
            let is_fine = [200, 303, 400, 404, 414, 422].contains(&page.status.as_u16());
            faults.expect(is_fine, || format!("{path}?{start}: {}", said(&page)));
            if let Some(improper) = wrong::improper(&page) {
                faults.expect(false, || format!("{path}?{start}: {improper}"));
            }
        }
    }
    faults.none();
    world.app.stop().await;
}

/// Who together see all that there is to be asked.
const SEE: [&str; 7] = [
    "nobody",
    "owner-of-a",
    "owner-of-b",
    "operator-of-p",
    "operations",
    "arbiter",
    "auditor",
];

/// The names that the forms and links of a page ask by, with the page that they ask.
fn asked_by(page: &Page) -> BTreeSet<(String, String)> {
    let mut asked = BTreeSet::new();
    for (form, action) in [("form[method=get]", "action"), ("form[hx-get]", "hx-get")] {
        for action in page.attributes(form, action) {
            let css = format!(
                "form[{}='{action}'] [name]:not(button)",
                match form {
                    "form[hx-get]" => "hx-get",
                    _ => "action",
                }
            );
            let hidden = page.attributes(&format!("form[hx-get='{action}']"), "hx-params");
            let hidden = hidden.first().cloned().unwrap_or_default();
            let path = action
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned();
            for name in page.attributes(&css, "name") {
                if !hidden.split(['t', ' ', ',']).any(|one| one == name) {
                    asked.insert((path.clone(), name));
                }
            }
        }
    }
    for href in page.attributes("a[href]", "href") {
        let href = href.split('#').next().unwrap_or_default();
        if let Some((path, query)) = href
            .split_once('?')
            .filter(|(path, _)| path.starts_with('/'))
        {
            let fields = url::form_urlencoded::parse(query.as_bytes());
            asked.extend(fields.map(|(name, _)| (path.to_owned(), name.into_owned())));
        }
    }
    asked
}

/// The URL of the router that a path is of.
fn pattern(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let is_same = |(one, other): (&&str, &&str)| one == other || one.starts_with('{');
        pattern.len() == parts.len() && pattern.iter().zip(&parts).all(is_same)
    };
    let routes = routes()
        .into_iter()
        .filter(|route| route.method == Method::GET);
    let mut fitting: Vec<&str> = routes
        .map(|route| route.path)
        .filter(|path| fits(path))
        .collect();
    // What is named exactly is meant before what fits anything.
    fitting.sort_by_key(|pattern| pattern.matches('{').count());
    fitting.first().copied()
}

#[tokio::test]
async fn whatever_a_page_asks_by_is_in_the_table_of_questions() {
    let world = open().await;
    let mut missing = BTreeSet::new();
    for row in rows::rows().iter().filter(|row| row.method == Method::GET) {
        let path = row.path_of(row.own());
        for caller in world.callers.iter().filter(|one| SEE.contains(&one.name)) {
            let page = call(&caller.visitor, "GET", &path, &[]).await;
            for (asked, name) in asked_by(&page) {
                let Some(asked) = pattern(&asked) else {
                    missing.insert(format!("{path} asks {asked}, which is no page"));
                    continue;
                };
                // A word of success, as in `?saved`, is no question.
                let is_known = questions()
                    .iter()
                    .any(|(known, _, names)| *known == asked && names.contains(&&*name));
                if !is_known {
                    missing.insert(format!("{asked} is asked by {name} on {path}"));
                }
            }
        }
    }
    let missing: Vec<String> = missing.into_iter().collect();
    assert!(missing.is_empty(), "\n  {}", missing.join("\n  "));
    world.app.stop().await;
}

#[tokio::test]
async fn a_number_that_is_none_is_no_page() {
    let world = open().await;
    let mut faults = Faults::default();
    for row in rows::rows() {
        if row.object.is_none() {
            continue;
        }
        for caller in ["owner-of-a", "operator-of-p", "operations"] {
            let visitor = visitor_named(&world, caller, "zh-CN");
            for id in [
                "0",
                "-1",
                "x",
                "l",
                "l-1",
                "l01",
                "99999999999999999999",
                "%00",
                "%ff",
                "%2e%2e",
                "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
                "１",
                "..%2f..%2fetc%2fpasswd",
            ] {
                let id: String = url::form_urlencoded::byte_serialize(id.as_bytes())
                    .collect::<String>()
                    .replace("%25", "%");
                let path = row.path_of(&id);
                let page = call(&visitor, row.method.as_str(), &path, &[]).await;
                let is_none = [400, 403, 404].contains(&page.status.as_u16());
                let is_allowed = row.path == "/verify/{identifier}" && page.status.is_success();
                faults.expect(is_none || is_allowed, || {
                    format!("{row}: {caller} at {id} got {}", said(&page))
                });
                if let Some(improper) = wrong::improper(&page) {
                    faults.expect(false, || format!("{row}: {caller} at {id}: {improper}"));
                }
            }
        }
    }
    faults.none();
    world.app.stop().await;
}

/// Where who asks for a form's URL as for a page is led.
async fn led_to(world: &World, caller: &str, path: &str) -> Page {
    let mut visitor = visitor_named(world, caller, "en");
    let mut page = visitor.get(path).await;
    if page.status == StatusCode::SEE_OTHER {
        let onward = page.location().to_owned();
        page = visitor.get(&onward).await;
    }
    page
}

#[tokio::test]
async fn a_forms_url_that_is_loaded_anew_leads_to_its_page() {
    let world = open().await;
    let mut faults = Faults::default();
    for form in super::forms::forms() {
        let path = super::path_of(&form);
        let page = led_to(&world, form.caller, &path).await;
        let is_there = page.status.is_success() || page.status.is_redirection();
        // Who follows an invitation has its link, which no address of a form has.
        let is_there = is_there || form.path == "/join";
        faults.expect(is_there, || format!("{form}: {}", said(&page)));
    }
    let nowhere = led_to(&world, "nobody", "/nowhere").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    faults.none();
    world.app.stop().await;
}
