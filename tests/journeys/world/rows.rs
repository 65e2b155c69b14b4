//! What fills in each URL: one line each, in the order of the router's table.

use std::fmt;

use axum::http::Method;

use super::{A, Caller, NOBODYS, P, Place, call_with};
use crate::support::provider::APPLICATION;
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

/// Every row.
// One line a URL, however long.
#[rustfmt::skip]
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        #[cfg(debug_assertions)]
        get("/styleguide"),
        get("/"),
        get("/overview/live"),
        get("/market/{symbol}").about(SYMBOL, "NONE"),
        get("/market/{symbol}/bill").about(SYMBOL, "NONE"),
        get("/market/{symbol}/confirm").about(SYMBOL, "NONE").answers(&[422]),
        get("/market/{symbol}/live").about(SYMBOL, "NONE"),
        post("/market/{symbol}/orders", TICKET).about(SYMBOL, "NONE"),
        get("/guide"),
        get("/sign-up").answers(&[200, 303]),
        post("/sign-up", &[("name", "x")]).answers(&[422]).changes_nothing(),
        get("/sign-in").answers(&[200, 303]),
        post("/sign-in", &[("login", "nobody at all")]).answers(&[422, 429]),
        post("/sign-out", &[]),
        get("/second-factor"),
        post("/second-factor", WRONG_CODE).answers(&[303, 422]),
        post("/second-factor/enrolment", &[]),
        post("/second-factor/confirmation", WRONG_CODE).answers(&[303, 422]).changes_nothing(),
        post("/second-factor/codes", WRONG_CODE).answers(&[422]),
        post("/second-factor/removal", WRONG_CODE).answers(&[422, 403]),
        get("/settings"),
        post("/settings/password", &[("current", "wrong"), ("password", "a river through the hills")]).answers(&[422, 503]),
        post("/settings/sessions/end-others", &[]).changes_nothing(),
        post("/settings/sessions/{id}/end", &[]).of(&[NOBODYS], "9001", "9999").changes_nothing(),
        get("/settings/members"),
        post("/settings/members/{id}/roles", &[("finance", "on")]).of(&[A], "9001", "9999"),
        post("/settings/members/{id}/removal", &[]).of(&[A], "9002", "9999"),
        post("/settings/members/invitations", &[("buyer", "on"), ("note", "{caller}")]).answers(&[200]),
        post("/settings/members/invitations/{id}/revocation", &[]).of(&[A], "9001", "9999"),
        post("/settings/members/approval", &[("above", "100000")]),
        get("/settings/tokens"),
        post("/settings/tokens", &[("name", "{caller}"), ("read", "on"), ("days", "90")]).answers(&[200]),
        post("/settings/tokens/{id}/revocation", &[]).of(&[A], "9001", "9999").answers(&[303, 404]),
        get("/join").answers(&[404]),
        post("/join", &[("invitation", "none")]).answers(&[404]).changes_nothing(),
        post("/preferences", &[("locale", "en")]).changes_nothing(),
        get("/orders"),
        get("/orders/live"),
        get("/orders/{id}").of(&[A], "o2", "o999"),
        get("/orders/{id}/replacement").of(&[A], "o3", "o999").answers(&[422]),
        post("/orders/{id}/replace", &[("units", "4"), ("price", "9.00"), ("was", "8-9.0000-0")]).of(&[A], "o3", "o999"),
        post("/orders/{id}/cancel", &[]).of(&[A], "o3", "o999"),
        get("/orders/requests/{id}").of(&[A], "r1", "r999"),
        post("/orders/requests/{id}/approve", &[]).of(&[A], "r1", "r999"),
        post("/orders/requests/{id}/decline", &[("reason", "x")]).of(&[A], "r2", "r999").answers(&[303, 409]),
        post("/orders/requests/{id}/withdraw", &[]).of(&[A], "r3", "r999").answers(&[303, 403]),
        get("/trades/{id}").of(&[A, P], "t1", "t999"),
        get("/trades/{id}/note").of(&[A, P], "t1", "t999"),
        get("/leases"),
        get("/leases/live"),
        get("/leases/{id}").of(&[A], "l1", "l999"),
        get("/leases/{id}/live").of(&[A], "l1", "l999"),
        post("/leases/{id}/access", &[("image", "bare"), ("ssh_key", "later")]).of(&[A], "l1", "l999"),
        get("/keys"),
        post("/keys", &[("public_key", KEY)]),
        post("/keys/{id}/name", &[("name", "{caller}")]).of(&[A], "1", "999"),
        post("/keys/{id}/remove", &[]).of(&[A], "1", "999"),
        get("/leases/{id}/hand-back").of(&[A], "l1", "l999"),
        post("/leases/{id}/hand-back", &[("day", "2026-11-03"), ("back", "1.0000")]).of(&[A], "l1", "l999").answers(&[422]).changes_nothing(),
        get("/leases/{id}/problem").of(&[A], "l1", "l999"),
        get("/leases/{id}/problem/claim").of(&[A], "l1", "l999"),
        post("/leases/{id}/problem", REPORT).of(&[A], "l2", "l999").answers(&[303, 409]),
        get("/disputes"),
        get("/disputes/live"),
        get("/disputes/{id}").of(&[A, P], "d1", "d999"),
        get("/disputes/{id}/live").of(&[A, P], "d1", "d999"),
        post("/disputes/{id}/messages", &[("text", "x"), ("form_id", "web-matrix-{caller}")]).of(&[A, P], "d1", "d999").answers(&[303, 403]),
        get("/disputes/{id}/preview").of(&[A, P], "d1", "d999"),
        post("/disputes/{id}/proposals", PROPOSAL).of(&[A, P], "d1", "d999"),
        post("/disputes/{id}/decision", &[("proposal", "1"), ("decision", "approve"), ("opinion", "x")]).of(&[A, P], "d2", "d999"),
        get("/wallet"),
        get("/wallet/live"),
        get("/wallet/statement.csv"),
        get("/wallet/entries/{id}").of(&[A], TRADE_ENTRY, "e999"),
        post("/wallet/deposits", &[("amount", "5")]),
        get("/verify"),
        get("/verify/{identifier}").about("SLN-0000000001-73", "SLN-0000000002-70"),
        get("/provide/apply"),
        post("/provide/apply/draft", &[("contact_name", "{caller}")]),
        post("/provide/apply", &APPLICATION),
        get("/provide/pools"),
        post("/provide/pools", &POOL).answers(&[303, 403]),
        get("/provide/pools/new").answers(&[200, 403]),
        get("/provide/pools/{id}").of(&[P], "p1", "p999"),
        get("/provide/pools/{id}/live").of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/units", &[("units", "72")]).of(&[P], "p1", "p999"),
        get("/provide/pools/{id}/tariffs/preview").of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/tariffs", &TARIFF).of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/tariffs/{ask}", &[("price", "11.00"), ("units", "64")]).of(&[P], "p1", "p999").with("o1"),
        post("/provide/pools/{id}/tariffs/{ask}/end", &[]).of(&[P], "p1", "p999").with("o1"),
        post("/provide/pools/{id}/pause", &[]).of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/resume", &[]).of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/hosts/{host}", &[("fails_every", "24"), ("fails_minutes", "60")]).of(&[P], "p1", "p999").with("1"),
        get("/provide/pools/{id}/machines").of(&[P], "p1", "p999"),
        get("/provide/pools/{id}/machines/live").of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/machines", &[("name", "{caller}"), ("units", "8"), ("address", "192.0.2.7")]).of(&[P], "p1", "p999"),
        post("/provide/pools/{id}/machines/{host}/token", &[("token", AGENT_TOKEN)]).of(&[P], "p1", "p999").with("2").answers(&[200]),
        post("/provide/pools/{id}/machines/{host}/revoke", &[("reason", "key_stolen"), ("agent", "1")]).of(&[P], "p1", "p999").with("2"),
        post("/provide/pools/{id}/maintenance", MAINTENANCE).of(&[P], "p1", "p999"),
        get("/provide"),
        get("/provide/live"),
        get("/provide/leases"),
        get("/provide/leases/{id}").of(&[P], "l1", "l999"),
        get("/provide/leases/{id}/live").of(&[P], "l1", "l999"),
    ];
    rows.extend(of_the_marketplace());
    rows
}

