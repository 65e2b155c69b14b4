//! A small world with one of each: participants, people of every role, and things of theirs; what
//! fills in every URL about it, and what its tables hold.

pub(crate) mod effects;
pub(crate) mod rows;

use std::fmt;

use axum::http::header;
use http_body_util::BodyExt;
use market::{
    Command, HandBack, InstrumentId, LeaseId, ListInstrument, Money, ParticipantId, Rules,
};
use sluice::web::server::Limits;
use sluice::web::{Role, Scope};

use crate::support::app::TestApp;
use crate::support::market::bid;
use crate::support::people::{self, Factor, PLATFORM};
use crate::support::programs;
use crate::support::visitor::{Page, Visitor};

/// The provider of the pool and of the ask `o1`.
pub(crate) const P: i64 = 1;
/// The buyer whose order `o2` became the lease `l1`.
pub(crate) const A: i64 = 2;

/// Stands for a participant that no caller is of: what is one person's alone.
pub(crate) const NOBODYS: i64 = -1;

/// Where a caller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Has not signed in.
    Nobody,
    /// Has given a password, and a second factor is due.
    Entering,
    /// Is a member of this participant.
    Of(i64),
    /// Is one of the platform's people.
    Platform,
    /// Is a program of a member of this participant, with a token for these.
    Program(i64, &'static [Scope]),
}

/// A kind of caller.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) roles: Vec<Role>,
    pub(crate) is_suspended: bool,
    pub(crate) visitor: Visitor,
}

impl fmt::Display for Caller {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name)
    }
}

/// Members of A who call nothing themselves, with a session and an invitation.
const MEMBERS: [&str; 4] = [
    "INSERT INTO users (id, participant, login, password_hash, created_at)
     OVERRIDING SYSTEM VALUE
     VALUES (9001, 2, 'changed', '', now()), (9002, 2, 'removed', '', now())",
    "INSERT INTO sessions (id, token_sha256, user_id, created_at, seen_at)
     OVERRIDING SYSTEM VALUE VALUES (9001, sha256('9001'), 9001, now(), now())",
    "INSERT INTO invitations
         (id, participant, token_sha256, roles, note, invited_by, invited_at, expires_at)
     OVERRIDING SYSTEM VALUE
     VALUES (9001, 2, sha256('9001'), '{buyer}', '', 9001, now(), now() + interval '1 day')",
    "INSERT INTO api_tokens (id, user_id, token_sha256, name, scopes, made_at)
     OVERRIDING SYSTEM VALUE VALUES (9001, 9001, sha256('9001'), 'k', '{read}', now())",
];

/// The dispute `d1` is answered; of `d2` a ruling is proposed by an arbiter who calls nothing.
const DISPUTES: [&str; 3] = [
    "INSERT INTO users (id, participant, login, password_hash, created_at)
     OVERRIDING SYSTEM VALUE VALUES (9003, 0, 'proposer', '', now())",
    "INSERT INTO dispute_messages (dispute, participant, user_id, form_id, said_at, text)
     VALUES (1, 1, 9001, 'web-matrix-answer', now(), 'x')",
    "INSERT INTO dispute_proposals (dispute, proposer, proposed_at, award, reason)
     VALUES (2, 9003, now(), 5000, 'x')",
];

/// Requests of A: `r1` and `r2` by a buyer who calls nothing, `r3` by one who does.
const REQUESTS: [&str; 4] = [
    "INSERT INTO users (id, participant, login, password_hash, created_at)
     OVERRIDING SYSTEM VALUE VALUES (9004, 2, 'asks', '', now())",
    "INSERT INTO member_roles (user_id, participant, role, granted_at)
     VALUES (9004, 2, 'buyer', now())",
    "INSERT INTO order_access (participant, client_id, image, set_by, set_at)
     SELECT 2, 'web-matrix-request-' || n, 'bare', 9004, now() FROM generate_series(1, 3) AS n",
    "INSERT INTO order_requests
         (participant, client_id, body, cost, good_until, asked_by, asked_at)
     SELECT 2, 'web-matrix-request-' || n,
         c.body - 'do' || jsonb_build_object('client_id', 'web-matrix-request-' || n),
         2880000, '2026-10-25 01:00Z',
         CASE WHEN n < 3 THEN 9004 ELSE (SELECT id FROM users WHERE login = 'buyer-of-a') END,
         '2026-10-25'
     FROM generate_series(1, 3) AS n, commands c WHERE c.body->>'client_id' = 'rests'
     ORDER BY n",
];

