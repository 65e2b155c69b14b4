//! A key on its own disk: 64 hexadecimal digits, readable by its owner alone. The exchange's
//! vantages keep theirs the same way.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use nix::unistd::geteuid;
use reading::AgentKey;

use crate::folder::write_whole;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("there is no key at {0}: enrol first (sluice-agent enrol --help)")]
    None(PathBuf),
    /// Others could read or change it, or could have.
    #[error(
        "{path} {why}: whoever could read it can sign as this program does. Have it revoked at the exchange, remove the folder and begin anew"
    )]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is in it is no key.
    #[error("{0} is no key: have it revoked at the exchange, remove the folder and begin anew")]
    NoKey(PathBuf),
    /// The system said no.
    #[error("{path}: {error}")]
    System {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// Draws a new key and writes it where there is none.
///
/// # Errors
/// There is a file already, the system has no random numbers, or the file can't be written.
pub fn make(path: &Path) -> Result<AgentKey, KeyError> {
    let system = |error| KeyError::System {
        path: path.to_owned(),
        error,
    };
    if fs::symlink_metadata(path).is_ok() {
        return Err(system(io::ErrorKind::AlreadyExists.into()));
    }
    let secret = random::<32>().map_err(system)?;
    let text = HEXLOWER.encode(&secret) + "\n";
    write_whole(path, 0o600, text.as_bytes()).map_err(system)?;
    load(path)
}

/// Reads the key, if nobody else could.
///
/// # Errors
/// There is none, or none to be trusted.
pub fn load(path: &Path) -> Result<AgentKey, KeyError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeyError::None(path.to_owned()));
        }
        Err(error) => {
            return Err(KeyError::System {
                path: path.to_owned(),
                error,
            });
        }
    };
    let faults = [
        (!found.is_file(), "is no ordinary file"),
        (found.uid() != geteuid().as_raw(), "belongs to another user"),
        (found.mode() & 0o077 != 0, "can be read by others"),
        (found.nlink() != 1, "has a second name"),
    ];
    if let Some((_, why)) = faults.into_iter().find(|(wrong, _)| *wrong) {
        return Err(KeyError::Unsafe {
            path: path.to_owned(),
            why,
        });
    }
    let text = fs::read_to_string(path).map_err(|error| KeyError::System {
        path: path.to_owned(),
        error,
    })?;
    let secret = HEXLOWER.decode(text.trim_end().as_bytes()).ok();
    let secret: Option<[u8; 32]> = secret.and_then(|bytes| bytes.try_into().ok());
    let secret = secret.ok_or_else(|| KeyError::NoKey(path.to_owned()))?;
    Ok(AgentKey::from_secret(&secret))
}

/// So many bytes from the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        assert!(matches!(load(&path), Err(KeyError::None(_))));
        let key = make(&path).expect("a new key");
        let mode = fs::metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load(&path).expect("it is read").public(), key.public());
        assert!(
            matches!(make(&path), Err(KeyError::System { .. })),
            "it is not made anew"
        );
        let another = make(&folder.path().join("another")).expect("a new key");
        assert_ne!(another.public(), key.public());
    }

    #[test]
    fn a_key_that_others_could_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        make(&path).expect("a new key");
        let refused = |why: &str| match load(&path) {
            Err(KeyError::Unsafe { why: found, .. }) => assert_eq!(found, why),
            other => panic!("{why}: {other:?}"),
        };
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is changed");
            refused("can be read by others");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is changed");
        let second = folder.path().join("second");
        fs::hard_link(&path, &second).expect("a second name");
        refused("has a second name");
        fs::remove_file(&path).expect("it is removed");
        symlink(&second, &path).expect("a link");
        refused("is no ordinary file");
        fs::remove_file(&path).expect("it is removed");
        write_whole(&path, 0o600, b"0123").expect("it is written");
        assert!(matches!(load(&path), Err(KeyError::NoKey(_))));
    }
}
