//! The architecture as a test: borders, sizes and habits, read from the files.
//!
//! Reads source as text. A rule that a file has to break for a reason is an entry in a list here,
//! with the reason; the lists only get shorter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a person sees together; none uses another.
const AREAS: [&str; 20] = [
    "agents",
    "certification",
    "claims",
    "control",
    "disputes",
    "funds",
    "guide",
    "identity",
    "instruments",
    "leases",
    "ledger",
    "lookup",
    "market_data",
    "members",
    "orders",
    "oversight",
    "pools",
    "supply",
    "tokens",
    "vantages",
];

/// What moves money and capacity; uses no area and nothing of the shell but the database.
const MACHINE: [&str; 6] = [
    "audit",
    "delivery",
    "feed",
    "replay",
    "sequencer",
    "vantage",
];

/// The file names that an area may have.
const AREA_FILES: [&str; 8] = [
    "mod.rs",
    "pages.rs",
    "fragments.rs",
    "actions.rs",
    "forms.rs",
    "queries.rs",
    "store.rs",
    "api.rs",
];

/// Tables that only the sequencer writes.
const MARKET_TABLES: [&str; 18] = [
    "engine",
    "epochs",
    "commands",
    "instruments",
    "pools",
    "orders",
    "trades",
    "leases",
    "disputes",
    "settlements",
    "corrections",
    "journal_entries",
    "postings",
    "balances",
    "rule_sets",
    "halts",
    "related",
    "outbox",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder of the project with this ending, with its path from the top.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path: PathBuf = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == ending)
            {
                let name = path.strip_prefix(root()).expect("below the top").to_owned();
                let text = fs::read_to_string(&path).expect("a source file is text");
                found.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The part of a source file that is not its tests.
fn production(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

fn expect_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn the_core_depends_on_nothing_that_could_make_it_impure() {
    let manifest = fs::read_to_string(root().join("crates/market/Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let dependencies: Vec<&String> = manifest["dependencies"]
        .as_table()
        .expect("a table")
        .keys()
        .collect();
    assert_eq!(dependencies, ["serde", "thiserror"]);
}

#[test]
fn areas_and_machine_keep_to_their_borders() {
    let mut broken = Vec::new();
    for (name, text) in files("src", "rs") {
        let home = name.split('/').nth(1).unwrap_or_default();
        for area in AREAS {
            let foreign = text.contains(&format!("crate::{area}"));
            let may = home == area || ["router.rs", "lib.rs", "ops"].contains(&home);
            if foreign && !may {
                broken.push(format!("{name} uses the area {area}"));
            }
        }
        let shell = ["web", "config", "router", "app", "ops"];
        if MACHINE.contains(&home) {
            for part in shell {
                if text.contains(&format!("crate::{part}::")) {
                    broken.push(format!("{name} is of the machine and uses {part}"));
                }
            }
        }
    }
    expect_none(
        "an area uses no other area, the machine uses neither areas nor shell",
        &broken,
    );
}

#[test]
fn areas_have_the_same_file_names() {
    let mut broken = Vec::new();
    for (name, _) in files("src", "rs") {
        let parts: Vec<&str> = name.split('/').collect();
        let in_area = parts.len() > 2 && AREAS.contains(&parts[1]);
        // One that would grow too large is a folder of its name.
        let file = match parts.as_slice() {
            [_, _, file] => (*file).to_owned(),
            [_, _, folder, _] => format!("{folder}.rs"),
            _ => String::new(),
        };
        if in_area && !AREA_FILES.contains(&file.as_str()) {
            broken.push(name);
        }
    }
    expect_none("an area has only these files: see ARCHITECTURE", &broken);
}

#[test]
fn sql_is_written_where_it_belongs() {
    let mut broken = Vec::new();
    for (name, text) in files("src", "rs") {
        let text = production(&text);
        let home = name.split('/').nth(1).unwrap_or_default();
        let file = name.rsplit('/').next().unwrap_or_default();
        let upper = text.to_owned();
        let writes = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];
        let of_market = MARKET_TABLES.iter().any(|table| {
            writes.iter().any(|verb| {
                upper.split(&format!("{verb}{table}")).skip(1).any(|rest| {
                    !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
                })
            })
        });
        if of_market && home != "sequencer" {
            broken.push(format!("{name} writes a table of the market"));
        }
        let writer = file == "store.rs" || ["sequencer", "db", "clock.rs"].contains(&home);
        if writes.iter().any(|verb| upper.contains(verb)) && !writer {
            broken.push(format!("{name} writes, and is no store.rs"));
        }
        if text.contains("AssertSqlSafe") && home != "db" {
            broken.push(format!("{name} puts SQL together at run time"));
        }
    }
    expect_none(
        "writes stand in store.rs, the market's in sequencer/, SQL is literal",
        &broken,
    );
}

#[test]
fn a_members_bid_goes_to_the_market_in_one_place() {
    let mut broken = Vec::new();
    for (name, text) in files("src", "rs") {
        let home = name.split('/').nth(1).unwrap_or_default();
        // A pool's tariffs are asks.
        if !AREAS.contains(&home) || home == "pools" {
            continue;
        }
        for command in ["Command::PlaceOrder", "Command::ReplaceOrder"] {
            if production(&text).contains(command) {
                broken.push(format!("{name} sends {command}"));
            }
        }
    }
    for (name, text) in files("src/pools", "rs") {
        if production(&text).contains("Side::Buy") {
            broken.push(format!("{name} makes a bid"));
        }
    }
    expect_none(
        "src/web/placing asks whether a bid needs a second person",
        &broken,
    );
}

#[test]
fn files_stay_small() {
    let mut broken = Vec::new();
    for folder in ["src", "crates", "tests"] {
        for (name, text) in files(folder, "rs") {
            let lines = production(&text).lines().count();
            if lines > 600 {
                broken.push(format!("{name} has {lines} lines, 600 are allowed"));
            }
        }
    }
    for (name, text) in files("templates", "html") {
        let lines = text.lines().count();
        if lines > 150 {
            broken.push(format!("{name} has {lines} lines, 150 are allowed"));
        }
    }
    expect_none("a file that grows is split by what it is about", &broken);
}

#[test]
fn no_file_is_named_after_nothing() {
    let nameless = [
        "utils", "util", "helpers", "helper", "common", "misc", "types",
    ];
    let broken: Vec<String> = ["src", "crates", "tests", "templates"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|(name, _)| name)
        .filter(|name| {
            let mut parts = name.split(['/', '.']);
            parts.any(|part| nameless.contains(&part))
        })
        .collect();
    expect_none("a file is named after the thing that it is about", &broken);
}

#[test]
fn every_template_is_used_and_lies_in_its_areas_folder() {
    let sources: String = files("src", "rs")
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join("\n");
    let templates = files("templates", "html");
    let all: String = templates.iter().map(|(_, text)| text.as_str()).collect();
    let mut broken = Vec::new();
    let shared = ["components", "errors"];
    for (name, _) in &templates {
        let path = name.strip_prefix("templates/").unwrap_or(name);
        let quoted = format!("\"{path}\"");
        if !sources.contains(&quoted) && !all.contains(&quoted) {
            broken.push(format!("{name} is not used"));
        }
        if let Some((folder, _)) = path.split_once('/')
            && !AREAS.contains(&folder)
            && !shared.contains(&folder)
        {
            broken.push(format!("{name} is of no area"));
        }
    }
    expect_none("templates mirror areas", &broken);
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let marks = [
        ["FIX", "ME"].concat(),
        ["TO", "DO"].concat(),
        ["XX", "X"].concat(),
    ];
    let mut broken = BTreeSet::new();
    for (folder, ending) in [
        ("src", "rs"),
        ("crates", "rs"),
        ("tests", "rs"),
        ("templates", "html"),
        ("static", "css"),
    ] {
        for (name, text) in files(folder, ending) {
            for (line, text) in text.lines().enumerate() {
                if marks.iter().any(|mark| text.contains(mark.as_str())) {
                    broken.insert(format!("{name}:{}", line + 1));
                }
            }
        }
    }
    expect_none(
        "finish it or write an issue",
        &broken.into_iter().collect::<Vec<_>>(),
    );
}

/// The names of the scenarios, and all of their text.
fn scenarios() -> (BTreeSet<String>, String) {
    let files = files("tests/scenarios", "txt");
    let text = files.iter().map(|(_, text)| text.as_str()).collect();
    let stem = |name: &str| name.rsplit('/').next().map(|name| name.replace(".txt", ""));
    let names = files.iter().filter_map(|(name, _)| stem(name)).collect();
    (names, text)
}

#[test]
fn each_rule_names_its_scenarios_and_each_scenario_its_rule() {
    let rules = fs::read_to_string(root().join("docs/MARKET_RULES.md")).expect("the rules");
    let linked = |text: &str| -> BTreeSet<String> {
        let links = text.split("](../tests/scenarios/").skip(1);
        links
            .filter_map(|link| link.split_once(".txt)"))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let (known, _) = scenarios();
    let named = linked(&rules);
    let mut broken: Vec<String> = named
        .symmetric_difference(&known)
        .map(|name| format!("{name} is a scenario without a clause, or named without being there"))
        .collect();
    let mut last = (0, 0);
    for line in rules.lines().filter(|line| line.starts_with("**")) {
        let number = line.trim_start_matches('*').split([' ', '*']).next();
        let number = number.unwrap_or_default().split_once('.');
        let number = number.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let number: (u32, u32) = number.unwrap_or_default();
        let next = [(last.0, last.1 + 1), (last.0 + 1, 1)].contains(&number);
        last = number;
        if !next || linked(line).is_empty() {
            broken.push(format!(
                "a clause is out of order or names no scenario: {line}"
            ));
        }
    }
    assert!(last.0 > 0, "the rules have clauses");
    expect_none("docs/MARKET_RULES.md and tests/scenarios/ agree", &broken);
}

#[test]
fn each_rejection_is_documented_and_shown() {
    let source = fs::read_to_string(root().join("crates/market/src/rejection.rs"));
    let source = source.expect("the rejections");
    let protocol = fs::read_to_string(root().join("docs/PROTOCOL.md")).expect("the protocol");
    let (_, shown) = scenarios();
    let codes: Vec<&str> = source
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(code, _)| code)
        .collect();
    assert!(codes.len() > 20, "each rejection has a code: {codes:?}");
    let mut broken = Vec::new();
    for code in codes {
        if !protocol.contains(&format!("\n| `{code}` |")) {
            broken.push(format!("{code} is not in docs/PROTOCOL.md"));
        }
        if !shown.contains(&format!("\"reason\":\"{code}\"")) {
            broken.push(format!("{code} is in no scenario"));
        }
    }
    expect_none("every rejection is documented and shown", &broken);
}

#[test]
fn what_a_template_shows_is_escaped() {
    let broken: Vec<String> = files("templates", "html")
        .into_iter()
        .filter(|(_, text)| text.contains("|safe") || text.contains("| safe"))
        .map(|(name, _)| format!("{name} shows something unescaped"))
        .collect();
    expect_none(
        "only fragments, which escape for themselves, are put in as they are",
        &broken,
    );
    let broken: Vec<String> = files("src", "rs")
        .into_iter()
        .filter(|(name, text)| {
            let parts = text.matches("impl HtmlSafe for").count();
            // What is drawn already was drawn by a template: its only maker takes one.
            let drawn =
                name == "src/web/shelf.rs" && text.contains("pub fn new(fragment: &impl Template)");
            parts > text.matches("derive(Template").count() + usize::from(drawn)
        })
        .map(|(name, _)| format!("{name} says that something needs no escaping"))
        .collect();
    expect_none(
        "what is HTML already is a template, which escapes for itself",
        &broken,
    );
}

#[test]
fn sums_are_checked_in_what_is_released() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let checks = manifest["profile"]["release"]["overflow-checks"].as_bool();
    assert_eq!(checks, Some(true));
}

/// The rows of the table in docs/SECURITY.md: what is asserted, and what holds it.
fn security() -> Vec<(String, String, String)> {
    let text = fs::read_to_string(root().join("docs/SECURITY.md")).expect("docs/SECURITY.md");
    let rows = text.lines().filter(|line| {
        line.strip_prefix("| ")
            .is_some_and(|line| line.starts_with(|first: char| first.is_ascii_digit()))
    });
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let mut cell = || cells.next().unwrap_or_default().to_owned();
        (cell(), cell(), cell())
    })
    .collect()
}

#[test]
fn each_row_of_security_names_tests_that_are_there() {
    let mut sources = String::new();
    for folder in ["src", "crates", "tests"] {
        for (_, text) in files(folder, "rs") {
            sources.push_str(&text);
        }
    }
    let mut broken = Vec::new();
    let rows = security();
    assert_eq!(rows.len(), 40, "the forty rows");
    for (number, _, holds) in rows {
        let names: Vec<&str> = holds.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !holds.starts_with("not yet: ") {
            broken.push(format!("{number} names no test and does not say why"));
        }
        for name in names {
            if !sources.contains(&format!("fn {name}(")) {
                broken.push(format!("{number} names {name}, which is no test"));
            }
        }
    }
    expect_none("docs/SECURITY.md names tests that are there", &broken);
}
