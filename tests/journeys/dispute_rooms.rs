//! Disputes as people see them: a buyer reports a problem, the provider answers, two arbiters
//! rule, and every wrong turn on the way.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use market::{Command, DisputeId, LeaseId, Money, ParticipantId, Rules};
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
    assert!(
        !world
            .ada
            .get("/leases")
            .await
            .body
            .contains("\"/disputes\"")
    );
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

    // The provider sees what is to be answered, and until when.
    let list = world.provider.get("/disputes").await;
    assert!(
        list.text(".dispute-row .tag")
            .contains("your answer is due")
    );
    assert!(
        list.text(".dispute-row").contains("24 h 0 min left")
            || list.text(".dispute-row").contains("1 d 0 h left")
    );
    assert!(list.body.contains("href=\"/disputes\" aria-current"));
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

    rule(&mut world).await;
    world.app.stop().await;
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
async fn what_is_wrong_with_a_report_is_said_at_its_field() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let long = "長".repeat(4_001);
    for (field, typed, says) in [
        ("reason", "unheard_of", "Pick what went wrong"),
        ("day", "2026-02-30", "Pick a day"),
        ("day", "2026-10-26", "not all the lease's"),
        ("hours", "3", "have not begun"),
        ("minutes", "61", "from 1 to 60"),
        ("minutes", "99999999999999999999", "from 1 to 60"),
        ("units", "9", "from 1 to 8"),
        ("text", "", "Say something"),
        ("text", "a\0b", "control characters"),
        ("text", &long, "at most 4000 characters; this has 4001"),
        // Of the 480 unit-minutes of that hour 160 are refunded.
        ("minutes", "41", "Only 320 unit-minutes"),
    ] {
        let mut fields = in_second_hour();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, typed));
        let wrong = world.ada.submit(&page, REPORT, &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        let at = match field {
            "hours" => "day",
            field => field,
        };
        let error = wrong.text(&format!("#{at}-error")).to_lowercase();
        assert!(
            error.contains(&says.to_lowercase()),
            "{field}={typed}: {error}"
        );
        // Nothing typed is lost.
        if field != "text" {
            assert_eq!(wrong.text("textarea"), CLAIM[2].1);
        }
    }
    for (amount, says) in [
        ("320.0001", "more than the most"),
        ("0", "must be positive"),
        ("1e9", "such as 100"),
        ("99999999999999999999", "too large"),
    ] {
        let fields = [
            &in_second_hour()[..],
            &[("by", "amount"), ("amount", amount)],
        ]
        .concat();
        let wrong = world.ada.submit(&page, REPORT, &fields).await;
        assert!(wrong.text("#amount-error").contains(says), "{amount}");
    }
    // An amount that the button did not name is not claimed.
    let mut fields = in_second_hour();
    fields.retain(|(name, _)| *name != "claim");
    let unconfirmed = world.ada.submit(&page, REPORT, &fields).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    assert_refused(&unconfirmed, status, "worked out anew");
    assert_eq!(unconfirmed.text("#claim button"), "Send · claim ¥26.6666");
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 0);
    let huge = "x".repeat(70_000);
    let huge = world
        .ada
        .post("/leases/l1/problem", &[("text", &huge)])
        .await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    world.app.stop().await;
}

