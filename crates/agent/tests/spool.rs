//! What was put on the spool is there after whatever happened, once, and in its order.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reading::{AgentKey, Digest, Minute, Reading, SignedReading};
use sluice_agent::messages::{Reason, Stage, State};
use sluice_agent::spool::{Head, Spool, SpoolError};

mod namespace;

const LIMIT: u64 = 1 << 20;

fn open(path: &Path) -> Spool {
    Spool::open(path, 7, LIMIT).expect("a spool")
}

/// The next reading of a lease.
fn next(spool: &Spool, lease: u64) -> SignedReading {
    let head = spool.head(lease);
    let beginning = Head {
        sequence: 0,
        hash: Digest::beginning(7, lease),
        minute: Minute(29_000_000),
    };
    let head = head.unwrap_or(beginning);
    let reading = Reading {
        agent: 7,
        lease,
        sequence: head.sequence + 1,
        minute: Minute(head.minute.0 + 1),
        units: 8,
        before: head.hash,
    };
    reading.sign(&AgentKey::from_secret(&[1; 32]))
}

fn add(spool: &mut Spool, leases: &[u64]) -> Result<(), SpoolError> {
    let readings = leases.iter().map(|&lease| next(spool, lease)).collect();
    spool.add(readings)
}

/// Lease and number of each reading that waits.
fn waiting(spool: &Spool) -> Vec<(u64, u64)> {
    let all = spool.readings(usize::MAX);
    all.iter()
        .map(|one| (one.reading.lease, one.reading.sequence))
        .collect()
}

fn state(lease: u64) -> State {
    State {
        lease,
        stage: Stage::Closed,
        reason: Reason::Ended,
        at: "2026-11-26T14:00:00Z".parse().expect("an instant"),
        evidence: serde_json::json!({ "processes": 3 }),
    }
}

#[test]
fn what_was_not_acknowledged_is_there_after_a_start_in_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let mut spool = open(&path);
    add(&mut spool, &[12, 13]).expect("room");
    add(&mut spool, &[12]).expect("room");
    spool.add_state(state(12)).expect("room");
    spool.add_state(state(13)).expect("room");
    let before = (spool.readings(99), spool.states(99));
    let spool = open(&path);
    assert_eq!((spool.readings(99), spool.states(99)), before);
    assert_eq!(waiting(&spool), [(12, 1), (12, 2), (13, 1)]);
    assert_eq!(spool.waiting(), 5);

    let mut spool = open(&path);
    spool.taken(12, 1).expect("room");
    spool.states_taken(1).expect("room");
    for spool in [&spool, &open(&path)] {
        assert_eq!(waiting(spool), [(12, 2), (13, 1)]);
        assert_eq!(spool.states(99)[0].sequence, 2);
        assert_eq!(spool.states(99).len(), 1);
    }
    spool.taken(12, 2).expect("room");
    spool.states_taken(2).expect("room");
    add(&mut spool, &[12]).expect("room");
    spool.add_state(state(13)).expect("room");
    assert_eq!(waiting(&open(&path)), [(12, 3), (13, 1)], "numbers go on");
    assert_eq!(open(&path).states(99)[0].sequence, 3);
}

/// Wherever a write was cut short, what was synced before is there and goes on from there.
#[test]
fn a_record_that_was_cut_short_is_cut_off_wherever_that_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let mut spool = open(&path);
    let mut ends = vec![fs::metadata(&path).expect("it is there").len()];
    for _ in 0..2 {
        add(&mut spool, &[12, 13]).expect("room");
        ends.push(fs::metadata(&path).expect("it is there").len());
    }
    let whole = fs::read(&path).expect("it is read");
    assert_eq!(ends[2], whole.len() as u64);
    // Every byte of the mark and of the second record's beginning and end, some between.
    let near = |cut: u64| ends.iter().any(|end| end.abs_diff(cut) < 20);
    for cut in (0..whole.len()).filter(|cut| cut % 41 == 0 || near(*cut as u64)) {
        let zeros = vec![0; 700];
        // The file ends there, or was made longer and never filled, or was filled with the rest.
        for tail in [&[][..], &zeros] {
            fs::write(&path, [&whole[..cut], tail].concat()).expect("it is written");
            let short = cut < 8;
            if short && !tail.is_empty() {
                continue;
            }
            let mut spool = open(&path);
            let records = ends.iter().filter(|&&end| end <= cut as u64).count();
            let records = records.saturating_sub(1);
            assert_eq!(waiting(&spool).len(), 2 * records, "cut at {cut}");
            add(&mut spool, &[12, 13]).expect("room");
            assert_eq!(waiting(&open(&path)).len(), 2 * records + 2, "cut at {cut}");
        }
    }
}

/// What was synced and is damaged is said, never passed over: numbers would be signed twice.
#[test]
fn damage_in_the_middle_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let mut spool = open(&path);
    for _ in 0..3 {
        add(&mut spool, &[12]).expect("room");
    }
    drop(spool);
    let whole = fs::read(&path).expect("it is read");
    let records = &whole[8..];
    let third = whole.len() - records.len() / 3;
    for at in (0..third).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).expect("it is written");
        let opened = Spool::open(&path, 7, LIMIT);
        assert!(
            matches!(opened, Err(SpoolError::Damaged { .. })),
            "at {at}: {opened:?}"
        );
    }
}

