//! One probe, and whatever may be at the other end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reading::AgentKey;
use serde_json::{Value, json};
use sluice::delivery::probes::{MOST_EVIDENCE, Outcome, Reason, Target};
use sluice::vantage::Reach;
use sluice::vantage::probe::{Patience, Prober};
use sluice_agent::inventory::Needs;
use tokio::net::TcpListener;

use super::ssh::{Behind, Door, line};

const PATIENCE: Patience = Patience {
    connect: Duration::from_millis(500),
    sign_in: Duration::from_millis(1_500),
    look: Duration::from_millis(500),
};

fn own_key() -> AgentKey {
    AgentKey::from_secret(&[1; 32])
}

fn prober() -> Prober {
    Prober::new(&own_key(), PATIENCE, Reach::Any)
}

/// What a lease with so many cards sees.
pub(super) fn look(cards: usize) -> Value {
    let card = |number: usize| {
        json!({ "model": "NVIDIA A100-SXM4-80GB", "identity": format!("GPU-{number}"),
                "memory_mib": 81_920, "healthy": true })
    };
    let accelerators: Vec<Value> = (0..cards).map(card).collect();
    json!({ "version": 1, "account": "sluice-l12", "accelerators": accelerators,
            "cpus": 64, "memory_mib": 500_000, "problems": [] })
}

/// Eight cards with what a host has for them.
fn needs() -> Needs {
    Needs {
        units: 8,
        models: vec!["NVIDIA A100-SXM4-80GB".to_owned()],
        accelerator_memory_mib: 80_000,
        cpus: 8,
        memory_mib: 60_000,
        disk_mib: 0,
    }
}

fn target(door: &Door) -> Target {
    Target {
        stay: 12,
        host: 3,
        address: door.address.ip().to_string(),
        port: door.address.port(),
        login: "sluice-l12".to_owned(),
        host_key: door.host_key(),
        needs: needs(),
    }
}

async fn found(behind: Behind) -> Outcome {
    let door = Door::open(behind, &own_key()).await;
    prober().probe(&target(&door)).await
}

fn said(outcome: &Outcome) -> (Reason, String) {
    (outcome.reason, outcome.evidence.to_string())
}

#[tokio::test]
async fn a_lease_that_is_there_and_is_its_grade_passes() {
    let door = Door::open(Behind::Prints(look(8).to_string()), &own_key()).await;
    let outcome = prober().probe(&target(&door)).await;
    assert_eq!(outcome.reason, Reason::Passed, "{outcome:?}");
    assert_eq!((outcome.stay, outcome.host), (12, 3));
    assert_eq!(outcome.evidence, json!({ "saw": look(8) }));
    let again = prober().probe(&target(&door)).await;
    assert_eq!(again, outcome, "found again it is the same, to the letter");
    // A machine that is known by a name.
    let named = Target {
        address: "localhost".to_owned(),
        ..target(&door)
    };
    assert_eq!(prober().probe(&named).await, outcome);
}

#[tokio::test]
async fn what_a_lease_lacks_of_its_grade_is_said() {
    let seven = found(Behind::Prints(look(7).to_string())).await;
    assert_eq!(seven.reason, Reason::NotTheGrade);
    let lacks = "8 healthy NVIDIA A100-SXM4-80GB with 80000 MiB each are needed, there are 7";
    assert_eq!(seven.evidence["lacks"], json!([lacks]));
    assert_eq!(seven.evidence["saw"], look(7));
    let mut small = look(8);
    small["cpus"] = json!(63);
    small["memory_mib"] = json!(479_999);
    let small = found(Behind::Prints(small.to_string())).await;
    let lacks = [
        "64 processors are needed, there are 63",
        "480000 MiB of memory are needed, there are 479999",
    ];
    assert_eq!(small.evidence["lacks"], json!(lacks));
    let mut other = look(8);
    other["accelerators"][0]["model"] = json!("NVIDIA A800-SXM4-80GB");
    let other = found(Behind::Prints(other.to_string())).await;
    assert_eq!(other.reason, Reason::NotTheGrade);
    // Where the exchange says nothing of the grade, there and let in is enough.
    let door = Door::open(Behind::Prints(look(0).to_string()), &own_key()).await;
    let any = Target {
        needs: Needs {
            units: 8,
            ..Needs::default()
        },
        ..target(&door)
    };
    assert_eq!(prober().probe(&any).await.reason, Reason::Passed);
}

#[tokio::test]
async fn another_machine_than_the_agent_has_said_is_not_signed_in_to() {
    let door = Door::open(Behind::Prints(look(8).to_string()), &own_key()).await;
    let other = line(&AgentKey::from_secret(&[8; 32]));
    let wrong = Target {
        host_key: other,
        ..target(&door)
    };
    let (reason, evidence) = said(&prober().probe(&wrong).await);
    assert_eq!(reason, Reason::HostKey);
    let names = |text: &str| text.matches("SHA256:").count();
    assert_eq!(names(&evidence), 2, "expected and shown: {evidence}");
    for none in ["", "ssh-ed25519 AAAA", "nonsense"] {
        let none = Target {
            host_key: none.to_owned(),
            ..target(&door)
        };
        assert_eq!(prober().probe(&none).await.reason, Reason::HostKey);
    }
}

