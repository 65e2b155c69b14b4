//! Disputes as people see them: a buyer reports a problem, the provider answers, two arbiters
//! rule, and every wrong turn on the way.

mod reports;
mod rulings;

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use market::{Command, DisputeId, LeaseId, Money, Rules};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, bid, deliver, hour};
use crate::support::people::{PLATFORM, member, participant};
use crate::support::visitor::{Page, Visitor};

const REPORT: &str = "form[action$='/problem']";
const SAY: &str = "form[action$='/messages']";
const PROPOSE: &str = "form[action$='/proposals']";
const DECIDE: &str = "form[action$='/decision']";

/// Twenty minutes of all eight units: ⌊10.00 × 20 × 8 ÷ 60⌋.
const CLAIM: [(&str, &str); 4] = [
    ("reason", "interconnect"),
    ("minutes", "20"),
    ("text", "all-reduce stood still for twenty minutes"),
    ("claim", "26.6666"),
];

/// Ten of them.
const AWARD: [(&str, &str); 3] = [
    ("minutes", "10"),
    ("reason", "the probes show ten minutes"),
    ("award", "13.3333"),
];

/// Everybody who has to do with the lease `l1`: four hours of eight units at 10.00, of which one
/// was delivered whole, of one 20 minutes are missing, and one is in course.
struct World {
    app: TestApp,
    ada: Visitor,
    provider: Visitor,
    lin: Visitor,
    zhou: Visitor,
}

fn rules() -> Rules {
    sluice::rules::load(None).expect("the standard rules")
}

impl World {
    async fn open() -> Self {
        let app = TestApp::with(rules(), Limits::default()).await;
        app.submit(bid("leased", 8, 100_000, (1, 5))).await;
        app.clock().set(hour(3));
        app.submit(deliver(1, 1, 60)).await;
        app.submit(deliver(1, 2, 40)).await;
        Self {
            ada: member(&app, BUYER.0, &[Role::Owner], "ada").await,
            provider: member(&app, PROVIDER.0, &[Role::Operator], "operator").await,
            lin: member(&app, PLATFORM, &[Role::Arbiter], "lin").await,
            zhou: member(&app, PLATFORM, &[Role::Arbiter], "zhou").await,
            app,
        }
    }

    /// The same, with the dispute `d1` opened and answered.
    async fn answered() -> Self {
        let mut world = Self::open().await;
        world.claim().await;
        let page = world.provider.get("/disputes/d1").await;
        let said = [("text", "Our readings show no gap in that hour.")];
        let said = world.provider.submit(&page, SAY, &said).await;
        assert_eq!(said.location(), "/disputes/d1#messages", "{}", said.body);
        world
    }

    /// The same, with Lin's proposal.
    async fn proposed() -> Self {
        let mut world = Self::answered().await;
        let page = world.lin.get("/disputes/d1").await;
        let proposed = world.lin.submit(&page, PROPOSE, &AWARD).await;
        assert_eq!(
            proposed.location(),
            "/disputes/d1#ruling",
            "{}",
            proposed.body
        );
        world
    }

    async fn claim(&mut self) {
        let page = self.ada.get("/leases/l1/problem").await;
        let opened = self.ada.submit(&page, REPORT, &in_second_hour()).await;
        assert_eq!(opened.location(), "/disputes/d1?opened", "{}", opened.body);
    }

    /// How often something stands in a table.
    async fn count(&self, sql: &'static str) -> i64 {
        let counted = sqlx::query_scalar(sql).fetch_one(&self.app.database.pool);
        counted.await.expect("it is counted")
    }

    async fn run(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(&self.app.database.pool).await;
        done.expect(sql);
    }

    async fn rulings(&self) -> i64 {
        self.count("SELECT count(*) FROM commands WHERE body ->> 'do' = 'rule_dispute'")
            .await
    }
}

/// A claim about the hour that has all its readings.
fn in_second_hour() -> Vec<(&'static str, &'static str)> {
    [&CLAIM[..], &[("day", "2026-10-25"), ("hour", "10")]].concat()
}

/// An approval of the only proposal.
const APPROVAL: [(&str, &str); 3] = [
    ("proposal", "1"),
    ("decision", "approve"),
    ("opinion", "I agree"),
];

fn assert_refused(page: &Page, status: StatusCode, says: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    let notice = page.text("[role=alert]");
    assert!(notice.contains(says), "{notice}");
}