/// The site with all that is in it.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) callers: Vec<Caller>,
}

impl World {
    pub(crate) async fn open() -> Self {
        let rules = Rules {
            hand_back: HandBack {
                allowed: true,
                notice_hours: 0,
                holder_bps: 5_000,
            },
            ..Rules::none()
        };
        let app = TestApp::with(rules, Limits::default()).await;
        let b = people::participant(&app, "白鹭渲染").await;
        let q = people::participant(&app, "祁连算力").await;
        let s = people::participant(&app, "停牌科技").await;
        // Number 6 has no people: it is decided about.
        let decided = people::participant(&app, "待审算力").await;
        for participant in [q, decided] {
            people::application(&app, participant).await;
        }
        let suspend = "UPDATE participants SET suspended = 'matrix', suspended_at = now()
             WHERE id = $1";
        let suspended = sqlx::query(suspend)
            .bind(s)
            .execute(&app.database.pool)
            .await;
        suspended.expect("it is suspended");
        app.submit(Command::Deposit {
            participant: ParticipantId(b),
            amount: Money(10_000_000),
        })
        .await;
        // Nobody trades this one: it is halted.
        app.submit(Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(2),
            symbol: "A100-80GB.GUZ-GAN.GOLD".to_owned(),
            lot: 1,
            tick: Money(100),
        }))
        .await;
        // The provider's ask is o1. A's order o2 becomes the lease l1; o3 rests.
        app.submit(bid("leased", 8, 100_000, (1, 5))).await;
        app.submit(bid("rests", 8, 90_000, (1, 5))).await;
        // o4 is the lease l2, in its first hour; o5 is l3. l1 and l3 are disputed.
        app.submit(bid("begun", 1, 100_000, (0, 4))).await;
        app.submit(bid("disputed", 1, 100_000, (1, 5))).await;
        for lease in [1, 3] {
            app.submit(Command::OpenDispute {
                participant: ParticipantId(A),
                lease: LeaseId(lease),
                amount: Money(10_000),
            })
            .await;
        }
        for insert in MEMBERS.iter().chain(&DISPUTES) {
            let inserted = sqlx::query(*insert).execute(&app.database.pool).await;
            inserted.expect("members and their disputes are there");
        }
        let callers = callers(&app, b, q, s).await;
        certify(&app).await;
        for insert in REQUESTS {
            let inserted = sqlx::query(insert).execute(&app.database.pool).await;
            inserted.expect("A's requests are there");
        }
        let key = "INSERT INTO ssh_keys
             (participant, name, algorithm, public_key, fingerprint, added_by, added_at)
             SELECT $1, 'k', 'Ed25519', 'none', 'SHA256:none', min(id), now()
             FROM users WHERE participant = $1";
        let key = sqlx::query(key).bind(A).execute(&app.database.pool).await;
        key.expect("A has the key 1");
        let keep = "CREATE TABLE matrix_sessions AS TABLE sessions";
        let kept = sqlx::query(keep).execute(&app.database.pool).await;
        kept.expect("the sessions are kept");
        Self { app, callers }
    }

    /// Gives everybody their session back, whatever has ended it.
    pub(crate) async fn sign_in_again(&self) {
        let again = "INSERT INTO sessions OVERRIDING SYSTEM VALUE
             SELECT * FROM matrix_sessions ON CONFLICT DO NOTHING";
        let signed_in = sqlx::query(again).execute(&self.app.database.pool).await;
        signed_in.expect("the sessions are there again");
    }
}

