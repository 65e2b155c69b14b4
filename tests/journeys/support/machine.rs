//! A provider's machine as the exchange sees it: whoever signs with its agent's key.

use axum::http::StatusCode;
use jiff::Timestamp;
use reading::{AgentKey, Digest, Minute, Reading, Request, SignedReading};
use serde_json::{Value, json};

use super::app::TestApp;
use super::visitor::{Page, Visitor};

/// A machine with an agent.
pub(crate) struct Machine {
    /// Its number among hosts.
    pub(crate) host: i64,
    /// Its agent's number.
    pub(crate) agent: u64,
    key: AgentKey,
    url: String,
    next: u128,
    states: u64,
    /// The chain about one stay: its last number and hash.
    pub(crate) heads: std::collections::BTreeMap<u64, (u64, Digest)>,
}

/// The pool 1 of the test market as one that was opened on the site.
pub(crate) async fn opened(app: &TestApp, name: &str) {
    let db = &app.database.pool;
    let user = "INSERT INTO users (participant, login, password_hash, created_at)
         VALUES (1, $1, 'none', now()) RETURNING id";
    let user: i64 = sqlx::query_scalar(user)
        .bind(format!("operator of {name}"))
        .fetch_one(db)
        .await
        .expect("somebody who opens pools");
    let opening = "INSERT INTO pool_openings
             (pool, participant, form_id, name, opened_by, opened_at)
         OVERRIDING SYSTEM VALUE VALUES (1, 1, 'form of the pool', 'one', $1, now())
         ON CONFLICT DO NOTHING";
    let opened = sqlx::query(opening).bind(user).execute(db).await;
    opened.expect("the pool is registered");
}

/// A machine of pool 1 of the test market, with so many units, and a token for it.
pub(crate) async fn registered(app: &TestApp, name: &str, units: i64) -> (i64, String) {
    opened(app, name).await;
    let db = &app.database.pool;
    let host = "INSERT INTO hosts (pool, name, units, kind, address)
         VALUES (1, $1, $2, 'agent', '127.0.0.1') RETURNING id";
    let host: i64 = sqlx::query_scalar(host)
        .bind(name)
        .bind(units)
        .fetch_one(db)
        .await
        .expect("a machine is registered");
    (host, token(app, host).await)
}

/// A one-time token of a machine.
pub(crate) async fn token(app: &TestApp, host: i64) -> String {
    use sluice::delivery::agents;
    let token = format!("{}{host}-{}", agents::TOKEN_PREFIX, rand::random::<u64>());
    let now = sluice::clock::wall();
    let later = now + jiff::SignedDuration::from_hours(1);
    let hash = agents::hash(&token);
    let kept = agents::new_token(&app.database.pool, &hash, host, None, (now, later));
    kept.await.expect("a token is kept");
    token
}

/// What a machine of the test market says that it has.
pub(crate) fn inventory() -> Value {
    json!({ "accelerators": [], "cpus": 64, "memory_mib": 524_288, "disk_mib": 1_048_576,
            "cgroups": "v2", "problems": [] })
}

impl Clone for Machine {
    /// The same key in other hands.
    fn clone(&self) -> Self {
        Self {
            key: AgentKey::from_secret(&self.key.secret()),
            url: self.url.clone(),
            heads: self.heads.clone(),
            next: rand::random(),
            ..*self
        }
    }
}

impl Machine {
    /// A machine of pool 1 whose agent has enrolled.
    pub(crate) async fn enrolled(app: &TestApp, name: &str, units: i64) -> Self {
        let (host, token) = registered(app, name, units).await;
        let mut machine = Self::new(app, host, rand::random());
        let answer = machine.enrol(&token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        machine
    }

    /// Somebody with a key who is not known yet.
    pub(crate) fn new(app: &TestApp, host: i64, secret: [u8; 32]) -> Self {
        Self {
            host,
            agent: 0,
            key: AgentKey::from_secret(&secret),
            url: app.url.clone(),
            next: rand::random(),
            states: 0,
            heads: std::collections::BTreeMap::new(),
        }
    }

    /// The public half of its key.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.public().to_bytes().to_vec()
    }

