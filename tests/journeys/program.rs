//! The program as a person starts it: its settings, its sentences, its end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use sluice::db::purpose::{self, Purpose};

use crate::support::postgres::{folder_until_exit, fresh_database};

/// The program, in a folder of its own, with nothing set.
pub(crate) fn sluice(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .env("SLUICE_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> (Output, String, String) {
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// Starts `sluice serve` and waits until it serves.
fn serve(folder: &Path) -> Child {
    serve_at(folder).0
}

/// Starts `sluice serve`, waits until it serves, and says at which address.
fn serve_at(folder: &Path) -> (Child, String) {
    let mut command = sluice(folder);
    command.arg("serve").stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it has a pipe")).lines();
    let mut seen = String::new();
    for line in lines.by_ref() {
        let line = line.expect("the log is text");
        seen.push_str(&line);
        if let Some((_, address)) = line.split_once("serving http://") {
            let address = address.trim().to_owned();
            // Read on, so that the program never waits for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return (child, address);
        }
    }
    let ended = child.wait().expect("it closed its log, so it ends");
    panic!("it did not become ready, {ended}: {seen}");
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("it is small"));
    kill(pid, signal).expect("the signal is sent");
}

/// The postmaster's number, while it runs.
fn postmaster(folder: &Path) -> Option<u32> {
    let file = folder.join(".sluice/postgres/data/postmaster.pid");
    let number = fs::read_to_string(file)
        .ok()?
        .lines()
        .next()?
        .parse()
        .ok()?;
    Path::new("/proc")
        .join(format!("{number}"))
        .exists()
        .then_some(number)
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = folder_until_exit();
    let file = "clock_speed = 2\nusd_cny = 7.2\nqueue_length = '77'\n";
    fs::write(folder.join("sluice.toml"), file).expect("the file is written");
    let mut command = sluice(&folder);
    command
        .args(["config", "--clock-speed", "4"])
        .env("SLUICE_CLOCK_SPEED", "3")
        .env("SLUICE_USD_CNY", "7.3")
        .env("DATABASE_URL", "postgres://u:s3cret@h/d?password=s3cret");
    let (done, out, err) = output(&mut command);
    assert_eq!(done.status.code(), Some(0), "{err}");
    let line = |name: &str| {
        let begins = format!("{name} = ");
        let found = out.lines().find(|line| line.starts_with(&begins));
        let words: Vec<&str> = found.unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(
        line("clock_speed"),
        "clock_speed = \"4\" # flag --clock-speed"
    );
    assert_eq!(
        line("usd_cny"),
        "usd_cny = \"7.3\" # environment SLUICE_USD_CNY"
    );
    assert_eq!(
        line("queue_length"),
        "queue_length = \"77\" # file sluice.toml"
    );
    assert_eq!(line("batch_max"), "batch_max = \"1000\" # default");
    assert!(
        line("database_url").ends_with("# environment DATABASE_URL"),
        "{out}"
    );
    assert!(!out.contains("s3cret"), "{out}");
}

#[test]
fn an_address_in_use_is_one_sentence_and_nothing_is_started() {
    let folder = folder_until_exit();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address is free");
    let address = taken.local_addr().expect("it is known").to_string();
    let mut command = sluice(&folder);
    let (output, _, err) = output(command.args(["serve", "--listen", &address]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err.contains(&format!("{address} can't be listened on")),
        "{err}"
    );
    assert_eq!(err.trim().lines().count(), 1, "{err}");
    assert!(!folder.join(".sluice").exists());
}

#[test]
fn wrong_usage_is_2_and_a_failure_is_1_with_one_sentence() {
    let folder = folder_until_exit();
    let missing = folder.join("absent");
    let missing = missing.to_str().expect("it is text");
    let serve: &[&str] = &["serve"];
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);
    let cases: [Case<'_>; 9] = [
        (&["serve", "--nonsense"], &[], 2, "--nonsense"),
        (
            &["serve", "--clock-speed", "0"],
            &[],
            2,
            "whole number from 1",
        ),
        (
            serve,
            &[("SLUICE_CLOCK_SPEED", "0")],
            1,
            "environment SLUICE_CLOCK_SPEED",
        ),
        (serve, &[("SLUICE_CONFIG", missing)], 1, "can't be read"),
        (
            serve,
            &[("SLUICE_LISTEN", "0.0.0.0:80")],
            1,
            "passwords need TLS",
        ),
        (
            serve,
            &[("SLUICE_PG_BIN", missing)],
            1,
            "SLUICE_PG_BIN names",
        ),
        (
            serve,
            &[("DATABASE_URL", "mysql://h/d")],
            1,
            "postgres://user@host:5432/name",
        ),
        (
            serve,
            &[("DATABASE_URL", "postgres://127.0.0.1:1/d")],
            1,
            "no database answers",
        ),
        (serve, &[("SLUICE_DATA_DIR", "/proc/no")], 1, "/proc/no"),
    ];
    for (arguments, environment, code, sentence) in cases {
        let mut command = sluice(&folder);
        command.args(arguments).envs(environment.iter().copied());
        let (done, _, err) = output(&mut command);
        assert_eq!(
            done.status.code(),
            Some(code),
            "{arguments:?} {environment:?}: {err}"
        );
        assert!(err.contains(sentence), "{err}");
        if code == 1 {
            assert!(
                err.starts_with("sluice: ") && err.lines().count() == 1,
                "{err}"
            );
        }
    }
}

#[test]
fn a_demonstration_is_not_served_to_the_network_unless_told_to() {
    let folder = folder_until_exit();
    let https = ("SLUICE_PUBLIC_URL", "https://example.org");
    let open: [&[(&str, &str)]; 2] = [&[("SLUICE_LISTEN", "0.0.0.0:0"), https], &[https]];
    for environment in open {
        let mut command = sluice(&folder);
        command
            .args(["serve", "--demo"])
            .envs(environment.iter().copied());
        let (done, _, err) = output(&mut command);
        assert_eq!(done.status.code(), Some(1), "{err}");
        assert!(err.contains("open to the network"), "{err}");
        assert!(err.contains("--demo-in-the-open"), "{err}");
        assert!(!folder.join(".sluice").exists());
    }
    let mut command = sluice(&folder);
    let (done, _, err) = output(command.args(["serve", "--demo-in-the-open"]));
    assert_eq!(done.status.code(), Some(2), "{err}");
}

#[tokio::test]
async fn a_database_is_served_as_what_it_was_first_used_for() {
    let folder = folder_until_exit();
    let earnest = ["serve"].as_slice();
    let demo = ["serve", "--demo"].as_slice();
    for (first, arguments, sentence) in [
        (Purpose::Earnest, demo, "has been served in earnest"),
        (Purpose::Demonstration, earnest, "is a demonstration's"),
        (Purpose::Replay, earnest, "is a replay's"),
        (Purpose::Replay, demo, "is a replay's"),
        (Purpose::Demonstration, &["replay"], "no replay made"),
        (Purpose::Earnest, &["replay"], "no replay made"),
    ] {
        let database = fresh_database().await;
        let mut connection = database.pool.acquire().await.expect("a connection");
        let claimed = purpose::claim(&mut connection, first).await;
        claimed.expect("nobody has used it");
        let mut command = sluice(&folder);
        command.args(arguments).env("DATABASE_URL", &database.url);
        if arguments[0] == "serve" {
            command.arg("--allow-unsafe-database");
        }
        let (done, _, err) = output(&mut command);
        assert_eq!(
            done.status.code(),
            Some(1),
            "{first:?} {arguments:?}: {err}"
        );
        assert!(err.contains(sentence), "{first:?} {arguments:?}: {err}");
        let commands: i64 = sqlx::query_scalar("SELECT count(*) FROM commands")
            .fetch_one(&mut *connection)
            .await
            .expect("the log is read");
        assert_eq!(commands, 0);
    }
}

#[test]
fn every_command_shows_an_example() {
    let folder = folder_until_exit();
    let (_, help, _) = output(sluice(&folder).arg("--help"));
    let (_, commands) = help.split_once("Commands:").expect("commands are listed");
    let (commands, _) = commands.split_once("\n\n").expect("the list ends");
    let names: Vec<&str> = commands
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(names.contains(&"serve"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let (done, help, _) = output(sluice(&folder).args([name, "--help"]));
        assert!(done.status.success());
        assert!(help.contains("Example:\n  "), "{name}: {help}");
    }
    for words in [
        "admin create",
        "admin reset-second-factor",
        "admin suspend",
        "admin restore",
        "admin vantage add",
        "admin vantage retire",
        "admin grade-needs",
        "vantage key",
    ] {
        let (done, help, _) = output(sluice(&folder).args(words.split(' ')).arg("--help"));
        assert!(done.status.success());
        assert!(help.contains("Example:\n  "), "{words}: {help}");
    }
}

#[test]
fn ctrl_c_stops_everything_and_a_kill_leaves_nothing_behind() {
    let folder = folder_until_exit();
    let mut child = serve(&folder);
    assert!(postmaster(&folder).is_some());
    let (_, _, err) = output(sluice(&folder).arg("serve"));
    assert!(err.contains("already running"), "{err}");

    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(postmaster(&folder), None);

    let mut child = serve(&folder);
    let before = postmaster(&folder).expect("the server runs");
    signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    // At once, while the orphaned server may still be on its way out.
    let mut child = serve(&folder);
    assert_ne!(postmaster(&folder).expect("the server runs"), before);
    signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    let begun = Instant::now();
    while postmaster(&folder).is_some() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the server outlives the program"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn no_more_sign_ins_wait_for_their_hash_than_the_settings_let() {
    let folder = folder_until_exit();
    let file = "argon2_permits = 1\nargon2_queue = 1\n";
    fs::write(folder.join("sluice.toml"), file).expect("the file is written");
    let (mut child, address) = serve_at(&folder);
    // One is hashed and one waits; the default would let all of them wait.
    let sign_in = |number: usize| {
        let body = format!("login=nobody{number}&password=not+the+password+at+all");
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&address).expect("it connects");
        stream.write_all(request.as_bytes()).expect("it is sent");
        stream
    };
    let streams: Vec<TcpStream> = (0..12).map(sign_in).collect();
    let sent_away = streams.into_iter().filter(|mut stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is answered");
        answer.starts_with("HTTP/1.1 503")
    });
    let sent_away = sent_away.count();
    // Stopped before anything can fail: a program left behind would outlive the tests.
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(sent_away > 0, "all of them waited");
}

/// What a form that is sent to this address is answered, head and all.
fn post(address: &str, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).expect("it connects");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    answer
}