/// What the marketplace's own people see and do.
#[rustfmt::skip]
fn of_the_marketplace() -> Vec<Row> {
    vec![
        get("/ops/search"),
        get("/ops/orders/{id}").about("o2", "o999"),
        get("/ops/trades/{id}").about("t1", "t999"),
        get("/ops/leases/{id}").about("l1", "l999"),
        get("/ops"),
        get("/ops/applications"),
        get("/ops/applications/{id}").about("1", "999"),
        post("/ops/applications/{id}/certify", &[]).about("1", "999"),
        post("/ops/applications/{id}/refuse", &[("reason", "code_invalid")]).about("2", "999"),
        get("/ops/participants"),
        get("/ops/participants/{id}").about("n2", "n999"),
        post("/ops/participants/{id}/suspend", &[("reason", "abuse")]).about("n6", "n999"),
        post("/ops/participants/{id}/cancel", &[]).about("n6", "n999").changes_nothing(),
        post("/ops/participants/{id}/restore", &[]).about("n6", "n999"),
        get("/ops/cases"),
        post("/ops/cases/{id}/close", &[("note", "x")]).about("1", "999"),
        get("/ops/halts"),
        post("/ops/halts", HALT),
        get("/ops/relations"),
        post("/ops/relations", RELATION).answers(&[303, 422]),
        get("/ops/leases/{id}/default").about("l2", "l999"),
        post("/ops/leases/{id}/default", DEFAULT).about("l2", "l999"),
        get("/ops/ledger"),
        get("/ops/ledger.csv"),
        post("/ops/ledger/audit", &[]).changes_nothing(),
        get("/ops/journal"),
        get("/ops/journal/{entry}").about("1", "999"),
    ]
}

