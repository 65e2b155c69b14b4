//! What is signed can't be changed, taken for something else, or sent again.

use jiff::Timestamp;
use proptest::prelude::*;
use reading::{
    AgentKey, BadBody, BadHeader, BadKey, Digest, MOST_READINGS, Minute, Nonces, Proof, PublicKey,
    Reading, Refused, Request, SignedReading, Terms, Untrue, from_json, to_json,
};

fn key(number: u8) -> AgentKey {
    AgentKey::from_secret(&[number; 32])
}

fn minute(text: &str) -> Minute {
    Minute::parse(text).expect("a minute")
}

fn terms() -> Terms {
    Terms {
        agent: 7,
        lease: 12,
        units: 8,
        start: minute("2026-11-26T14:00:00Z"),
        end: minute("2026-11-26T16:00:00Z"),
    }
}

fn first() -> Reading {
    Reading {
        agent: 7,
        lease: 12,
        sequence: 1,
        minute: minute("2026-11-26T14:02:00Z"),
        units: 8,
        before: Digest::beginning(7, 12),
    }
}

/// Checked with the key of agent 7 when its minute is just over.
fn check(reading: &SignedReading) -> Result<(), Untrue> {
    reading.check(&key(1).public(), &terms(), at("2026-11-26T14:03:00Z"), 0)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// The bytes are part of the protocol: another program has to make the same.
#[test]
fn the_bytes_of_a_reading_stay_as_they_are() {
    let reading = first();
    let hex = data_encoding::HEXLOWER.encode(&reading.bytes());
    let expected = [
        "534c524401", // SLRD, version 1
        "0000000000000007",
        "000000000000000c",
        "0000000000000001",
        "01c8abaa", // minutes from 1970 to 2026-11-26T14:02:00Z
        "00000008",
        &Digest::beginning(7, 12).to_string(),
    ];
    assert_eq!(hex, expected.concat());
    assert_eq!(reading.bytes().len(), 69);
    let beginning = Digest::of(b"SLCH\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x0c");
    assert_eq!(Digest::beginning(7, 12), beginning);
    assert_eq!(reading.hash(), Digest::of(&reading.bytes()));
}

#[test]
fn each_reason_not_to_believe_a_reading_is_said() {
    let signed = |change: &dyn Fn(&mut Reading)| {
        let mut reading = first();
        change(&mut reading);
        check(&reading.sign(&key(1)))
    };
    assert_eq!(signed(&|_| {}), Ok(()));
    let other = Untrue::OtherAgent {
        expected: 7,
        found: 8,
    };
    assert_eq!(signed(&|one| one.agent = 8), Err(other));
    assert_eq!(check(&first().sign(&key(2))), Err(Untrue::WrongSignature));
    let other = Untrue::OtherLease {
        expected: 12,
        found: 13,
    };
    assert_eq!(signed(&|one| one.lease = 13), Err(other));
    assert_eq!(signed(&|one| one.sequence = 0), Err(Untrue::NoSequence));
    let broken = signed(&|one| one.before = Digest::beginning(7, 13));
    assert_eq!(broken, Err(Untrue::BrokenChain));
    for outside in ["2026-11-26T13:59:00Z", "2026-11-26T16:00:00Z"] {
        let minute = minute(outside);
        assert_eq!(
            signed(&|one| one.minute = minute),
            Err(Untrue::OutsideLease { minute })
        );
    }
    let running = minute("2026-11-26T14:03:00Z");
    let early = Err(Untrue::NotOver { minute: running });
    assert_eq!(signed(&|one| one.minute = running), early);
    let many = Untrue::TooManyUnits { most: 8, found: 9 };
    assert_eq!(signed(&|one| one.units = 9), Err(many));

    let mut next = first();
    next.minute = running;
    let next = next.sign(&key(1));
    let with_skew = |skew| next.check(&key(1).public(), &terms(), at("2026-11-26T14:03:30Z"), skew);
    assert_eq!(with_skew(29), early);
    assert_eq!(with_skew(30), Ok(()));
}

#[test]
fn a_key_that_proves_nothing_is_no_key() {
    let neutral = "0100000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(PublicKey::from_hex(neutral), Err(BadKey::Weak));
    for wrong in [
        "",
        "00",
        &"g".repeat(64),
        &key(1).public().to_hex().to_uppercase(),
    ] {
        assert_eq!(PublicKey::from_hex(wrong), Err(BadKey::NoKey), "{wrong}");
    }
    let public = key(1).public();
    assert_eq!(PublicKey::from_hex(&public.to_hex()), Ok(public));
    assert!(
        !format!("{:?}", key(1)).contains(&"01".repeat(16)),
        "the secret is not shown"
    );
}

const BODY: &[u8] = br#"{"version":1}"#;
const ASKED: Request<'_> = Request {
    method: "POST",
    path: "/api/agent/v1/readings",
    body: BODY,
};

