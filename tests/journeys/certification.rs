//! Apply to provide: save as one types, send, be refused, mend it, be certified; and what an
//! identifier stands for.

use axum::http::StatusCode;

use crate::support::app::TestApp;
use crate::support::provider::{APPLICATION, applicant, certified, decide};
use crate::support::visitor::Visitor;

const FORM: &str = "form[action='/provide/apply']";

async fn states(app: &TestApp) -> Vec<(String, Option<String>)> {
    let rows = sqlx::query_as("SELECT state, reason FROM applications ORDER BY id");
    rows.fetch_all(&app.database.pool)
        .await
        .expect("the applications can be read")
}

#[tokio::test]
async fn a_participant_applies_and_is_certified() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "清渠", "10").await;
    let first = ada.get("/provide").await;
    assert_eq!(first.text(".first-steps .now"), "Apply for certification");
    let form = ada.get("/provide/apply").await;
    // A draft may be anything, and is there when one comes back.
    let draft = [("legal_name", "清渠"), ("credit_code", "9135")];
    let saved = ada.post("/provide/apply/draft", &draft).await;
    assert_eq!(saved.location(), "/provide/apply?saved");
    let again = ada.get("/provide/apply?saved").await;
    assert!(
        again.text("#saved").contains("Draft saved"),
        "{}",
        again.body
    );
    let (_, fields) = again.form(FORM);
    assert!(fields.contains(&("credit_code".to_owned(), "9135".to_owned())));
    assert_eq!(
        ada.get("/provide").await.text(".first-steps .button"),
        "Go on with it"
    );
    let sent = ada.submit(&form, FORM, &APPLICATION).await;
    assert_eq!(sent.location(), "/provide/apply");
    let state = ada.get("/provide/apply").await;
    assert_eq!(state.text("h1"), "Provider certification under review");
    // The code is kept as the register writes it.
    assert!(
        state.text(".facts").contains("91350100M000100Y43"),
        "{}",
        state.body
    );
    let identifier = state.text(".facts code");
    // Sent once more, or changed behind its back, it stays as it was sent.
    let twice = ada.submit(&form, FORM, &APPLICATION).await;
    assert_eq!(twice.location(), "/provide/apply");
    let late = ada.post("/provide/apply/draft", &draft).await;
    assert_eq!(late.location(), "/provide/apply?saved");
    assert_eq!(states(&app).await, [("submitted".to_owned(), None)]);
    let name: (String,) = sqlx::query_as("SELECT legal_name FROM applications")
        .fetch_one(&app.database.pool)
        .await
        .expect("there is one");
    assert_eq!(name.0, "贵州清渠算力有限公司");
    let acts: Vec<(String,)> = sqlx::query_as("SELECT act FROM acts WHERE act = 'apply'")
        .fetch_all(&app.database.pool)
        .await
        .expect("acts can be read");
    assert_eq!(acts.len(), 1, "an application is recorded once");
    let uncertified = ada.get(&format!("/verify/{identifier}")).await;
    assert!(
        uncertified.text(".notice").contains("not certified"),
        "{}",
        uncertified.body
    );
    decide(&app, "清渠", "certified", None).await;
    let state = ada.get("/provide/apply").await;
    assert_eq!(state.text("h1"), "Provider certification certified");
    let next = ada.get("/provide").await;
    assert_eq!(
        next.text(".first-steps .now"),
        "Open a pool: grade, units, period"
    );
    let certified = ada.get(&format!("/verify/{identifier}")).await;
    assert_eq!(
        certified.text(".notice.good"),
        "The provider is certified by the marketplace."
    );
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_application_is_said_at_its_fields_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let form = ada.get("/provide/apply").await;
    let empty = ada.submit(&form, FORM, &[]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(empty.texts(".field-error").len(), 8, "{}", empty.body);
    let long = "楼".repeat(3_000);
    for (field, typed, said) in [
        (
            "credit_code",
            "91350100M000100Y44",
            "check character doesn’t fit",
        ),
        ("credit_code", "9135010", "has 18 characters"),
        ("credit_code", "91350100I000100Y43", "no code has"),
        ("contact_mail", "nobody", "whole e-mail address"),
        (
            "contact_phone",
            "<script>alert(1)</script>",
            "7 to 20 digits",
        ),
        ("region", "CN-QQQ-YYY", "Pick the cluster"),
        ("legal_name", "清", "2 characters"),
        ("site_address", &long, "at most 200"),
        ("capacity", "eight\u{7}hosts of eight", "control characters"),
    ] {
        let mut typed_all = APPLICATION;
        for one in &mut typed_all {
            if one.0 == field {
                one.1 = typed;
            }
        }
        let wrong = ada.post("/provide/apply", &typed_all).await;
        assert_eq!(
            wrong.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={typed}"
        );
        let error = wrong.text(&format!("#{field}-error"));
        assert!(error.contains(said), "{field}: {error}");
        if field != "region" {
            let (_, fields) = wrong.form(FORM);
            assert!(
                fields.contains(&(field.to_owned(), typed.to_owned())),
                "{field}"
            );
        }
        assert!(!wrong.body.contains("<script>alert"), "{}", wrong.body);
    }
    // What no row can hold is not saved, and said: in the page, and to the page's own script.
    let nul = [("contact_name", "a\u{0}b")];
    let refused = ada.post("/provide/apply/draft", &nul).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    ada.sends.push(("hx-request", "true".to_owned()));
    let refused = ada.post("/provide/apply/draft", &nul).await;
    assert!(
        refused.text(".field-error").starts_with("Draft not saved."),
        "{}",
        refused.body
    );
    let saved = ada
        .post("/provide/apply/draft", &[("contact_name", "王工")])
        .await;
    assert!(saved.body.starts_with("Draft saved at "), "{}", saved.body);
    assert_eq!(states(&app).await, [("draft".to_owned(), None)]);
    app.stop().await;
}

