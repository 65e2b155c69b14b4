//! What an account left in the kernel: shared memory, semaphores and queues of System V.

use std::path::Path;

use super::{HostError, at, read_if_there, run};

/// The kernel's lists, the column of the number, and the option of `ipcrm` that takes it.
const KINDS: [(&str, &str, &str); 3] = [
    ("/proc/sysvipc/shm", "shmid", "--shmem-id"),
    ("/proc/sysvipc/sem", "semid", "--semaphore-id"),
    ("/proc/sysvipc/msg", "msqid", "--queue-id"),
];

/// Removes what belongs to the account.
pub(super) fn remove(uid: u32) -> Result<(), HostError> {
    for (list, number, option) in KINDS {
        let text = read_if_there(Path::new(list)).map_err(at(list))?;
        for found in owned(&text, number, uid) {
            run("ipcrm", &[option, &found])?;
        }
    }
    Ok(())
}

/// The numbers of what belongs to the account, in a list whose first line names its columns.
fn owned(text: &str, number: &str, uid: u32) -> Vec<String> {
    let mut lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let columns = lines.next().unwrap_or_default();
    let place = |name| columns.iter().position(|column| *column == name);
    let Some((number, owner)) = place(number).zip(place("uid")) else {
        return Vec::new();
    };
    let uid = uid.to_string();
    let own = lines.filter(|line| line.get(owner).is_some_and(|one| *one == uid));
    own.filter_map(|line| line.get(number).map(|one| (*one).to_owned()))
        .collect()
}
