//! Live streams: what watchers share, what a watcher who comes back is sent, and who is never
//! given whose drawing.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use sluice::router::router;
use tower::ServiceExt;

use crate::support::app::TestApp;
use crate::support::market::bid;
use crate::support::visitor::Visitor;

const BOOK: &str = "/market/A100-80GB.GUZ-GAN.SILVER/live?day=2026-10-25&hour=9&hours=4";

/// The hours after the opening that [`BOOK`] is of.
const HOURS: (i64, i64) = (1, 5);

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    name: String,
    data: String,
    id: Option<String>,
}

/// An open stream.
struct Watch {
    body: Body,
    text: String,
    /// The id of the last event that had one.
    id: String,
}

impl Watch {
    async fn open(visitor: &Visitor, path: &str) -> Self {
        let response = visitor.open("GET", path, String::new()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::new(Body::new(response.into_body()))
    }

    fn new(body: Body) -> Self {
        let (text, id) = (String::new(), String::new());
        Self { body, text, id }
    }

    /// The next event; none when the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        let reading = async {
            while !self.text.contains("\n\n") {
                let frame = self.body.frame().await?.ok()?;
                let data = frame.into_data().ok()?;
                self.text
                    .push_str(str::from_utf8(&data).expect("whole characters"));
            }
            let (event, rest) = self.text.split_once("\n\n").expect("an event's end");
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.text = rest;
            Some(event)
        };
        let reading = tokio::time::timeout(Duration::from_secs(30), reading);
        let event = reading.await.expect("an event or the end")?;
        let field = |name: &str| -> Vec<String> {
            let lines = event.lines().filter_map(|line| line.split_once(": "));
            let named = lines.filter(|(field, _)| *field == name);
            named.map(|(_, value)| value.to_owned()).collect()
        };
        let told = Told {
            name: field("event").concat(),
            data: field("data").join("\n"),
            id: field("id").pop(),
        };
        self.id = told.id.clone().unwrap_or(std::mem::take(&mut self.id));
        Some(told)
    }

    /// The next event that brings something.
    async fn part(&mut self) -> Told {
        loop {
            let told = self.next().await.expect("the stream goes on");
            if told.name != "alive" {
                return told;
            }
        }
    }

    /// The next event of this name, whatever comes before it.
    async fn until(&mut self, name: &str) -> Told {
        let coming = async {
            loop {
                let told = self.next().await.expect("the stream goes on");
                if told.name == name {
                    return told;
                }
            }
        };
        // It lives and says so, also when nothing else comes.
        let coming = tokio::time::timeout(Duration::from_secs(30), coming);
        coming.await.unwrap_or_else(|_| panic!("{name} never came"))
    }

    /// The names of the events until the stream says that the page is whole.
    async fn whole(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let told = self.next().await.expect("the stream goes on");
            if told.name == "alive" {
                return names;
            }
            names.push(told.name);
        }
    }
}

