//! The rules of the market by example: each file in `tests/scenarios/` is a conversation with
//! `sluice simulate`, its answers worked out by hand from docs/MARKET_RULES.md.
//!
//! A file has comments (`#`), one `$ sluice simulate …` with its flags, the lines in (`>`) and
//! after each the lines out that it causes (`<`). A line out leaves out `seq` and `line`, which
//! are counted here, and `at` where it is that of the command. By hand:
//! `sed -n 's/^> //p' FILE | sluice simulate --rules none`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};
use sluice::{rules, simulate};

type Object = Map<String, Value>;

/// A line in and the lines out that it causes.
struct Exchange {
    command: String,
    events: Vec<Object>,
}

struct Scenario {
    name: String,
    flags: Vec<String>,
    exchanges: Vec<Exchange>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Scenario {
    fn all() -> Vec<Self> {
        let entries = fs::read_dir(root().join("tests/scenarios")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
        paths.sort();
        assert!(!paths.is_empty());
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let mut scenario = Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            flags: Vec::new(),
            exchanges: Vec::new(),
        };
        let mut asked = 0;
        for (number, text) in fs::read_to_string(path).unwrap().lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let (mark, rest) = text.split_at_checked(1).unwrap_or(("#", ""));
            match mark {
                "#" => {}
                "$" => {
                    let flags = rest.strip_prefix(" sluice simulate").expect(&place);
                    scenario.flags = flags.split_whitespace().map(str::to_owned).collect();
                    asked += 1;
                }
                ">" => scenario.exchanges.push(Exchange {
                    command: rest.strip_prefix(' ').unwrap_or(rest).to_owned(),
                    events: Vec::new(),
                }),
                "<" => {
                    let event = serde_json::from_str(rest).expect(&place);
                    let exchange = scenario.exchanges.last_mut().expect(&place);
                    exchange.events.push(event);
                }
                _ => panic!("{place}: a line begins with #, $, > or <"),
            }
        }
        assert_eq!(asked, 1, "{} says once how it is asked", scenario.name);
        scenario
    }

    fn input(&self) -> String {
        let commands = self.exchanges.iter();
        commands
            .map(|exchange| format!("{}\n", exchange.command))
            .collect()
    }

    /// The lines out, whole.
    fn expected(&self) -> Vec<Value> {
        let mut expected = Vec::new();
        let mut last_good = Value::Null;
        for (line, exchange) in self.exchanges.iter().enumerate() {
            let failed = exchange
                .events
                .iter()
                .any(|event| event["event"] == "error");
            if !failed {
                let command: Option<Value> = serde_json::from_str(&exchange.command).ok();
                // A blank line has no time and is no command.
                last_good = command.map_or(last_good, |command| command["at"].clone());
            }
            for event in &exchange.events {
                let seq = expected.len() + 1;
                let mut whole = json!({"seq": seq, "line": line + 1, "at": last_good});
                whole.as_object_mut().unwrap().extend(event.clone());
                expected.push(whole);
            }
        }
        expected
    }

    fn errors(&self) -> usize {
        let events = self.exchanges.iter().flat_map(|exchange| &exchange.events);
        events.filter(|event| event["event"] == "error").count()
    }

    /// What the market answers, and how many lines it could not read.
    fn run(&self, postings: bool) -> (String, u64) {
        let named = self.flags.iter().position(|flag| flag == "--rules");
        let rules = named.map(|place| self.flags[place + 1].as_str());
        let rules = match rules {
            None | Some("none") => rules::load(rules),
            Some(file) => rules::load(root().join(file).to_str()),
        };
        let mut output = Vec::new();
        let input = self.input();
        let errors = simulate::run(input.as_bytes(), &mut output, rules.unwrap(), postings);
        (String::from_utf8(output).unwrap(), errors.unwrap())
    }

    fn postings(&self) -> bool {
        self.flags.iter().any(|flag| flag == "--postings")
    }

    /// What differs from the expectation.
    fn differences(&self, output: &str) -> Vec<String> {
        let got: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected = self.expected();
        let mut differences = Vec::new();
        for place in 0..got.len().max(expected.len()) {
            let (got, expected) = (got.get(place), expected.get(place));
            if got != expected {
                let show = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
                let (name, expected, got) = (&self.name, show(expected), show(got));
                differences.push(format!("{name}:\n  expected {expected}\n  got      {got}"));
                // After the first, all that follows is numbered differently.
                break;
            }
        }
        differences
    }
}

