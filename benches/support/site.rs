//! Something that is served on loopback by this program's own accept loop.

use axum::Router;
use sluice::web::server::{Limits, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) struct Site {
    /// Its host and port.
    pub(crate) address: String,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Site {
    pub(crate) async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let stop = CancellationToken::new();
        let serving = serve(listener, router, Limits::default(), stop.clone());
        Self {
            address: address.to_string(),
            stop,
            serving: tokio::spawn(serving),
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let served = self.serving.await.expect("it does not panic");
        served.expect("it ends well");
    }
}
