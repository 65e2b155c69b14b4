//! Providers: participants that have applied, been certified, and opened a pool.

use axum::http::StatusCode;

use super::app::TestApp;
use super::visitor::Visitor;

/// An application with nothing wrong in it.
pub(crate) const APPLICATION: [(&str, &str); 8] = [
    ("legal_name", "贵州清渠算力有限公司"),
    ("credit_code", "91350100m000100y43"),
    ("contact_name", "王工"),
    ("contact_phone", "+86 851 8888 6666"),
    ("contact_mail", "ops@qingqu.example"),
    ("region", "CN-GUZ-GAN"),
    ("site_address", "贵安新区数据中心一号楼"),
    ("capacity", "A100-80GB 整机 8 台，NVLink，双路 100G 上联"),
];

/// A participant that has sent an application, with so much money.
pub(crate) async fn applicant(app: &TestApp, name: &str, yuan: &str) -> Visitor {
    let mut visitor = Visitor::member(app, name, yuan).await;
    let sent = visitor.post("/provide/apply", &APPLICATION).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    visitor
}

/// Decides on the application of a participant as the marketplace's people do.
pub(crate) async fn decide(app: &TestApp, name: &str, state: &str, reason: Option<&str>) {
    let decide = "UPDATE applications SET state = $2, reason = $3, decided_at = now()
         WHERE state = 'submitted'
           AND participant = (SELECT id FROM participants WHERE name = $1)";
    let decided = sqlx::query(decide)
        .bind(name)
        .bind(state)
        .bind(reason)
        .execute(&app.database.pool)
        .await;
    let decided = decided.expect("an application is decided");
    assert_eq!(decided.rows_affected(), 1, "{name} has applied");
}

/// A certified participant with so much money.
pub(crate) async fn certified(app: &TestApp, name: &str, yuan: &str) -> Visitor {
    let visitor = applicant(app, name, yuan).await;
    decide(app, name, "certified", None).await;
    visitor
}

/// A pool as it is typed: 16 cards for ten days from the market's opening.
pub(crate) const POOL: [(&str, &str); 9] = [
    ("name", "一期"),
    ("grade", "A100-80GB"),
    ("level", "SILVER"),
    ("access", "instant"),
    ("units", "16"),
    ("from_day", "2026-10-25"),
    ("from_hour", "8"),
    ("to_day", "2026-11-03"),
    ("to_hour", "24"),
];

/// A certified participant with a pool of 16 cards, and the pool's page.
pub(crate) async fn with_pool(app: &TestApp, name: &str, yuan: &str) -> (Visitor, String) {
    let mut visitor = certified(app, name, yuan).await;
    let form = visitor.get("/provide/pools/new").await;
    let opened = visitor.submit(&form, NEW_POOL, &POOL).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.body);
    let (path, _) = opened
        .location()
        .split_once('?')
        .expect("a word of success");
    (visitor, path.to_owned())
}

/// The form of a new pool.
pub(crate) const NEW_POOL: &str = "form[action='/provide/pools']";
