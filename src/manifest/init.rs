//! The text of a new `sysroot.toml`.

use std::fmt;

use crate::types::{Channel, Triple};

/// What a new manifest starts with; its [`Display`](fmt::Display) is the text.
#[derive(Clone, Debug)]
pub struct Template {
    /// The compiler.
    pub channel: Channel,
    /// The machine at hand.
    pub host: Triple,
    /// The targets, each with an empty table.
    pub targets: Vec<Triple>,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            channel,
            host,
            targets,
        } = self;
        write!(
            f,
            "\
# What this project is compiled with. `sysroot sync` does what it says;
# commit this file and `sysroot.lock`, ignore `.sysroot/`.

[toolchain]
# nightly-YYYY-MM-DD, beta-YYYY-MM-DD, a release such as 1.96.0, or \"system\".
channel = \"{channel}\"
# Every machine the project is built on; all are locked from any one of them.
hosts = [\"{host}\"]
# Beside rustc, cargo and the host's rust-std: \"clippy\", \"rustfmt\", \"rust-src\".
components = []

# Keys for every target that does not have them itself.
[defaults]
# \"download\" takes upstream's rust-std, \"build\" compiles from rust-src, \"auto\"
# downloads where upstream ships the target and nothing asks for a build.
strategy = \"auto\"
"
        )?;
        for target in targets {
            write!(f, "\n{}\n", table_of(target.as_str()))?;
        }
        if targets.is_empty() {
            f.write_str(EXAMPLE)?;
        }
        Ok(())
    }
}

const EXAMPLE: &str = "
# A target that is compiled:
# [targets.aarch64-unknown-none]
# crates = [\"core\", \"alloc\"]
# opt-level = \"s\"
# rustflags = [\"-Ctarget-cpu=cortex-a72\"]
";

/// The header of a target's table. A name with a dot is quoted: it would be
/// split as a bare key.
pub(crate) fn table_of(target: &str) -> String {
    if target.contains('.') {
        format!("[targets.\"{target}\"]")
    } else {
        format!("[targets.{target}]")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn a_template_parses_to_what_it_was_made_of() {
        let targets: Vec<Triple> = ["thumbv8m.main-none-eabi", "aarch64-unknown-none"]
            .map(|name| name.parse().unwrap())
            .to_vec();
        for (channel, targets) in [("nightly-2026-05-20", targets), ("system", Vec::new())] {
            let template = Template {
                channel: channel.parse().unwrap(),
                host: "x86_64-unknown-linux-gnu".parse().unwrap(),
                targets: targets.clone(),
            };
            let manifest =
                Manifest::parse(&template.to_string(), Path::new("sysroot.toml")).unwrap();
            assert_eq!(manifest.channel.to_string(), channel);
            assert_eq!(manifest.hosts.len(), 1);
            assert_eq!(manifest.targets.len(), targets.len());
            assert!(template.to_string().starts_with("# What this project"));
        }
    }
}