/// P is certified; its pool p1 has a simulated host with the number 1, and a machine with the
/// number 2, whose agent is 1 and has said what can't be true.
async fn certify(app: &TestApp) {
    let pool = &app.database.pool;
    for insert in [
        "INSERT INTO applications (participant, legal_name, credit_code, region, state,
             created_at, saved_at, submitted_at, decided_at)
         VALUES (1, 'matrix', '91350100M000100Y43', 'CN-GUZ-GAN', 'certified', now(), now(),
             now(), now())",
        "INSERT INTO identifiers (identifier, kind, subject, issued_at)
         VALUES ('SLN000000000173', 'provider', 1, now())",
        "INSERT INTO pool_openings (pool, participant, form_id, name, opened_by, opened_at)
             OVERRIDING SYSTEM VALUE
         SELECT 1, 1, 'matrix-0000000001', 'matrix', min(id), now() FROM users",
        "INSERT INTO hosts (pool, name, units, kind) VALUES (1, 'matrix', 64, 'simulated')",
        "INSERT INTO hosts (pool, name, units, kind, address)
         VALUES (1, 'machine', 8, 'agent', '192.0.2.1')",
        "INSERT INTO agents (host, public_key, enrolled_at, seen_at, inventory)
         VALUES (2, sha256('matrix'), now(), now(), '{}')",
        "INSERT INTO delivery_cases (agent, stay, kind, opened_at, evidence)
         VALUES (1, 1, 'untrue', '2026-10-25', '{\"minutes\": 3}'),
             (1, 1, 'broken_chain', '2026-10-25', '{\"number\": 7}')",
    ] {
        let inserted = sqlx::query(insert).execute(pool).await;
        inserted.expect("a row is written");
    }
}

async fn callers(app: &TestApp, b: i64, q: i64, s: i64) -> Vec<Caller> {
    let mut callers = vec![Caller {
        name: "nobody",
        place: Place::Nobody,
        roles: Vec::new(),
        is_suspended: false,
        visitor: Visitor::new(app),
    }];
    for (name, of, role) in [
        ("entering-member", A, Role::Owner),
        ("entering-operations", PLATFORM, Role::Operations),
    ] {
        callers.push(Caller {
            name,
            place: Place::Entering,
            roles: vec![role],
            is_suspended: false,
            visitor: people::member_with(app, of, &[role], name, Factor::Missing).await,
        });
    }
    for (name, of, roles) in [
        ("buyer-of-a", A, &[Role::Buyer][..]),
        ("finance-of-a", A, &[Role::Finance]),
        ("approver-of-a", A, &[Role::Approver]),
        ("owner-of-a", A, &[Role::Owner]),
        ("without-a-role-of-a", A, &[]),
        ("buyer-of-b", b, &[Role::Buyer]),
        ("owner-of-b", b, &[Role::Owner]),
        ("operator-of-p", P, &[Role::Operator]),
        ("operator-of-q", q, &[Role::Operator]),
        ("owner-of-suspended", s, &[Role::Owner]),
        ("operations", PLATFORM, &[Role::Operations]),
        ("arbiter", PLATFORM, &[Role::Arbiter]),
        ("surveillance", PLATFORM, &[Role::Surveillance]),
        ("auditor", PLATFORM, &[Role::Auditor]),
    ] {
        let place = if of == PLATFORM {
            Place::Platform
        } else {
            Place::Of(of)
        };
        callers.push(Caller {
            name,
            place,
            roles: roles.to_vec(),
            is_suspended: of == s,
            visitor: people::member(app, of, roles, name).await,
        });
    }
    for (name, of, scopes) in [
        ("program-of-a", A, &Scope::ALL[..]),
        ("reader-of-a", A, &[Scope::Read]),
        ("program-of-b", b, &Scope::ALL),
        ("program-of-suspended", s, &Scope::ALL),
    ] {
        callers.push(Caller {
            name,
            place: Place::Program(of, scopes),
            roles: vec![Role::Buyer],
            is_suspended: of == s,
            visitor: programs::program(app, of, &[Role::Buyer], scopes, name).await,
        });
    }
    callers
}

/// What a call was answered, without reading a stream to its end.
pub(crate) async fn call(
    visitor: &Visitor,
    method: &str,
    path: &str,
    fields: &[(&str, String)],
) -> Page {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    call_with(visitor, method, path, body.finish()).await
}

/// The same with a body that may be no form.
pub(crate) async fn call_with(visitor: &Visitor, method: &str, path: &str, body: String) -> Page {
    let response = visitor.open(method, path, body).await;
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if is_stream {
        String::new()
    } else {
        let bytes = body.collect().await.expect("a body").to_bytes();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Page {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// Says what is wrong, with the call that it is wrong of.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    /// Fails when anything was wrong.
    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "\n  {}", self.0.join("\n  "));
    }
}