    /// Enrols with a token.
    pub(crate) async fn enrol(&mut self, token: &str) -> Page {
        let body = json!({ "version": 1, "token": token, "key": self.key.public().to_hex(),
                           "inventory": inventory() });
        self.agent = 0;
        let answer = self.post("/api/agent/v1/enrol", body.to_string()).await;
        if answer.status == StatusCode::OK {
            let enrolled: Value = serde_json::from_str(&answer.body).expect("JSON");
            self.agent = enrolled["agent"].as_u64().expect("a number");
        }
        answer
    }

    /// Signs a request and sends it.
    pub(crate) async fn post(&mut self, path: &str, body: String) -> Page {
        self.post_at(path, body, sluice::clock::wall()).await
    }

    /// The same, saying that it is some other time.
    pub(crate) async fn post_at(&mut self, path: &str, body: String, at: Timestamp) -> Page {
        self.next = self.next.wrapping_add(1);
        let request = Request {
            method: "POST",
            path,
            body: body.as_bytes(),
        };
        let proof = request.prove(&self.key, self.agent, at, self.next.to_be_bytes());
        self.send(path, body, proof.headers()).await
    }

    /// Sends a request with these headers.
    pub(crate) async fn send(
        &self,
        path: &str,
        body: String,
        headers: [(&'static str, String); 4],
    ) -> Page {
        let mut visitor = Visitor::at(&self.url);
        for (name, value) in headers {
            visitor.sends.push((name, value));
        }
        visitor
            .sends
            .push(("content-type", "application/json".to_owned()));
        visitor.send("POST", path, body).await
    }

    /// The headers that prove a request.
    pub(crate) fn headers(&self, path: &str, body: &str) -> [(&'static str, String); 4] {
        let request = Request {
            method: "POST",
            path,
            body: body.as_bytes(),
        };
        let now = sluice::clock::wall();
        request
            .prove(&self.key, self.agent, now, rand::random())
            .headers()
    }

    /// What the machine is to have.
    pub(crate) async fn beat(&mut self) -> Vec<Value> {
        let body = json!({ "version": 1, "program": "test", "clock_ahead_ms": 0, "waiting": 0,
                           "inventory": inventory() });
        let answer = self.post("/api/agent/v1/heartbeat", body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let orders: Value = serde_json::from_str(&answer.body).expect("JSON");
        orders["leases"].as_array().expect("a list").clone()
    }

    /// Says what a stay has come to.
    pub(crate) async fn say(&mut self, stay: u64, stage: &str, at: Timestamp) -> Page {
        self.states += 1;
        let evidence = match stage {
            "prepared" => json!({ "user": format!("sluice-l{stay}"), "port": 22_000,
                                  "host_key": sluice::delivery::agents::ssh_key(&[7; 32]) }),
            _ => json!({ "of": stage }),
        };
        let state = json!({ "sequence": self.states, "lease": stay, "stage": stage,
                            "reason": "asked", "at": at, "evidence": evidence });
        let body = json!({ "version": 1, "states": [state] });
        self.post("/api/agent/v1/states", body.to_string()).await
    }

    /// Signs minutes of a stay, one after the other, as its agent would: minute and units.
    pub(crate) fn sign(&mut self, stay: u64, minutes: &[(Minute, u32)]) -> Vec<SignedReading> {
        let (mut sequence, mut before) = self
            .heads
            .get(&stay)
            .copied()
            .unwrap_or((0, Digest::beginning(self.agent, stay)));
        let mut signed = Vec::new();
        for &(minute, units) in minutes {
            sequence += 1;
            let reading = Reading {
                agent: self.agent,
                lease: stay,
                sequence,
                minute,
                units,
                before,
            };
            before = reading.hash();
            signed.push(reading.sign(&self.key));
        }
        self.heads.insert(stay, (sequence, before));
        signed
    }

    /// Sends readings.
    pub(crate) async fn tell(&mut self, readings: &[SignedReading]) -> Page {
        let body = reading::to_json(self.agent, readings);
        let body = String::from_utf8(body).expect("JSON is text");
        self.post("/api/agent/v1/readings", body).await
    }
}
