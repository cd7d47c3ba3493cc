//! Where a lock says something else than a channel manifest.
//!
//! A signature proves the manifest; this carries the proof over to the lock.

use std::fmt;

use super::channel_manifest::ChannelManifest;
use crate::lock::{Lock, LockedArchive, LockedComponent, LockedToolchain};

/// Every locked fact that the channel manifest states otherwise, or does not
/// state, one a line with both values; empty if the lock follows from it.
pub fn departures(lock: &Lock, manifest: &ChannelManifest) -> Vec<String> {
    let mut found = Vec::new();
    let LockedToolchain::Dist {
        date,
        rustc,
        commit,
        ..
    } = &lock.toolchain
    else {
        return vec!["the lock is of the system's toolchain".to_owned()];
    };
    let mut compare =
        |field: &str, stated: Option<&dyn fmt::Display>, locked: &dyn fmt::Display| {
            let stated = stated.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let locked = locked.to_string();
            if stated != locked {
                found.push(format!("{field}: channel manifest {stated}, lock {locked}"));
            }
        };
    // Only a lock that was not read from a file can be of another day itself.
    if let Some(day) = lock.channel.date().filter(|day| day != date) {
        compare("channel", Some(&manifest.date), &day);
    }
    compare("toolchain.date", Some(&manifest.date), date);
    let package = manifest.package("rustc").map(|(_, package)| package);
    compare(
        "toolchain.rustc",
        package.map(|package| &package.version as &dyn fmt::Display),
        rustc,
    );
    let form = lock.channel.version_form();
    match package {
        Some(package) if !lock.channel.has_version(&package.version) => compare(
            "channel",
            Some(&format!("of rustc {}", package.version)),
            &format!("{}, whose rustc is {form}", lock.channel),
        ),
        _ => {}
    }
    let none = "nothing".to_owned();
    let stated = package.and_then(|package| package.commit.as_ref());
    compare(
        "toolchain.commit",
        stated.map(|commit| commit as &dyn fmt::Display),
        commit.as_ref().unwrap_or(&none),
    );
    for (id, locked) in &lock.archives {
        let package = manifest.package(id.name.as_str());
        let stated = package.and_then(|(_, package)| package.archive(id.target.as_ref()));
        for (format, locked, stated) in formats(locked, stated) {
            let field = format!("archives.{id}.{format}");
            let stated = stated.map(|archive| archive as &dyn fmt::Display);
            compare(&field, stated, locked);
        }
    }
    found
}

/// The locked formats of an archive, each beside what the manifest states.
fn formats<'a>(
    locked: &'a LockedComponent,
    stated: Option<&'a LockedComponent>,
) -> impl Iterator<Item = (&'static str, &'a LockedArchive, Option<&'a LockedArchive>)> {
    let xz = locked.xz.as_ref().map(|locked| {
        let stated = stated.and_then(|stated| stated.xz.as_ref());
        ("xz", locked, stated)
    });
    let gz = locked.gz.as_ref().map(|locked| {
        let stated = stated.and_then(|stated| stated.gz.as_ref());
        ("gz", locked, stated)
    });
    xz.into_iter().chain(gz)
}