fn proof() -> Proof {
    ASKED.prove(&key(1), 7, at("2026-11-26T14:03:00.9Z"), [5; 16])
}

/// The headers of a request, read after one of them was changed.
fn changed(name: &str, value: Option<&str>) -> Result<Proof, BadHeader> {
    let headers = proof().headers();
    Proof::from_headers(|asked| {
        let one = headers.iter().find(|(name, _)| *name == asked);
        if asked == name {
            value
        } else {
            one.map(|(_, value)| value.as_str())
        }
    })
}

#[test]
fn a_request_is_taken_from_its_agent_in_its_time_once() {
    let public = key(1).public();
    let now = at("2026-11-26T14:03:00Z");
    assert_eq!(changed("", None), Ok(proof()), "as it was sent");
    assert_eq!(proof().check(&ASKED, &public, now, 30), Ok(()));
    let wrong = Err(Refused::WrongSignature);
    assert_eq!(proof().check(&ASKED, &key(2).public(), now, 30), wrong);
    let others = [
        Request {
            body: b"{}",
            ..ASKED
        },
        Request {
            path: "/api/agent/v1/states",
            ..ASKED
        },
        Request {
            path: "/api/agent/v1/readings?x",
            ..ASKED
        },
        Request {
            method: "PUT",
            ..ASKED
        },
        // The same letters, parted elsewhere.
        Request {
            method: "POST/",
            path: "api/agent/v1/readings",
            ..ASKED
        },
    ];
    for other in others {
        assert_eq!(proof().check(&other, &public, now, 30), wrong, "{other:?}");
    }
    let lies = [
        ("Sluice-Agent", "8".to_owned()),
        ("Sluice-Time", "2026-11-26T14:03:01Z".to_owned()),
        ("Sluice-Nonce", "06".repeat(16)),
        ("Sluice-Signature", "00".repeat(64)),
    ];
    for (name, value) in lies {
        let read = changed(name, Some(&value)).expect("it can be read");
        assert_eq!(read.check(&ASKED, &public, now, 30), wrong, "{name}");
        for unread in [None, Some(""), Some("x")] {
            assert_eq!(changed(name, unread), Err(BadHeader(name)));
        }
    }
    assert_eq!(
        changed("Sluice-Time", Some("2026-11-26T14:03:00.5Z")),
        Err(BadHeader("Sluice-Time"))
    );

    for (now, seconds) in [("2026-11-26T14:03:31Z", -31), ("2026-11-26T14:02:29Z", 31)] {
        let skewed = Err(Refused::Skewed {
            seconds,
            allowed: 30,
        });
        assert_eq!(proof().check(&ASKED, &public, at(now), 30), skewed);
        assert_eq!(proof().check(&ASKED, &public, at(now), 31), Ok(()));
    }
}