#[tokio::test]
async fn a_refused_application_says_why_and_is_sent_again() {
    let app = TestApp::start().await;
    let mut ada = applicant(&app, "清渠", "10").await;
    decide(&app, "清渠", "refused", Some("site_unverified")).await;
    let note = "UPDATE applications SET note = '请补 <b>租赁合同</b>'";
    let noted = sqlx::query(note).execute(&app.database.pool).await;
    noted.expect("a note is written");
    let page = ada.get("/provide/apply").await;
    let notice = page.text(".notice");
    assert!(
        notice.contains("The site could not be verified."),
        "{notice}"
    );
    assert!(
        notice.contains("<b>租赁合同</b>"),
        "what people write is text: {notice}"
    );
    let (_, fields) = page.form(FORM);
    assert!(
        fields.contains(&("contact_name".to_owned(), "王工".to_owned())),
        "{fields:?}"
    );
    assert!(
        ada.get("/provide")
            .await
            .body
            .contains("See why and mend it")
    );
    let again = ada
        .submit(&page, FORM, &[("site_address", "贵安新区数据中心二号楼")])
        .await;
    assert_eq!(again.location(), "/provide/apply");
    let refused = ("refused".to_owned(), Some("site_unverified".to_owned()));
    assert_eq!(
        states(&app).await,
        [refused, ("submitted".to_owned(), None)]
    );
    // The identifier is the same, whatever was decided.
    let identifiers: (i64,) = sqlx::query_as("SELECT count(*) FROM identifiers")
        .fetch_one(&app.database.pool)
        .await
        .expect("identifiers are counted");
    assert_eq!(identifiers.0, 1);
    // A reason that this page has no words for is shown as it is.
    decide(&app, "清渠", "refused", Some("made_up_later")).await;
    let page = ada.get("/provide/apply").await;
    assert!(
        page.text(".notice").contains("made_up_later"),
        "{}",
        page.body
    );
    app.stop().await;
}

#[tokio::test]
async fn applications_sent_at_once_are_one() {
    let app = TestApp::start().await;
    let ada = Visitor::member(&app, "ada", "10").await;
    let sendings = (0..8).map(|_| {
        let mut ada = ada.clone();
        async move { ada.post("/provide/apply", &APPLICATION).await.status }
    });
    let answers = futures_util::future::join_all(sendings).await;
    assert_eq!(answers, [StatusCode::SEE_OTHER; 8]);
    assert_eq!(states(&app).await, [("submitted".to_owned(), None)]);
    app.stop().await;
}

#[tokio::test]
async fn an_identifier_says_what_it_stands_for_and_nothing_else_does() {
    let app = TestApp::start().await;
    let mut ada = certified(&app, "清渠", "10").await;
    let identifier = ada.get("/provide/apply").await.text(".facts code");
    let mut nobody = Visitor::new(&app);
    let typed = format!("/verify?identifier=%20{}%20", identifier.to_lowercase());
    let onward = nobody.get(&typed).await.location().to_owned();
    let page = nobody.get(&onward).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.text(".panel h2"), "清渠");
    assert!(page.text(".facts").contains("贵州清渠算力有限公司"));
    // Its register number and its people are nobody's business.
    for private in ["91350100M000100Y43", "王工", "8888", "qingqu.example"] {
        assert!(!page.body.contains(private), "{private}");
    }
    let json = nobody.get(&format!("/verify/{identifier}.json")).await;
    assert_eq!(json.headers["content-type"], "application/json");
    let json: serde_json::Value = serde_json::from_str(&json.body).expect("JSON");
    assert_eq!(json["identifier"], identifier.as_str());
    assert_eq!(json["kind"], "provider");
    assert_eq!(json["provider"]["certified"], true);
    assert_eq!(json["provider"]["name"], "清渠");
    assert_eq!(json["pool"], serde_json::Value::Null);
    let digits = identifier.trim_start_matches("SLN-").replace('-', "");
    let mistyped = format!("SLN{}{}", u64::from(!digits.starts_with('1')), &digits[1..]);
    let never = {
        let number = market::ParticipantId(987_654);
        sluice::web::identifier::Identifier(sluice::web::identifier::Subject::Provider(number))
    };
    for (typed, error, said) in [
        (mistyped, "check", "check digits don’t fit"),
        (never.to_string(), "unknown", "never given out"),
        (
            "p1".to_owned(),
            "shape",
            "no identifier of this marketplace",
        ),
        (
            "%3Cscript%3E".to_owned(),
            "shape",
            "no identifier of this marketplace",
        ),
        (
            "9".repeat(3_000),
            "shape",
            "no identifier of this marketplace",
        ),
    ] {
        let page = nobody.get(&format!("/verify/{typed}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{typed}");
        assert!(
            page.text("#identifier-error").contains(said),
            "{typed}: {}",
            page.body
        );
        assert!(!page.body.contains("<script>"), "{}", page.body);
        let mut machine = Visitor::new(&app);
        machine
            .sends
            .push(("accept", "application/json".to_owned()));
        let json = machine.get(&format!("/verify/{typed}")).await;
        assert_eq!(json.status, StatusCode::NOT_FOUND);
        assert_eq!(json.body, format!("{{\"error\":\"{error}\"}}"));
    }
    app.stop().await;
}
