//! What the last sync put into the output, and how to tell from metadata
//! alone that it is still there.
//!
//! The state file is made to be believed quickly: its first 32 bytes are the
//! keyed BLAKE3 of the rest, and after they were compared nothing has to be
//! looked at twice, copied or sorted. After them come
//!
//! ```text
//! "sysroot-state 2\n"
//! lock, host, link mode   each with a byte in front: 1 if there is one, else 0
//! trees                   their number, 32 bytes each
//! inputs                  a byte; version, machine, BLAKE3 of the manifest,
//!                         number of specs, path and BLAKE3 of each,
//!                         number of targets, name of each
//! watched                 stamps
//! areas                   their number; path, digest and stamps of each, by path
//! ```
//!
//! Texts and stamps have their length in front. Numbers are written with seven
//! bits a byte, the lowest first. The form of stamps is told in `stamps`.

use std::collections::BTreeMap;
use std::path::Path;

use super::LinkMode;
use super::area::AreaDigest;
use super::encoding::{Reader, Writer};
use super::stamps::{Stamps, all_hold};
use crate::store::StateKey;
use crate::sys::fs::{self, FsError};
use crate::types::{FileDigest, RelPath, TreeDigest, Triple};

/// The state file's name in the output.
pub const STATE_FILE: &str = ".state";
/// The largest state file we read.
const MAX_STATE: u64 = 64 << 20;
/// The format of the state file; another one counts as no state at all.
const MAGIC: &[u8; 16] = b"sysroot-state 2\n";
/// The length of the authentication code.
const CODE: usize = 32;

/// What the last sync put into the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// BLAKE3 of the lock's text whose targets are all here; absent after a
    /// sync of only some targets.
    pub lock: Option<AreaDigest>,
    /// The host whose toolchain it is.
    pub host: Option<Triple>,
    /// How files got here: `reflink`, `hardlink` or `copy`.
    pub link_mode: Option<LinkMode>,
    /// The trees that the output is made of.
    pub trees: Vec<TreeDigest>,
    /// The files that the lock was found to answer; absent if nobody looked.
    pub inputs: Option<Inputs>,
    /// Files outside the output that it depends on: the system's toolchain.
    pub watched: Stamps,
    /// The areas by path.
    pub areas: BTreeMap<RelPath, AreaState>,
}

/// The files that led to a lock. While they have these contents, and the lock
/// its own, there is no need to understand them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The version of sysroot that understood them.
    pub version: String,
    /// The machine it was made for, which chooses among the lock's hosts.
    pub machine: Triple,
    /// The manifest's text.
    pub manifest: FileDigest,
    /// The target specs, by their path from the manifest's directory.
    pub specs: Vec<(RelPath, FileDigest)>,
    /// The locked targets.
    pub targets: Vec<Triple>,
}

/// One area as it was when it was put into place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AreaState {
    /// Digest of the content.
    pub digest: AreaDigest,
    /// Everything in it.
    pub stamps: Stamps,
}

impl State {
    /// Whether every area is as it was left and there is no other, judged by
    /// metadata; up to `threads` look at the same time.
    pub fn is_untouched(&self, output: &Path, threads: usize) -> bool {
        let areas = self.areas.iter();
        let areas = areas.map(|(path, area)| (path.as_str(), &*area.stamps.0));
        untouched(output, areas, &self.watched.0, threads)
    }

