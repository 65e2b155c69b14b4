//! The browser's files: inside the program, under addresses that name their content.
//!
//! An address carries the hash of the file, so a browser may keep it for ever and a new file has
//! a new address. Each is compressed once, when the first of them is asked for.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The files, as the build script found them: name and content.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets/list.rs"));

/// The route that [`serve`] answers.
pub const ROUTE: &str = "/assets/{hash}/{name}";

static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    let assets = FILES
        .iter()
        .map(|(name, content)| (*name, Asset::new(name, content)));
    assets.collect()
});

struct Asset {
    url: String,
    content_type: &'static str,
    plain: &'static [u8],
    gzip: Option<Bytes>,
}

impl Asset {
    fn new(name: &str, plain: &'static [u8]) -> Self {
        let digest = Sha256::digest(plain);
        let hash: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self {
            url: format!("/assets/{hash}/{name}"),
            content_type: content_type(name),
            plain,
            gzip: gzip(plain).filter(|smaller| smaller.len() < plain.len()),
        }
    }
}

/// The address of a file, for templates: `url("app.css")`.
///
/// # Panics
/// There is no such file: a template names one that `build.rs` does not list.
pub fn url(name: &str) -> &'static str {
    let asset = ASSETS.get(name);
    let asset = asset.unwrap_or_else(|| panic!("no file `{name}` in build.rs"));
    &asset.url
}

/// Answers a request for a file; the file of another hash is not found.
pub async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let asked = format!("/assets/{hash}/{name}");
    let Some(asset) = ASSETS.get(name.as_str()).filter(|asset| asset.url == asked) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (body, encoding) = match &asset.gzip {
        Some(gzip) if takes_gzip(&headers) => (gzip.clone(), Some("gzip")),
        _ => (Bytes::from_static(asset.plain), None),
    };
    let mut response = Response::new(Body::from(body));
    let answer = response.headers_mut();
    let mut say = |name, value| answer.insert(name, HeaderValue::from_static(value));
    say(CONTENT_TYPE, asset.content_type);
    say(CACHE_CONTROL, "public, max-age=31536000, immutable");
    say(VARY, "accept-encoding");
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(encoding) = encoding {
        say(CONTENT_ENCODING, encoding);
    }
    response
}

/// Whether the reader names gzip among what it takes, and not with the weight that forbids it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let (coding, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            let forbidden = weight.bytes().all(|byte| byte == b'0' || byte == b'.');
            coding.trim().eq_ignore_ascii_case("gzip") && !forbidden
        })
    })
}

fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::Router;
    use axum::http::Request;
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, accepts: &str) -> (Response<()>, Bytes) {
        let request = Request::get(path).header(ACCEPT_ENCODING, accepts);
        let request = request.body(Body::empty()).expect("a request");
        let router: Router = Router::new().route(ROUTE, get(serve));
        let response = router.oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (Response::from_parts(parts, ()), body)
    }

    #[tokio::test]
    async fn every_file_is_served_whole_to_those_who_take_gzip_and_those_who_do_not() {
        for (name, content) in FILES {
            for accepts in ["gzip, br", "identity", "gzip;q=0", ""] {
                let (response, body) = ask(url(name), accepts).await;
                assert_eq!(response.status(), StatusCode::OK, "{name}");
                let packed = response.headers().contains_key(CONTENT_ENCODING);
                assert!(!packed || accepts == "gzip, br", "{name} for {accepts}");
                let mut plain = body.to_vec();
                if packed {
                    plain.clear();
                    let read = GzDecoder::new(&body[..]).read_to_end(&mut plain);
                    read.expect("it unpacks");
                }
                assert_eq!(plain, *content, "{name}");
            }
        }
        let (response, body) = ask(url("htmx.js"), "gzip").await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert!(body.len() < 20_000, "{}", body.len());
    }

    #[tokio::test]
    async fn an_old_address_is_not_found_and_a_true_one_is_kept_for_ever() {
        let (response, _) = ask("/assets/0000000000000000/app.css", "gzip").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let (response, _) = ask(url("app.css"), "gzip").await;
        let headers = response.headers();
        assert_eq!(
            headers[CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(headers[CONTENT_TYPE], "text/css; charset=utf-8");
    }

    #[test]
    fn every_icon_is_a_symbol() {
        let (_, icons) = FILES
            .iter()
            .find(|(name, _)| *name == "icons.svg")
            .expect("it is there");
        let icons = str::from_utf8(icons).expect("it is text");
        for name in include_str!("../../static/icons.txt").split_whitespace() {
            let begins = format!("<symbol id=\"{name}\" ");
            let line = icons.lines().find(|line| line.starts_with(&begins));
            let line = line.expect("the icon is there");
            assert!(line.contains('<') && line.ends_with("</symbol>"), "{line}");
            assert!(line.matches('<').count() > 2, "{name} is empty");
        }
    }
}
