//! The API as a program meets it: orders placed, read and cancelled; what is wrong is said with a
//! code and changes nothing; a token ends at once; nothing gets round the second person; and what
//! ends with a session does.

mod attending;
pub(crate) mod quotes;
mod tokens;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sluice::web::{Role, Scope};

use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER};
use crate::support::people;
use crate::support::programs;
use crate::support::visitor::{Page, Visitor};
use crate::world::effects;

pub(super) const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

/// A program of the buyer with every scope.
pub(super) async fn buyer(app: &TestApp) -> Visitor {
    programs::program(app, BUYER.0, &[Role::Buyer], &Scope::ALL, "ada").await
}

/// What a page says as JSON.
pub(super) fn said(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|_| panic!("{} {}", page.status, page.body))
}

pub(super) async fn send(program: &mut Visitor, body: &Value) -> Page {
    program
        .send("POST", "/api/v1/orders", body.to_string())
        .await
}

/// A bid of the buyer for two hours of the second day, changed like this.
pub(super) fn bid(id: &str, with: Value) -> Value {
    let mut bid = json!({
        "id": id, "side": "buy", "symbols": [SYMBOL], "units": 8, "price": "9.00",
        "start": "2026-10-26T00:00:00Z", "end": "2026-10-26T02:00:00Z",
    });
    let fields = with.as_object().expect("an object");
    let bid_fields = bid.as_object_mut().expect("an object");
    for (name, value) in fields {
        match value {
            Value::Null => bid_fields.remove(name),
            value => bid_fields.insert(name.clone(), value.clone()),
        };
    }
    bid
}

#[tokio::test]
async fn an_order_is_placed_once_read_and_cancelled() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let traded = bid("first", json!({"price": "12.00"}));
    let page = send(&mut program, &traded).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    let answer = said(&page);
    assert_eq!(answer["outcome"], "accepted");
    assert_eq!(
        (&answer["filled"], &answer["done"]),
        (&json!(8), &json!("filled"))
    );
    let trade = &answer["trades"][0];
    assert_eq!(
        (&trade["price"], &trade["lease"]),
        (&json!("10.0000"), &json!("l1"))
    );
    // The same again is the first answer again; with other terms it is another order's id.
    let page = send(&mut program, &traded).await;
    assert_eq!(
        (page.status, &said(&page)["again"]),
        (StatusCode::OK, &json!(true))
    );
    let page = send(&mut program, &bid("first", json!({"units": 4}))).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert_eq!(said(&page)["code"], "duplicate_id");
    // What rests is changed and cancelled, by its client id or its number.
    send(&mut program, &bid("rests", json!({}))).await;
    let change = json!({"do": "replace", "id": "rests", "units": 4});
    let page = send(&mut program, &change).await;
    assert_eq!(
        (page.status, &said(&page)["units"]),
        (StatusCode::OK, &json!(4)),
        "{}",
        page.body
    );
    let shown = said(&program.get("/api/v1/orders/rests").await);
    assert_eq!((&shown["units"], &shown["tif"]), (&json!(4), &json!("GTC")));
    let number = shown["order"].as_str().expect("a number").to_owned();
    let page = program
        .send("DELETE", &format!("/api/v1/orders/{number}"), String::new())
        .await;
    assert_eq!(
        (page.status, &said(&page)["outcome"]),
        (StatusCode::OK, &json!("cancelled"))
    );
    assert_eq!(said(&page)["done"], "cancelled");
    let page = program
        .send("DELETE", "/api/v1/orders/rests", String::new())
        .await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::CONFLICT, &json!("order_done"))
    );
    let page = program
        .send("DELETE", "/api/v1/orders/none", String::new())
        .await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_order"))
    );
    let shown = said(&program.get("/api/v1/orders/first").await);
    assert_eq!(shown["trades"][0]["trade"], "t1");
    app.stop().await;
}