    /// Writes the state, with the code that vouches for it.
    pub fn write(&self, output: &Path, key: &StateKey) -> Result<(), FsError> {
        let body = self.encode();
        let mut bytes = key.code(&body).as_bytes().to_vec();
        bytes.extend_from_slice(&body);
        fs::replace(&output.join(STATE_FILE), &bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            lock,
            host,
            link_mode,
            trees,
            inputs,
            watched,
            areas,
        } = self;
        let mut to = Writer::default();
        to.raw(MAGIC);
        to.option(lock.as_ref(), |to, lock| to.raw(lock.as_bytes()));
        to.option(host.as_ref(), |to, host| to.bytes(host.as_str().as_bytes()));
        to.option(*link_mode, |to, mode| to.bytes(mode.as_str().as_bytes()));
        to.number(trees.len() as u64);
        for tree in trees {
            to.raw(tree.as_bytes());
        }
        to.option(inputs.as_ref(), |to, inputs| inputs.encode(to));
        to.bytes(&watched.0);
        to.number(areas.len() as u64);
        for (path, area) in areas {
            to.bytes(path.as_str().as_bytes());
            to.raw(area.digest.as_bytes());
            to.bytes(&area.stamps.0);
        }
        to.0
    }
}

impl Inputs {
    fn encode(&self, to: &mut Writer) {
        let Self {
            version,
            machine,
            manifest,
            specs,
            targets,
        } = self;
        to.bytes(version.as_bytes());
        to.bytes(machine.as_str().as_bytes());
        to.raw(manifest.as_bytes());
        to.number(specs.len() as u64);
        for (path, digest) in specs {
            to.bytes(path.as_str().as_bytes());
            to.raw(digest.as_bytes());
        }
        to.number(targets.len() as u64);
        for target in targets {
            to.bytes(target.as_str().as_bytes());
        }
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let version = from.text()?.to_owned();
        let machine = from.parsed()?;
        let manifest = FileDigest::from_bytes(from.raw()?);
        let mut specs = Vec::new();
        for _ in 0..from.number()? {
            specs.push((from.parsed()?, FileDigest::from_bytes(from.raw()?)));
        }
        let mut targets = Vec::new();
        for _ in 0..from.number()? {
            targets.push(from.parsed()?);
        }
        Some(Self {
            version,
            machine,
            manifest,
            specs,
            targets,
        })
    }
}

impl AreaState {
    /// Takes the metadata of everything in an area.
    pub fn record(output: &Path, area: &RelPath, digest: AreaDigest) -> Result<Self, FsError> {
        let stamps = Stamps::record(output, area)?;
        Ok(Self { digest, stamps })
    }

    /// Whether this area is as it was left, judged by metadata.
    pub fn is_untouched(&self, output: &Path) -> bool {
        self.stamps.first_change(output).is_none()
    }
}

/// A state file whose code is right.
#[derive(Debug)]
pub struct StateFile(Vec<u8>);

/// A state in the form of its file.
struct Parsed<'a> {
    lock: Option<AreaDigest>,
    host: Option<Triple>,
    link_mode: Option<LinkMode>,
    trees: Vec<TreeDigest>,
    inputs: Option<Inputs>,
    watched: &'a [u8],
    areas: Vec<(&'a str, AreaDigest, &'a [u8])>,
}

impl StateFile {
    /// Reads the state of an output; absent, damaged or foreign ones, and ones
    /// without the right authentication code, count as nothing known.
    pub fn read(output: &Path, key: &StateKey) -> Option<Self> {
        let bytes = fs::read(&output.join(STATE_FILE), MAX_STATE).ok()?;
        let (code, body) = bytes.split_first_chunk::<CODE>()?;
        // The comparison of two `Hash`es takes the same time wherever they differ.
        (key.code(body) == blake3::Hash::from_bytes(*code)).then_some(Self(bytes))
    }