#[tokio::test]
async fn a_report_sent_twice_is_one_dispute() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let typed = in_second_hour();
    let (mut left, mut right) = (world.ada.clone(), world.ada.clone());
    let (left, right) = tokio::join!(
        left.submit(&page, REPORT, &typed),
        right.submit(&page, REPORT, &typed)
    );
    for sent in [left, right, world.ada.submit(&page, REPORT, &typed).await] {
        assert_eq!(sent.location(), "/disputes/d1?opened", "{}", sent.body);
    }
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM dispute_claims").await, 1);
    // Another tab has another form: the page says that there is one.
    let again = world.ada.get("/leases/l1/problem").await;
    assert!(!again.has(REPORT) && again.has("a[href='/disputes/d1']"));
    let typed = [&typed[..], &[("form_id", "web-another-tab-0000")]].concat();
    let other = world.ada.submit(&page, REPORT, &typed).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert!(other.body.contains("Dispute d1 about this lease is open"));
    assert!(other.text(".said-text").contains("all-reduce stood still"));
    assert_eq!(world.count("SELECT count(*) FROM dispute_claims").await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn two_reports_at_once_keep_their_own_words() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let mut tasks = Vec::new();
    for tab in 0..6 {
        let (mut ada, page_form) = (world.ada.clone(), page.form(REPORT));
        let (form_id, text) = (format!("web-tab-number-{tab}-00000"), format!("tab {tab}"));
        tasks.push(async move {
            let (action, fields) = page_form;
            let mut sent: Vec<(String, String)> = fields
                .into_iter()
                .filter(|(name, _)| !["form_id", "claim", "by", "amount"].contains(&name.as_str()))
                .collect();
            for (name, value) in [
                ("form_id", form_id.as_str()),
                ("reason", "slow"),
                ("text", text.as_str()),
                ("by", "amount"),
                ("amount", "5"),
                ("claim", "5.0000"),
            ] {
                sent.retain(|(known, _)| known != name);
                sent.push((name.to_owned(), value.to_owned()));
            }
            let sent: Vec<(&str, &str)> = sent
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            (text.clone(), ada.post(&action, &sent).await)
        });
    }
    let mut opened = Vec::new();
    for (text, page) in join_all(tasks).await {
        match page.status {
            StatusCode::SEE_OTHER => opened.push(text),
            StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {}
            status => panic!("{status}: {}", page.body),
        }
    }
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), opened);
    world.app.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_before_a_lease_begins_or_after_its_window() {
    let app = TestApp::with(rules(), Limits::default()).await;
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    let mut ada = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let early = ada.get("/leases/l1/problem").await;
    assert!(!early.has(REPORT));
    assert!(early.text(".notice").contains("begins at Sun 25 Oct 09:00"));
    app.clock().set(hour(2));
    let page = ada.get("/leases/l1/problem").await;
    assert!(page.has(REPORT));
    app.clock().set(hour(5 + 72));
    for (page, status) in [
        (ada.get("/leases/l1/problem").await, StatusCode::OK),
        (
            ada.submit(&page, REPORT, &in_second_hour()).await,
            StatusCode::CONFLICT,
        ),
    ] {
        assert_eq!(page.status, status, "{}", page.body);
        let notice = page.text(".notice");
        assert!(
            notice.contains("closed at Wed 28 Oct 13:00 (UTC+8)"),
            "{notice}"
        );
        assert!(!page.has(REPORT));
    }
    app.stop().await;
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
    assert!(
        !stranger
            .get("/disputes")
            .await
            .body
            .contains("/disputes/d1")
    );
    let typed = in_second_hour();
    for (path, fields) in [
        ("/leases/l1/problem", &typed[..]),
        (
            "/disputes/d1/messages",
            &[("text", "x"), ("form_id", "web-0123456789abcdef")],
        ),
    ] {
        assert_eq!(
            stranger.post(path, fields).await.status,
            StatusCode::NOT_FOUND
        );
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
async fn a_ruling_waits_for_the_answer_or_the_end_of_its_time() {
    let mut world = World::open().await;
    world.claim().await;
    let page = world.lin.get("/disputes/d1").await;
    assert!(!page.has(PROPOSE), "{}", page.body);
    let fields = [&AWARD[..], &[("by", "minutes"), ("units", "8")]].concat();
    let early = world.lin.post("/disputes/d1/proposals", &fields).await;
    assert_refused(
        &early,
        StatusCode::CONFLICT,
        "until Mon 26 Oct 11:00 (UTC+8)",
    );
    assert!(early.text(".unsent").contains(AWARD[1].1));
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        0
    );
    world.app.clock().set(hour(3 + 24));
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.text("h1").ends_with("not answered in time"));
    let proposed = world.lin.submit(&page, PROPOSE, &AWARD).await;
    assert_eq!(proposed.location(), "/disputes/d1#ruling");
    world.app.stop().await;
}

#[tokio::test]
async fn a_proposal_is_confirmed_within_bounds_and_stands_alone() {
    let mut world = World::answered().await;
    let page = world.lin.get("/disputes/d1").await;
    for (field, typed, says) in [
        ("minutes", "61", "from 0 to 60"),
        ("minutes", "21", "more than the most there can be, ¥26.6666"),
        ("units", "0", "from 1 to 8"),
        ("reason", " ", "Say something"),
    ] {
        let mut fields = AWARD.to_vec();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, typed));
        let wrong = world.lin.submit(&page, PROPOSE, &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(
            wrong.text(&format!("#{field}-error")).contains(says),
            "{field}"
        );
    }
    let mut fields = AWARD.to_vec();
    fields[2] = ("award", "13.33");
    let unconfirmed = world.lin.submit(&page, PROPOSE, &fields).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    assert_refused(&unconfirmed, status, "worked out anew");
    assert_eq!(
        unconfirmed.text("#effect > button"),
        "Propose an award of ¥13.3333"
    );
    assert!(
        unconfirmed
            .text("#effect")
            .contains("Total (must be zero) 0.0000")
    );
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        0
    );

    // Twice the same is one; another's does not stand beside it.
    for _ in 0..2 {
        let sent = world.lin.submit(&page, PROPOSE, &AWARD).await;
        assert_eq!(sent.location(), "/disputes/d1#ruling", "{}", sent.body);
    }
    let other = world.zhou.submit(&page, PROPOSE, &AWARD).await;
    assert_refused(&other, StatusCode::CONFLICT, "lin proposed a ruling");
    assert!(other.text(".unsent").contains(AWARD[1].1));
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        1
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM acts WHERE act = 'propose_ruling'")
            .await,
        1
    );
    world.app.stop().await;
}

