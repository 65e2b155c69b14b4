//! The catalogue of texts: every key in every language, every key that is used, none that is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sluice::web::Locale;

const CATALOGUE: &str = include_str!("../locales/app.yml");

/// The keys, with the names that each language's text has filled in.
fn catalogue() -> BTreeMap<&'static str, Vec<BTreeSet<&'static str>>> {
    let entries = CATALOGUE.lines().filter_map(|line| line.split_once(": {"));
    let keys: Vec<_> = entries
        .map(|(key, texts)| {
            let (zh, en) = texts.split_once(", en: ").expect("zh-CN, then en");
            (key, vec![names(zh), names(en)])
        })
        .collect();
    let number = keys.len();
    let keys: BTreeMap<_, _> = keys.into_iter().collect();
    assert_eq!(keys.len(), number, "a key stands there twice");
    keys
}

fn names(text: &'static str) -> BTreeSet<&'static str> {
    let parts = text.split("%{").skip(1);
    parts.filter_map(|rest| rest.split('}').next()).collect()
}

/// What stands between double quotes in the sources and the templates.
fn literals() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source is text");
            let name = path.display().to_string();
            // An attribute's quotes may stand round those of a key: each piece between two
            // quotes is looked at, and only one that looks like a key counts.
            found.extend(
                text.split('"')
                    .map(|piece| (name.clone(), piece.to_owned())),
            );
        }
    }
    found
}

fn looks_like_a_key(piece: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let parts: Vec<&str> = piece.split('.').collect();
    parts.len() > 1
        && parts.iter().all(|part| {
            let is_filled = part.starts_with('{') && part.ends_with('}');
            !part.is_empty() && (is_filled || part.bytes().all(is_plain))
        })
}

#[test]
fn every_key_has_a_text_in_every_language_that_fills_in_the_same_names() {
    for (key, filled) in catalogue() {
        for locale in Locale::ALL {
            assert_ne!(locale.t(key), key, "{key} in {}", locale.tag());
        }
        assert_eq!(filled[0], filled[1], "{key}");
    }
}

#[test]
fn every_key_that_is_used_is_there_and_none_that_is_not() {
    let keys = catalogue();
    let areas: BTreeSet<&str> = keys
        .keys()
        .filter_map(|key| key.split('.').next())
        .collect();
    let mut used = BTreeSet::new();
    for (file, piece) in literals() {
        let area = piece.split('.').next().unwrap_or_default();
        if !looks_like_a_key(&piece) || !areas.contains(area) {
            continue;
        }
        let pattern: Vec<&str> = piece.split('.').collect();
        let matches = |key: &&&str| {
            let parts: Vec<&str> = key.split('.').collect();
            parts.len() == pattern.len()
                && parts
                    .iter()
                    .zip(&pattern)
                    .all(|(a, b)| a == b || b.starts_with('{'))
        };
        let found: Vec<&str> = keys.keys().filter(matches).copied().collect();
        assert!(
            !found.is_empty(),
            "{file} uses {piece}, which the catalogue lacks"
        );
        used.extend(found);
    }
    let unused: Vec<_> = keys.keys().filter(|key| !used.contains(*key)).collect();
    assert!(unused.is_empty(), "nothing uses {unused:?}");
}

#[test]
fn every_answer_of_the_market_has_a_sentence() {
    let rejections = include_str!("../crates/market/src/rejection.rs");
    let codes = rejections
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let codes: Vec<&str> = codes.collect();
    assert!(codes.len() > 20, "{codes:?}");
    for locale in Locale::ALL {
        for code in &codes {
            let key = format!("rejection.{code}");
            assert_ne!(locale.t(&key), key);
        }
        for why in sluice::web::say::DONE {
            let key = format!("order.done.{}", why.code());
            assert_ne!(sluice::web::say::done(locale, why.code()), key);
        }
    }
}

/// What a source has between double quotes before its tests, with what follows each.
fn quoted(source: &'static str) -> Vec<(&'static str, &'static str)> {
    let source = source.split("\n#[cfg(test)]").next().unwrap_or(source);
    let pieces: Vec<&str> = source.split('"').collect();
    let pairs = pieces.windows(2).skip(1).step_by(2);
    pairs.map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn every_code_of_delivery_has_a_sentence() {
    let course = include_str!("../src/delivery/course/mod.rs");
    let is_code = |piece: &str| {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !piece.is_empty() && piece.bytes().all(is_plain)
    };
    let states: BTreeSet<&str> = course
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(states.contains("suspended"), "{states:?}");
    // A name of JSON has a colon after it, and who caused a step is no reason.
    let reasons: BTreeSet<&str> = quoted(course)
        .into_iter()
        .filter(|(piece, after)| is_code(piece) && !after.starts_with(':'))
        .map(|(piece, _)| piece)
        .filter(|piece| !states.contains(piece) && *piece != "exchange")
        .chain(["prepared", "wiped"])
        .collect();
    assert!(reasons.contains("ends_in_1_hour"), "{reasons:?}");
    let probes = include_str!("../src/delivery/probes/mod.rs");
    let probes = probes
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let tables = include_str!("../migrations/0140_delivery.sql");
    let kinds = tables.split("CHECK (kind IN (").last().expect("kinds");
    let kinds = kinds.split(')').next().unwrap_or_default();
    let kinds: Vec<&str> = kinds.split('\'').skip(1).step_by(2).collect();
    assert!(kinds.len() > 3, "{kinds:?}");
    let keys = states.iter().map(|code| format!("course.state.{code}"));
    let keys = keys.chain(reasons.iter().map(|code| format!("course.reason.{code}")));
    let keys = keys.chain(probes.map(|code| format!("probe.outcome.{code}")));
    let keys = keys.chain(kinds.iter().map(|code| format!("case.kind.{code}")));
    for key in keys {
        for locale in Locale::ALL {
            assert_ne!(locale.t(&key), key, "{}", locale.tag());
        }
    }
}
