//! The `.sha256` beside a channel manifest: `<64 hex digits>  <name>`.

use crate::types::Sha256;

/// Reads the hash of `name`'s content; the error is the rule that is broken.
///
/// One line, its line break optional; the name may stand behind directories.
pub(super) fn parse(bytes: &[u8], name: &str) -> Result<Sha256, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    if line.contains(['\n', '\r']) {
        return Err("it has more than one line, or a carriage return");
    }
    let not_hash = "it does not begin with 64 lower-case hexadecimal digits";
    let (digits, rest) = line.split_at_checked(64).ok_or(not_hash)?;
    let hash = Sha256::from_hex(digits).map_err(|_| not_hash)?;
    if rest.is_empty() {
        return Ok(hash);
    }
    let found = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"));
    let found = found.ok_or("the hash is not followed by two spaces and a name")?;
    let last = found.rsplit('/').next().unwrap_or(found);
    if last == name {
        Ok(hash)
    } else {
        Err("it is the hash of a file of another name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_031_only_the_strict_form_is_read() {
        let hash = Sha256::of(b"x");
        let hex = hash.to_hex();
        for good in [
            format!("{hex}  m.toml\n"),
            format!("{hex}  m.toml"),
            format!("{hex} *m.toml\n"),
            format!("{hex}  dist/2026-05-20/m.toml\n"),
            format!("{hex}\n"),
            hex.clone(),
        ] {
            assert_eq!(parse(good.as_bytes(), "m.toml"), Ok(hash), "{good:?}");
        }
        let upper = hex.to_uppercase();
        let short = &hex[..63];
        for bad in [
            String::new(),
            "\n".to_owned(),
            "0123456789".to_owned(),
            "é".repeat(64),
            format!("{}é  m.toml", &hex[..63]),
            "\u{0661}".repeat(64),
            format!("{hex}  m.toml\r\n"),
            format!("{upper}  m.toml\n"),
            format!("{hex}  m.toml\n{hex}  m.toml\n"),
            format!("{hex}  m.toml\n\n"),
            format!("\u{feff}{hex}  m.toml\n"),
            format!(" {hex}  m.toml\n"),
            format!("{hex} m.toml\n"),
            format!("{hex}m.toml\n"),
            format!("{hex}  other.toml\n"),
            format!("{short}g  m.toml\n"),
            format!("{hex}0  m.toml\n"),
            "<!DOCTYPE html><html>".to_owned(),
        ] {
            assert!(parse(bad.as_bytes(), "m.toml").is_err(), "{bad:?}");
        }
        for length in 0..=70 {
            assert!(parse(&vec![0xff; length], "m.toml").is_err());
            assert!(parse(&vec![0; length], "m.toml").is_err());
        }
        for cut in 0..64 {
            assert!(parse(&hex.as_bytes()[..cut], "m.toml").is_err());
        }
    }
}
