//! What an account left in the kernel: shared memory, semaphores and queues of System V.

use std::path::Path;

use super::{HostError, at, read_if_there, run};

/// The kernel's lists, the column of the number, and the option of `ipcrm` that takes it.
const KINDS: [(&str, &str, &str); 3] = [
    ("/proc/sysvipc/shm", "shmid", "--shmem-id"),
    ("/proc/sysvipc/sem", "semid", "--semaphore-id"),
    ("/proc/sysvipc/msg", "msqid", "--queue-id"),
];

/// Removes what belongs to the account, or was made by it: a maker can give it to another.
pub(super) fn remove(uid: u32) -> Result<(), HostError> {
    for (list, number, option) in KINDS {
        let text = read_if_there(Path::new(list)).map_err(at(list))?;
        for found in owned(&text, number, uid) {
            run("ipcrm", &[option, &found])?;
        }
    }
    Ok(())
}

/// The numbers of what belongs to the account or was made by it, in a list whose first line names its columns.
fn owned(text: &str, number: &str, uid: u32) -> Vec<String> {
    let mut lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let columns = lines.next().unwrap_or_default();
    let place = |name| columns.iter().position(|column| *column == name);
    let Some(number) = place(number) else {
        return Vec::new();
    };
    let users: Vec<usize> = ["uid", "cuid"].into_iter().filter_map(place).collect();
    let uid = uid.to_string();
    let is_own = |line: &Vec<&str>| {
        let mut users = users.iter().filter_map(|place| line.get(*place));
        users.any(|one| *one == uid)
    };
    let own = lines.filter(is_own);
    own.filter_map(|line| line.get(number).map(|one| (*one).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_to_another_is_its_makers_too() {
        let text = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n\
                    0          0   666           0          0     0     0 66012 66012 66012 66012          0          0 1795635617\n\
                    0          1   666           0          0     0     0     0 66012 66012 66012          0          0 1795635617\n\
                    0          2   666           0          0     0     0 66013 66013 66013 66013          0          0 1795635617\n";
        assert_eq!(owned(text, "msqid", 66_012), ["0", "1"]);
        assert_eq!(owned(text, "msqid", 66_013), ["2"]);
        assert_eq!(owned("", "msqid", 66_012), Vec::<String>::new());
    }
}
