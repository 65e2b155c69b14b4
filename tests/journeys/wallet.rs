//! The wallet: the statement and its running balance, an entry with all of its lines, the table
//! for other programs, and the contract note.

use axum::http::StatusCode;
use market::Rules;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{deliver, hour};
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

/// Somebody with a lease of 8 cards for four hours, of which one hour was short.
async fn with_a_lease(app: &TestApp) -> Visitor {
    let mut ada = Visitor::member(app, "ada", "1000").await;
    let bought = ada.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    app.clock().set(hour(3));
    app.submit(deliver(1, 1, 60)).await;
    app.submit(deliver(1, 2, 40)).await;
    ada
}

/// The statement's rows: reason, account, change, balance.
fn rows(page: &Page) -> Vec<String> {
    page.texts("table.statement tbody tr")
        .iter()
        .map(|row| row.split_once(' ').map_or("", |(_, rest)| rest).to_owned())
        .collect()
}

#[tokio::test]
async fn the_statement_runs_backward_from_what_each_account_holds() {
    let app = TestApp::start().await;
    let mut ada = with_a_lease(&app).await;
    let cash = ada.get("/wallet?account=cash").await;
    let changes = cash.texts("table.statement td:nth-child(5)");
    let after = cash.texts("table.statement td:nth-child(6)");
    assert_eq!(changes, ["+26.6667", "\u{2212}320.0000", "+1,000.0000"]);
    assert_eq!(after, ["706.6667", "680.0000", "1,000.0000"]);
    assert_eq!(cash.text(".chips [aria-current]"), "Available");
    let all = ada.get("/wallet").await;
    assert_eq!(rows(&all).len(), 8, "{:#?}", rows(&all));
    let escrow = ada.get("/wallet?account=escrow").await;
    let after = escrow.texts("table.statement td:nth-child(6)");
    assert_eq!(after, ["160.0000", "240.0000", "320.0000"]);
    // What is no account of theirs is as if it were not said.
    for account in ["bank", "fees", "x", "cash'--"] {
        let page = ada.get(&format!("/wallet?account={account}")).await;
        assert_eq!(rows(&page).len(), 8, "{account}");
    }
    let bond = ada.get("/wallet?account=bond").await;
    assert!(bond.text("#statement .empty").contains("Nothing has moved"));
    app.stop().await;
}

#[tokio::test]
async fn a_long_statement_goes_on_where_the_page_ends() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    for _ in 0..60 {
        ada.post("/wallet/deposits", &[("amount", "1")]).await;
    }
    let first = ada.get("/wallet").await;
    let after = first.texts("table.statement td:nth-child(6)");
    assert_eq!(
        (after.len(), &*after[0], &*after[49]),
        (50, "61.0000", "12.0000")
    );
    let older = first.attribute(".more a", "href");
    let second = ada.get(older.split('#').next().expect("an address")).await;
    let after = second.texts("table.statement td:nth-child(6)");
    assert_eq!(
        (after.len(), &*after[0], &*after[10]),
        (11, "11.0000", "1.0000")
    );
    assert!(!second.has(".more"));
    for before in ["x", "e1", "e0-0", "e-1--1", "e99999999999999999999-1"] {
        let page = ada.get(&format!("/wallet?before={before}")).await;
        assert_eq!(page.status, StatusCode::OK, "{before}");
    }
    app.stop().await;
}

