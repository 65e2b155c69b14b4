//! A loopback proxy before PostgreSQL that cuts connections at the worst moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::config::Host;

/// What is to go wrong; once, and then all is well again, but for [`Fault::Gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The next `COMMIT` never arrives.
    CommitLost,
    /// The next `COMMIT` is done, and nobody hears of it.
    AnswerLost,
    /// Nothing can be reached, and what is open ends at its next word.
    Gone,
}

/// The proxy; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// The database, by way of the proxy.
    pub(crate) url: String,
    fault: Arc<AtomicU8>,
}

/// `COMMIT` as a simple query has it.
const COMMIT: &[u8] = b"COMMIT\0";

impl Proxy {
    /// A proxy before this database.
    pub(crate) async fn before(url: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().expect("an address");
        let server = config.get_hosts()[0].clone();
        let server_port = config.get_ports().first().copied().unwrap_or(5432);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut through = url::Url::parse("postgres://127.0.0.1").expect("an address");
        let port = listener.local_addr().expect("it has one").port();
        through.set_port(Some(port)).expect("it has a port");
        through
            .set_username(config.get_user().unwrap_or_default())
            .expect("it has a user");
        let password = config.get_password().map(String::from_utf8_lossy);
        through
            .set_password(password.as_deref())
            .expect("it may have a password");
        through.set_path(config.get_dbname().expect("a database"));
        let proxy = Self {
            url: through.to_string(),
            fault: Arc::new(AtomicU8::new(0)),
        };
        let fault = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if fault.fault() == Fault::Gone {
                    continue;
                }
                match &server {
                    Host::Tcp(name) => {
                        let server = TcpStream::connect((name.as_str(), server_port)).await;
                        tokio::spawn(fault.clone().carry(client, server.expect("it listens")));
                    }
                    Host::Unix(folder) => {
                        let socket = folder.join(format!(".s.PGSQL.{server_port}"));
                        let server = UnixStream::connect(socket).await;
                        tokio::spawn(fault.clone().carry(client, server.expect("it listens")));
                    }
                }
            }
        });
        proxy
    }

    /// Lets this go wrong from now on.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    /// What is still to go wrong.
    pub(crate) fn fault(&self) -> Fault {
        let known = [
            Fault::None,
            Fault::CommitLost,
            Fault::AnswerLost,
            Fault::Gone,
        ];
        known[usize::from(self.fault.load(Ordering::SeqCst))]
    }

    /// Carries words both ways until one end closes, or the fault comes.
    async fn carry(self, mut client: TcpStream, mut server: impl AsyncRead + AsyncWrite + Unpin) {
        let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return };
                    let asked = &asked[..length];
                    let commits = asked.windows(COMMIT.len()).any(|word| word == COMMIT);
                    match self.fault() {
                        Fault::Gone => return,
                        Fault::CommitLost if commits => return self.set(Fault::None),
                        Fault::AnswerLost if commits => {
                            server.write_all(asked).await.expect("it is sent");
                            let answered = server.read(&mut said).await.expect("it answers");
                            assert!(said[..answered].windows(COMMIT.len()).any(|w| w == COMMIT));
                            return self.set(Fault::None);
                        }
                        _ => {}
                    }
                    if server.write_all(asked).await.is_err() {
                        return;
                    }
                }
                read = server.read(&mut said) => {
                    let Ok(length @ 1..) = read else { return };
                    if client.write_all(&said[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
