//! Which of the two archive formats arrives first, decoding included.

use crate::lock::{LockedArchive, LockedComponent};

/// The compression of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `.tar.xz`: fewer bytes, slow to decode.
    Xz,
    /// `.tar.gz`: more bytes, quick to decode.
    Gz,
}

/// Cost of one format for each byte of the unpacked archive.
struct Cost {
    /// Bytes on the wire.
    wire: f64,
    /// Seconds to decode.
    decode: f64,
}

/// Upstream's xz, as this crate's reader decodes it: 186 MB of rust-std in
/// 2.3 s of processor time (2-core x86-64), hashing included.
const XZ: Cost = Cost {
    wire: 0.20,
    decode: 2.3 / 186e6,
};
/// The same tar as gzip, decoded by zlib-rs: 0.75 s.
const GZ: Cost = Cost {
    wire: 0.30,
    decode: 0.75 / 186e6,
};

impl Cost {
    /// Seconds for each byte of the unpacked archive. The two parts add up,
    /// because nothing is decoded before the whole file's hash matched.
    fn at(&self, rate: f64) -> f64 {
        self.wire / rate + self.decode
    }
}

/// Picks the format that is unpacked first, at `rate` bytes a second.
///
/// An unknown rate is taken for a slow one, where fewer bytes win.
/// `None` only for a component without any archive.
pub fn choose_format(
    component: &LockedComponent,
    rate: Option<f64>,
) -> Option<(Format, &LockedArchive)> {
    let xz = component.xz.as_ref().map(|archive| (Format::Xz, archive));
    let gz = component.gz.as_ref().map(|archive| (Format::Gz, archive));
    let gz_is_faster = rate.is_some_and(|rate| GZ.at(rate) < XZ.at(rate));
    if gz_is_faster { gz.or(xz) } else { xz.or(gz) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Sha256;

    #[test]
    fn few_bytes_win_on_slow_networks_and_quick_decoding_on_fast_ones() {
        let archive = |path: &str| LockedArchive {
            path: path.parse().unwrap(),
            sha256: Sha256::of(b""),
        };
        let both = LockedComponent {
            xz: Some(archive("x")),
            gz: Some(archive("g")),
        };
        let pick = |rate| choose_format(&both, rate).map(|(format, _)| format);
        assert_eq!(pick(None), Some(Format::Xz));
        assert_eq!(pick(Some(1e6)), Some(Format::Xz));
        assert_eq!(pick(Some(1e9)), Some(Format::Gz));
        assert_eq!(pick(Some(f64::INFINITY)), Some(Format::Gz));
        // They meet where the saved bytes take as long as the slower decoder.
        assert_eq!(pick(Some(10e6)), Some(Format::Xz));
        assert_eq!(pick(Some(15e6)), Some(Format::Gz));
        assert_eq!(pick(Some(0.0)), Some(Format::Xz));
        assert_eq!(pick(Some(f64::NAN)), Some(Format::Xz));
        let only_gz = LockedComponent {
            xz: None,
            ..both.clone()
        };
        assert_eq!(choose_format(&only_gz, None).unwrap().0, Format::Gz);
    }
}
