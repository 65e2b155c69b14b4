//! Every page of the site, by the router's own table, in both languages: on a phone and on a desk,
//! in the light and in the dark, seen by axe-core and by a camera. A page that is not named here
//! fails.

use axum::http::Method;
use sluice::router::routes;
use sluice::web::Role;

use crate::app::TestApp;
use crate::market::{BUYER, PROVIDER, bid};
use crate::oversight::busy;
use crate::people::{Factor, PLATFORM, member, member_with, of_platform};
use crate::support::Person;
use crate::visitor::Visitor;

/// Who opens a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Visitor,
    Entering,
    Buyer,
    Provider,
    Operations,
    Arbiter,
    Auditor,
}

/// Addresses that answer with a part of a page, a stream or a file.
fn is_part(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let parts = ["live", "bill", "claim", "preview", "note"];
    parts.contains(&last) || last.ends_with(".csv")
}

/// What fills in the address of a page, and who opens it.
fn page(path: &str) -> Option<(Who, &'static str)> {
    use Who::{Arbiter, Auditor, Buyer, Entering, Operations, Provider};
    let page = match path {
        "/" => (Who::Visitor, "/"),
        "/styleguide" => (Who::Visitor, "/styleguide"),
        "/guide" => (Who::Visitor, "/guide"),
        "/market/{symbol}" => (
            Buyer,
            "/market/A100-80GB.GUZ-GAN.SILVER?mode=advanced&timing=within&split=on",
        ),
        "/market/{symbol}/confirm" => (
            Buyer,
            "/market/A100-80GB.GUZ-GAN.SILVER/confirm?day=2026-10-26&hour=9&hours=4&units=8&price=12.00",
        ),
        "/sign-up" => (Who::Visitor, "/sign-up"),
        "/sign-in" => (Who::Visitor, "/sign-in?next=/orders"),
        "/second-factor" => (Entering, "/second-factor"),
        "/settings" => (Operations, "/settings"),
        "/settings/members" => (Buyer, "/settings/members"),
        "/settings/tokens" => (Buyer, "/settings/tokens"),
        "/join" => (Who::Visitor, "/join?invitation={invitation}"),
        "/orders" => (Buyer, "/orders"),
        "/orders/{id}" => (Buyer, "/orders/{order}"),
        "/orders/{id}/replacement" => (Buyer, "/orders/{order}/replacement?units=4&price=9.80"),
        "/orders/requests/{id}" => (Buyer, "/orders/requests/r1"),
        "/trades/{id}" => (Buyer, "/trades/t1"),
        "/leases" => (Buyer, "/leases"),
        "/leases/{id}" => (Buyer, "/leases/l1"),
        "/leases/{id}/hand-back" => (Buyer, "/leases/l1/hand-back"),
        "/keys" => (Buyer, "/keys"),
        "/leases/{id}/problem" => (Buyer, "/leases/{lease}/problem"),
        "/disputes" => (Buyer, "/disputes"),
        "/disputes/{id}" => (Arbiter, "/disputes/d1"),
        "/wallet" => (Buyer, "/wallet"),
        "/wallet/entries/{id}" => (Buyer, "/wallet/entries/{entry}"),
        "/ops/search" => (Auditor, "/ops/search?q=a"),
        "/ops/orders/{id}" => (Auditor, "/ops/orders/o1"),
        "/ops/trades/{id}" => (Auditor, "/ops/trades/t1"),
        "/ops/leases/{id}" => (Auditor, "/ops/leases/{lease}"),
        "/ops" => (Operations, "/ops"),
        "/ops/applications" => (Operations, "/ops/applications"),
        "/ops/applications/{id}" => (Operations, "/ops/applications/1"),
        "/ops/participants" => (Operations, "/ops/participants"),
        "/ops/participants/{id}" => (Operations, "/ops/participants/n2"),
        "/ops/cases" => (Operations, "/ops/cases"),
        "/ops/halts" => (Operations, "/ops/halts"),
        "/ops/relations" => (Operations, "/ops/relations"),
        "/ops/leases/{id}/default" => (Operations, "/ops/leases/{lease}/default"),
        "/ops/ledger" => (Auditor, "/ops/ledger"),
        "/ops/journal" => (Auditor, "/ops/journal"),
        "/ops/journal/{entry}" => (Auditor, "/ops/journal/{number}"),
        "/verify" => (Who::Visitor, "/verify"),
        "/verify/{identifier}" => (Who::Visitor, "/verify/{identifier}"),
        "/provide/apply" => (Buyer, "/provide/apply"),
        "/provide/pools" => (Provider, "/provide/pools"),
        "/provide/pools/new" => (Provider, "/provide/pools/new"),
        "/provide/pools/{id}" => (Provider, "/provide/pools/p1?tariff=night"),
        "/provide/pools/{id}/machines" => (Provider, "/provide/pools/p1/machines"),
        "/provide" => (Provider, "/provide"),
        "/provide/leases" => (Provider, "/provide/leases"),
        "/provide/leases/{id}" => (Provider, "/provide/leases/{lease}"),
        _ => return None,
    };
    Some(page)
}