/// No code at all, so never the right one by chance.
const WRONG_CODE: &[(&str, &str)] = &[("code", "00000x")];

/// A ticket for one unit in the hours that begin two days after the market's opening.
const TICKET: &[(&str, &str)] = &[
    ("day", "2026-11-03"),
    ("hour", "9"),
    ("hours", "1"),
    ("units", "1"),
    ("price", "10.00"),
    ("hold", "10.00"),
    ("client_id", "web-matrix-0000000001"),
    ("image", "bare"),
];

/// A claim of one yuan about the lease's first hour.
const REPORT: &[(&str, &str)] = &[
    ("reason", "slow"),
    ("by", "amount"),
    ("amount", "1"),
    ("claim", "1.0000"),
    ("text", "x"),
    ("form_id", "web-matrix-{caller}"),
];

const HALT: &[(&str, &str)] = &[
    ("symbol", "A100-80GB.GUZ-GAN.GOLD"),
    ("minutes", "30"),
    ("reason", "incident"),
    ("form_id", "web-matrix-halt-{caller}"),
];

/// Who is suspended, and who is decided about: once related, they are.
const RELATION: &[(&str, &str)] = &[
    ("one", "n5"),
    ("other", "n6"),
    ("reason", "declared"),
    ("note", "x"),
    ("form_id", "web-matrix-relation-{caller}"),
];

/// Four hours at 10.00 are left of the lease that has just begun.
const DEFAULT: &[(&str, &str)] = &[
    ("reason", "not_delivered"),
    ("note", "x"),
    ("shown", "498024-400000-0-0"),
    ("form_id", "web-matrix-default-{caller}"),
];

const PROPOSAL: &[(&str, &str)] = &[
    ("by", "amount"),
    ("amount", "0.5"),
    ("award", "0.5000"),
    ("reason", "x"),
];
/// The entry of the trade that made A's lease; without bonds it moves no money of the provider.
const TRADE_ENTRY: &str = "e5";

/// A pool of one host in the hours that begin two days after the market's opening.
const POOL: [(&str, &str); 10] = [
    ("name", "{caller}"),
    ("grade", "A100-80GB"),
    ("level", "SILVER"),
    ("units", "8"),
    ("access", "prepared"),
    ("from_day", "2026-11-03"),
    ("from_hour", "0"),
    ("to_day", "2026-11-05"),
    ("to_hour", "24"),
    ("form_id", "web-matrix-0000000001"),
];

/// A tariff for a part of the pool.
const TARIFF: [(&str, &str); 11] = [
    ("days", "all"),
    ("begins", "0"),
    ("ends", "24"),
    ("min_hours", "1"),
    ("units", "8"),
    ("price", "12.00"),
    ("from_day", "2026-11-03"),
    ("from_hour", "0"),
    ("to_day", "2026-11-05"),
    ("to_hour", "24"),
    ("client_id", "web-matrix-0000000002"),
];

/// What the page of machines might have made.
const AGENT_TOKEN: &str = "sluice_agent_0123456789012345678901234567890123456789012";

/// Two hours that begin two days after the market's opening.
const MAINTENANCE: &[(&str, &str)] = &[
    ("from_day", "2026-11-03"),
    ("from_hour", "0"),
    ("to_day", "2026-11-03"),
    ("to_hour", "2"),
    ("note", "x"),
    ("form_id", "web-matrix-{caller}"),
];

const KEY: &str = include_str!("../../keys/rsa_2048.pub");

/// Every row of the API.
#[rustfmt::skip]
pub(crate) fn of_programs() -> Vec<Row> {
    vec![
        post("/api/v1/orders", &[]).sends(ORDER).answers(&[200, 201]),
        get("/api/v1/orders"),
        get("/api/v1/orders/{id}").of(&[A], "o3", "o999"),
        delete("/api/v1/orders/{id}").of(&[A], "o3", "o999").answers(&[200, 409]),
        get("/api/v1/quote").answers(&[422]),
        post("/api/v1/session", &[]).answers(&[200]),
    ]
}

/// A bid that rests in the first hour that begins two days after the market's opening.
const ORDER: &str = r#"{"id":"matrix-of-{caller}","side":"buy","units":1,"price":"1.00",
    "symbols":["A100-80GB.GUZ-GAN.SILVER"],
    "start":"2026-11-03T00:00:00Z","end":"2026-11-03T01:00:00Z"}"#;