#[tokio::test]
async fn a_door_that_does_not_know_the_key_refuses() {
    let other = AgentKey::from_secret(&[2; 32]);
    let door = Door::open(Behind::Prints(look(8).to_string()), &other).await;
    let (reason, evidence) = said(&prober().probe(&target(&door)).await);
    assert_eq!(
        (reason, &*evidence),
        (Reason::Refused, r#"{"login":"sluice-l12"}"#)
    );
}

#[tokio::test]
async fn what_says_nothing_or_nothing_that_can_be_read_is_told_apart() {
    for silent in [Behind::Nothing, Behind::Ends(1), Behind::StartsNothing] {
        let outcome = found(silent.clone()).await;
        assert_eq!(outcome.reason, Reason::Silent, "{silent:?}: {outcome:?}");
    }
    // The machine lets nobody in, whose key it knows.
    let outcome = found(Behind::Ends(254)).await;
    assert_eq!(outcome.reason, Reason::Refused, "{outcome:?}");
    for unreadable in [
        "forged",
        "{}",
        "[]",
        &look(8).to_string()[1..],
        &"a".repeat(100_000),
    ] {
        let outcome = found(Behind::Prints(unreadable.to_owned())).await;
        assert_eq!(outcome.reason, Reason::Unreadable, "{outcome:?}");
        assert!(outcome.evidence.to_string().len() < 500, "{outcome:?}");
    }
    // What can be read and is long is not kept whole.
    let mut long = look(7);
    long["problems"] = json!(["a".repeat(30_000)]);
    let outcome = found(Behind::Prints(long.to_string())).await;
    assert_eq!(outcome.reason, Reason::NotTheGrade);
    assert!(outcome.evidence.to_string().len() < MOST_EVIDENCE);
    assert!(
        outcome.evidence["lacks"]
            .as_str()
            .is_some_and(|lacks| lacks.contains("there are 7"))
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_does_not_answer() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut nobody = Door::open(Behind::Mute, &own_key()).await;
    nobody.address = free.local_addr().expect("it has one");
    drop(free);
    let (reason, evidence) = said(&prober().probe(&target(&nobody)).await);
    assert_eq!(
        (reason, &*evidence),
        (Reason::Unreachable, r#"{"said":"connection refused"}"#)
    );
    assert_eq!(found(Behind::NoSsh).await.reason, Reason::Unreachable);
    let nowhere = Target {
        address: "nowhere.invalid".to_owned(),
        ..target(&nobody)
    };
    let reason = prober().probe(&nowhere).await.reason;
    // By who is asked for names, and how fast they are.
    assert!(
        matches!(reason, Reason::Unreachable | Reason::Timeout),
        "{reason:?}"
    );
    assert_eq!(found(Behind::Mute).await.reason, Reason::Timeout);
}

/// Whoever is at the other end, a probe ends in its time and leaves no connection behind.
#[tokio::test]
async fn a_door_that_keeps_a_probe_busy_is_left_in_time() {
    for busy in [
        Behind::Drips,
        Behind::Ignores,
        Behind::Mute,
        Behind::Nothing,
    ] {
        let door = Door::open(busy.clone(), &own_key()).await;
        let began = Instant::now();
        let outcome = prober().probe(&target(&door)).await;
        assert_ne!(outcome.reason, Reason::Passed, "{busy:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{busy:?}");
        let began = Instant::now();
        while door.over.load(Ordering::SeqCst) < 1 {
            assert!(began.elapsed() < Duration::from_secs(5), "{busy:?} goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn an_address_of_a_private_network_is_not_connected_to_unless_that_is_said() {
    let door = Door::open(Behind::Prints(look(8).to_string()), &own_key()).await;
    let prober = Prober::new(&own_key(), PATIENCE, Reach::Public);
    for address in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
        let target = Target {
            address: address.to_owned(),
            ..target(&door)
        };
        let (reason, evidence) = said(&prober.probe(&target).await);
        assert_eq!(reason, Reason::Unreachable);
        assert!(evidence.contains("private network"), "{evidence}");
    }
    assert_eq!(door.taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn many_doors_are_tried_at_once() {
    let door = Door::open(Behind::Nothing, &own_key()).await;
    let began = Instant::now();
    // Two seconds of silence each: one after the other would be eighty.
    let patience = Patience {
        sign_in: Duration::from_secs(30),
        look: Duration::from_secs(2),
        ..PATIENCE
    };
    let prober = Prober::new(&own_key(), patience, Reach::Any);
    let target = target(&door);
    let all = (0..40).map(|_| prober.probe(&target));
    let all = futures_util::future::join_all(all).await;
    assert!(
        all.iter().all(|one| one.reason == Reason::Silent),
        "{:?}",
        all[0]
    );
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
}
