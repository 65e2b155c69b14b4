//! Each field missing, wrong and enormous.

use axum::http::StatusCode;

use super::forms::{Field, Form, Kind, NOTICE, forms};
use super::{MARKUP, Sent, css, filled_in, open, path_of, said, send, visitor};
use crate::support::visitor::Page;
use crate::world::{Faults, World, effects};

/// What the program says to itself and nobody else.
const INSIDE: [&str; 6] = [
    "panicked",
    ".rs:",
    "sqlx",
    "backtrace",
    "serde",
    "deserialize",
];

/// As much as a body holds besides the other fields.
const LONG: usize = 60_000;

/// What is wrong in a field of a kind.
fn wrong(kind: Kind) -> Vec<String> {
    let of =
        |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.to_owned()).collect() };
    let long = || "9".repeat(LONG);
    let numbers = [
        "x", "-1", "1e30", "８x", "1\0", "\u{7}", MARKUP, "9 9", "0x9",
    ];
    let mut values = match kind {
        Kind::Whole => of(&["0", "1.5", "１．５", "99999999999999999999"]),
        Kind::Count => of(&["1.5", "99999999999999999999"]),
        Kind::Money => of(&["1.00001", "99999999999999999999", "1..5"]),
        Kind::Day => of(&[
            "2026-02-30",
            "2026-13-01",
            "99999-01-01",
            "x",
            "-1",
            "1\0",
            MARKUP,
        ]),
        Kind::Choice => of(&["none", "-1", "99", "1e30", "1\0", "\u{7}", MARKUP]),
        Kind::Line => of(&["a\0bcdef", "a\u{7}bcdef"]),
        Kind::Text => of(&["a\0bcdefghij", "a\u{7}bcdefghij"]),
        Kind::Login => of(&["x", "a b", "abc\0", "abc\u{202e}", MARKUP]),
        Kind::Key => of(&["x", "ssh-ed25519 AAAA", "ssh-ed25519 \0", MARKUP]),
        Kind::Password => of(&["short", "a\0b"]),
        Kind::Secret => of(&["wrong", "0000\0", "１２３x", MARKUP]),
        Kind::FormId => of(&["x", "0123456789abcdef\0", MARKUP]),
        Kind::Named => of(&["x", "-1", "0.0001", "1e30", "1\0", MARKUP]),
        Kind::Tick | Kind::Free => Vec::new(),
    };
    if matches!(kind, Kind::Whole | Kind::Count | Kind::Money) {
        values.extend(of(&numbers));
        values.push("9".repeat(10_000));
    }
    if !values.is_empty() {
        values.push(long());
    }
    values
}

/// One sending of a form with something wrong in it.
struct Case {
    field: String,
    value: Option<String>,
    sent: Sent,
    says: String,
}

impl Case {
    fn new(field: &Field, value: Option<String>, right: &Sent) -> Self {
        let mut sent = right.clone();
        sent.retain(|(name, _)| name != field.name);
        if let Some(value) = &value {
            sent.push((field.name.to_owned(), value.clone()));
        }
        let is_of_form = matches!(field.kind, Kind::FormId | Kind::Named);
        let says = match field.says {
            "" if is_of_form => NOTICE.to_owned(),
            "" => format!("{}-error", field.name),
            says => says.to_owned(),
        };
        Self {
            field: field.name.to_owned(),
            value,
            sent,
            says,
        }
    }

    fn name(&self, form: &Form) -> String {
        let value = self.value.as_ref().map_or("missing".to_owned(), |value| {
            let start: String = value.chars().take(24).collect();
            format!("{start:?} of {} bytes", value.len())
        });
        format!("{form}: {} {value}", self.field)
    }
}

/// Everything that can be wrong with a form, one thing at a time.
fn cases(form: &Form, right: &Sent) -> Vec<Case> {
    let mut cases = Vec::new();
    for field in &form.fields {
        if !field.is_optional {
            cases.push(Case::new(field, None, right));
            cases.push(Case::new(field, Some(String::new()), right));
        }
        let values = wrong(field.kind).into_iter();
        cases.extend(values.map(|value| Case::new(field, Some(value), right)));
    }
    cases
}

/// Where a page says what is wrong.
fn message(page: &Page, says: &str) -> String {
    let notices = "[role=alert], .notice";
    let mut found = Vec::new();
    if says != NOTICE {
        found = page.texts(&format!("[id='{says}']"));
    }
    if found.is_empty() && (says == NOTICE || page.status != StatusCode::UNPROCESSABLE_ENTITY) {
        found = page.texts(notices);
    }
    // Somebody who has tried too often is told so, whatever they typed now.
    if found.is_empty() && page.status == StatusCode::TOO_MANY_REQUESTS {
        found = page.texts(".field-error");
    }
    found.join(" ")
}