/// How a URL is called.
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// What a program sends in place of a form.
    json: &'static str,
    /// What an open door may answer.
    pub(crate) answers: &'static [u16],
    /// What fills in the first `{…}`: one that is there, and one that is not.
    pub(crate) object: Option<(&'static str, &'static str)>,
    /// Whose it is; nobody's is everybody's. The platform's people who may call see all.
    pub(crate) owners: &'static [i64],
    /// What fills in a second `{…}`.
    second: &'static str,
    /// Whether those who may call change something with it.
    pub(crate) changes: bool,
}

/// A page, a part of one or a stream: answers 200.
fn get(path: &'static str) -> Row {
    Row {
        method: Method::GET,
        path,
        fields: &[],
        json: "",
        answers: &[200],
        object: None,
        owners: &[],
        second: "",
        changes: false,
    }
}

/// A form with these fields: leads on, and changes something.
fn post(path: &'static str, fields: &'static [(&'static str, &'static str)]) -> Row {
    Row {
        method: Method::POST,
        fields,
        answers: &[303],
        changes: true,
        ..get(path)
    }
}

/// What is there no more.
fn delete(path: &'static str) -> Row {
    Row {
        method: Method::DELETE,
        changes: true,
        ..get(path)
    }
}

impl Row {
    /// Sends this JSON.
    fn sends(self, json: &'static str) -> Self {
        Self { json, ..self }
    }

    /// Calls this path as somebody.
    pub(crate) async fn call(&self, caller: &Caller, visitor: &Visitor, path: &str) -> Page {
        let fields = self.fields(caller);
        let body = if self.json.is_empty() {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(fields).finish()
        } else {
            self.json.replace("{caller}", caller.name)
        };
        let mut visitor = visitor.clone();
        // A program sends a form as a form.
        visitor.sends.retain(|(name, _)| *name != "content-type");
        if !self.json.is_empty() {
            let kind = ("content-type", "application/json".to_owned());
            visitor.sends.push(kind);
        }
        call_with(&visitor, self.method.as_str(), path, body).await
    }

    /// Answers one of these where the door is open.
    fn answers(self, answers: &'static [u16]) -> Self {
        Self { answers, ..self }
    }

    /// A form that is sent so that nothing comes of it, or that nothing in a table comes of.
    fn changes_nothing(self) -> Self {
        Self {
            changes: false,
            ..self
        }
    }

    /// About something that everybody may see.
    fn about(self, there: &'static str, absent: &'static str) -> Self {
        Self {
            object: Some((there, absent)),
            ..self
        }
    }

    /// About something of these participants.
    fn of(self, owners: &'static [i64], theirs: &'static str, absent: &'static str) -> Self {
        Self {
            owners,
            ..self.about(theirs, absent)
        }
    }

    /// With this for the second `{…}`.
    fn with(self, second: &'static str) -> Self {
        Self { second, ..self }
    }

    /// The id of what is there.
    pub(crate) fn own(&self) -> &'static str {
        self.object.map_or("", |(own, _)| own)
    }

    /// Whether what is there is this caller's to call upon.
    pub(crate) fn is_own(&self, caller: &Caller) -> bool {
        match caller.place {
            _ if self.owners.is_empty() => true,
            Place::Of(participant) | Place::Program(participant, _) => {
                self.owners.contains(&participant)
            }
            Place::Platform => !self.owners.contains(&NOBODYS),
            Place::Nobody | Place::Entering => false,
        }
    }

    /// The path with this id in it.
    pub(crate) fn path_of(&self, id: &str) -> String {
        let mut path = self.path.to_owned();
        for filling in [id, self.second] {
            if let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
                path.replace_range(from..=to, filling);
            }
        }
        path
    }

    /// What this caller sends: `{caller}` in a value is their name.
    pub(crate) fn fields(&self, caller: &Caller) -> Vec<(&'static str, String)> {
        let fields = self.fields.iter();
        fields
            .map(|(name, value)| (*name, value.replace("{caller}", caller.name)))
            .collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {}", self.method, self.path)
    }
}

/// The rows of what machines ask: nobody here has a key that signs.
pub(crate) fn of_machines() -> Vec<Row> {
    vec![
        post("/api/agent/v1/enrol", &[])
            .answers(&[401])
            .changes_nothing(),
        post("/api/agent/v1/heartbeat", &[]).changes_nothing(),
        post("/api/agent/v1/states", &[]).changes_nothing(),
        post("/api/agent/v1/readings", &[]).changes_nothing(),
        post("/api/vantage/v1/work", &[]).changes_nothing(),
        post("/api/vantage/v1/results", &[]).changes_nothing(),
    ]
}
