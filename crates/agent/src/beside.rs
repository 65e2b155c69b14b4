//! What takes long, beside the looks: handing a lease out, ending it, wiping it, each in a thread
//! of its own. However long one takes, others are measured and end in time.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use jiff::Timestamp;

use crate::lease::Lease;
use crate::messages::Reason;
use crate::work::{Agent, WorkError, tell};

/// How many at once: no machine has as many leases. What is due beyond it waits for the next look.
const MOST: usize = 64;
/// How many of them may be wipes, which can take hours.
const MOST_WIPES: usize = 16;

/// What is due of a lease.
#[derive(Clone, Debug)]
pub struct Due {
    /// Of which.
    pub(crate) lease: Lease,
    /// What.
    pub(crate) act: Act,
    /// Why.
    pub(crate) reason: Reason,
    /// Since when, in market time.
    pub(crate) at: Timestamp,
}

/// What can be due, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Close,
    Prepare,
    Wipe,
}

/// The threads in which something is being done: one a lease at most.
#[derive(Default)]
pub(crate) struct Beside(BTreeMap<u64, (Act, JoinHandle<Result<(), WorkError>>)>);

impl Beside {
    /// Begins what is due of leases of which nothing is being done.
    pub(crate) fn start(&mut self, agent: &Arc<Agent>, mut due: Vec<Due>) {
        due.sort_by_key(|one| one.act);
        for one in due {
            let wipes = self.0.values().filter(|(act, _)| *act == Act::Wipe).count();
            let full = self.0.len() >= MOST || one.act == Act::Wipe && wipes >= MOST_WIPES;
            let (number, act) = (one.lease.lease, one.act);
            if full || self.0.contains_key(&number) {
                continue;
            }
            let agent = Arc::clone(agent);
            let begun = thread::Builder::new()
                .name(format!("l{number}"))
                .spawn(move || agent.act(&one, || agent.clock.market_now()));
            match begun {
                Ok(thread) => drop(self.0.insert(number, (act, thread))),
                Err(error) => tell(&error),
            }
        }
    }

    /// Takes in what is done.
    ///
    /// # Errors
    /// One of them found that the agent can't go on.
    pub(crate) fn done(&mut self) -> Result<(), WorkError> {
        let over = self
            .0
            .iter()
            .filter(|(_, (_, thread))| thread.is_finished());
        let over: Vec<u64> = over.map(|(&number, _)| number).collect();
        for number in over {
            if let Some((_, thread)) = self.0.remove(&number) {
                end(number, thread)?;
            }
        }
        Ok(())
    }

    /// Waits for all of it.
    ///
    /// # Errors
    /// As [`Beside::done`].
    pub(crate) fn all_done(self) -> Result<(), WorkError> {
        let mut all = self.0.into_iter();
        all.try_for_each(|(number, (_, thread))| end(number, thread))
    }
}

fn end(number: u64, thread: JoinHandle<Result<(), WorkError>>) -> Result<(), WorkError> {
    thread.join().unwrap_or_else(|_| {
        // It has said where; it is due again at the next look.
        tell(&io::Error::other(format!(
            "l{number}: what was due broke off"
        )));
        Ok(())
    })
}
