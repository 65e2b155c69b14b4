//! Finds the PostgreSQL that is installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EmbeddedError;

/// The folder of `initdb` and `postgres`, with the major version in it.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    folder: PathBuf,
    version: u32,
}

impl Binaries {
    /// Takes `SLUICE_PG_BIN` when it is set, else the newest in PATH and the usual folders; data
    /// that is there already decides the version.
    pub(super) fn find(data: Option<(PathBuf, u32)>) -> Result<Self, EmbeddedError> {
        let found = match env::var_os("SLUICE_PG_BIN") {
            Some(folder) if !folder.is_empty() => {
                let folder = PathBuf::from(folder);
                vec![Self::in_folder(&folder).ok_or(EmbeddedError::BadBinaries(folder))?]
            }
            _ => folders()
                .iter()
                .filter_map(|f| Self::in_folder(f))
                .collect(),
        };
        let newest = found.iter().max_by_key(|b| b.version);
        let newest = newest.ok_or(EmbeddedError::NotFound)?;
        let Some((data, wanted)) = data else {
            return Ok(newest.clone());
        };
        match found.iter().find(|b| b.version == wanted) {
            Some(fitting) => Ok(fitting.clone()),
            None => Err(EmbeddedError::OtherVersion {
                data,
                wanted,
                found: list_of_versions(&found),
            }),
        }
    }

    /// The program of this name.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").exists() {
            return None;
        }
        // A link into another folder is followed: the server finds its own files from there.
        let server = fs::canonicalize(folder.join("postgres")).ok()?;
        let output = Command::new(&server).arg("--version").output().ok()?;
        let version = major_version(&String::from_utf8(output.stdout).ok()?)?;
        let folder = server.parent()?.to_owned();
        folder
            .join("initdb")
            .exists()
            .then_some(Self { folder, version })
    }
}

/// Reads the major version out of `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|entry| entry.path().join("bin")));
    }
    if let Ok(entries) = fs::read_dir("/usr") {
        let names = entries.flatten().map(|entry| entry.path());
        let is_packaged = |p: &PathBuf| p.to_string_lossy().starts_with("/usr/pgsql-");
        folders.extend(names.filter(is_packaged).map(|p| p.join("bin")));
    }
    folders
}

fn list_of_versions(found: &[Binaries]) -> String {
    let mut versions: Vec<u32> = found.iter().map(|b| b.version).collect();
    versions.sort_unstable();
    versions.dedup();
    let texts: Vec<String> = versions.iter().map(u32::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_releases_and_betas() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(major_version(debian), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("mysqld 8"), None);
    }
}