/// The provider is certified, and its first pool is known and has simulated hosts.
const PROVIDES: [&str; 4] = [
    "INSERT INTO applications (participant, legal_name, credit_code, region, state,
         created_at, saved_at, submitted_at, decided_at)
     VALUES (1, '贵州黔云算力有限公司', '91350100M000100Y43', 'CN-GUZ-GAN', 'certified', now(),
         now(), now(), now())",
    "INSERT INTO identifiers (identifier, kind, subject, issued_at)
     VALUES ('SLN000000000173', 'provider', 1, now())",
    "INSERT INTO pool_openings (pool, participant, form_id, name, opened_by, opened_at)
         OVERRIDING SYSTEM VALUE
     SELECT 1, 1, 'pages-0000000001', '贵安一期', min(id), now() FROM users",
    "INSERT INTO hosts (pool, name, units, kind, fails_every, fails_minutes)
     VALUES (1, 'gpu-01', 32, 'simulated', 24, 60), (1, 'gpu-02', 32, 'simulated', NULL, NULL)",
];

/// People, and what the addresses of their pages are filled in with.
struct World {
    people: Vec<(Who, Visitor)>,
    fillings: Vec<(&'static str, String)>,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let mut buyer = member(app, BUYER.0, &[Role::Owner], "ada").await;
        let people = vec![
            (Who::Visitor, Visitor::new(app)),
            (
                Who::Entering,
                member_with(app, PLATFORM, &[Role::Arbiter], "entering", Factor::Missing).await,
            ),
            (
                Who::Provider,
                member(app, PROVIDER.0, &[Role::Owner], "wang").await,
            ),
            (Who::Operations, of_platform(app, Role::Operations).await),
            (Who::Arbiter, of_platform(app, Role::Arbiter).await),
            (Who::Auditor, of_platform(app, Role::Auditor).await),
        ];
        app.submit(bid("rests-still", 8, 97_000, (30, 34))).await;
        for insert in PROVIDES {
            let inserted = sqlx::query(insert).execute(&app.database.pool).await;
            inserted.expect("a row is written");
        }
        let invited = [("buyer", "on"), ("note", "周工")];
        let invited = buyer.post("/settings/members/invitations", &invited).await;
        let link = invited.text("#link");
        let (_, invitation) = link.split_once("invitation=").expect("a link");
        let above = buyer
            .post("/settings/members/approval", &[("above", "100")])
            .await;
        assert_eq!(above.status, 303, "{}", above.body);
        let mut asking = member(app, BUYER.0, &[Role::Buyer], "bob").await;
        let typed = [("units", "8"), ("hours", "4")];
        let asked = asking.order("A100-80GB.GUZ-GAN.SILVER", &typed).await;
        assert_eq!(asked.status, 303, "{}", asked.body);
        let number = async |query: &'static str| {
            let number = sqlx::query_scalar(query);
            let number: i64 = number.fetch_one(&app.database.pool).await.expect("a row");
            number
        };
        let order = number("SELECT max(id) FROM orders WHERE participant = 2 AND done IS NULL");
        let lease = number("SELECT max(id) FROM leases").await;
        let entry = number("SELECT max(id) FROM journal_entries WHERE reason = 'trade'").await;
        let fillings = vec![
            ("{invitation}", invitation.to_owned()),
            ("{order}", format!("o{}", order.await)),
            ("{lease}", format!("l{lease}")),
            ("{entry}", format!("e{entry}")),
            ("{number}", entry.to_string()),
            ("{identifier}", "SLN-0000000001-73".to_owned()),
        ];
        let people = people.into_iter().chain([(Who::Buyer, buyer)]).collect();
        Self { people, fillings }
    }

    fn fill(&self, path: &str) -> String {
        let fillings = self.fillings.iter();
        fillings.fold(path.to_owned(), |path, (name, value)| {
            path.replace(name, value)
        })
    }
}

/// The status of the page that is shown.
const STATUS: &str = "return performance.getEntriesByType('navigation')[0].responseStatus";

async fn look_at_every_page_in(language: &'static str) {
    let app = busy().await;
    let world = World::new(&app).await;
    let person = Person::new(&app, language).await;
    let mut unnamed = Vec::new();
    let pages = routes()
        .into_iter()
        .filter(|route| route.method == Method::GET);
    for route in pages.filter(|route| !is_part(route.path)) {
        let Some((who, path)) = page(route.path) else {
            unnamed.push(route.path);
            continue;
        };
        let as_whom = world.people.iter().find(|(one, _)| *one == who);
        let (_, visitor) = as_whom.expect("they are there");
        person.become_another(visitor).await;
        person.go(&world.fill(path)).await;
        assert_eq!(person.script(STATUS).await, 200, "{path} as {who:?}");
        let name = route.path.trim_matches('/').replace(['/', '{', '}'], "-");
        person.look(&format!("page-{name}")).await;
    }
    assert!(
        unnamed.is_empty(),
        "tests/browser/pages.rs has no {unnamed:?}"
    );
    person.browser.close().await;
    app.stop().await;
}

#[tokio::test]
async fn every_page_can_be_looked_at_in_chinese() {
    look_at_every_page_in("zh-CN").await;
}

#[tokio::test]
async fn every_page_can_be_looked_at_in_english() {
    look_at_every_page_in("en").await;
}