/// Waits for what happens soon, by another task's doing.
async fn soon(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn fifty_watchers_share_one_drawing_of_a_change() {
    let app = TestApp::start().await;
    let nobody = Visitor::new(&app);
    let mut watches = Vec::new();
    for _ in 0..50 {
        let mut watch = Watch::open(&nobody, BOOK).await;
        assert_eq!(watch.whole().await, ["stats", "book", "tape", "halt"]);
        watches.push(watch);
    }
    let hub = &app.app.web.hub;
    let before = hub.drawn();
    app.submit(bid("rests", 8, 90_000, HOURS)).await;
    let mut books = Vec::new();
    for watch in &mut watches {
        books.push(watch.until("book").await);
    }
    assert!(books[0].data.contains("9.00"), "{books:?}");
    assert!(books.iter().all(|book| *book == books[0]));
    assert_eq!(hub.drawn() - before, 1, "drawings for 50 watchers");
    assert_eq!(hub.topics(), 1);
    let chinese = {
        let mut visitor = Visitor::new(&app);
        visitor.sends = vec![("accept-language", "zh-CN".to_owned())];
        let mut watch = Watch::open(&visitor, BOOK).await;
        watch.until("book").await.data
    };
    assert!(chinese.contains("盘口") && !chinese.contains("Order book"));
    drop(watches);
    soon("the last watcher ends the drawing", || hub.topics() == 0).await;
    app.submit(bid("later", 8, 91_000, HOURS)).await;
    let mut watch = Watch::open(&nobody, BOOK).await;
    assert!(watch.until("book").await.data.contains("9.10"));
    app.stop().await;
}

#[tokio::test]
async fn a_watcher_is_given_what_was_drawn_after_it_came() {
    let app = TestApp::start().await;
    let nobody = Visitor::new(&app);
    let mut first = Watch::open(&nobody, BOOK).await;
    first.whole().await;
    for step in 0..20 {
        let price = 90_000 + 100 * step;
        app.submit(bid(&format!("step{step}"), 8, price, HOURS))
            .await;
        // The first watcher's drawing may still be the one before.
        let mut late = Watch::open(&nobody, BOOK).await;
        let book = late.until("book").await.data;
        let shown = format!("9.{:02}", step);
        assert!(
            book.contains(&shown),
            "{shown} is in the first book: {book}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn who_comes_back_is_sent_what_has_changed_and_nothing_else() {
    let app = TestApp::start().await;
    let mut nobody = Visitor::new(&app);
    let mut watch = Watch::open(&nobody, BOOK).await;
    assert_eq!(watch.whole().await, ["stats", "book", "tape", "halt"]);
    let id = std::mem::take(&mut watch.id);
    drop(watch);

    let with_field = format!("{BOOK}&last-event-id={id}");
    let mut back = Watch::open(&nobody, &with_field).await;
    assert_eq!(back.whole().await, [""; 0], "it has all of it");
    let mut fresh = Watch::open(&nobody, BOOK).await;
    assert_eq!(fresh.whole().await.len(), 4);
    assert_eq!(
        app.app.web.hub.topics(),
        1,
        "the field is no part of the address"
    );
    drop((back, fresh));

    app.submit(bid("rests", 8, 90_000, HOURS)).await;
    nobody.sends.push(("last-event-id", id));
    let mut back = Watch::open(&nobody, BOOK).await;
    // Nothing has traded.
    assert_eq!(back.whole().await, ["stats", "book"]);
    let id = back.id.clone();
    app.submit(bid("trades", 8, 100_000, HOURS)).await;
    assert_eq!(back.part().await.name, "stats");
    drop(back);
    nobody.sends.pop();
    nobody.sends.push(("last-event-id", id));
    let mut back = Watch::open(&nobody, &with_field).await;
    assert_eq!(
        back.whole().await,
        ["stats", "book", "tape"],
        "the header counts"
    );
    nobody.sends.pop();
    nobody
        .sends
        .push(("last-event-id", "book-x.\u{e9}".repeat(50)));
    let mut back = Watch::open(&nobody, BOOK).await;
    assert_eq!(
        back.whole().await.len(),
        4,
        "what can't be read says nothing"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_drawing_is_never_anothers() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1111").await;
    let bob = Visitor::member(&app, "bob", "2222").await;
    let nobody = Visitor::new(&app);
    let overview = "/overview/live?units=8&grade=A100-80GB&day=2026-10-25&hour=9&hours=1";
    let mut bills = Vec::new();
    let mut tables = Vec::new();
    let mut open = Vec::new();
    for visitor in [&ada, &ada, &bob, &nobody] {
        let mut watch = Watch::open(visitor, overview).await;
        tables.push(watch.until("table").await.data);
        bills.push(watch.until("bill").await.data);
        open.push(watch);
    }
    assert!(tables.iter().all(|table| *table == tables[0]));
    assert!(
        bills[0].contains("1,111.00") && bills[0] == bills[1],
        "{bills:?}"
    );
    assert!(bills[2].contains("2,222.00") && !bills[2].contains("1,111.00"));
    assert!(bills[3].contains("Sign in") && !bills[3].contains("1,111.00"));
    // The market, three bills, and the cash of two.
    let hub = &app.app.web.hub;
    assert_eq!(hub.topics(), 6);
    for watch in &mut open {
        watch.until("alive").await;
    }
    let before = hub.drawn();
    ada.post("/wallet/deposits", &[("amount", "1000")]).await;
    for watch in &mut open[..2] {
        let told = [watch.part().await, watch.part().await];
        let data = |name: &str| {
            told.iter()
                .find(|told| told.name == name)
                .map(|told| &*told.data)
        };
        assert_eq!(data("cash"), Some("2,111.00"), "{told:?}");
        assert!(
            data("bill").is_some_and(|bill| bill.contains("2,111.00")),
            "{told:?}"
        );
    }
    assert_eq!(
        hub.drawn() - before,
        2,
        "one bill and one cash for two tabs"
    );
    let mut own = Watch::open(&ada, "/wallet/live").await;
    let mut other = Watch::open(&bob, "/wallet/live").await;
    assert!(own.until("balances").await.data.contains("2,111.00"));
    let balances = other.until("balances").await.data;
    assert!(balances.contains("2,222.00") && !balances.contains("2,111.00"));
    app.stop().await;
}

#[tokio::test]
async fn a_watcher_who_does_not_read_holds_up_nobody() {
    let app = TestApp::start().await;
    let request = Request::get(BOOK).header("accept-language", "en");
    let request = request.body(Body::empty()).expect("a request");
    let answer = router(app.app.clone()).oneshot(request).await;
    let mut slow = Watch::new(answer.expect("an answer").into_body());
    let mut quick = Watch::open(&Visitor::new(&app), BOOK).await;
    quick.whole().await;
    for step in 0..5 {
        let price = 90_000 + 100 * step;
        app.submit(bid(&format!("step{step}"), 8, price, HOURS))
            .await;
        let shown = format!("9.{:02}", step);
        while !quick.until("book").await.data.contains(&shown) {}
    }
    // What was drawn before it began to read is let go; then it has what there is.
    let mut books = Vec::new();
    while !books
        .last()
        .is_some_and(|book: &String| book.contains("9.04"))
    {
        books.push(slow.until("book").await.data);
    }
    assert!(books.len() <= 3, "{} books", books.len());
    app.stop().await;
}

#[tokio::test]
async fn what_readers_share_is_in_their_language_and_follows_each_commit() {
    let app = TestApp::start().await;
    let mut english = Visitor::new(&app);
    let mut chinese = Visitor::new(&app);
    chinese.sends = vec![("accept-language", "zh-CN".to_owned())];
    let page = BOOK.replace("/live", "");
    for path in ["/", &page] {
        let (one, other) = (english.get(path).await, chinese.get(path).await);
        assert!(
            one.body.contains("unit-h") && !one.body.contains("卡时"),
            "{}",
            one.body
        );
        assert!(other.body.contains("卡时"), "{}", other.body);
        assert_eq!(one.body, english.get(path).await.body, "{path} as before");
    }
    assert!(!english.get(&page).await.has(".book .bid"));
    app.submit(bid("shared", 8, 90_000, HOURS)).await;
    for visitor in [&mut english, &mut chinese] {
        assert_eq!(visitor.get(&page).await.texts(".book .bid").len(), 1);
    }
    app.stop().await;
}
