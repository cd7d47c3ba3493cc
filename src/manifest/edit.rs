//! Changes of a manifest's text that leave everything else as it was.

use std::path::Path;

use super::ManifestError;
use crate::document::{Document, subtable};
use crate::types::Channel;

/// The same text with another channel. Comments, order, quotes of other
/// values and line ends stay.
pub fn with_channel(text: &str, file: &Path, channel: Channel) -> Result<String, ManifestError> {
    let doc = Document::new(file, text);
    let table = doc.table()?;
    let toolchain = subtable(table.get_ref(), "toolchain");
    let Some(value) = toolchain.and_then(|toolchain| toolchain.get("channel")) else {
        return Err(doc
            .fault(0..0, "there is no `channel` in `[toolchain]`")
            .into());
    };
    // Positions count from behind a byte order mark.
    let mark = text.len() - doc.text().len();
    let span = value.span();
    let mut edited = text.to_owned();
    edited.replace_range(
        span.start + mark..span.end + mark,
        &format!("\"{channel}\""),
    );
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_channel_changes() {
        let channel: Channel = "nightly-2026-06-01".parse().unwrap();
        for (before, after) in [
            (
                "# mine\n[toolchain]\nchannel = \"nightly-2026-05-20\" # why\nhosts = []\n",
                "# mine\n[toolchain]\nchannel = \"nightly-2026-06-01\" # why\nhosts = []\n",
            ),
            (
                "\u{feff}toolchain = { channel = 'nightly-2026-05-20' }\r\n",
                "\u{feff}toolchain = { channel = \"nightly-2026-06-01\" }\r\n",
            ),
            (
                "toolchain.hosts = [ ]\ntoolchain.\"channel\" = \"\"\"beta\"\"\"",
                "toolchain.hosts = [ ]\ntoolchain.\"channel\" = \"nightly-2026-06-01\"",
            ),
        ] {
            assert_eq!(
                with_channel(before, Path::new("m"), channel).unwrap(),
                after
            );
        }
        for bad in ["", "[toolchain]\n", "channel = \"x\"", "[toolchain"] {
            assert!(with_channel(bad, Path::new("m"), channel).is_err(), "{bad}");
        }
    }
}
