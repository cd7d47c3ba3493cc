//! Permission bits.

use std::fs;
use std::path::Path;

use super::Result;
use super::call::call;

/// Sets a file's mode to read-only, and executable or not.
pub fn set_read_only(path: &Path, executable: bool) -> Result<()> {
    call("set the mode of", path, || {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = if executable { 0o555 } else { 0o444 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        #[cfg(not(unix))]
        {
            let _ = executable;
            let mut permissions = fs::metadata(path)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(path, permissions)
        }
    })
}

/// Sets the permission bits; does nothing where there are none.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    call("set the mode of", path, || {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        #[cfg(not(unix))]
        {
            let _ = mode;
            Ok(())
        }
    })
}