#[tokio::test]
async fn a_claim_is_answered_proposed_approved_and_booked() {
    let mut world = World::open().await;
    let leases = world.ada.get("/leases").await;
    assert!(!leases.has("nav [href='/disputes']"));
    let lease = world.ada.get("/leases/l1").await;
    assert!(lease.has("a[href='/leases/l1/problem']"));
    let report = world.ada.get("/leases/l1/problem").await;
    assert_eq!(report.status, StatusCode::OK);
    // Five hours after the opening, and 72 more.
    assert!(
        report.body.contains("Wed 28 Oct 13:00 (UTC+8)"),
        "{}",
        report.body
    );
    let shown = world
        .ada
        .get("/leases/l1/problem/claim?day=2026-10-25&hour=10&hours=1&minutes=20&units=8")
        .await;
    assert!(
        shown
            .body
            .contains("⌊10.00 × 20 min × 8 units ÷ 60⌋ = 26.6666"),
        "{}",
        shown.body
    );
    assert_eq!(shown.text("button"), "Send · claim ¥26.6666");
    world.claim().await;
    let lease = world.ada.get("/leases/l1").await;
    assert!(!lease.has("a[href='/leases/l1/problem']"));
    assert!(lease.has("a.button[href='/disputes/d1']"));

    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(
        room.text("h1"),
        "Dispute d1 · interconnect down awaiting the provider's answer"
    );
    let frozen = room.texts("[sse-swap=ruling] .lines div");
    assert_eq!(
        frozen,
        [
            "Escrow (hours over, not settled) 0.0000",
            "Provider's bond 26.6666",
            "Provider's payable 0.0000",
            "Provider's cash 0.0000",
            "Frozen 26.6666"
        ]
    );
    let lanes = room.texts(".lane > p.number");
    assert_eq!(lanes, ["160 unit-min missing", "20 min × 8 units"]);
    assert_eq!(
        room.texts(".evidence-hours tbody tr"),
        ["Sun 25 Oct 10:00 – 11:00 320 / 480 reported reading 26.6667"]
    );
    assert!(
        room.text(".said .said-text")
            .contains("all-reduce stood still")
    );

    answer(&mut world).await;
    rule(&mut world).await;
    world.app.stop().await;
}

/// The provider sees what is to be answered, and until when, and does.
async fn answer(world: &mut World) {
    let list = world.provider.get("/disputes").await;
    assert!(
        list.text(".dispute-row .tag")
            .contains("your answer is due")
    );
    assert!(list.text(".dispute-row").contains("1 d 0 h left"));
    assert!(list.has(".sections [href='/disputes'][aria-current]"));
    let room = world.provider.get("/disputes/d1").await;
    assert!(!room.has(PROPOSE) && !room.has(DECIDE));
    let said = [("text", "Our readings show no gap.")];
    let said = world.provider.submit(&room, SAY, &said).await;
    assert_eq!(said.location(), "/disputes/d1#messages");
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(
        room.texts(".said .said-text"),
        [CLAIM[2].1, "Our readings show no gap."]
    );
}

/// Lin proposes ten minutes, Zhou approves; both parties see what was booked.
async fn rule(world: &mut World) {
    let cash = "SELECT amount FROM balances WHERE kind = 'cash' AND participant = 2";
    let before = world.count(cash).await;
    let shown = world
        .lin
        .get("/disputes/d1/preview?minutes=10&units=8")
        .await;
    let lines = shown.texts(".entry tbody tr");
    assert_eq!(
        lines,
        [
            "Disputed · 黔云算力 −26.6666",
            "Available · 听澜智能 +13.3333",
            "Bond · 黔云算力 +13.3333"
        ]
    );
    assert_eq!(shown.text(".entry tfoot"), "Total (must be zero) 0.0000");
    assert!(shown.text(".entry .tag").contains("not booked"));
    let room = world.lin.get("/disputes/d1").await;
    let proposed = world.lin.submit(&room, PROPOSE, &AWARD).await;
    assert_eq!(
        proposed.location(),
        "/disputes/d1#ruling",
        "{}",
        proposed.body
    );
    let room = world.lin.get("/disputes/d1").await;
    assert!(room.has("button[disabled]"), "{}", room.body);
    let room = world.zhou.get("/disputes/d1").await;
    assert_eq!(room.texts(".entry-draft tbody tr"), lines);
    let button = room.text("button[value=approve]");
    assert_eq!(button, "Approve and book ¥13.3333");
    // The parties see what is proposed, not by whom.
    let theirs = world.ada.get("/disputes/d1").await;
    assert!(theirs.text("#ruling").contains("proposed by arbiter"));
    assert!(!theirs.body.contains("by lin"), "{}", theirs.body);
    assert_eq!(theirs.texts(".lane > p.number")[2], "10 min × 8 units");
    let typed = [("decision", "approve"), ("opinion", "The probes agree.")];
    let ruled = world.zhou.submit(&room, DECIDE, &typed).await;
    assert_eq!(ruled.location(), "/disputes/d1?ruled", "{}", ruled.body);
    for reader in [&mut world.ada, &mut world.provider, &mut world.lin] {
        let room = reader.get("/disputes/d1").await;
        assert!(room.text("h1").ends_with("ruled"));
        let lease = room.attribute(".under a", "href");
        assert_eq!(reader.get(&lease).await.status, StatusCode::OK, "{lease}");
        assert_eq!(
            room.texts("[sse-swap=ruling] .panel:first-child .lines div"),
            [
                "Awarded to the buyer 13.3333",
                "Paid from what was frozen 13.3333",
                "Unfunded (nothing frozen for it) 0.0000",
                "Released 13.3333"
            ]
        );
        let titles = room.texts(".entry h3");
        assert!(titles[0].starts_with("Frozen by dispute J-"), "{titles:?}");
        assert!(titles[1].starts_with("Dispute decided J-"), "{titles:?}");
        // What was booked is what was shown.
        assert_eq!(room.texts(".entry + .entry tbody tr"), lines);
        assert!(!room.has(SAY) && !room.has(PROPOSE) && !room.has(DECIDE));
    }
    assert_eq!(world.count(cash).await - before, 133_333);
    let acts = "SELECT count(*) FROM acts WHERE subject = 'd1'
        AND act IN ('propose_ruling', 'approve_ruling')";
    assert_eq!(world.count(acts).await, 3);
}

