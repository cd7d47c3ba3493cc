//! What the system says of itself and of its file systems.

use std::path::Path;

use super::{Result, read_text};

/// How much time a remote may waste, if a test says so.
#[cfg(feature = "fault-injection")]
pub fn patience() -> Option<std::time::Duration> {
    crate::sys::fault::patience()
}

/// What tells one run of this machine's system from the next; `None` where
/// the system has no such thing.
pub fn boot() -> Option<String> {
    #[cfg(feature = "fault-injection")]
    if let Some(boot) = crate::sys::fault::boot() {
        return Some(boot);
    }
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = read_text(Path::new("/proc/sys/kernel/random/boot_id"), 64).ok()?;
    Some(text.trim_end().to_owned())
}

/// Whether this process may write to a directory, its file system included.
#[cfg(unix)]
pub fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether this process may write to a directory.
#[cfg(not(unix))]
pub fn is_writable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.permissions().readonly())
}

/// The name of the network file system that holds a path; `None` for a local
/// one. There, locks of one machine may mean nothing to another.
#[cfg(target_os = "linux")]
pub fn network_file_system(path: &Path) -> Result<Option<&'static str>> {
    let found = rustix::fs::statfs(path).map_err(std::io::Error::from);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic numbers have 32 bits, whatever the field's type"
    )]
    Ok(network_name(
        super::at("inspect the file system of", path, found)?.f_type as u32,
    ))
}

/// Nothing is known of other systems' file systems.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_path: &Path) -> Result<Option<&'static str>> {
    Ok(None)
}

/// File systems that several machines can have mounted, by their magic number.
/// FUSE counts: what is behind it cannot be told.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x0BD0_0BD0 => "Lustre",
        0x7461_636F => "OCFS2",
        0x0116_1970 => "GFS2",
        0x4750_4653 => "GPFS",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn case_110_network_file_systems_are_known_by_name() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0x6573_5546), Some("FUSE"));
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(network_name(local), None, "{local:x}");
        }
    }
}
