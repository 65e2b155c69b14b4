//! The server's own accept loop: `axum::serve` bounds neither headers nor connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::Settings;

/// What a client may take of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request's headers may take.
    pub header_timeout: Duration,
    /// How large they may be, in bytes.
    pub header_bytes: usize,
    /// How many connections at once.
    pub connections: usize,
    /// How many of them from one address.
    pub connections_per_address: usize,
    /// How long requests in course may go on once the server is to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            connections: 4096,
            connections_per_address: 256,
            grace: Duration::from_secs(5),
        }
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            header_timeout: settings.header_timeout,
            connections: settings.max_connections,
            connections_per_address: settings.max_connections_per_address,
            ..Self::default()
        }
    }
}

/// Serves until `stopping` is cancelled and what was in course has ended, or its grace is over.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: CancellationToken,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let open = Open::default();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client has gone: others may do better soon.
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Over the limit it is closed at once, unread.
        if let Some(place) = open.enter(peer.ip().to_canonical(), limits) {
            handle(stream, peer, router.clone(), limits, &graceful, place);
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(limits.grace) => {
            tracing::warn!("connections were still open when the grace was over");
        }
    }
    Ok(())
}

fn handle(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    graceful: &GracefulShutdown,
    place: Place,
) {
    // A small answer must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            Ok::<_, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

/// How many connections are open, by address.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The place of one connection; given back when it is dropped.
struct Place {
    open: Open,
    address: IpAddr,
}

impl Open {
    fn enter(&self, address: IpAddr, limits: Limits) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= limits.connections {
            return None;
        }
        let here = open.entry(address).or_default();
        if *here >= limits.connections_per_address {
            return None;
        }
        *here += 1;
        Some(Place {
            open: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = open.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.remove(&self.address);
            }
        }
    }
}