#[test]
fn every_scenario_goes_as_it_was_worked_out() {
    let mut differences = Vec::new();
    for scenario in Scenario::all() {
        let (output, errors) = scenario.run(scenario.postings());
        differences.extend(scenario.differences(&output));
        assert_eq!(errors, scenario.errors() as u64, "{}", scenario.name);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_same_lines_give_the_same_bytes() {
    for scenario in Scenario::all() {
        assert_eq!(scenario.run(true), scenario.run(true), "{}", scenario.name);
    }
}

#[test]
fn journal_entries_sum_to_zero_and_change_nothing_else() {
    for scenario in Scenario::all() {
        let without_numbers = |output: &str| -> Vec<Value> {
            let lines = output
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            lines
                .filter(|line: &Value| line["event"] != "posted")
                .map(|mut line: Value| {
                    line["seq"].take();
                    line
                })
                .collect()
        };
        let (bare, (full, _)) = (scenario.run(false).0, scenario.run(true));
        assert_eq!(without_numbers(&bare), without_numbers(&full));
        for line in full.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let amounts = line["postings"].as_array().into_iter().flatten();
            let sum: i64 = amounts
                .map(|posting| posting["amount"].as_str().unwrap())
                .map(|amount| amount.parse::<market::Money>().unwrap().0)
                .sum();
            assert_eq!(sum, 0, "{}: {line}", scenario.name);
        }
    }
}

/// Runs the program itself with what goes to its standard input.
fn sluice(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("simulate")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends early does not read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn the_program_reads_a_file_or_its_input_and_says_how_it_went() {
    let scenarios = Scenario::all();
    let clean = scenarios.iter().find(|scenario| scenario.errors() == 0);
    let faulty = scenarios.iter().find(|scenario| scenario.errors() > 0);
    for (scenario, code) in [(clean.unwrap(), 0), (faulty.unwrap(), 1)] {
        let mut flags: Vec<&str> = scenario.flags.iter().map(String::as_str).collect();
        let piped = sluice(&flags, scenario.input().as_bytes());
        assert_eq!(piped.status.code(), Some(code), "{}", scenario.name);
        assert_eq!(piped.stderr.is_empty(), code == 0);
        let expected = scenario.run(scenario.postings()).0;
        assert_eq!(String::from_utf8(piped.stdout).unwrap(), expected);

        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), scenario.input()).unwrap();
        flags.push(file.path().to_str().unwrap());
        let read = sluice(&flags, b"");
        assert_eq!(read.status.code(), Some(code));
        assert_eq!(String::from_utf8(read.stdout).unwrap(), expected);
    }
}

#[test]
fn the_program_says_what_it_can_not_read() {
    for (arguments, code, said) in [
        (&["/there/is/no.jsonl"][..], 1, "/there/is/no.jsonl"),
        (&["--rules", "/there/is/no.toml"], 1, "/there/is/no.toml"),
        (&["--rules", "Cargo.toml"], 1, "Cargo.toml"),
        (&["tests"], 1, "tests"),
        (&["--no-such-flag"], 2, "--no-such-flag"),
    ] {
        let output = sluice(arguments, b"");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn lines_that_no_text_file_has_are_errors_and_the_rest_goes_on() {
    let tick = br#"{"at":"2026-11-02T00:00:00Z","do":"tick"}"#;
    let mut input = Vec::new();
    input.extend(b"\xff\xfe\n");
    input.extend(vec![b'{'; 3 << 20]);
    input.push(b'\n');
    // The longest line that is read: blanks after a command belong to it.
    input.extend(tick);
    input.extend(vec![b' '; (1 << 20) - tick.len()]);
    input.push(b'\n');
    input.extend(tick);
    input.extend(vec![b' '; (1 << 20) + 1 - tick.len()]);
    input.push(b'\n');
    // Depth is bounded too, and the last line needs no end.
    input.extend(vec![b'['; 100_000]);
    input.push(b'\n');
    input.extend(br#"{"at":"2026-11-02T00:00:00Z","do":"balance","org":"b1"}"#);

    let mut output = Vec::new();
    let errors = simulate::run(&input[..], &mut output, market::Rules::none(), false).unwrap();
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<(&Value, &Value, &Value)> = lines
        .iter()
        .map(|line| (&line["line"], &line["event"], &line["at"]))
        .collect();
    let (error, midnight) = (json!("error"), json!("2026-11-02T00:00:00Z"));
    assert_eq!(
        shown,
        [
            (&json!(1), &error, &Value::Null),
            (&json!(2), &error, &Value::Null),
            (&json!(4), &error, &midnight),
            (&json!(5), &error, &midnight),
            (&json!(6), &json!("balance"), &midnight),
        ]
    );
    assert_eq!(errors, 4);
}
