//! OpenPGP's text form: a block of base64 between two lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text is no armor of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// The first line is missing.
    #[error("there is no line `-----BEGIN {0}-----`")]
    NoBegin(&'static str),
    /// The last line is missing.
    #[error("it is cut short: there is no line `-----END {0}-----`")]
    NoEnd(&'static str),
    /// No empty line ends the headers.
    #[error("no empty line stands between its headers and its data")]
    NoData,
    /// A character that base64 does not have, or a wrong number of them.
    #[error("its data is not base64")]
    NotBase64,
    /// A second block, or text behind the block.
    #[error("something follows the line `-----END {0}-----`")]
    Trailing(&'static str),
}

/// The bytes inside the one armored block of this kind (`PGP SIGNATURE`).
///
/// The checksum line is not judged, as the standard recommends: damage shows
/// when the signature is checked.
pub(super) fn decode(text: &[u8], kind: &'static str) -> Result<Vec<u8>, ArmorError> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end);
    let begin = format!("-----BEGIN {kind}-----");
    let end = format!("-----END {kind}-----");
    if !lines.by_ref().any(|line| line == begin) {
        return Err(ArmorError::NoBegin(kind));
    }
    // Headers, such as `Version: GnuPG v2`, end at an empty line.
    let mut data_began = false;
    for line in lines.by_ref() {
        if line.is_empty() {
            data_began = true;
            break;
        }
        if line == end || !line.contains(": ") {
            return Err(ArmorError::NoData);
        }
    }
    if !data_began {
        return Err(ArmorError::NoEnd(kind));
    }
    let mut data = String::new();
    let mut ended = false;
    for line in lines.by_ref() {
        if line == end {
            ended = true;
            break;
        }
        // A line that begins with `=` is the checksum; padding ends a line.
        if !line.starts_with('=') {
            data.push_str(line);
        }
    }
    if !ended {
        return Err(ArmorError::NoEnd(kind));
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(ArmorError::Trailing(kind));
    }
    STANDARD.decode(data).map_err(|_| ArmorError::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "PGP SIGNATURE";

    fn read(text: &str) -> Result<Vec<u8>, ArmorError> {
        decode(text.as_bytes(), KIND)
    }

    #[test]
    fn blocks_are_read_with_and_without_headers() {
        for text in [
            "-----BEGIN PGP SIGNATURE-----\n\naGk=\n-----END PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNATURE-----\r\nVersion: x\r\n\r\naG\r\nk=\r\n=AAAA\r\n-----END PGP SIGNATURE-----",
            "words before\n-----BEGIN PGP SIGNATURE-----\n\naGk=\n-----END PGP SIGNATURE-----\n\n",
        ] {
            assert_eq!(read(text).unwrap(), b"hi", "{text}");
        }
    }

    #[test]
    fn case_048_each_fault_of_an_armor_has_its_own_name() {
        let good = "-----BEGIN PGP SIGNATURE-----\n\naGk=\n-----END PGP SIGNATURE-----\n";
        assert_eq!(read(""), Err(ArmorError::NoBegin(KIND)));
        assert_eq!(read("<html>"), Err(ArmorError::NoBegin(KIND)));
        let key = good.replace("SIGNATURE", "PUBLIC KEY BLOCK");
        assert_eq!(read(&key), Err(ArmorError::NoBegin(KIND)));
        let bad = good.replace("aGk=", "aG*=");
        assert_eq!(read(&bad), Err(ArmorError::NotBase64));
        let bad = good.replace("\n\n", "\n");
        assert_eq!(read(&bad), Err(ArmorError::NoData));
        assert_eq!(
            read(&good.repeat(2)),
            Err(ArmorError::Trailing(KIND)),
            "two blocks"
        );
        let begin = good.find('\n').unwrap();
        let end = good.rfind("-----").unwrap() + 5;
        for cut in begin..end {
            assert_eq!(read(&good[..cut]), Err(ArmorError::NoEnd(KIND)), "{cut}");
        }
    }
}