#[tokio::test]
async fn a_proposal_is_returned_or_withdrawn_and_its_old_form_approves_nothing() {
    let mut world = World::proposed().await;
    let old = world.zhou.get("/disputes/d1").await;
    let silent = [("decision", "return"), ("opinion", "")];
    let silent = world.zhou.submit(&old, DECIDE, &silent).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(silent.text("#opinion-error").contains("Say something"));
    let back = [("decision", "return"), ("opinion", "Look at the log.")];
    let returned = world.zhou.submit(&old, DECIDE, &back).await;
    assert_eq!(returned.location(), "/disputes/d1#ruling");
    let again = world.zhou.submit(&old, DECIDE, &back).await;
    assert_eq!(again.location(), "/disputes/d1#ruling");
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.body.contains("returned by zhou"));
    let twelve = [("minutes", "12"), AWARD[1], ("award", "16.0000")];
    let sent = world.lin.submit(&page, PROPOSE, &twelve).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    // What Zhou saw first is not what stands now.
    let approve = [("decision", "approve"), ("opinion", "I agree")];
    let stale = world.zhou.submit(&old, DECIDE, &approve).await;
    assert_refused(&stale, StatusCode::CONFLICT, "returned by zhou");
    assert_eq!(stale.text("#opinion"), "I agree");
    // Who proposed withdraws; nobody else can.
    let withdraw = [("proposal", "2"), ("decision", "withdraw")];
    let others = world.zhou.post("/disputes/d1/decision", &withdraw).await;
    assert_refused(&others, StatusCode::CONFLICT, "not there any more");
    let own = world.lin.post("/disputes/d1/decision", &withdraw).await;
    assert_eq!(own.location(), "/disputes/d1#ruling");
    let gone = [
        ("proposal", "2"),
        ("decision", "approve"),
        ("opinion", "yes"),
    ];
    let gone = world.zhou.post("/disputes/d1/decision", &gone).await;
    assert_refused(&gone, StatusCode::CONFLICT, "not there any more");
    for (proposal, decision) in [("x", "approve"), ("2", "shred"), ("", "")] {
        let fields = [("proposal", proposal), ("decision", decision)];
        let odd = world.zhou.post("/disputes/d1/decision", &fields).await;
        assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(world.rulings().await, 0);
    world.app.stop().await;
}

