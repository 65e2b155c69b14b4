//! A network between a browser and the site that can be lost.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network between the browser and the site does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// All passes.
    Works,
    /// Nothing passes, and nobody is told.
    Hangs,
    /// What the browser sends arrives, and nothing comes back.
    LosesAnswers,
    /// What is open is closed, and so is what is opened.
    Closes,
}

/// A network between a browser and the site that does what it is told.
pub(crate) struct Between {
    /// Where the browser finds the site through it.
    pub(crate) url: String,
    network: watch::Sender<Network>,
}

impl Between {
    /// A network that works, in front of the site at this address.
    pub(crate) async fn new(site: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let (network, told) = watch::channel(Network::Works);
        let site = site.trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                if *told.borrow() == Network::Closes {
                    continue;
                }
                let site = TcpStream::connect(&site).await.expect("the site answers");
                let (from_browser, to_browser) = browser.into_split();
                let (from_site, to_site) = site.into_split();
                tokio::spawn(pass(from_browser, to_site, told.clone(), false));
                tokio::spawn(pass(from_site, to_browser, told.clone(), true));
            }
        });
        let url = format!("http://{address}");
        Self { url, network }
    }

    /// Tells it what to do.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    are_answers: bool,
) {
    let mut bytes = vec![0; 64 * 1024];
    let mut closed = network.clone();
    let closed = closed.wait_for(|network| *network == Network::Closes);
    let passing = async {
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let passes = network.wait_for(|network| match network {
                Network::Works => true,
                Network::LosesAnswers => !are_answers,
                Network::Hangs | Network::Closes => false,
            });
            if passes.await.is_err() || to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = closed => {}
        () = passing => {}
    }
}