#[test]
fn a_request_that_was_answered_is_not_answered_again() {
    let mut nonces = Nonces::default();
    let sent = "2026-11-26T14:03:00Z";
    let with = |agent, nonce| ASKED.prove(&key(1), agent, at(sent), [nonce; 16]);
    let now = at("2026-11-26T14:03:10Z");
    assert_eq!(nonces.admit(&with(7, 1), now, 30), Ok(()));
    assert_eq!(nonces.admit(&with(7, 1), now, 30), Err(Refused::Replayed));
    assert_eq!(nonces.admit(&with(7, 2), now, 30), Ok(()));
    assert_eq!(
        nonces.admit(&with(8, 1), now, 30),
        Ok(()),
        "another agent's number"
    );
    // Forgotten once the time alone refuses it; and a clock that is put back opens no door.
    let later = at("2026-11-26T14:04:00Z");
    let fresh = ASKED.prove(&key(1), 7, later, [3; 16]);
    assert_eq!(nonces.admit(&fresh, later, 30), Ok(()));
    assert_eq!(nonces.admit(&with(7, 1), now, 30), Err(Refused::Replayed));
}

#[test]
fn a_body_is_read_whole_or_not_at_all() {
    let key = key(1);
    let mut second = first();
    second.sequence = 2;
    second.before = first().hash();
    let both = [first().sign(&key), second.sign(&key)];
    let body = to_json(7, &both);
    assert_eq!(from_json(&body).expect("as it was written"), both);
    let text = String::from_utf8(body).expect("text");
    assert!(text.starts_with(r#"{"version":1,"agent":7,"readings":[{"lease":12,"sequence":1,"minute":"2026-11-26T14:02:00Z","units":8,"before":""#));

    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        from_json(changed.as_bytes()).expect_err(to)
    };
    assert_eq!(
        refused("\"version\":1", "\"version\":2"),
        BadBody::Version(2)
    );
    let field = |index, field| BadBody::Field { index, field };
    assert_eq!(refused("14:02:00Z", "14:02:30Z"), field(0, "minute"));
    let hash = second_hash(&text);
    assert_eq!(refused(&hash, &hash[1..]), field(1, "before"));
    assert_eq!(
        refused("\"signature\":\"", "\"signature\":\"zz"),
        field(0, "signature")
    );
    for (from, to) in [
        ("\"units\":8", "\"units\":-8"),
        ("\"units\":8", "\"units\":8.0"),
        ("\"units\":8", "\"units\":8,\"more\":1"),
        ("\"units\":8", "\"units\":8,\"units\":8"),
        ("\"units\":8,", ""),
        ("}]}", "}]"),
    ] {
        assert!(matches!(refused(from, to), BadBody::Shape(_)), "{to}");
    }
    let many = vec![both[0].clone(); MOST_READINGS + 1];
    let many = to_json(7, &many);
    assert!(many.len() < 2_000_000, "{}", many.len());
    assert_eq!(from_json(&many), Err(BadBody::TooMany(MOST_READINGS + 1)));
}

/// The hash that the second reading of a body names.
fn second_hash(text: &str) -> String {
    let rest = text.rsplit_once("\"before\":\"").expect("it is there").1;
    rest[..64].to_owned()
}

proptest! {
    /// Not a field can be changed and the signature kept.
    #[test]
    fn another_reading_has_another_signature(
        agent: u64, lease: u64, sequence: u64, minute: u32, units: u32, before: [u8; 32],
    ) {
        let one = Reading { agent, lease, sequence, minute: Minute(minute), units, before: Digest(before) };
        let mut signed = one.clone().sign(&key(1));
        let other_lease = Reading { lease: lease ^ 1, ..one.clone() };
        let changes = [
            Reading { agent: agent ^ 1, ..one.clone() },
            Reading { sequence: sequence ^ 1, ..one.clone() },
            Reading { minute: Minute(minute ^ 1), ..one.clone() },
            Reading { units: units ^ 1, ..one.clone() },
            Reading { before: Digest::of(&before), ..one.clone() },
            other_lease,
        ];
        for changed in changes {
            signed.reading = changed.clone();
            let terms = Terms { agent: changed.agent, ..terms() };
            let checked = signed.check(&key(1).public(), &terms, Timestamp::MAX, 0);
            prop_assert_eq!(checked, Err(Untrue::WrongSignature));
            prop_assert_ne!(changed.hash(), one.hash());
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
        let _ = from_json(&body);
        let _ = from_json(text.as_bytes());
        let _ = Minute::parse(&text);
        let _ = PublicKey::from_hex(&text);
    }
}