#[tokio::test]
async fn strangers_see_nothing_and_roles_hold() {
    let mut world = World::proposed().await;
    let other = participant(&world.app, "白鹭渲染").await;
    let mut stranger = member(&world.app, other, &[Role::Owner], "stranger").await;
    let mut finance = member(&world.app, BUYER.0, &[Role::Finance], "finance").await;
    let mut auditor = member(&world.app, PLATFORM, &[Role::Auditor], "auditor").await;
    for path in [
        "/disputes/d1",
        "/disputes/d1/live",
        "/disputes/d1/preview",
        "/leases/l1/problem",
        "/leases/l1/problem/claim",
    ] {
        let theirs = stranger.get(path).await;
        let absent = stranger.get(&path.replace('1', "999")).await;
        assert_eq!(
            (theirs.status, absent.status),
            (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND)
        );
        assert_eq!(theirs.text("h1"), absent.text("h1"));
    }
    let list = stranger.get("/disputes").await;
    assert!(!list.body.contains("/disputes/d1"));
    let typed = in_second_hour();
    for (path, fields) in [
        ("/leases/l1/problem", &typed[..]),
        (
            "/disputes/d1/messages",
            &[("text", "x"), ("form_id", "web-0123456789abcdef")],
        ),
    ] {
        let sent = stranger.post(path, fields).await;
        assert_eq!(sent.status, StatusCode::NOT_FOUND);
    }
    // The parties and the onlookers neither propose nor approve: the doors are not there.
    for who in [
        &mut world.ada,
        &mut world.provider,
        &mut auditor,
        &mut stranger,
    ] {
        for (path, fields) in [
            ("/disputes/d1/proposals", &AWARD[..]),
            ("/disputes/d1/decision", &APPROVAL),
        ] {
            assert_eq!(who.post(path, fields).await.status, StatusCode::NOT_FOUND);
        }
    }
    // Members read, and only those who speak for their participant write.
    let room = finance.get("/disputes/d1").await;
    assert_eq!(room.status, StatusCode::OK);
    assert!(!room.has(SAY));
    let message = [("text", "x"), ("form_id", "web-0123456789abcdef")];
    let said = finance.post("/disputes/d1/messages", &message).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    let report = finance.get("/leases/l1/problem").await;
    assert_eq!(report.status, StatusCode::FORBIDDEN);
    let room = auditor.get("/disputes/d1").await;
    assert!(room.text("#ruling").contains("proposed by lin"));
    assert!(!room.has("main form"), "{}", room.body);
    let said = auditor.post("/disputes/d1/messages", &message).await;
    assert_eq!(said.status, StatusCode::NOT_FOUND);
    assert_eq!(world.rulings().await, 0);
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_messages").await,
        1
    );
    world.app.stop().await;
}