#[tokio::test]
async fn many_are_answered_in_their_order_and_read_page_by_page() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let mut many: Vec<Value> = (0..5).map(|n| bid(&format!("n{n}"), json!({}))).collect();
    many.insert(1, bid("dear", json!({"price": "899999999999"})));
    many.push(json!({"do": "cancel", "id": "n0"}));
    let page = send(&mut program, &json!(many)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let answers = said(&page);
    let outcomes: Vec<&Value> = (0..7).map(|place| &answers[place]["outcome"]).collect();
    assert_eq!(
        outcomes,
        [
            "accepted",
            "refused",
            "accepted",
            "accepted",
            "accepted",
            "accepted",
            "cancelled"
        ]
    );
    let problem = &answers[1]["problem"];
    assert_eq!(
        (&problem["code"], &problem["id"]),
        (&json!("insufficient_funds"), &json!("dear"))
    );
    assert!(
        problem["missing"]
            .as_str()
            .is_some_and(|yuan| yuan.contains('.'))
    );
    let mut found = Vec::new();
    let mut address = "/api/v1/orders?limit=2&state=open".to_owned();
    loop {
        let page = said(&program.get(&address).await);
        let orders = page["orders"].as_array().expect("orders");
        assert!(orders.len() <= 2);
        found.extend(
            orders
                .iter()
                .map(|order| order["id"].as_str().unwrap_or_default().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        address = format!("/api/v1/orders?limit=2&state=open&cursor={next}");
    }
    assert_eq!(found, ["n4", "n3", "n2", "n1"]);
    app.stop().await;
}

#[tokio::test]
async fn every_kind_of_order_can_be_sent() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let expect = async |program: &mut Visitor, body: Value, done: Value| {
        let page = send(program, &body).await;
        assert_eq!(page.status, StatusCode::CREATED, "{body} {}", page.body);
        assert_eq!(said(&page)["done"], done, "{body} {}", page.body);
    };
    let none = Value::Null;
    let day = json!({"end": "2026-10-27T00:00:00Z", "duration": 3});
    let with = |mut one: Value, other: Value| {
        let fields = one.as_object_mut().expect("an object");
        fields.extend(other.as_object().expect("an object").clone());
        one
    };
    for (id, terms, done) in [
        (
            "gtd",
            json!({"tif": "GTD", "until": "2026-10-25T12:00:00Z"}),
            none.clone(),
        ),
        ("ioc", json!({"tif": "IOC"}), json!("unfilled")),
        (
            "fok",
            json!({"tif": "FOK", "price": "10.00"}),
            json!("filled"),
        ),
        (
            "post",
            json!({"post_only": true, "min_fill": 4}),
            none.clone(),
        ),
        (
            "pool",
            json!({"symbols": null, "pool": "p1", "price": "10.00"}),
            json!("filled"),
        ),
        (
            "flexible",
            with(day.clone(), json!({"price": "10.00"})),
            json!("filled"),
        ),
        ("rests", day.clone(), none.clone()),
        (
            "split",
            with(
                day,
                json!({"price": "10.00", "splittable": true, "min_run": 1, "tif": "FOK"}),
            ),
            json!("filled"),
        ),
        ("bought-in", json!({"buy_in": true}), none.clone()),
    ] {
        expect(&mut program, bid(id, terms), done).await;
    }
    // What was leased is sold on; a pool is offered by a certified provider's operator only.
    let resale = json!({
        "id": "resale", "side": "sell", "lease": "l1", "units": 4, "price": "11.00",
        "start": "2026-10-26T00:00:00Z", "end": "2026-10-26T02:00:00Z",
    });
    expect(&mut program, resale, none.clone()).await;
    let night = json!({
        "id": "night", "side": "sell", "pool": "p1", "units": 8, "price": "8.00", "min_hours": 2,
        "start": "2026-10-26T00:00:00Z", "end": "2026-11-02T00:00:00Z", "weekly": "1".repeat(168),
    });
    let page = send(&mut program, &night).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::FORBIDDEN, &json!("role"))
    );
    let roles = [Role::Operator];
    let mut operator = programs::program(&app, PROVIDER.0, &roles, &[Scope::Place], "olga").await;
    let page = send(&mut operator, &night).await;
    assert_eq!(said(&page)["code"], "uncertified", "{}", page.body);
    people::application(&app, PROVIDER.0).await;
    let certify = "UPDATE applications SET state = 'certified', decided_at = now()";
    sqlx::query(certify)
        .execute(&app.database.pool)
        .await
        .expect("it is certified");
    expect(&mut operator, night, none).await;
    // What is not its own is as if it was not there, and its token is not for cancelling.
    let page = send(&mut operator, &json!({"do": "cancel", "id": "night"})).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::FORBIDDEN, &json!("scope"))
    );
    app.stop().await;
}