#[test]
fn admin_makes_the_platforms_people_before_and_beside_a_server() {
    let folder = folder_until_exit();
    let admin = |arguments: &[&str], typed: Option<&str>| {
        let mut command = sluice(&folder);
        command.arg("admin").args(arguments);
        if let Some(typed) = typed {
            fs::write(folder.join("typed"), typed).expect("it is written");
            command.stdin(fs::File::open(folder.join("typed")).expect("it is there"));
        }
        let (done, out, err) = output(&mut command);
        (done.status.code(), out, err)
    };
    let create = ["create", "--login", "olga", "--role", "operations"];
    let (code, out, err) = admin(&create, None);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("second factor"), "{out}");
    let password = out.lines().nth(1).expect("the password is printed");
    for (arguments, typed, code, sentence) in [
        (&create[..], None, 1, "olga already"),
        (
            &["create", "--login", "OLGA", "--role", "auditor"],
            None,
            1,
            "already",
        ),
        (
            &["create", "--login", "omar", "--role", "owner"],
            None,
            2,
            "owner",
        ),
        (
            &["create", "--login", "o", "--role", "auditor"],
            None,
            1,
            "3 to 254",
        ),
        (
            &["create", "--login", "omar", "--role", "auditor"],
            Some("too short\n"),
            1,
            "at least 15",
        ),
        (&["reset-second-factor", "--login", "omar"], None, 1, "omar"),
        (
            &["suspend", "--participant", "7", "--reason", "x"],
            None,
            1,
            "participant 7",
        ),
        (&["restore", "--participant", "算渠"], None, 1, "算渠"),
        (&["suspend", "--participant", "7"], None, 2, "--reason"),
    ] {
        let (done, out, err) = admin(arguments, typed);
        assert_eq!(done, Some(code), "{arguments:?}: {out}{err}");
        assert!(err.contains(sentence), "{arguments:?}: {err}");
    }

    let (mut child, address) = serve_at(&folder);
    let answer = post(
        &address,
        "/sign-in",
        &format!("login=olga&password={password}"),
    );
    assert!(
        answer.contains("location: /second-factor?next=/\r\n"),
        "{answer}"
    );
    // Beside the server that runs: a password from standard input, and a suspension.
    let omar = ["create", "--login", "omar", "--role", "auditor"];
    let (code, out, err) = admin(&omar, Some("the hills beyond the river\r\n"));
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("river"), "{out}");
    let answer = post(
        &address,
        "/sign-in",
        "login=omar&password=the+hills+beyond+the+river",
    );
    assert!(answer.contains("location: /second-factor"), "{answer}");
    let body = "name=听澜&login=ada&password=a+river+through+the+hills";
    let answer = post(&address, "/sign-up", body);
    assert!(answer.contains("location: /wallet"), "{answer}");
    for (arguments, code) in [
        (
            &["suspend", "--participant", "听澜", "--reason", "abuse"][..],
            0,
        ),
        (&["suspend", "--participant", "1", "--reason", "abuse"], 1),
        (&["restore", "--participant", "1"], 0),
        (&["restore", "--participant", "1"], 1),
        (&["reset-second-factor", "--login", "olga"], 0),
    ] {
        let (done, out, err) = admin(arguments, None);
        assert_eq!(done, Some(code), "{arguments:?}: {out}{err}");
    }
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn no_secret_is_in_the_log() {
    let folder = folder_until_exit();
    let mut command = sluice(&folder);
    let log = fs::File::create(folder.join("log")).expect("it is made");
    command
        .args(["serve", "--log-level", "debug"])
        .stderr(log)
        .env("SLUICE_LOG_FORMAT", "json");
    let mut child = command.spawn().expect("the program starts");
    let read = || fs::read_to_string(folder.join("log")).expect("it is text");
    let begun = Instant::now();
    let address = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", read());
        if let Some((_, rest)) = read().split_once("serving http://") {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
            break rest[..end.unwrap_or(rest.len())].to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let body = "name=ada&login=ada&password=planted+secret+of+ada";
    let signed_up = post(&address, "/sign-up", body);
    let (_, cookie) = signed_up.split_once("sluice=").expect("a cookie");
    let cookie = cookie.split(';').next().expect("its value").to_owned();
    post(
        &address,
        "/sign-in",
        "login=ada&password=planted+guess+at+it",
    );
    post(
        &address,
        "/sign-in",
        "login=planted+password+as+name&password=x",
    );
    post(
        &address,
        "/join?invitation=planted-invitation",
        "invitation=planted-invitation",
    );
    post(&address, "/second-factor", "code=planted-code");
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let log = read();
    assert!(log.contains("/sign-in"), "requests are in it: {log}");
    assert!(!log.contains("planted") && !log.contains(&cookie), "{log}");
}

#[test]
fn a_demonstration_is_not_open_by_accident() {
    let folder = folder_until_exit();
    let mut command = sluice(&folder);
    command.args(["serve", "--demo"]);
    let open = [
        ("SLUICE_LISTEN", "0.0.0.0:0"),
        ("SLUICE_PUBLIC_URL", "https://sluice.example"),
    ];
    let (done, _, err) = output(command.envs(open));
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains("would be open to the network"), "{err}");
    assert!(!folder.join(".sluice").exists());
}
