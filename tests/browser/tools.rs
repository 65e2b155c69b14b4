//! The front-end parts and the harness itself: the embedded files work in a real browser, under
//! the strictest content policy, and the accessibility check does find what is wrong.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use fantoccini::Locator;
use sluice::web::assets;

use crate::support::Browser;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn page(label: &str) -> Response {
    let body = format!(
        r##"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parts</title>
        <meta name="viewport" content="width=device-width">
        <meta name="htmx-config" content='{{"includeIndicatorStyles":false,"allowEval":false}}'>
        <link rel="icon" href="{icons}"><link rel="stylesheet" href="{css}">
        <script src="{htmx}" defer></script><script src="{sse}" defer></script></head><body><main>
        <h1><svg width="24" height="24" aria-hidden="true"><use href="{icons}#circle-check"></use></svg>
        Parts</h1>
        <form method="post" action="/swap" hx-post="/swap" hx-target="#answer">
        {label}<input id="units" name="units" value="8"><button>Send</button></form>
        <p id="answer">nothing yet</p>
        <div hx-ext="sse" sse-connect="/stream"><p id="live" sse-swap="tick">waiting</p></div>
        </main></body></html>"##,
        css = assets::url("app.css"),
        htmx = assets::url("htmx.js"),
        sse = assets::url("sse.js"),
        icons = assets::url("icons.svg"),
    );
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(body)).into_response()
}

async fn stream() -> impl IntoResponse {
    let tick = Event::default().event("tick").data("<b>ticked</b>");
    let first = futures_util::stream::once(async move { Ok::<_, Infallible>(tick) });
    let open = futures_util::stream::pending();
    Sse::new(futures_util::StreamExt::chain(first, open))
}

/// Serves the page on a free port; it ends with the test's runtime.
async fn serve() -> String {
    let router = Router::new()
        .route(
            "/",
            get(|| async { page(r#"<label for="units">Units</label>"#) }),
        )
        .route("/unlabelled", get(|| async { page("Units") }))
        .route(
            "/swap",
            post(|body: String| async move { Html(format!("<b>got {body}</b>")) }),
        )
        .route("/stream", get(stream))
        .route(assets::ROUTE, get(assets::serve));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// The element's text, once it is this; the browser's own waiting has no clock of ours.
async fn wait_for_text(browser: &Browser, selector: &str, text: &str) {
    let wait = browser.client.wait().at_most(Duration::from_secs(60));
    let condition = format!(r#"//*[@id="{selector}"][normalize-space()="{text}"]"#);
    let found = wait.for_element(Locator::XPath(&condition)).await;
    found.unwrap_or_else(|e| panic!("#{selector} never said {text}: {e}"));
}

#[tokio::test]
async fn htmx_posts_and_streams_under_a_strict_policy() {
    let site = serve().await;
    let browser = Browser::open("zh-CN").await;
    let client = &browser.client;
    client.goto(&site).await.expect("the page opens");
    let language = client
        .execute("return navigator.language", Vec::new())
        .await;
    assert_eq!(language.expect("a script runs"), "zh-CN");
    wait_for_text(&browser, "live", "ticked").await;
    let button = client.find(Locator::Css("button")).await.expect("a button");
    button.click().await.expect("it is clicked");
    wait_for_text(&browser, "answer", "got units=8").await;
    browser.assert_accessible().await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    browser.resize(360, 800).await;
    let width = client.execute("return innerWidth", Vec::new()).await;
    assert_eq!(width.expect("a script runs"), 360);
    browser.prefer_colours("dark").await;
    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(
        client
            .execute(dark, Vec::new())
            .await
            .expect("a script runs"),
        true
    );
    let picture = browser.screenshot("tools-360-dark").await;
    assert!(std::fs::metadata(picture).expect("it is there").len() > 1_000);
    browser.close().await;
}

#[tokio::test]
async fn the_form_works_without_scripts() {
    let site = serve().await;
    let browser = Browser::open("en").await;
    browser.run_scripts(false).await;
    browser.client.goto(&site).await.expect("the page opens");
    let button = browser
        .client
        .find(Locator::Css("button"))
        .await
        .expect("a button");
    button.click().await.expect("it is clicked");
    let answer = browser.client.wait().for_element(Locator::Css("b")).await;
    let text = answer.expect("a whole page answers").text().await;
    assert_eq!(text.expect("it has text"), "got units=8");
    browser.close().await;
}

#[tokio::test]
async fn a_fault_of_the_page_is_found() {
    let site = serve().await;
    let browser = Browser::open("en").await;
    let unlabelled = format!("{site}/unlabelled");
    browser
        .client
        .goto(&unlabelled)
        .await
        .expect("the page opens");
    let faults = browser.accessibility_faults().await;
    assert!(
        faults.iter().any(|fault| fault.starts_with("label: ")),
        "{faults:?}"
    );

    let foreign = "const script = document.createElement('script');
        script.text = 'document.title = \"taken over\"'; document.head.append(script);";
    browser
        .client
        .execute(foreign, Vec::new())
        .await
        .expect("a script runs");
    let complaints = browser.complaints().await.join("\n");
    assert!(
        complaints.contains("Content Security Policy"),
        "{complaints}"
    );
    browser.close().await;
}