#[tokio::test]
async fn nobody_approves_what_they_proposed() {
    let mut world = World::proposed().await;
    for decision in ["approve", "resume", "return"] {
        let fields = [
            ("proposal", "1"),
            ("decision", decision),
            ("opinion", "fine"),
        ];
        let own = world.lin.post("/disputes/d1/decision", &fields).await;
        assert_refused(&own, StatusCode::FORBIDDEN, "another arbiter has to review");
    }
    // The table would not take it either, nor a decision by somebody of a party.
    for (sql, why) in [
        (
            "UPDATE dispute_proposals SET state = 'approving', decider = proposer,
                 decided_at = now(), opinion = 'fine'",
            "check",
        ),
        (
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'fine', decider = (SELECT id FROM users WHERE login = 'ada')",
            "foreign key",
        ),
    ] {
        let refused = sqlx::query(sql).execute(&world.app.database.pool).await;
        let refused = refused.expect_err("it is refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(world.rulings().await, 0);
    world.app.stop().await;
}

#[tokio::test]
async fn parallel_approvals_are_one_ruling() {
    let mut world = World::proposed().await;
    let mut chen = member(&world.app, PLATFORM, &[Role::Arbiter], "chen").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        for arbiter in [&world.zhou, &chen] {
            let mut arbiter = arbiter.clone();
            let approve = async move { arbiter.post("/disputes/d1/decision", &APPROVAL).await };
            tasks.push(approve);
        }
    }
    let mut refused = 0;
    for page in join_all(tasks).await {
        match page.status {
            // Whose approval it is sees it done, however often they press.
            StatusCode::SEE_OTHER => {}
            StatusCode::CONFLICT => refused += 1,
            status => panic!("{status}: {}", page.body),
        }
    }
    assert_eq!(refused, 4);
    assert_eq!(world.rulings().await, 1);
    let acts = "SELECT count(*) FROM acts WHERE act = 'approve_ruling'";
    assert_eq!(world.count(acts).await, 2);
    let winner = "SELECT count(*) FROM dispute_proposals p JOIN users u ON u.id = p.decider
        WHERE u.login = 'zhou'";
    let (winner, mut loser) = match world.count(winner).await {
        1 => ("zhou", chen),
        _ => ("chen", std::mem::replace(&mut world.zhou, chen.clone())),
    };
    let late = loser.post("/disputes/d1/decision", &APPROVAL).await;
    assert_refused(&late, StatusCode::CONFLICT, &format!("ruled by {winner}"));
    let page = loser.post("/disputes/d1/proposals", &AWARD).await;
    assert_refused(&page, StatusCode::CONFLICT, "ruled by");
    chen = loser;
    let late = chen
        .post(
            "/disputes/d1/messages",
            &[("text", "but"), ("form_id", "x")],
        )
        .await;
    assert_refused(&late, StatusCode::CONFLICT, "ruled by");
    let late = [("text", "wait"), ("form_id", "x")];
    let late = world.ada.post("/disputes/d1/messages", &late).await;
    assert_refused(&late, StatusCode::CONFLICT, "ruled by arbiter");
    assert!(late.text(".unsent").contains("wait"));
    world.app.stop().await;
}

#[tokio::test]
async fn an_approval_cut_short_before_its_ruling_is_gone_on_with() {
    let mut world = World::proposed().await;
    world
        .run(
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'I agree', decider = (SELECT id FROM users WHERE login = 'zhou')",
        )
        .await;
    let mut chen = member(&world.app, PLATFORM, &[Role::Arbiter], "chen").await;
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.text("h1").ends_with("approved, being booked"));
    assert!(!page.has(DECIDE), "{}", page.body);
    // Somebody who comes to approve is told who has; going on is another button.
    let late = chen.post("/disputes/d1/decision", &APPROVAL).await;
    assert_refused(&late, StatusCode::CONFLICT, "approved by zhou");
    let page = chen.get("/disputes/d1").await;
    let sent = [("decision", "resume")];
    let resumed = chen.submit(&page, DECIDE, &sent).await;
    assert_eq!(resumed.location(), "/disputes/d1?ruled", "{}", resumed.body);
    let again = chen.submit(&page, DECIDE, &sent).await;
    assert_refused(&again, StatusCode::CONFLICT, "approved by zhou");
    assert_eq!(world.rulings().await, 1);
    let done = "SELECT count(*) FROM dispute_proposals WHERE state = 'approved'";
    assert_eq!(world.count(done).await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn an_approval_cut_short_after_its_ruling_shows_as_ruled() {
    let mut world = World::proposed().await;
    world
        .run(
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'I agree', decider = (SELECT id FROM users WHERE login = 'zhou')",
        )
        .await;
    let ruling = Command::RuleDispute {
        dispute: DisputeId(1),
        award: Money(133_333),
    };
    world.app.submit(ruling).await;
    for reader in [&mut world.ada, &mut world.zhou, &mut world.lin] {
        let room = reader.get("/disputes/d1").await;
        assert!(room.text("h1").ends_with("ruled"), "{}", room.text("h1"));
        assert!(!room.has(DECIDE));
        assert!(!room.text("#ruling").contains("being booked"));
    }
    // Pressing again finds it done and notes so, without a second ruling.
    let resume = [("proposal", "1"), ("decision", "resume")];
    let resumed = world.zhou.post("/disputes/d1/decision", &resume).await;
    assert_eq!(resumed.location(), "/disputes/d1?ruled", "{}", resumed.body);
    let ruled = "SELECT count(*) FROM commands
        WHERE body ->> 'do' = 'rule_dispute' AND rejected IS NULL";
    assert_eq!(world.count(ruled).await, 1);
    let done = "SELECT count(*) FROM dispute_proposals WHERE state = 'approved'";
    assert_eq!(world.count(done).await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn a_claim_cut_short_is_found_again_or_replaced() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let (_, fields) = page.form(REPORT);
    let form_id = fields.iter().find(|(name, _)| name == "form_id");
    let form_id = form_id.expect("it has one").1.clone();
    // Written down, and the program stopped before it sent the command.
    let write = "INSERT INTO dispute_claims (form_id, lease, claimant, user_id, reason, start_at,
            end_at, amount, text, sent_at, after)
        SELECT $1, 1, 2, 1, 'slow', '2026-10-25T02:00Z', '2026-10-25T03:00Z', $2, $3, now(),
            command FROM engine";
    let written = sqlx::query(write)
        .bind("web-lost-before-it-was-sent")
        .bind(90_000_i64)
        .bind("never sent")
        .execute(&world.app.database.pool)
        .await;
    written.expect("it is written");
    let opened = world.ada.submit(&page, REPORT, &in_second_hour()).await;
    assert_eq!(opened.location(), "/disputes/d1?opened", "{}", opened.body);
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), [CLAIM[2].1]);

    // Sent, and the program stopped before it noted the dispute.
    world.run("UPDATE dispute_claims SET dispute = NULL").await;
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), [CLAIM[2].1]);
    let fields = [&in_second_hour()[..], &[("form_id", form_id.as_str())]].concat();
    let again = world.ada.submit(&page, REPORT, &fields).await;
    assert_eq!(again.location(), "/disputes/d1?opened", "{}", again.body);
    assert_eq!(
        world
            .count("SELECT count(*) FROM dispute_claims WHERE dispute = 1")
            .await,
        1
    );
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
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
async fn what_nothing_was_frozen_for_is_unfunded() {
    let app = TestApp::with(rules(), Limits::default()).await;
    app.submit(Command::Deposit {
        participant: BUYER,
        amount: Money(5_000_000_000),
    })
    .await;
    // 448,000.00, of a provider who has 100,000.00 in all; 640.00 of an hour are not settled.
    app.submit(bid("all", 64, 100_000, (1, 701))).await;
    app.clock().set(hour(2));
    let mut ada = member(&app, BUYER.0, &[Role::Buyer], "ada").await;
    let page = ada.get("/leases/l1/problem").await;
    let typed = [
        ("reason", "data_lost"),
        ("by", "amount"),
        ("amount", "448000"),
        ("claim", "448000.0000"),
        ("text", "all of it is lost"),
    ];
    let opened = ada.submit(&page, REPORT, &typed).await;
    assert_eq!(opened.location(), "/disputes/d1?opened", "{}", opened.body);
    let mut operator = member(&app, PROVIDER.0, &[Role::Operator], "operator").await;
    let room = operator.get("/disputes/d1").await;
    let answer = [("text", "The disks failed.")];
    operator.submit(&room, SAY, &answer).await;
    let mut lin = member(&app, PLATFORM, &[Role::Arbiter], "lin").await;
    let mut zhou = member(&app, PLATFORM, &[Role::Arbiter], "zhou").await;
    let room = lin.get("/disputes/d1").await;
    let typed = [
        ("by", "amount"),
        ("amount", "448000"),
        ("reason", "all of it"),
    ];
    let shown = lin.submit(&room, PROPOSE, &typed).await;
    let effect = shown.text("#effect");
    assert!(
        effect.contains("Unfunded (nothing frozen for it) 347,360.0000"),
        "{effect}"
    );
    let proposed = lin.submit(&shown, PROPOSE, &[]).await;
    assert_eq!(
        proposed.location(),
        "/disputes/d1#ruling",
        "{}",
        proposed.body
    );
    let ruled = zhou.post("/disputes/d1/decision", &APPROVAL).await;
    assert_eq!(ruled.location(), "/disputes/d1?ruled", "{}", ruled.body);
    let room = ada.get("/disputes/d1").await;
    let outcome = room.texts("[sse-swap=ruling] .panel:first-child .lines div");
    assert_eq!(
        outcome,
        [
            "Awarded to the buyer 448,000.0000",
            "Paid from what was frozen 100,640.0000",
            "Unfunded (nothing frozen for it) 347,360.0000",
            "Released 0.0000"
        ]
    );
    let list = ada.get("/disputes").await;
    assert!(
        list.text(".dispute-row").contains("448,000.00 awarded"),
        "{}",
        list.body
    );
    app.stop().await;
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
    let mut rulings = Vec::new();
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
        rulings.push(number);
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
    let others = participant(&world.app, "白鹭渲染").await;
    assert_ne!(ParticipantId(others), BUYER);
    world.app.stop().await;
}
