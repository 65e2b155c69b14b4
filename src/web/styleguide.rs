//! The parts that pages are made of, on one page: for whoever builds pages, in development
//! builds only.

use askama::Template;
use askama_web::WebTemplate;

use super::form::FieldErrors;
use super::shell::Shell;

/// A colour token: its name in static/app.css and what it is for.
struct Token {
    name: &'static str,
    purpose: &'static str,
}

const TOKENS: [Token; 15] = [
    Token {
        name: "bg",
        purpose: "page ground",
    },
    Token {
        name: "surface",
        purpose: "panels, inputs",
    },
    Token {
        name: "sunk",
        purpose: "code, totals",
    },
    Token {
        name: "line",
        purpose: "rules between rows",
    },
    Token {
        name: "edge",
        purpose: "borders of controls",
    },
    Token {
        name: "ink",
        purpose: "text, amounts",
    },
    Token {
        name: "ink2",
        purpose: "labels",
    },
    Token {
        name: "ink3",
        purpose: "captions, table heads",
    },
    Token {
        name: "teal",
        purpose: "what can be done, is chosen, runs",
    },
    Token {
        name: "teal-tint",
        purpose: "chosen",
    },
    Token {
        name: "amber",
        purpose: "attention",
    },
    Token {
        name: "amber-tint",
        purpose: "a row that needs attention",
    },
    Token {
        name: "up",
        purpose: "a rising price",
    },
    Token {
        name: "down",
        purpose: "a falling price",
    },
    Token {
        name: "ok",
        purpose: "a delivered minute",
    },
];

#[derive(Template, WebTemplate)]
#[template(path = "components/styleguide.html")]
struct Styleguide {
    shell: Shell,
    tokens: &'static [Token],
    errors: FieldErrors,
}

/// `GET /styleguide`
pub async fn show(shell: Shell) -> impl axum::response::IntoResponse {
    let mut errors = FieldErrors::default();
    errors.add("wrong", shell.t("rejection.not_a_lot"));
    Styleguide {
        shell,
        tokens: &TOKENS,
        errors,
    }
}
