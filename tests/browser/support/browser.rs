//! A headless Chromium with a fresh profile, and what is asked of every page.

use std::path::{Path, PathBuf};

use axum::http::Method;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use super::driver::Driver;

/// As few surprises as possible: no sandbox (root has none), no talk to the outside.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-crash-reporter",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
];

/// A browser of one test's own.
pub(crate) struct Browser {
    /// Its WebDriver client.
    pub(crate) client: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser whose user reads this language, on a screen of 1,280 × 900.
    pub(crate) async fn open(language: &str) -> Self {
        let driver = Driver::start();
        let profile = tempfile::tempdir().expect("a temporary folder is made");
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--accept-lang={language}"));
        flags.push("--window-size=1280,900".to_owned());
        let mut options = json!({
            "args": flags,
            "prefs": { "intl.accept_languages": language },
        });
        if let Some(binary) = chromium() {
            options["binary"] = json!(binary);
        }
        let mut wanted = Capabilities::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        wanted.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let connecting = builder.capabilities(wanted).connect(&driver.url).await;
        let client = connecting.expect("chromium starts");
        let browser = Self {
            client,
            _driver: driver,
            _profile: profile,
        };
        browser.resize(1280, 900).await;
        browser
    }

    /// Makes the page's area this wide and high, in CSS pixels; a phone is 360 × 800.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Asks pages for their dark or light colours.
    pub(crate) async fn prefer_colours(&self, scheme: &str) {
        let media = json!({
            "features": [{ "name": "prefers-color-scheme", "value": scheme }]
        });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Gives the browser a cookie of a site, which no script reads.
    pub(crate) async fn keep_cookie(&self, site: &str, name: &str, value: &str) {
        let cookie = json!({ "url": site, "name": name, "value": value, "httpOnly": true });
        self.devtools("Network.setCookie", cookie).await;
    }

    /// Takes the browser off its network, or puts it on again.
    pub(crate) async fn be_offline(&self, is_offline: bool) {
        let network = json!({
            "offline": is_offline, "latency": 0,
            "downloadThroughput": -1, "uploadThroughput": -1
        });
        self.devtools("Network.emulateNetworkConditions", network)
            .await;
    }

    /// Lets pages run scripts or not, from the next page on.
    pub(crate) async fn run_scripts(&self, run: bool) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !run }),
        )
        .await;
    }

    /// Writes what is seen to `target/screenshots/<name>.png`.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = target
            .parent()
            .expect("target/tmp is in target")
            .join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder is made");
        let path = folder.join(format!("{name}.png"));
        let picture = self
            .client
            .screenshot()
            .await
            .expect("the page can be seen");
        std::fs::write(&path, picture).expect("the picture is written");
        path
    }

    /// What axe-core finds wrong with the page: the rule and the elements, one a line.
    pub(crate) async fn accessibility_faults(&self) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path).expect("npm ci has fetched axe-core");
        self.client
            .execute(&axe, Vec::new())
            .await
            .expect("axe-core loads");
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                (found) => done(found.violations.map((fault) =>
                    fault.id + ': ' + fault.help + ' at '
                    + fault.nodes.map((node) => node.target.join(' ')).join(', '))),
                (error) => done(['axe-core failed: ' + error]));";
        let found = self
            .client
            .execute_async(run, Vec::new())
            .await
            .expect("axe-core runs");
        texts(&found, |fault| fault.as_str())
    }

    /// Fails when axe-core finds anything wrong with the page.
    pub(crate) async fn assert_accessible(&self) {
        let page = self.client.current_url().await.expect("a page is open");
        let faults = self.accessibility_faults().await;
        assert!(faults.is_empty(), "{page}:\n  {}", faults.join("\n  "));
    }

    /// What the console said since this was last asked: refused scripts, failed requests, errors.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await;
        let serious = |entry: &'_ Value| {
            let level = entry["level"].as_str();
            level.is_some_and(|level| ["SEVERE", "WARNING"].contains(&level))
        };
        let Some(entries) = entries.as_array() else {
            panic!("the console is a list, not {entries}");
        };
        let entries: Value = entries
            .iter()
            .filter(|entry| serious(entry))
            .cloned()
            .collect();
        texts(&entries, |entry| entry["message"].as_str())
    }

    /// Ends the browser.
    pub(crate) async fn close(self) {
        self.client.clone().close().await.expect("the browser ends");
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await;
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        let done = self.client.issue_cmd(Vendor { path, body }).await;
        done.unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

/// A list's entries as texts.
fn texts(list: &Value, text: impl Fn(&Value) -> Option<&str>) -> Vec<String> {
    let entries = list.as_array().expect("a list");
    entries.iter().filter_map(text).map(str::to_owned).collect()
}

/// The browser, where chromedriver would not look for it by itself.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.exists())
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