/// Whether a message is in the language that was asked for.
fn is_in(language: &str, message: &str) -> bool {
    let is_han = |one: char| ('\u{4e00}'..='\u{9fff}').contains(&one);
    message.chars().any(is_han) == (language == "zh-CN")
}

/// What a page should never do, whatever was sent.
pub(super) fn improper(page: &Page) -> Option<String> {
    if page.status.is_server_error() {
        return Some(format!("it failed: {}", said(page)));
    }
    if let Some(inside) = INSIDE.iter().find(|inside| page.body.contains(**inside)) {
        return Some(format!("it shows its inside: {inside}"));
    }
    if page.has("img, [onerror]") {
        return Some("what was typed has become an element".to_owned());
    }
    let location = page.headers.get("location");
    let location = location.map(|location| location.to_str().unwrap_or("not a text"));
    location
        .filter(|way| !way.starts_with('/') || way.starts_with("//"))
        .map(|way| format!("it leads to {way}"))
}

/// The field of those that were typed that the page has not any more.
fn lost(form: &Form, case: &Case, page: &Page) -> Option<String> {
    let own = css(form);
    let again = form.again.unwrap_or(&own);
    let again = [again, &own].into_iter().find(|css| page.has(css))?;
    let (_, drawn) = page.form(again);
    let selects = page.attributes(&format!("{again} select[name]"), "name");
    let there = page.attributes(&format!("{again} [name]:not(button)"), "name");
    let is_kept = |field: &Field| {
        let is_chosen = matches!(field.kind, Kind::Choice | Kind::Tick) && field.name != case.field;
        let is_typed = matches!(
            field.kind,
            Kind::Whole
                | Kind::Count
                | Kind::Money
                | Kind::Day
                | Kind::Line
                | Kind::Text
                | Kind::Login
                | Kind::Key
        );
        let is_select = selects.iter().any(|name| name == field.name);
        let is_there = there.iter().any(|name| name == field.name);
        // What no list has can't be picked in it.
        is_there && (is_chosen || is_typed && !(is_select && field.name == case.field))
    };
    form.fields
        .iter()
        .filter(|field| is_kept(field))
        .find_map(|field| {
            let value = |fields: &Sent| {
                let found = fields.iter().find(|(name, _)| name == field.name);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            // HTML has no NUL, and one kind of line end.
            let sent = value(&case.sent).replace('\0', "\u{fffd}");
            let drawn = value(&drawn);
            let plain = |text: &str| text.trim().replace("\r\n", "\n");
            (plain(&sent) != plain(&drawn)).then(|| {
                let start = |text: &str| text.chars().take(40).collect::<String>();
                format!(
                    "{} was {:?} and is {:?}",
                    field.name,
                    start(&sent),
                    start(&drawn)
                )
            })
        })
}

/// Sends a case and says what is wrong with the answer.
async fn judge(world: &World, form: &Form, case: &Case, language: &str, faults: &mut Faults) {
    let name = case.name(form);
    let mut before = effects::tables(&world.app).await;
    let mut visitor = visitor(world, form, language);
    let page = send(&mut visitor, &path_of(form), &case.sent).await;
    let mut after = effects::tables(&world.app).await;
    for noted in form.notes {
        before.remove(*noted);
        after.remove(*noted);
    }
    faults.expect(before == after, || {
        format!("{name} changed {}", effects::changed(&before, &after))
    });
    if let Some(improper) = improper(&page) {
        faults.expect(false, || format!("{name}: {improper}"));
        return;
    }
    faults.expect(page.status.is_client_error(), || {
        format!("{name} is not refused: {}", said(&page))
    });
    if !page.status.is_client_error() {
        return;
    }
    let message = message(&page, &case.says);
    faults.expect(!message.is_empty(), || {
        format!("{name}: nothing is said at {}: {}", case.says, said(&page))
    });
    faults.expect(message.is_empty() || is_in(language, &message), || {
        format!("{name} is not said in {language}: {message}")
    });
    if let Some(lost) = lost(form, case, &page) {
        faults.expect(false, || format!("{name}: {lost}"));
    }
}

async fn send_what_is_wrong(forms: impl Iterator<Item = Form>) {
    let world = open().await;
    let mut faults = Faults::default();
    let mut sent = 0;
    for form in forms {
        let right = filled_in(&world, &form).await;
        for case in cases(&form, &right) {
            let language = if sent % 2 == 0 { "en" } else { "zh-CN" };
            judge(&world, &form, &case, language, &mut faults).await;
            sent += 1;
        }
    }
    assert!(sent > 100, "only {sent} cases");
    faults.none();
    world.app.stop().await;
}

/// Every other form, so that two halves share the machine.
fn half(odd: bool) -> impl Iterator<Item = Form> {
    let forms = forms().into_iter().enumerate();
    forms
        .filter(move |(place, _)| (place % 2 == 1) == odd)
        .map(|(_, form)| form)
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_changes_nothing_one() {
    send_what_is_wrong(half(false)).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_changes_nothing_two() {
    send_what_is_wrong(half(true)).await;
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused_and_changes_nothing() {
    let world = open().await;
    let mut faults = Faults::default();
    let form_type = "application/x-www-form-urlencoded";
    for form in forms().iter().filter(|form| !form.fields.is_empty()) {
        let path = path_of(form);
        let before = effects::tables(&world.app).await;
        let name = form.fields.first().expect("a field").name;
        let twice = format!("{name}=1&{name}=2");
        let bodies: [(&str, &[u8]); 5] = [
            ("application/json", b"{\"units\": 1}"),
            ("text/plain", b"units=1"),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
            ("application/octet-stream", b"\xff\xfe\x00"),
            (form_type, twice.as_bytes()),
        ];
        for (place, (kind, body)) in bodies.into_iter().enumerate() {
            let language = if place % 2 == 0 { "zh-CN" } else { "en" };
            let visitor = visitor(&world, form, language);
            let page = visitor.post_as(kind, &path, body).await;
            let case = format!("{form} as {kind}");
            faults.expect(page.status == StatusCode::UNPROCESSABLE_ENTITY, || {
                format!("{case}: {}", said(&page))
            });
            if let Some(improper) = improper(&page) {
                faults.expect(false, || format!("{case}: {improper}"));
            }
            let words = page.texts("main").join(" ");
            faults.expect(is_in(language, &words), || {
                format!("{case} in {language}: {words}")
            });
        }
        let after = effects::tables(&world.app).await;
        faults.expect(before == after, || {
            format!("{form} changed {}", effects::changed(&before, &after))
        });
    }
    faults.none();
    world.app.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_every_form() {
    let world = open().await;
    let mut faults = Faults::default();
    let before = effects::tables(&world.app).await;
    for (place, form) in forms().iter().enumerate() {
        let language = if place % 2 == 0 { "zh-CN" } else { "en" };
        let mut visitor = visitor(&world, form, language);
        let name = form.fields.first().map_or("x", |field| field.name);
        let sent = [(name.to_owned(), "9".repeat(64 * 1024))];
        let page = send(&mut visitor, &path_of(form), &sent).await;
        faults.expect(page.status == StatusCode::PAYLOAD_TOO_LARGE, || {
            format!("{form}: {}", said(&page))
        });
        let words = page.texts("main").join(" ");
        faults.expect(is_in(language, &words), || {
            format!("{form} in {language}: {words}")
        });
    }
    let after = effects::tables(&world.app).await;
    faults.expect(before == after, || {
        format!("they changed {}", effects::changed(&before, &after))
    });
    faults.none();
    world.app.stop().await;
}

/// A field that is never refused, with nonsense in it, beside one that is wrong.
#[tokio::test]
async fn what_is_passed_over_is_passed_over_whatever_it_is() {
    let world = open().await;
    let mut faults = Faults::default();
    for form in forms() {
        let right = filled_in(&world, &form).await;
        let is_free = |field: &&Field| matches!(field.kind, Kind::Free | Kind::Tick);
        let broken = form
            .fields
            .iter()
            .find(|field| !wrong(field.kind).is_empty());
        for field in form.fields.iter().filter(is_free) {
            for value in [
                "//evil.example",
                "/\\evil.example",
                "a\0b",
                MARKUP,
                "1e30",
                "\r\nx: y",
            ] {
                let mut case = Case::new(field, Some(value.to_owned()), &right);
                if let Some(broken) = broken {
                    let wrong = wrong(broken.kind).into_iter().next();
                    case.sent.retain(|(name, _)| name != broken.name);
                    case.sent
                        .push((broken.name.to_owned(), wrong.expect("a value")));
                }
                let mut visitor = visitor(&world, &form, "en");
                let page = send(&mut visitor, &path_of(&form), &case.sent).await;
                if let Some(improper) = improper(&page) {
                    faults.expect(false, || format!("{}: {improper}", case.name(&form)));
                }
                let is_refused = page.status.is_client_error();
                faults.expect(is_refused == broken.is_some(), || {
                    format!("{}: {}", case.name(&form), said(&page))
                });
            }
        }
    }
    faults.none();
    world.app.stop().await;
}
