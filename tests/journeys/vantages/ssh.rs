//! Doors for tests: SSH servers of this process that do what a test wants of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reading::AgentKey;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::{self, Auth, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is behind a door.
#[derive(Clone, Debug)]
pub(crate) enum Behind {
    /// Prints this.
    Prints(String),
    /// Starts, and never says anything.
    Nothing,
    /// Starts, and ends without a word and with this.
    Ends(u32),
    /// Lets nobody start anything.
    StartsNothing,
    /// Another protocol.
    NoSsh,
    /// A connection that is taken and left alone.
    Mute,
    /// Speaks of itself for ever before it begins.
    Drips,
    /// Says that it speaks SSH, and is busy for ever with what is of no meaning there.
    Ignores,
}

/// A door on a free port of this machine, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Door {
    /// Where.
    pub(crate) address: SocketAddr,
    /// How many connections were taken.
    pub(crate) taken: Arc<AtomicUsize>,
    /// How many of them are over.
    pub(crate) over: Arc<AtomicUsize>,
    key: PrivateKey,
}

/// A key as SSH has it.
pub(crate) fn key(secret: &[u8; 32]) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(secret);
    PrivateKey::new(KeypairData::Ed25519(pair), "").expect("a key")
}

/// The public half of a key, as SSH writes it.
pub(crate) fn line(key_of: &AgentKey) -> String {
    let line = key(&key_of.secret()).public_key().to_openssh();
    line.expect("a key can be written")
}

impl Door {
    /// Opens one that lets this key in.
    pub(crate) async fn open(behind: Behind, lets_in: &AgentKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let door = Self {
            address: listener.local_addr().expect("it has one"),
            taken: Arc::default(),
            over: Arc::default(),
            key: key(&[9; 32]),
        };
        let config = server::Config {
            keys: vec![door.key.clone()],
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        };
        let config = Arc::new(config);
        let known = Ed25519Keypair::from_seed(&lets_in.secret()).public;
        let own = door.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.taken.fetch_add(1, Ordering::SeqCst);
                let lease = Lease {
                    known: known.0,
                    behind: behind.clone(),
                };
                let (config, over) = (config.clone(), own.over.clone());
                tokio::spawn(async move {
                    lease.serve(stream, config).await;
                    over.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        door
    }

    /// The key by which it is known, as an agent would say it.
    pub(crate) fn host_key(&self) -> String {
        let key = self.key.public_key().to_openssh();
        key.expect("a key can be written")
    }
}

#[derive(Clone)]
struct Lease {
    known: [u8; 32],
    behind: Behind,
}

impl Lease {
    async fn serve(self, mut stream: TcpStream, config: Arc<server::Config>) {
        let mut ended = Vec::new();
        match self.behind {
            Behind::NoSsh => {
                let page = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(page).await;
            }
            Behind::Mute => {
                let _ = stream.read_to_end(&mut ended).await;
            }
            Behind::Drips => {
                while stream.write_all(b"Welcome\r\n").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Behind::Ignores => {
                let _ = stream.write_all(b"SSH-2.0-busy\r\n").await;
                // A packet of the kind IGNORE (RFC 4253, 11.2), in the open.
                let packet = [0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                while stream.write_all(&packet).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            _ => {
                if let Ok(session) = server::run_stream(config, stream, self).await {
                    let _ = session.await;
                }
            }
        }
    }
}

impl server::Handler for Lease {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let shown = key.public_key.key_data().ed25519().map(|key| key.0);
        Ok(match shown == Some(self.known) {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if matches!(self.behind, Behind::StartsNothing) {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        match &self.behind {
            Behind::Prints(text) => {
                session.data(channel, text.clone().into_bytes())?;
                session.exit_status_request(channel, 0)?;
            }
            Behind::Ends(status) => session.exit_status_request(channel, *status)?,
            _ => return Ok(()),
        }
        session.eof(channel)?;
        session.close(channel)
    }
}