    fn parse(&self) -> Option<Parsed<'_>> {
        let mut from = Reader(self.0.get(CODE..)?);
        if from.raw()? != *MAGIC {
            return None;
        }
        let lock = from.option(|from| from.raw().map(AreaDigest::from_bytes))?;
        let host = from.option(Reader::parsed)?;
        let link_mode = from.option(|from| LinkMode::from_name(from.text()?))?;
        let mut trees = Vec::new();
        for _ in 0..from.number()? {
            trees.push(TreeDigest::from_bytes(from.raw()?));
        }
        let inputs = from.option(Inputs::decode)?;
        let watched = from.bytes()?;
        let mut areas = Vec::new();
        for _ in 0..from.number()? {
            let path = from.text()?;
            let digest = AreaDigest::from_bytes(from.raw()?);
            areas.push((path, digest, from.bytes()?));
        }
        from.is_empty().then_some(Parsed {
            lock,
            host,
            link_mode,
            trees,
            inputs,
            watched,
            areas,
        })
    }

    /// The state in full.
    pub fn state(&self) -> Option<State> {
        let parsed = self.parse()?;
        let mut areas = BTreeMap::new();
        for (path, digest, stamps) in parsed.areas {
            let stamps = Stamps(stamps.to_vec());
            areas.insert(path.parse().ok()?, AreaState { digest, stamps });
        }
        Some(State {
            lock: parsed.lock,
            host: parsed.host,
            link_mode: parsed.link_mode,
            trees: parsed.trees,
            inputs: parsed.inputs,
            watched: Stamps(parsed.watched.to_vec()),
            areas,
        })
    }

    /// The digest of the lock and the files behind it, if all its targets are
    /// in the output and somebody looked at these files.
    pub fn inputs(&self) -> Option<(AreaDigest, Inputs)> {
        let parsed = self.parse()?;
        parsed.lock.zip(parsed.inputs)
    }

    /// Whether every area is as it was left and there is no other, judged by
    /// metadata; up to `threads` look at the same time.
    pub fn is_untouched(&self, output: &Path, threads: usize) -> bool {
        self.parse().is_some_and(|parsed| {
            let areas = parsed
                .areas
                .iter()
                .map(|(path, _, stamps)| (*path, *stamps));
            untouched(output, areas, parsed.watched, threads)
        })
    }
}

/// Whether an output has these areas and no other, and all stamps hold.
fn untouched<'a>(
    output: &Path,
    areas: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    watched: &'a [u8],
    threads: usize,
) -> bool {
    let paths = areas.clone().map(|(path, _)| path);
    let stamps = areas.map(|(_, stamps)| stamps).chain([watched]);
    super::present_areas(output).is_ok_and(|found| found.iter().map(RelPath::as_str).eq(paths))
        && all_hold(output, stamps, threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let digest = |byte| FileDigest::from_bytes([byte; 32]);
        let area = |byte| AreaState {
            digest: digest(byte),
            stamps: Stamps(vec![byte; 300]),
        };
        State {
            lock: Some(digest(1)),
            host: Some("x86_64-unknown-linux-gnu".parse().unwrap()),
            link_mode: Some(LinkMode::Copy),
            trees: vec![TreeDigest::from_bytes([2; 32]); 3],
            inputs: Some(Inputs {
                version: "1.2.3".to_owned(),
                machine: "x86_64-unknown-linux-musl".parse().unwrap(),
                manifest: digest(3),
                specs: vec![("spec/my-os.json".parse().unwrap(), digest(4))],
                targets: vec!["my-os".parse().unwrap()],
            }),
            watched: Stamps(vec![5]),
            areas: BTreeMap::from([
                ("bin".parse().unwrap(), area(6)),
                ("lib/rustlib/my-os".parse().unwrap(), area(7)),
            ]),
        }
    }

    /// A file with this content after the code, which is not looked at again.
    fn file(body: &[u8]) -> StateFile {
        StateFile([&[0; CODE], body].concat())
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in [State::default(), state()] {
            let file = file(&state.encode());
            assert_eq!(file.inputs(), state.lock.zip(state.inputs.clone()));
            assert_eq!(file.state(), Some(state));
        }
    }

    #[test]
    fn a_state_that_is_cut_off_or_has_a_tail_is_none() {
        let bytes = state().encode();
        for length in 0..bytes.len() {
            assert_eq!(file(&bytes[..length]).state(), None, "{length}");
        }
        assert_eq!(file(&[&*bytes, b"x"].concat()).state(), None);
        let mut other = bytes;
        other[14] = b'3';
        assert_eq!(file(&other).state(), None, "another version");
    }
}
