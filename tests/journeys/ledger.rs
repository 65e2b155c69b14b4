//! The books as the marketplace's own people see them: what stands there is what happened, and
//! each filter finds its entries and no others.

use std::time::Duration;

use axum::http::{StatusCode, header};
use market::{ClientId, Command};
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, bid, deliver, hour};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

/// The buyer buys four hours, gets two whole and one in part; another bid comes and goes.
async fn traded() -> TestApp {
    let app = TestApp::start().await;
    app.submit(bid("first", 8, 100_000, (1, 5))).await;
    app.clock().set(hour(2));
    app.submit(deliver(1, 1, 60)).await;
    app.clock().set(hour(3));
    app.submit(deliver(1, 2, 47)).await;
    app.submit(bid("second", 4, 90_000, (6, 8))).await;
    let client_id = ClientId("second".to_owned());
    let participant = BUYER;
    app.submit(Command::CancelOrder {
        participant,
        client_id,
    })
    .await;
    app
}

fn entries(page: &Page) -> Vec<String> {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.texts(".entries tbody th code")
}

#[tokio::test]
async fn the_trial_balance_is_what_the_accounts_hold() {
    let app = traded().await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/ledger").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    // Two deposits of 100,000; 8 units for 4 hours at 10, of which 80 + 62.6666 are earned and
    // 17.3334 refunded.
    let sums = page.rows(".column-main section:first-of-type .books tbody tr");
    for row in [
        "Available | 2 | – | 199,840.0000",
        "Escrow | 1 | – | 160.0000",
        "Bank clearing | 1 | 200,000.0000 | –",
    ] {
        assert!(sums.contains(&row.to_owned()), "{sums:?}");
    }
    let feet = page.rows("tfoot tr");
    assert_eq!(feet[0], "Total |  | 200,000.0000 | 200,000.0000");
    assert!(feet[1].ends_with("0.0000"), "{feet:?}");
    assert!(page.texts(".tag").contains(&"balanced".to_owned()));
    let accounts = page.rows(".column-main section:nth-of-type(2) tbody tr");
    assert_eq!(
        accounts,
        [
            "Marketplace n0Bank clearing | 200,000.0000 | –",
            "黔云算力 n1Available | – | 100,142.6666",
            "听澜智能 n2Available | – | 99,697.3334",
            "Escrow | – | 160.0000",
        ]
    );
    let batch: i64 = sqlx::query_scalar("SELECT batch FROM engine")
        .fetch_one(&app.database.pool)
        .await
        .expect("the batch");
    assert!(
        page.text(".under")
            .contains(&format!("batch {batch}, command"))
    );
    let page = auditor.get("/ops/ledger?account=escrow").await;
    let accounts = page.rows(".column-main section:nth-of-type(2) tbody tr");
    assert_eq!(accounts, ["听澜智能 n2Escrow | – | 160.0000"]);
    let page = auditor.get("/ops/ledger?after=1.cash&account=").await;
    let accounts = page.rows(".column-main section:nth-of-type(2) tbody tr");
    assert_eq!(accounts.len(), 2, "{accounts:?}");
    for odd in [
        "after=x",
        "after=1.gold",
        "account=gold",
        "after=99999999999999999999.cash",
    ] {
        let page = auditor.get(&format!("/ops/ledger?{odd}")).await;
        assert_eq!(page.status, StatusCode::OK, "{odd}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unbalanced_ledger_shows() {
    let app = traded().await;
    sqlx::query("UPDATE balances SET amount = amount + 1 WHERE participant = 2 AND kind = 'cash'")
        .execute(&app.database.pool)
        .await
        .expect("a balance is falsified");
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/ledger").await;
    assert!(
        page.texts(".tag.amber")
            .contains(&"not balanced".to_owned())
    );
    assert!(page.rows("tfoot tr")[1].ends_with("0.0001"));
    sqlx::query("UPDATE balances SET amount = amount - 1 WHERE participant = 2 AND kind = 'cash'")
        .execute(&app.database.pool)
        .await
        .expect("and mended");
    app.stop().await;
}

#[tokio::test]
async fn the_trial_balance_goes_into_a_spreadsheet_and_no_name_is_a_formula() {
    let app = TestApp::start().await;
    Visitor::member(&app, "=1+cmd|'x'!A1", "12.5").await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/ledger.csv").await;
    assert_eq!(
        page.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    let file = page.headers[header::CONTENT_DISPOSITION]
        .to_str()
        .expect("text");
    assert!(
        file.starts_with("attachment; filename=\"sluice-trial-balance-"),
        "{file}"
    );
    let text = page
        .body
        .strip_prefix('\u{feff}')
        .expect("a mark of its encoding");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let cell = |row: &csv::StringRecord, column: usize| row.get(column).unwrap_or("").to_owned();
    let theirs = rows
        .iter()
        .find(|row| cell(row, 0) == "n3")
        .expect("their row");
    assert_eq!(cell(theirs, 1), "'=1+cmd|'x'!A1");
    assert_eq!(cell(theirs, 4), "12.5000");
    let sum = |column| -> f64 {
        let cells = rows.iter().map(|row| cell(row, column));
        cells.filter_map(|cell| cell.parse::<f64>().ok()).sum()
    };
    assert!((sum(3) - sum(4)).abs() < 1e-6 && sum(3) > 200_000.0);
    app.stop().await;
}

#[tokio::test]
async fn each_filter_of_the_journal_finds_its_entries() {
    let app = traded().await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    // 1, 2: deposits; 3: held; 4: traded; 5, 6: settled; 7: held; 8: released.
    let mut found =
        async |query: &str| entries(&auditor.get(&format!("/ops/journal?{query}")).await);
    assert_eq!(
        found("").await,
        ["J-8", "J-7", "J-6", "J-5", "J-4", "J-3", "J-2", "J-1"]
    );
    for (query, numbers) in [
        ("participant=n1", &["J-6", "J-5", "J-1"][..]),
        (
            "participant=%E9%BB%94%E4%BA%91%E7%AE%97%E5%8A%9B",
            &["J-6", "J-5", "J-1"],
        ),
        ("participant=2&account=escrow", &["J-6", "J-5", "J-4"]),
        ("participant=2&reason=hold", &["J-7", "J-3"]),
        ("participant=1&reason=hold", &[]),
        ("account=bank", &["J-2", "J-1"]),
        ("account=hold&reason=trade", &["J-4"]),
        ("account=unfunded", &[]),
        ("reason=settlement", &["J-6", "J-5"]),
        ("reason=credit", &[]),
        ("about=o2", &["J-4", "J-3"]),
        ("about=o1", &["J-4"]),
        ("about=o3", &["J-8", "J-7"]),
        ("about=t1", &["J-4"]),
        ("about=L1", &["J-6", "J-5", "J-4"]),
        ("about=l1&participant=n1", &["J-6", "J-5"]),
        ("about=l1&reason=trade", &["J-4"]),
        ("about=J-5", &["J-5"]),
        ("about=l99999", &[]),
        ("about=d1", &[]),
        // The market opened at 08:00 in China.
        ("from=2026-10-25T09:00", &["J-8", "J-7", "J-6", "J-5"]),
        ("from=2026-10-25T10:00&to=2026-10-25T11:00", &["J-5"]),
        ("to=2026-10-25T08:00", &[]),
        (
            "from=2026-10-25T11:00&participant=2&account=hold",
            &["J-8", "J-7"],
        ),
        (
            "from=2026-10-25T10:00:00&about=l1&to=2026-10-25T11:00",
            &["J-5"],
        ),
        ("before=4", &["J-3", "J-2", "J-1"]),
        ("before=4&reason=deposit", &["J-2", "J-1"]),
        (
            "before=x",
            &["J-8", "J-7", "J-6", "J-5", "J-4", "J-3", "J-2", "J-1"],
        ),
        ("before=-9223372036854775808", &[]),
    ] {
        assert_eq!(found(query).await, numbers, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_filter_is_said_at_its_field_and_stays() {
    let app = TestApp::start().await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let enormous = "9".repeat(9_000);
    for (field, typed) in [
        ("participant", "nobody at all"),
        ("participant", "n999"),
        ("participant", "x%00"),
        ("participant", "%27%3B%20DROP%20TABLE%20postings%3B%20--"),
        ("participant", "99999999999999999999"),
        ("participant", &enormous),
        ("account", "gold"),
        ("reason", "%3Cscript%3Ealert(1)%3C/script%3E"),
        ("about", "everything"),
        ("about", "o0"),
        ("from", "yesterday"),
        ("to", "2026-02-30T00:00"),
    ] {
        let page = auditor
            .get(&format!(
                "/ops/journal?{field}={}",
                typed.replace(' ', "%20")
            ))
            .await;
        assert_eq!(
            page.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={typed}"
        );
        assert!(!page.text(&format!("#{field}-error")).is_empty());
        assert!(!page.body.contains("<script>alert"), "{field}={typed}");
        assert!(page.texts(".entries").is_empty());
    }
    let page = auditor.get("/ops/journal?participant=n999&about=o12").await;
    let (_, fields) = page.form("form.filter");
    assert!(fields.contains(&("participant".to_owned(), "n999".to_owned())));
    assert!(fields.contains(&("about".to_owned(), "o12".to_owned())));
    let page = auditor
        .get("/ops/journal?from=2026-11-02&to=2026-11-01")
        .await;
    assert!(page.text("#to-error").contains("later"));
    app.stop().await;
}

#[tokio::test]
async fn the_journal_goes_on_page_by_page_and_leaves_nothing_out() {
    let app = TestApp::start().await;
    for number in 0..60 {
        app.submit(bid(&format!("rests{number}"), 1, 10_000, (1, 2)))
            .await;
    }
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    for query in [
        "",
        "?reason=hold",
        "?participant=n2",
        "?participant=2&reason=hold",
        "?account=hold",
    ] {
        let mut all = Vec::new();
        let mut next = Some(format!("/ops/journal{query}"));
        while let Some(path) = next {
            let page = auditor.get(&path).await;
            all.extend(entries(&page));
            let links = page.body.split("href=\"").skip(1);
            next = links
                .filter_map(|link| link.split_once('"'))
                .map(|(link, _)| link.replace("&amp;", "&").replace("&#38;", "&"))
                .find(|link| link.contains("before="));
            assert!(all.len() <= 62, "{query}: pages repeat {all:?}");
        }
        let mut numbers: Vec<i64> = all
            .iter()
            .map(|number| number.trim_start_matches("J-").parse().expect("a number"))
            .collect();
        assert!(numbers.is_sorted_by(|a, b| a > b), "{query}: {numbers:?}");
        numbers.retain(|number| *number > 2);
        assert_eq!(numbers.len(), 60, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_entry_shows_what_made_it_and_that_nobody_changed_it() {
    let app = traded().await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/journal/6").await;
    let rows = page.rows(".books tbody tr");
    assert_eq!(
        rows,
        [
            "Escrow · 听澜智能 | 80.0000 | –",
            "Available · 黔云算力 | – | 62.6666",
            "Available · 听澜智能 | – | 17.3334",
        ]
    );
    assert!(page.text(".books tfoot").ends_with("0.0000"));
    assert!(
        page.text("pre").contains("\"deliver\""),
        "{}",
        page.text("pre")
    );
    assert!(page.body.contains("/ops/leases/l1"));
    assert!(
        page.texts(".tag")
            .contains(&"worked out again, matches".to_owned())
    );
    assert!(page.body.contains("program (journey)"));
    let first = auditor.get("/ops/journal/1").await;
    assert!(first.body.contains("this is the first entry"));
    assert!(
        first
            .texts(".tag")
            .contains(&"worked out again, matches".to_owned())
    );
    for nothing in ["0", "9", "999", "x", "-1", "99999999999999999999"] {
        let page = auditor.get(&format!("/ops/journal/{nothing}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nothing}");
    }
    // History can't be changed through SQL; whoever takes the guard away is found out.
    for sql in [
        "ALTER TABLE journal_entries DISABLE TRIGGER append_only",
        "UPDATE journal_entries SET subject = 2 WHERE id = 5",
    ] {
        let done = sqlx::query(sql).execute(&app.database.pool).await;
        done.expect("an entry is falsified");
    }
    let page = auditor.get("/ops/journal/5").await;
    assert!(
        page.texts(".tag.amber")
            .contains(&"worked out again, differs".to_owned())
    );
    let mended = sqlx::query("UPDATE journal_entries SET subject = 1 WHERE id = 5");
    mended
        .execute(&app.database.pool)
        .await
        .expect("and mended");
    app.stop().await;
}

#[tokio::test]
async fn an_audit_is_run_on_request_one_at_a_time_and_finds_what_is_wrong() {
    let app = traded().await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/ledger").await;
    assert!(page.body.contains("None since this server started."));
    let audited = async |visitor: &mut Visitor| loop {
        let page = visitor.get("/ops/ledger").await;
        assert_eq!(page.status, StatusCode::OK);
        if !page.body.contains("Look again") {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let begun = auditor.post("/ops/ledger/audit", &[]).await;
    assert_eq!(begun.location(), "/ops/ledger#audit");
    let page = audited(&mut auditor).await;
    assert!(
        page.text("#audit .sum").contains("checks hold"),
        "{}",
        page.body
    );
    // Money out of nowhere is found.
    let falsified =
        "UPDATE balances SET amount = amount + 1 WHERE participant = 2 AND kind = 'cash'";
    sqlx::query(falsified)
        .execute(&app.database.pool)
        .await
        .expect("falsified");
    auditor.post("/ops/ledger/audit", &[]).await;
    let page = audited(&mut auditor).await;
    assert!(
        page.text("#audit .sum").contains("checks that fail"),
        "{}",
        page.body
    );
    assert!(
        page.text("#audit .checks").contains("postings say"),
        "{}",
        page.body
    );
    let mended = "UPDATE balances SET amount = amount - 1 WHERE participant = 2 AND kind = 'cash'";
    sqlx::query(mended)
        .execute(&app.database.pool)
        .await
        .expect("mended");
    // Two at once are one.
    assert!(app.app.audit.begin());
    assert!(!app.app.audit.begin());
    audited(&mut auditor).await;
    app.stop().await;
}

#[tokio::test]
async fn who_may_not_ask_for_an_audit_sees_no_button_for_it() {
    let app = TestApp::start().await;
    for role in Role::PLATFORM {
        let mut reader = people::of_platform(&app, role).await;
        let page = reader.get("/ops/ledger").await;
        let has_button = page.body.contains("action=\"/ops/ledger/audit\"");
        let may = [Role::Operations, Role::Auditor].contains(&role);
        assert_eq!(has_button, may, "{role:?}");
    }
    app.stop().await;
}
