//! A browser without scripts: it follows no redirect by itself, keeps cookies, and fills in the
//! forms of the page that it is on.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use market::Rules;
use scraper::{Html, Selector};
use sluice::web::server::Limits;

use super::app::TestApp;

/// One person at one browser.
#[derive(Clone)]
pub(crate) struct Visitor {
    client: Client<HttpConnector, Body>,
    url: String,
    /// The cookies it has, by name.
    pub(crate) cookies: BTreeMap<String, String>,
    /// Headers that it sends with every request.
    pub(crate) sends: Vec<(&'static str, String)>,
}

/// An answer.
pub(crate) struct Page {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: String,
}

/// What is filled into a form.
pub(crate) type Fields = Vec<(String, String)>;

impl TestApp {
    /// Serves the site as it is set up by default, its market without fees and bonds.
    pub(crate) async fn start() -> Self {
        Self::with(Rules::none(), Limits::default()).await
    }
}

impl Visitor {
    /// Somebody new, who reads English.
    pub(crate) fn new(app: &TestApp) -> Self {
        Self::at(&app.url)
    }

    /// The same, at a site that is served at this address.
    pub(crate) fn at(url: &str) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            url: url.to_owned(),
            cookies: BTreeMap::new(),
            sends: vec![("accept-language", "en".to_owned())],
        }
    }

    /// Somebody new who signs up under this name, and has so much money.
    pub(crate) async fn member(app: &TestApp, name: &str, yuan: &str) -> Self {
        let mut visitor = Self::new(app);
        let page = visitor.sign_up(name).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        let page = visitor.post("/wallet/deposits", &[("amount", yuan)]).await;
        assert_eq!(page.location(), "/wallet?deposited", "{}", page.body);
        visitor
    }

    /// Signs up with a password that follows from the name.
    pub(crate) async fn sign_up(&mut self, name: &str) -> Page {
        let login = format!("{name}@example.org");
        let fields = [
            ("name", name),
            ("login", &login),
            ("password", &password(name)),
        ];
        self.post("/sign-up", &fields).await
    }

    /// Signs in as who has signed up under this name.
    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Page {
        let login = format!("{name}@example.org");
        self.post("/sign-in", &[("login", &login), ("password", password)])
            .await
    }

    /// Asks for a page.
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, String::new()).await
    }

    /// Sends a form.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.send("POST", path, body.finish()).await
    }

    /// Sends the form of a page, with some of its fields as they are given here.
    pub(crate) async fn submit(&mut self, page: &Page, form: &str, typed: &[(&str, &str)]) -> Page {
        let (action, mut fields) = page.form(form);
        for (name, value) in typed {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => (*value).clone_into(&mut field.1),
                // A box that was not ticked is no field until it is.
                None => {
                    assert!(
                        page.has(&format!("{form} [name={name}]")),
                        "{form} has no {name}"
                    );
                    fields.push(((*name).to_owned(), (*value).to_owned()));
                }
            }
        }
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if page.has(&format!("{form}:is([method=get], :not([method]))")) {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(fields);
            let path = action.split('#').next().unwrap_or_default();
            return self.get(&format!("{path}?{}", query.finish())).await;
        }
        self.post(&action, &fields).await
    }

    /// Fills in an instrument's ticket and goes on to where the order is confirmed: that page, or
    /// the ticket again with what is wrong with it.
    pub(crate) async fn ticket(&mut self, symbol: &str, typed: &[(&str, &str)]) -> Page {
        let market = self.get(&format!("/market/{symbol}")).await;
        self.ticket_on(&market, typed).await
    }

    /// The same, with the ticket of a page that was opened before.
    pub(crate) async fn ticket_on(&mut self, page: &Page, typed: &[(&str, &str)]) -> Page {
        let page = self.submit(page, "form[action$='/confirm']", typed).await;
        if page.status != StatusCode::SEE_OTHER {
            return page;
        }
        let confirm = page.location().to_owned();
        self.get(&confirm).await
    }

    /// Orders by an instrument's ticket, confirmed as it is shown.
    pub(crate) async fn order(&mut self, symbol: &str, typed: &[(&str, &str)]) -> Page {
        let confirm = self.ticket(symbol, typed).await;
        self.submit(&confirm, "form[action$='/orders']", &[]).await
    }

    /// Begins a request whose body is read as it comes.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        body: String,
    ) -> axum::http::Response<hyper::body::Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in &self.sends {
            request = request.header(*name, value);
        }
        let says_kind = self.sends.iter().any(|(name, _)| *name == "content-type");
        if method == "POST" && !says_kind {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(body)).expect("a request");
        self.dispatch(request).await
    }

    /// Sends a body that may be no form.
    pub(crate) async fn post_as(&self, kind: &str, path: &str, body: &[u8]) -> Page {
        let mut request = Request::post(format!("{}{path}", self.url));
        for (name, value) in &self.sends {
            request = request.header(*name, value);
        }
        let request = request.header(header::CONTENT_TYPE, kind);
        let request = request.body(Body::from(body.to_vec())).expect("a request");
        let (parts, body) = self.dispatch(request).await.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Sends a request with the cookies that it has.
    async fn dispatch(
        &self,
        mut request: Request<Body>,
    ) -> axum::http::Response<hyper::body::Incoming> {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            let cookies = cookies.join("; ").parse().expect("cookies are text");
            request.headers_mut().insert(header::COOKIE, cookies);
        }
        self.client
            .request(request)
            .await
            .expect("the site answers")
    }

    /// Sends a request and keeps the cookies of its answer.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: String) -> Page {
        let (parts, body) = self.open(method, path, body).await.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie is text");
            let (name, rest) = cookie.split_once('=').expect("a cookie has a value");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("a page is text");
        Page {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

/// A password that nobody guesses, for tests.
pub(crate) fn password(name: &str) -> String {
    format!("a river through {name} and the hills")
}

impl Page {
    /// Where it sends the browser.
    pub(crate) fn location(&self) -> &str {
        let location = self
            .headers
            .get(header::LOCATION)
            .map(|value| value.to_str());
        location
            .unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body))
            .expect("text")
    }

    /// The texts of what a selector finds, with single spaces.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let page = Html::parse_document(&self.body);
        let texts = page.select(&selector).map(|element| {
            let text: String = element.text().collect();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        texts.collect()
    }

    /// The rows that a selector finds, each with the texts of its cells between bars.
    pub(crate) fn rows(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let page = Html::parse_document(&self.body);
        let rows = page.select(&selector).map(|row| {
            let cells = row.child_elements().map(|cell| {
                let text: String = cell.text().collect();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            });
            cells.collect::<Vec<_>>().join(" | ")
        });
        rows.collect()
    }

    /// The text of the only element that a selector finds.
    pub(crate) fn text(&self, selector: &str) -> String {
        let mut texts = self.texts(selector);
        assert_eq!(
            texts.len(),
            1,
            "{selector} finds {texts:?} in {}",
            self.body
        );
        texts.remove(0)
    }

    /// An attribute of the first element that a selector finds.
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> String {
        let parsed = Selector::parse(selector).expect("a selector");
        let page = Html::parse_document(&self.body);
        let found = page.select(&parsed).next();
        let found = found.and_then(|element| element.attr(name).map(str::to_owned));
        found.unwrap_or_else(|| panic!("no {name} at {selector} in {}", self.body))
    }

    /// An attribute of each element that a selector finds and that has it.
    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let page = Html::parse_document(&self.body);
        let found = page.select(&selector);
        found
            .filter_map(|element| element.attr(name).map(str::to_owned))
            .collect()
    }

    /// Whether a selector finds anything.
    pub(crate) fn has(&self, selector: &str) -> bool {
        !self.texts(selector).is_empty()
    }

    /// A form's action, and its fields as they stand.
    pub(crate) fn form(&self, form: &str) -> (String, Fields) {
        let page = Html::parse_document(&self.body);
        let parse = |text: &str| Selector::parse(text).expect("a selector");
        let found = page.select(&parse(form)).next();
        let form = found.unwrap_or_else(|| panic!("no {form} in {}", self.body));
        let mut fields = Fields::new();
        let ticked = "input[name]:not([type=radio], [type=checkbox]), input[name][checked]";
        for field in form.select(&parse(ticked)) {
            let value = field.value().attr("value").unwrap_or_default();
            fields.push((
                field.attr("name").unwrap_or_default().to_owned(),
                value.to_owned(),
            ));
        }
        for field in form.select(&parse("textarea[name]")) {
            let name = field.attr("name").unwrap_or_default().to_owned();
            fields.push((name, field.text().collect()));
        }
        for field in form.select(&parse("select[name]")) {
            let chosen = field.select(&parse("option[selected]")).next();
            let chosen = chosen.or_else(|| field.select(&parse("option")).next());
            let value = chosen.map(|option| {
                let text: String = option.text().collect();
                option.attr("value").map_or(text, str::to_owned)
            });
            let name = field.attr("name").unwrap_or_default().to_owned();
            fields.push((name, value.unwrap_or_default()));
        }
        (form.attr("action").unwrap_or_default().to_owned(), fields)
    }
}
