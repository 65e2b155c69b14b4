//! What an account left on disk: counted, then removed.
//!
//! It is another's tree, and may be made to mislead: links that lead elsewhere are never followed,
//! folders are opened before they are looked into and named by what was opened, and what lies
//! deeper than a path or the number of open files would reach is moved up first.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::ops::AddAssign;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::{HostError, at};

/// How what is moved up is named, before a number.
const UP: &str = ".moved-up-";

/// Folders within folders that are gone into before deeper ones are moved up.
const DEEP: usize = 32;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amount {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }
}

/// What a folder holds, itself included; nothing where it is not there. Folders that lie deep are
/// moved up into it, so that it can be removed.
pub(super) fn count(folder: &Path) -> Result<Amount, HostError> {
    let named = at(folder.display());
    let counted = match open(&nix::fcntl::AT_FDCWD, folder) {
        Err(Errno::ENOENT) => Ok(Amount::default()),
        Err(error) => Err(error),
        Ok(top) => count_tree(&top),
    };
    counted.map_err(named)
}

/// Removes a folder that was counted.
pub(super) fn remove(folder: &Path) -> Result<(), HostError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(at(folder.display())),
    }
}

/// What in these folders belongs to the account, with all that lies in folders of its own.
pub(super) fn count_owned(shared: &[PathBuf], uid: u32) -> Result<Amount, HostError> {
    let mut amount = Amount::default();
    owned(shared, uid, &mut |parent, name, found| {
        if is_folder(found) {
            amount += count_tree(&open(parent, name)?)?;
        } else {
            amount += of_entry(found);
        }
        Ok(())
    })?;
    Ok(amount)
}

/// Removes what in these folders belongs to the account.
pub(super) fn remove_owned(shared: &[PathBuf], uid: u32) -> Result<(), HostError> {
    owned(shared, uid, &mut |parent, name, found| {
        if !is_folder(found) {
            return unlinkat(parent, name, UnlinkatFlags::NoRemoveDir);
        }
        count_tree(&open(parent, name)?)?;
        // By way of the open folder: nobody can put another in its place.
        let parent = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd()));
        let removed = fs::remove_dir_all(parent.join(OsStr::from_bytes(name.to_bytes())));
        removed.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    })
}

/// Unmounts what the account mounted anywhere (FUSE), and whatever is mounted below its home.
pub(super) fn unmount(home: &Path, uid: u32) -> Result<(), HostError> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(at("/proc/self/mountinfo"))?;
    let own = format!("user_id={uid}");
    for line in text.lines().rev() {
        let mut words = line.split(' ');
        let Some(point) = words.nth(4).map(unescaped) else {
            continue;
        };
        let by_account = words.any(|word| word.split(',').any(|option| option == own));
        if by_account || point.starts_with(home) {
            umount2(&point, MntFlags::MNT_DETACH).map_err(at(point.display()))?;
        }
    }
    Ok(())
}

/// A path as `/proc` writes it: blanks and the like as three octal digits.
fn unescaped(word: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let digits = others.get(..3).filter(|_| first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() {
            &others[3..]
        } else {
            others
        };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn open(parent: &impl AsFd, name: &(impl nix::NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn entries(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    // A folder opened anew is read from its beginning.
    let mut listing = Dir::from_fd(open(folder, ".")?)?;
    let names = listing
        .iter()
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names: Result<Vec<CString>, Errno> = names.collect();
    Ok(names?
        .into_iter()
        .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
        .collect())
}

fn look(parent: &OwnedFd, name: &CString) -> Result<Option<FileStat>, Errno> {
    match fstatat(parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

fn is_folder(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn of_entry(found: &FileStat) -> Amount {
    let bytes = if is_folder(found) { 0 } else { found.st_size };
    Amount {
        entries: 1,
        bytes: u64::try_from(bytes).unwrap_or(0),
    }
}

/// Counts a folder and all in it, and moves up what lies deep.
fn count_tree(top: &OwnedFd) -> Result<Amount, Errno> {
    let mut amount = of_entry(&fstat(top)?);
    let mut moved = 0_u64;
    // With each, whether it was counted: what was moved up was counted where it lay.
    let mut waiting: Vec<(CString, bool)> = entries(top)?
        .into_iter()
        .map(|name| (name, false))
        .collect();
    while let Some((name, counted)) = waiting.pop() {
        if let Some(found) = look(top, &name)? {
            if !counted {
                amount += of_entry(&found);
            }
            if is_folder(&found) {
                let folder = open(top, name.as_c_str())?;
                amount += within(top, &folder, 1, &mut moved, &mut waiting)?;
            }
        }
    }
    Ok(amount)
}

fn within(
    top: &OwnedFd,
    folder: &OwnedFd,
    depth: usize,
    moved: &mut u64,
    waiting: &mut Vec<(CString, bool)>,
) -> Result<Amount, Errno> {
    let mut amount = Amount::default();
    for name in entries(folder)? {
        let Some(found) = look(folder, &name)? else {
            continue;
        };
        amount += of_entry(&found);
        if !is_folder(&found) {
            continue;
        }
        if depth < DEEP {
            let next = open(folder, name.as_c_str())?;
            amount += within(top, &next, depth + 1, moved, waiting)?;
            continue;
        }
        loop {
            *moved += 1;
            let up = CString::new(format!("{UP}{moved}")).expect("it has no zero");
            if look(top, &up)?.is_none() {
                renameat(folder, name.as_c_str(), top, up.as_c_str())?;
                waiting.push((up, true));
                break;
            }
        }
    }
    Ok(amount)
}

type Act<'a> = dyn FnMut(&OwnedFd, &std::ffi::CStr, &FileStat) -> Result<(), Errno> + 'a;

/// Acts on each entry of these folders, and of others' folders in them, that belongs to the
/// account. A folder of another file system is left alone: it is named by itself, or not shared.
fn owned(shared: &[PathBuf], uid: u32, act: &mut Act<'_>) -> Result<(), HostError> {
    for path in shared {
        let folder = match open(&nix::fcntl::AT_FDCWD, path.as_path()) {
            // Not there, or a link to another that is named by itself.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => continue,
            other => other.map_err(at(path.display()))?,
        };
        let device = fstat(&folder).map_err(at(path.display()))?.st_dev;
        owned_within(&folder, device, uid, 0, act).map_err(at(path.display()))?;
    }
    Ok(())
}

fn owned_within(
    folder: &OwnedFd,
    device: u64,
    uid: u32,
    depth: usize,
    act: &mut Act<'_>,
) -> Result<(), Errno> {
    for name in entries(folder)? {
        let found = match look(folder, &name) {
            // What another account mounted (FUSE), which lets in nobody else, root included; or
            // whose program is gone.
            Err(Errno::EACCES | Errno::ENOTCONN) | Ok(None) => continue,
            other => other?,
        };
        let Some(found) = found else {
            continue;
        };
        if found.st_uid == uid {
            act(folder, &name, &found)?;
        } else if is_folder(&found) && found.st_dev == device && depth < DEEP {
            match open(folder, name.as_c_str()) {
                Ok(next) => owned_within(&next, device, uid, depth + 1, act)?,
                // Another's, changed meanwhile.
                Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