#[tokio::test]
async fn what_is_said_is_text_in_its_order_and_once() {
    let mut world = World::answered().await;
    let page = world.ada.get("/disputes/d1").await;
    let hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>\r\n\u{202e}second line";
    for _ in 0..2 {
        let said = world.ada.submit(&page, SAY, &[("text", hostile)]).await;
        assert_eq!(said.location(), "/disputes/d1#messages", "{}", said.body);
    }
    let room = world.provider.get("/disputes/d1").await;
    assert!(
        !room.has("main img") && !room.has("main script"),
        "{}",
        room.body
    );
    let said = room.texts(".said .said-text");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].starts_with("\"><img src=x onerror=alert(1)>"));
    // The arbiters speak to both; nobody's name is shown.
    let page = world.lin.get("/disputes/d1").await;
    world
        .lin
        .submit(&page, SAY, &[("text", "Please add the probe's log.")])
        .await;
    let room = world.ada.get("/disputes/d1").await;
    assert!(room.text(".said-platform").contains("arbiter"));
    let page = world.ada.get("/disputes/d1").await;
    let long = "a".repeat(4_001);
    for (typed, says) in [
        ("", "Say something"),
        (&*long, "4001"),
        ("\u{7}", "control characters"),
    ] {
        let wrong = world.ada.submit(&page, SAY, &[("text", typed)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.text("#text-error").contains(says), "{typed}");
        assert_eq!(wrong.text("textarea"), typed.trim());
    }
    let most = "a".repeat(4_000);
    let said = world.ada.submit(&page, SAY, &[("text", &most)]).await;
    assert_eq!(said.status, StatusCode::SEE_OTHER);
    // Two hundred messages of one side are enough.
    world
        .run(
            "INSERT INTO dispute_messages (dispute, participant, user_id, form_id, said_at, text)
             SELECT 1, 2, 1, 'web-filled-in-' || n, now(), 'x' FROM generate_series(100, 297) n",
        )
        .await;
    let page = world.ada.get("/disputes/d1").await;
    let full = world.ada.submit(&page, SAY, &[("text", "one more")]).await;
    assert_refused(&full, StatusCode::CONFLICT, "at most 200 things");
    assert_eq!(full.text("textarea"), "one more");
    world.app.stop().await;
}

#[tokio::test]
async fn a_dispute_without_a_report_has_a_room_too() {
    let mut world = World::open().await;
    let claim = Command::OpenDispute {
        participant: BUYER,
        lease: LeaseId(1),
        amount: Money(100_000),
    };
    world.app.submit(claim).await;
    let room = world.provider.get("/disputes/d1").await;
    assert!(room.text("h1").starts_with("Dispute d1 awaiting"));
    assert!(room.body.contains("Nobody has said anything yet"));
    // All of the lease is disputed.
    assert_eq!(room.texts(".evidence-hours tbody tr").len(), 4);
    world.app.stop().await;
}

#[tokio::test]
async fn what_is_said_and_proposed_comes_by_itself() {
    let mut world = World::answered().await;
    let stream = world
        .ada
        .open("GET", "/disputes/d1/live", String::new())
        .await;
    assert_eq!(stream.status(), StatusCode::OK);
    let mut body = Body::new(stream.into_body());
    let mut text = String::new();
    let mut until = async |word: &str| {
        let reading = async {
            while !text.contains(word) {
                let frame = body.frame().await.expect("it goes on").expect("it is read");
                let data = frame.into_data().expect("data");
                text.push_str(&String::from_utf8_lossy(&data));
            }
        };
        let reading = tokio::time::timeout(Duration::from_secs(30), reading);
        reading
            .await
            .unwrap_or_else(|_| panic!("{word} never came"));
    };
    until("event: alive").await;
    let page = world.provider.get("/disputes/d1").await;
    let said = [("text", "One thing more.")];
    world.provider.submit(&page, SAY, &said).await;
    until("One thing more.").await;
    let page = world.lin.get("/disputes/d1").await;
    world.lin.submit(&page, PROPOSE, &AWARD).await;
    until("awaiting a second arbiter").await;
    world.zhou.post("/disputes/d1/decision", &APPROVAL).await;
    until("Dispute decided J-").await;
    world.app.stop().await;
}

#[tokio::test]
async fn decided_disputes_go_back_page_by_page() {
    let mut world = World::open().await;
    for number in 1..=51 {
        let claim = Command::OpenDispute {
            participant: BUYER,
            lease: LeaseId(1),
            amount: Money(10_000),
        };
        world.app.submit(claim).await;
        let ruling = Command::RuleDispute {
            dispute: DisputeId(number),
            award: Money::ZERO,
        };
        world.app.submit(ruling).await;
    }
    let page = world.ada.get("/disputes").await;
    assert_eq!(page.texts(".dispute-row").len(), 50);
    let more = world.ada.get("/disputes?below=d2").await;
    assert!(page.has("a[href='/disputes?below=d2']"));
    assert_eq!(more.texts(".dispute-row").len(), 1);
    assert!(!more.has(".more"));
    for odd in ["/disputes?below=x", "/disputes?below=d99999999999999999999"] {
        assert_eq!(world.ada.get(odd).await.status, StatusCode::OK);
    }
    world.app.stop().await;
}
