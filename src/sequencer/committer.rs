//! The thread that has the connection: it takes the lead, reads the market, and commits one batch
//! after the other while the engine's thread works out the next.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use market::Market;
use tokio::sync::{mpsc, oneshot};

use super::commit::{CommitError, Link};
use super::effect::{Effect, Head};
use super::{Options, StartError, recover};

/// How often a leader that has nothing to write says that it lives; a standby ends the session of
/// one that has not for [`super::standby::LEASE`].
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What a new leader begins with.
pub(super) struct Led {
    pub(super) market: Market,
    pub(super) head: Head,
    pub(super) epoch: i64,
}

/// The way to the thread; the session and with it the lock end when this is dropped.
pub(super) struct Committer {
    effects: mpsc::UnboundedSender<Effect>,
    done: mpsc::UnboundedReceiver<Result<(), CommitError>>,
}

impl Committer {
    /// Starts the thread and waits until it leads: after `epoch`, if that was this program's own.
    pub(super) async fn lead(
        options: &Options,
        epoch: Option<i64>,
    ) -> Result<(Self, Led), StartError> {
        let (effects, waiting) = mpsc::unbounded_channel();
        let (told, done) = mpsc::unbounded_channel();
        let (started, led) = oneshot::channel();
        let options = options.clone();
        let _: JoinHandle<()> = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("the system can start a runtime");
                runtime.block_on(run(&options, epoch, started, waiting, &told));
            })
            .expect("the system can start a thread");
        let led = led
            .await
            .map_err(|_| StartError::Tables("the committer died".to_owned()))??;
        Ok((Self { effects, done }, led))
    }

    /// Hands over a batch; they are committed in the order in which they come.
    pub(super) fn hand_over(&self, effect: Effect) {
        // Where the thread has ended, `done` says why.
        let _ = self.effects.send(effect);
    }

    /// What became of the batch that was handed over first, once that is known; nothing more comes
    /// after an error.
    pub(super) async fn done(&mut self) -> Result<(), CommitError> {
        self.done.recv().await.unwrap_or(Err(CommitError::Died))
    }
}

async fn run(
    options: &Options,
    epoch: Option<i64>,
    started: oneshot::Sender<Result<Led, StartError>>,
    mut effects: mpsc::UnboundedReceiver<Effect>,
    told: &mpsc::UnboundedSender<Result<(), CommitError>>,
) {
    let led = async {
        let mut link = Link::open(&options.database_url).await?;
        let led = recover::load(&mut link, &options.rules, epoch).await?;
        Ok((link, led))
    };
    let (mut link, led) = match led.await {
        Ok(led) => led,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    if started.send(Ok(led)).is_err() {
        return;
    }
    loop {
        let done = tokio::select! {
            biased;
            effect = effects.recv() => match effect {
                Some(effect) => commit(&mut link, effect).await,
                None => return,
            },
            () = tokio::time::sleep(BEAT) => match link.beat().await {
                Ok(()) => continue,
                Err(error) => Err(error.into()),
            },
        };
        let failed = done.is_err();
        // What waits behind a batch that failed is not even tried.
        if told.send(done).is_err() || failed {
            return;
        }
    }
}

async fn commit(link: &mut Link, effect: Effect) -> Result<(), CommitError> {
    let began = Instant::now();
    let commands = effect.commands;
    if let Err(error) = link.commit(effect).await {
        tracing::error!(%error, commands, "a batch was not committed");
        return Err(error);
    }
    metrics::histogram!("sluice_commit_seconds").record(began.elapsed().as_secs_f64());
    metrics::histogram!("sluice_batch_commands").record(commands as f64);
    Ok(())
}