#[test]
fn the_file_stays_small_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let mut spool = open(&path);
    let (mut length, mut shorter) = (0, 0);
    for round in 1..=1_000 {
        add(&mut spool, &[12]).expect("room");
        spool.taken(12, round).expect("room");
        let now = fs::metadata(&path).expect("it is there").len();
        if now < length {
            // Written anew, with nothing that waits: how far things had come is there all the same.
            shorter += 1;
            let spool = open(&path);
            assert_eq!(spool.head(12).expect("it went on").sequence, round);
            assert_eq!(spool.waiting(), 0);
        }
        length = now;
        assert!(length < 300 * 1024, "{length}");
    }
    assert!(shorter > 0, "it was written anew");
    let spool = open(&path);
    assert_eq!(spool.head(12).expect("it went on").sequence, 1_000);
}

#[test]
fn a_spool_that_may_not_grow_says_so_and_holds_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let mut spool = Spool::open(&path, 7, 4_096).expect("a spool");
    let mut held = 0;
    let full = loop {
        match add(&mut spool, &[12]) {
            Ok(()) => held += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, SpoolError::Bound { limit: 4_096, .. }),
        "{full}"
    );
    assert!(held > 5, "{held}");
    assert!(fs::metadata(&path).expect("it is there").len() <= 4_096);
    assert_eq!(waiting(&open(&path)).len(), held as usize);
    assert_eq!(
        next(&spool, 12).reading.sequence,
        held + 1,
        "no number is used up"
    );
    // Acknowledging makes room, though there is none to note it in.
    spool.taken(12, held).expect("it is written anew");
    add(&mut spool, &[12]).expect("there is room");
    assert_eq!(waiting(&open(&path)), [(12, held + 1)]);
}

const CHILD: &str = "SLUICE_AGENT_SPOOL_CHILD";

/// Not a test by itself: what [`what_was_synced_outlives_a_kill`] starts and kills.
#[test]
fn child_that_spools_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let mut spool = open(Path::new(&path));
    for round in 0.. {
        add(&mut spool, &[12, 13]).expect("room");
        let head = spool.head(12).expect("it was added").sequence;
        println!("added {head}");
        if round % 3 == 0 && head > 10 {
            spool.taken(12, head - 5).expect("room");
            println!("taken {}", head - 5);
        }
        spool.taken(13, head).expect("room");
    }
}

#[test]
fn what_was_synced_outlives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("spool");
    let mut added = 0;
    let mut taken = 0;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "child_that_spools_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        for (count, line) in (0..).zip(output.lines()) {
            let line = line.expect("text");
            // It goes on meanwhile, and is cut short anywhere.
            if count == 5 + 3 * round {
                child.kill().expect("it is killed");
            }
            // The harness writes its own beginning of the first line.
            for (word, last) in [("added ", &mut added), ("taken ", &mut taken)] {
                if let Some((_, number)) = line.split_once(word)
                    && let Ok(number) = number.parse::<u64>()
                {
                    *last = number;
                }
            }
        }
        child.wait().expect("it ended");
        let spool = open(&path);
        let head = spool.head(12).map_or(0, |head| head.sequence);
        assert!(
            head == added || head == added + 1,
            "{added} were synced, {head} are there"
        );
        let waits: Vec<u64> = waiting(&spool)
            .into_iter()
            .filter_map(|(lease, number)| (lease == 12).then_some(number))
            .collect();
        let first = waits.first().copied().unwrap_or(head + 1);
        assert_eq!(
            waits,
            (first..=head).collect::<Vec<_>>(),
            "none is missing between"
        );
        let noted = taken.max(head.saturating_sub(5));
        assert!(first <= noted + 1, "{noted} were taken, {first} waits");
        assert!(first > taken, "what was noted as taken does not wait");
        // What was synced and not said any more.
        (added, taken) = (head, first - 1);
    }
    assert!(added > 100, "it did something: {added}");
}

/// The disk itself is full: a sentence, and room mends it.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_full_disk_is_one_sentence_and_nothing_is_half_written() {
    namespace::require();
    let folder = tempfile::tempdir().expect("a folder");
    namespace::mount(folder.path(), "size=200k");
    let path = folder.path().join("spool");
    let mut spool = Spool::open(&path, 7, 1 << 30).expect("a spool");
    let mut held = 0;
    let full = loop {
        match add(&mut spool, &[12, 13]) {
            Ok(()) => held += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, SpoolError::DiskFull(_)), "{full}");
    for spool in [
        &spool,
        &Spool::open(&path, 7, 1 << 30).expect("it is whole"),
    ] {
        assert_eq!(waiting(spool).len(), 2 * held as usize);
        assert_eq!(next(spool, 12).reading.sequence, held + 1);
    }
    namespace::mount(folder.path(), "remount,size=2m");
    add(&mut spool, &[12, 13]).expect("there is room");
    assert_eq!(waiting(&open(&path)).len(), 2 * held as usize + 2);
}
