//! A throw-away PostgreSQL for this run of the tests, and a fresh database for each test.
//!
//! The cluster lies in a temporary folder without fsync. It ends with this process, however that
//! ends, and a watcher then removes the folder. `DATABASE_URL`, when set, is used in its place.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use sluice::db;
use sluice::db::embedded::{Cluster, Options};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A migrated database of one test's own, dropped with this value.
pub(crate) struct TestDatabase {
    /// Its address.
    pub(crate) url: String,
    /// A pool on it, as the pages have one.
    pub(crate) pool: PgPool,
    name: String,
}

/// Makes a database from the migrated template.
pub(crate) async fn fresh_database() -> TestDatabase {
    let template = TEMPLATE.get_or_init(migrated_template).await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice_test_{}_{number}", std::process::id());
    run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    let url = address_of(&name);
    let pool = db::connect(&url).await.expect("the new database answers");
    TestDatabase { url, pool, name }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop_it = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(run(&drop_it));
        });
        dropping.join().expect("the test's database is dropped");
    }
}

/// A temporary folder that PostgreSQL's user can enter, removed after this process has ended.
pub(crate) fn folder_until_exit() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("sluice-test-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder is made")
        .keep();
    let watcher = Command::new("setsid")
        .arg("sh")
        .arg("-c")
        .arg(WATCH)
        .arg("sh")
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the watcher starts");
    // The pipe's end stays open as long as this process lives.
    std::mem::forget(watcher);
    folder
}

/// Waits for the pipe to close, then for servers to end, then removes the folder. A server that
/// was killed left its process file, so the wait has an end.
const WATCH: &str = r#"
read -r _
for _ in $(seq 100); do
    [ -n "$(find "$1" -name postmaster.pid 2>/dev/null)" ] || break
    sleep 0.1
done
rm -rf -- "$1"
"#;

fn server() -> String {
    if let Ok(url) = std::env::var("DATABASE_URL")
        && !url.is_empty()
    {
        return url;
    }
    let cluster = CLUSTER.get_or_init(|| {
        let data_dir = folder_until_exit();
        let options = Options {
            data_dir,
            durable: false,
        };
        Cluster::start(options).expect("a throw-away PostgreSQL starts")
    });
    cluster.url().to_owned()
}

/// The address of another database on the same server.
fn address_of(name: &str) -> String {
    let server = server();
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address
        .rsplit_once('/')
        .expect("the address names a database");
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{host}/{name}{separator}{query}")
}

/// A database with the schema of this very program, named after it. It gets its name when it is
/// whole, so that two runs on one outside server don't meet in a half-made one.
async fn migrated_template() -> String {
    let name = format!("sluice_template_{}", schema_hash());
    let making = format!("sluice_making_{}", std::process::id());
    run(&format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)")).await;
    if exists(&name).await {
        return name;
    }
    run(&format!("CREATE DATABASE {making}")).await;
    let migrated = db::migrate(&address_of(&making)).await;
    migrated.expect("the migrations run");
    let client = client().await;
    let rename = format!("ALTER DATABASE {making} RENAME TO {name}");
    if client.batch_execute(&rename).await.is_err() {
        assert!(exists(&name).await, "{rename} failed");
        run(&format!("DROP DATABASE {making} WITH (FORCE)")).await;
    }
    name
}

fn schema_hash() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = std::fs::read_dir(folder).expect("the migrations are there");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(std::fs::read(file).expect("a migration can be read"));
    }
    let digest = hash.finalize();
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

async fn exists(name: &str) -> bool {
    let client = client().await;
    let row = client
        .query_one(
            "SELECT count(*) FROM pg_database WHERE datname = $1",
            &[&name],
        )
        .await
        .expect("the databases can be listed");
    row.get::<_, i64>(0) == 1
}

async fn client() -> Client {
    let (client, connection) = tokio_postgres::connect(&server(), NoTls)
        .await
        .expect("the test server answers");
    tokio::spawn(connection);
    client
}

async fn run(statement: &str) {
    let done = client().await.batch_execute(statement).await;
    done.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
}
