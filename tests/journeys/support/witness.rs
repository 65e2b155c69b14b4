//! A client that trusts nobody: it writes to a file of its own what it means to send, then sends
//! it, then writes what it was told, each line synced before it goes on. The file judges the
//! program, not the program's own word.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::PgPool;

use super::visitor::Fields;

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who sends what to where.
pub(crate) struct Witness {
    folder: PathBuf,
    /// Where the leader is served.
    pub(crate) address: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// An order's form, as its person's browser has it.
#[derive(Clone)]
pub(crate) struct Form {
    /// Where it goes.
    pub(crate) action: String,
    /// All that it says but its client id.
    pub(crate) fields: Fields,
    /// The session's cookie.
    pub(crate) cookie: String,
}

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Said {
    intended: BTreeSet<String>,
    acknowledged: BTreeMap<String, String>,
}

impl Witness {
    /// Begins to send these forms, over and over, from as many clients.
    pub(crate) fn begin(folder: &Path, address: &str, forms: &[Form]) -> Self {
        let mut witness = Self {
            folder: folder.to_owned(),
            address: Arc::new(Mutex::new(address.to_owned())),
            over: Arc::default(),
            clients: Vec::new(),
        };
        for (number, form) in forms.iter().enumerate() {
            let file = File::create(folder.join(format!("witness{number}"))).expect("a file");
            let (form, address) = (form.clone(), witness.address.clone());
            let over = witness.over.clone();
            let client = move || send(&form, number, file, &address, &over);
            witness.clients.push(std::thread::spawn(client));
        }
        witness
    }

    /// What was written until now.
    pub(crate) fn said(&self) -> Said {
        let mut said = Said::default();
        for number in 0..self.clients.len() {
            let file = self.folder.join(format!("witness{number}"));
            let text = std::fs::read_to_string(file).expect("it is text");
            for line in text.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                match words[..] {
                    [id, "intent"] => _ = said.intended.insert(id.to_owned()),
                    [id, "done", to] => _ = said.acknowledged.insert(id.to_owned(), to.to_owned()),
                    // A line that is being written.
                    _ => {}
                }
            }
        }
        said
    }

    /// Lets each client come to an answer, and ends.
    pub(crate) fn end(mut self) -> Said {
        self.over.store(true, Ordering::SeqCst);
        for client in std::mem::take(&mut self.clients) {
            client.join().expect("a client does not panic");
            self.clients.push(std::thread::spawn(|| {}));
        }
        self.said()
    }
}

impl Said {
    /// How many orders were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Judges: each acknowledged order is there exactly once, as the one that was named, and
    /// nothing is there that nobody sent.
    pub(crate) async fn judge(&self, pool: &PgPool, whose: i64, is_over: bool) {
        let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "SELECT o.client_id, o.id, (SELECT min(t.id) FROM trades t WHERE t.buy = o.id)
               FROM orders o WHERE o.participant = $1",
        )
        .bind(whose)
        .fetch_all(pool)
        .await
        .expect("the orders are read");
        let mut there = BTreeMap::new();
        for (id, order, lease) in rows {
            assert!(!is_over || self.intended.contains(&id), "nobody sent {id}");
            let places = (
                format!("/orders/o{order}"),
                lease.map(|one| format!("/leases/l{one}")),
            );
            assert!(
                there.insert(id.clone(), places).is_none(),
                "{id} is there twice"
            );
        }
        for (id, to) in &self.acknowledged {
            let (order, lease) = there.get(id).unwrap_or_else(|| panic!("{id} is lost"));
            let to = to.split('?').next().unwrap_or_default();
            assert!(
                to == order || Some(to) == lease.as_deref(),
                "{id} was said to be {to}, and is {order} {lease:?}"
            );
        }
        let unanswered = self.intended.len() - self.acknowledged.len();
        assert!(
            !is_over || unanswered == 0,
            "{unanswered} never came to an answer"
        );
    }
}

fn write(file: &mut File, line: &str) {
    file.write_all(format!("{line}\n").as_bytes())
        .expect("it is written");
    file.sync_data().expect("it is synced");
}

/// Sends one order after the other; each with its id until it is known what became of it.
fn send(form: &Form, number: usize, mut file: File, address: &Mutex<String>, over: &AtomicBool) {
    for nth in 0.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let id = format!("witness-{number}-order-{nth:06}");
        write(&mut file, &format!("{id} intent"));
        let mut fields = form.fields.clone();
        fields.push(("client_id".to_owned(), id.clone()));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish();
        let to = (0..1_000).find_map(|_| {
            let address = address.lock().expect("no client panics").clone();
            let to = post(&address, form, &body);
            if to.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            to
        });
        let to = to.unwrap_or_else(|| panic!("{id} has no answer"));
        write(&mut file, &format!("{id} done {to}"));
    }
}

/// Where an order's form led; none when it is not known what became of it.
fn post(address: &str, form: &Form, body: &str) -> Option<String> {
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\ncookie: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n{body}",
        form.action,
        body.len(),
        form.cookie,
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?;
    match status {
        "303" => {
            let (_, rest) = answer.split_once("location: ")?;
            let to = rest.split("\r\n").next()?;
            let is_order = to.starts_with("/orders/o") || to.starts_with("/leases/l");
            is_order.then(|| to.to_owned())
        }
        "200" | "502" | "503" | "500" => None,
        _ => panic!("an order is answered {answer}"),
    }
}