/// Something wrong, and what is said of it.
fn wrong() -> Vec<(String, u16, &'static str, Value)> {
    let text = |body: &str, status, code, field: &str| {
        let field = if field.is_empty() {
            Value::Null
        } else {
            json!(field)
        };
        (body.to_owned(), status, code, field)
    };
    let changed = |with: Value, status, code: &'static str, field: &str| {
        text(&bid("wrong", with).to_string(), status, code, field)
    };
    let deep = "[".repeat(100_000);
    let twice = bid("wrong", json!({}))
        .to_string()
        .replacen('{', "{\"units\":4,", 1);
    let many: Vec<Value> = (0..1_001)
        .map(|n| bid(&format!("m{n}"), json!({})))
        .collect();
    vec![
        text("", 400, "bad_json", ""),
        text("null", 400, "bad_json", ""),
        text("{\"id\":", 400, "bad_json", ""),
        text("\u{0}", 400, "bad_json", ""),
        text(&deep, 400, "bad_json", ""),
        text("[1]", 400, "bad_json", ""),
        text("[]", 422, "bad_value", ""),
        text(&twice, 400, "bad_json", ""),
        text(&json!(many).to_string(), 422, "bad_value", ""),
        changed(json!({"units": null}), 422, "missing_field", "units"),
        changed(json!({"units": "8"}), 422, "wrong_type", "units"),
        changed(json!({"units": 1.5}), 422, "wrong_type", "units"),
        changed(json!({"units": 1e30}), 422, "wrong_type", "units"),
        changed(json!({"price": 9}), 422, "wrong_type", "price"),
        changed(json!({"price": "9.00001"}), 422, "bad_value", "price"),
        changed(json!({"price": "９"}), 422, "bad_value", "price"),
        changed(
            json!({"price": "9".repeat(10_000)}),
            422,
            "bad_value",
            "price",
        ),
        changed(json!({"start": "tomorrow"}), 422, "bad_value", "start"),
        changed(json!({"tif": "DAY"}), 422, "bad_value", "tif"),
        changed(json!({"side": "hold"}), 422, "bad_value", "side"),
        changed(json!({"do": "dance"}), 422, "bad_value", "do"),
        changed(json!({"org": "b1"}), 422, "unknown_field", "org"),
        changed(
            json!({"at": "2026-10-26T00:00:00Z"}),
            422,
            "unknown_field",
            "at",
        ),
        changed(json!({"id": ""}), 422, "bad_value", "id"),
        changed(json!({"id": "a\u{0}b"}), 422, "bad_value", "id"),
        changed(json!({"id": "x".repeat(65)}), 422, "bad_value", "id"),
        changed(json!({"pool": "p1"}), 422, "bad_value", ""),
        changed(json!({"tif": "GTD"}), 422, "bad_value", ""),
        changed(json!({"symbols": ["none"]}), 409, "unknown_symbol", ""),
        changed(
            json!({"symbols": null, "pool": "p999"}),
            409,
            "unknown_pool",
            "",
        ),
        changed(json!({"units": 0}), 409, "not_a_lot", ""),
        changed(
            json!({"units": i64::MAX, "price": "1.00"}),
            409,
            "insufficient_funds",
            "",
        ),
        changed(
            json!({"start": "2026-10-26T00:30:00Z"}),
            409,
            "bad_period",
            "",
        ),
        changed(
            json!({"start": "2020-01-01T00:00:00Z"}),
            409,
            "period_started",
            "",
        ),
        changed(json!({"duration": 0}), 409, "bad_duration", ""),
        changed(json!({"duration": i64::MIN}), 409, "bad_duration", ""),
        changed(
            json!({"price": "12.00", "post_only": true}),
            409,
            "would_trade",
            "",
        ),
        changed(
            json!({"side": "sell", "symbols": null, "lease": "l9"}),
            409,
            "unknown_lease",
            "",
        ),
        text(r#"{"do":"cancel","id":"none"}"#, 404, "unknown_order", ""),
        text(r#"{"do":"cancel"}"#, 422, "missing_field", "id"),
        text(r#"{"do":"replace","id":"none"}"#, 422, "bad_value", ""),
        text(
            r#"{"do":"replace","id":"none","units":1}"#,
            404,
            "unknown_order",
            "",
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_has_a_code_and_changes_nothing() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let mut chinese = program.clone();
    chinese.sends[0] = ("accept-language", "zh-CN".to_owned());
    let mut before = effects::tables(&app).await;
    for (body, status, code, field) in wrong() {
        let start: String = body.chars().take(120).collect();
        let page = program.send("POST", "/api/v1/orders", body.clone()).await;
        let kind = page.headers["content-type"].to_str().expect("text");
        assert_eq!(kind, "application/problem+json", "{start}");
        let problem = said(&page);
        let got = (page.status.as_u16(), &problem["code"], &problem["field"]);
        assert_eq!(got, (status, &json!(code), &field), "{start} {problem}");
        assert_eq!(problem["type"], format!("urn:sluice:problem:{code}"));
        for word in ["title", "detail"] {
            let words = problem[word].as_str().unwrap_or_default();
            assert!(
                !words.is_empty() && !words.starts_with("problem."),
                "{start} {problem}"
            );
        }
        let page = chinese.send("POST", "/api/v1/orders", body).await;
        let title = said(&page)["title"].as_str().unwrap_or_default().to_owned();
        assert!(title.chars().any(|c| c > '\u{2e7f}'), "{start} {title}");
        // What the market refuses is in the log of its commands, and nowhere else.
        let mut after = effects::tables(&app).await;
        for table in ["commands", "engine"] {
            before.remove(table);
            after.remove(table);
        }
        assert_eq!(before, after, "{start}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_wrong_in_one_of_many_lets_nothing_be_done() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let before = effects::tables(&app).await;
    let many = json!([bid("good", json!({})), bid("bad", json!({"units": "8"}))]);
    let page = send(&mut program, &many).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        (&said(&page)["index"], &said(&page)["field"]),
        (&json!(1), &json!("units"))
    );
    assert_eq!(before, effects::tables(&app).await);
    // Questions, bodies that are too large or of another kind, and URLs that are none.
    for (address, code) in [
        ("/api/v1/orders?limit=0", "bad_value"),
        ("/api/v1/orders?state=all", "bad_value"),
        ("/api/v1/orders?cursor=x", "bad_value"),
        ("/api/v1/orders?colour=red", "unknown_field"),
        ("/api/v1/none", "not_found"),
        ("/api/v1/orders/none", "unknown_order"),
    ] {
        let page = program.get(address).await;
        assert_eq!(said(&page)["code"], code, "{address} {}", page.body);
    }
    let page = program
        .send("POST", "/api/v1/orders", " ".repeat(2_000_000))
        .await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );
    let page = program.send("PUT", "/api/v1/orders", String::new()).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("method"))
    );
    let mut form = program.clone();
    form.sends.retain(|(name, _)| *name != "content-type");
    let page = form.send("POST", "/api/v1/orders", String::new()).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("no_json"))
    );
    assert_eq!(before, effects::tables(&app).await);
    app.stop().await;
}

#[tokio::test]
async fn whoever_sends_too_much_is_told_when_to_come_again() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let many: Vec<Value> = (0..1_000)
        .map(|n| json!({"do": "cancel", "id": format!("n{n}")}))
        .collect();
    let mut last = send(&mut program, &json!(many)).await;
    for _ in 0..9 {
        if last.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        last = send(&mut program, &json!(many)).await;
    }
    assert_eq!(said(&last)["code"], "too_many", "{}", last.status);
    assert!(last.headers.contains_key("retry-after"));
    // Another participant has its own measure.
    let roles = [Role::Buyer];
    let mut other = programs::program(&app, PROVIDER.0, &roles, &Scope::ALL, "bob").await;
    assert_eq!(
        send(&mut other, &bid("other", json!({}))).await.status,
        StatusCode::CREATED
    );
    app.stop().await;
}
