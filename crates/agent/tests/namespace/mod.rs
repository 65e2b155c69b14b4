//! Privileged tests run in a mount and process namespace of their own, which `./test` makes, and
//! refuse to run anywhere else.

use std::path::Path;
use std::process::Command;

/// Refuses to go on where mounts and processes would be the system's own.
pub(crate) fn require() {
    let own = std::env::var_os("SLUICE_OWN_NAMESPACE").is_some();
    assert!(own, "only ./test runs this, in a namespace of its own");
}

/// An empty file system with these options in a folder, gone with the namespace.
pub(crate) fn mount(folder: &Path, options: &str) {
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(folder);
    let done = mount.status().expect("mount runs");
    assert!(done.success(), "{} is not mounted", folder.display());
}