#[tokio::test]
async fn each_hour_leads_to_its_entry_and_that_back_to_the_trade() {
    let app = TestApp::start().await;
    let mut ada = with_a_lease(&app).await;
    let lease = ada.get("/leases/l1").await;
    let entry = lease.attribute("tr.short-row .how a", "href");
    let page = ada.get(&entry).await;
    assert_eq!(page.text("h1"), "Hour settled");
    let lines = page.texts("table.postings tbody tr");
    assert_eq!(
        lines,
        [
            "Your participantEscrow\u{2212}80.0000",
            "The providerAvailable+53.3333",
            "Your participantAvailable+26.6667",
        ]
    );
    let how = page.text(".formula");
    assert!(
        how.contains("480 unit-minutes owed, 320 delivered"),
        "{how}"
    );
    assert!(how.contains("= 26.6667 back to cash"), "{how}");
    assert!(
        page.text(".columns > :last-child")
            .contains("report a reading")
    );
    let links = page.texts(".under a");
    assert_eq!(links, ["l1", "t1"]);
    // The trade's own entry, by the contract note; it was the buyer's own doing.
    let note = ada.get("/trades/t1").await;
    let entry = note.attribute("a[href^='/wallet/entries/']", "href");
    let page = ada.get(&entry).await;
    assert!(page.body.contains("ada@example.org"), "{}", page.body);
    assert!(page.text(".formula").contains("= 320.0000"));
    // Others' entries are as if they did not exist, also where both took part in the market.
    let mut eve = Visitor::member(&app, "eve", "10").await;
    for path in [
        &*entry,
        "/wallet/entries/e1",
        "/wallet/entries/e999",
        "/wallet/entries/1",
    ] {
        assert_eq!(eve.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_table_has_every_posting_and_no_formula() {
    let app = TestApp::start().await;
    let rename = "UPDATE participants SET name = '=HYPERLINK(1)' WHERE id = 1";
    let renamed = sqlx::query(rename).execute(&app.database.pool).await;
    renamed.expect("the provider has a dangerous name");
    let mut ada = with_a_lease(&app).await;
    let table = ada.get("/wallet/statement.csv?account=cash").await;
    let kind = &table.headers["content-type"];
    assert_eq!(kind, "text/csv; charset=utf-8");
    let file = &table.headers["content-disposition"];
    assert_eq!(file, "attachment; filename=\"statement-cash.csv\"");
    let text = table.body.strip_prefix('\u{feff}').expect("a mark");
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(
        rows[0],
        "entry,time,reason,about,account,in (CNY),out (CNY),balance (CNY),counterparty"
    );
    assert!(
        rows[1].ends_with(",Deposit,,Available,1000.0000,,1000.0000,"),
        "{}",
        rows[1]
    );
    assert!(
        rows[2].contains(",o2,Available,,320.0000,680.0000,"),
        "{}",
        rows[2]
    );
    let last = ",t1,Available,26.6667,,706.6667,'=HYPERLINK(1)";
    assert!(rows[3].ends_with(last), "{}", rows[3]);
    assert_eq!(rows.len(), 4);
    let all = ada.get("/wallet/statement.csv").await;
    assert_eq!(all.body.lines().count(), 9);
    // Both have their own, and nobody who has not signed in has any.
    let mut eve = Visitor::member(&app, "eve", "10").await;
    assert_eq!(
        eve.get("/wallet/statement.csv").await.body.lines().count(),
        2
    );
    let nobody = Visitor::new(&app).get("/wallet/statement.csv").await;
    assert!(nobody.location().starts_with("/sign-in"));
    app.stop().await;
}

#[tokio::test]
async fn a_table_of_many_rows_adds_up() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let mut bids = Vec::new();
    for round in 0..1100 {
        bids.push(ada_bid(round));
        bids.push(cancel(round));
    }
    let deposit = market::Command::Deposit {
        participant: market::ParticipantId(3),
        amount: market::Money(1_000_000),
    };
    app.submit(deposit).await;
    for command in bids {
        app.submit(command).await;
    }
    let table = ada.get("/wallet/statement.csv?account=cash").await;
    let rows: Vec<&str> = table.body.lines().collect();
    // A head, two deposits, and for each bid a hold and its release: more than one reading.
    assert_eq!(rows.len(), 1 + 2 + 2200);
    assert!(rows[2202].contains(",101.0000,"), "{}", rows[2202]);
    app.stop().await;
}

fn ada_bid(round: i64) -> market::Command {
    let market::Command::PlaceOrder(mut order) =
        crate::support::market::bid(&format!("b{round}"), 1, 10_000, (1, 2))
    else {
        unreachable!("a bid is an order");
    };
    order.participant = market::ParticipantId(3);
    market::Command::PlaceOrder(order)
}

fn cancel(round: i64) -> market::Command {
    market::Command::CancelOrder {
        participant: market::ParticipantId(3),
        client_id: market::ClientId(format!("b{round}")),
    }
}

#[tokio::test]
async fn a_trade_has_a_note_for_its_parties_alone() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    ada.order(SYMBOL, &[("units", "8")]).await;
    let note = ada.get("/trades/t1").await;
    let text = note.text("section.sheet");
    for said in [
        "黔云算力",
        "Buyer and holderada",
        "10.00 × 8 units × 4 h = ¥320.0000",
        "Rule setv3",
        "The provider pays the marketplace 2%",
        "Availability promised: 99%",
        "until 72 hours after the end",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let file = ada.get("/trades/t1/note").await;
    assert_eq!(
        file.headers["content-disposition"],
        "attachment; filename=\"t1.html\""
    );
    assert!(file.body.starts_with("<!doctype html>"));
    assert!(file.body.contains("10.00 × 8 units × 4 h"), "{}", file.body);
    assert!(!file.body.contains("href="), "a file that stands by itself");
    let mut eve = Visitor::member(&app, "eve", "10").await;
    for path in ["/trades/t1", "/trades/t1/note", "/trades/t9", "/trades/l1"] {
        assert_eq!(eve.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    app.stop().await;
    let none = TestApp::with(Rules::none(), Limits::default()).await;
    let mut ada = Visitor::member(&none, "ada", "1000").await;
    ada.order(SYMBOL, &[("units", "8")]).await;
    let text = ada.get("/trades/t1").await.text(".terms");
    assert!(!text.contains("fee of"), "{text}");
    none.stop().await;
}
