//! The account of a lease: no password, no way in but through the lease's own door.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Group, Uid, User};

use super::{HostError, at, read_if_there, run};

/// One lease's account is changed after another's.
static CHANGING: Mutex<()> = Mutex::new(());

/// How long the system's files may be locked by another.
const LONGEST_LOCK: Duration = Duration::from_secs(20);

pub(super) struct Account {
    pub(super) name: String,
    /// The number of the account, and of its own group.
    pub(super) uid: u32,
    pub(super) home: PathBuf,
}

impl Account {
    /// Makes what is not there of it.
    pub(super) fn make(&self) -> Result<(), HostError> {
        let of_number = User::from_uid(Uid::from_raw(self.uid)).map_err(at(&self.name))?;
        let of_name = User::from_name(&self.name).map_err(at(&self.name))?;
        for found in [of_number, of_name].into_iter().flatten() {
            if found.name != self.name || found.uid.as_raw() != self.uid {
                return Err(HostError::Account(self.name.clone()));
            }
        }
        if self.is_known() && !self.is_complete()? {
            // A making that was cut short between two files.
            change("userdel", &[&self.name])?;
        }
        let number = self.uid.to_string();
        if self.group()?.is_none() {
            change("groupadd", &["--gid", &number, &self.name])?;
        }
        if !self.is_known() {
            let home = self.home.display().to_string();
            // A password that no password is: locked ("!") would shut out keys as well.
            change(
                "useradd",
                &[
                    "--uid",
                    &number,
                    "--gid",
                    &number,
                    "--home-dir",
                    &home,
                    "--no-create-home",
                    "--no-log-init",
                    "--password",
                    "*",
                    "--shell",
                    "/bin/bash",
                    &self.name,
                ],
            )?;
        }
        self.make_home()
    }

    /// The home is root's, its holder writes in it as one of its group and, it being sticky, can
    /// neither move nor remove what is root's there. That is `.ssh`: so the system's own `sshd`
    /// finds no keys that the holder put there. That way would lead past the limits. (A home that
    /// a group can write would do for OpenSSH as it is; Debian's takes keys from it all the same.)
    fn make_home(&self) -> Result<(), HostError> {
        let home = self.home.display();
        if self.home.symlink_metadata().is_err() {
            let made = fs::DirBuilder::new().mode(0o700).create(&self.home);
            made.map_err(at(&home))?;
        }
        chown(&self.home, Some(0), Some(self.uid)).map_err(at(&home))?;
        let mode = fs::Permissions::from_mode(0o1770);
        fs::set_permissions(&self.home, mode).map_err(at(&home))?;
        let keys = self.home.join(".ssh");
        if keys.symlink_metadata().is_err() {
            let made = fs::DirBuilder::new().mode(0o755).create(&keys);
            made.map_err(at(keys.display()))?;
        }
        Ok(())
    }

    /// Takes back [`Account::expire`].
    pub(super) fn renew(&self) -> Result<(), HostError> {
        change("usermod", &["--expiredate", "", &self.name])
    }

    /// Nobody signs in by it any more, nothing that `cron` or `at` kept for it starts.
    pub(super) fn expire(&self) -> Result<(), HostError> {
        if !self.is_known() {
            return Ok(());
        }
        change("usermod", &["--expiredate", "1", &self.name])
    }

    /// Takes it out of the system's files. Its home goes before.
    pub(super) fn remove(&self) -> Result<(), HostError> {
        // What a predecessor's `userdel` removes meanwhile this one's can't, and need not.
        if self.is_known() {
            change("userdel", &[&self.name]).or_else(|error| unless(!self.is_known(), error))?;
        }
        // `userdel` takes an account's own group with it, where the system is set so.
        if self.group()?.is_some() {
            let removed = change("groupdel", &[&self.name]);
            removed.or_else(|error| unless(matches!(self.group(), Ok(None)), error))?;
        }
        Ok(())
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(User::from_name(&self.name), Ok(Some(_)))
    }

    /// Whether the account and its home are as they were made.
    pub(super) fn is_whole(&self) -> bool {
        self.is_known() && self.home.is_dir()
    }

    fn is_complete(&self) -> Result<bool, HostError> {
        let shadow = read_if_there(Path::new("/etc/shadow")).map_err(at("/etc/shadow"))?;
        let entry = format!("{}:", self.name);
        Ok(shadow.lines().any(|line| line.starts_with(&entry)))
    }

    fn group(&self) -> Result<Option<Group>, HostError> {
        let found = Group::from_name(&self.name).map_err(at(&self.name))?;
        match found {
            Some(group) if group.gid.as_raw() != self.uid => {
                Err(HostError::Account(self.name.clone()))
            }
            other => Ok(other),
        }
    }
}

/// Whether a number is no account's and no group's.
pub(super) fn is_nobodys(uid: u32) -> bool {
    let user = User::from_uid(Uid::from_raw(uid));
    let group = Group::from_gid(Gid::from_raw(uid));
    matches!((user, group), (Ok(None), Ok(None)))
}

/// An error, unless what was wanted holds.
fn unless(holds: bool, error: HostError) -> Result<(), HostError> {
    if holds { Ok(()) } else { Err(error) }
}

/// Runs a program that changes the system's files. They are locked while another does; so they are
/// after a start of the agent, while what its predecessor began comes to its end.
fn change(program: &str, arguments: &[&str]) -> Result<(), HostError> {
    let _one = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    loop {
        let done = run(program, arguments);
        let locked = matches!(
            &done,
            Err(HostError::Program { said, .. }) if said.contains("try again later")
        );
        if !locked || began.elapsed() > LONGEST_LOCK {
            return done;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
