//! The signals that ask the program to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Comes back when Ctrl-C, SIGTERM or SIGHUP asks the program to stop.
///
/// # Errors
/// The system does not let a handler be set.
pub async fn asked_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
