//! The key that tells an output's state file of our own from one that a
//! checkout brought along.
//!
//! The state decides whether an output is taken for good without being read.
//! A repository could hold an output with a state that says so; it cannot hold
//! one with the right code, because the key never leaves the cache. In a cache
//! that users share each has a key of his own, which the others cannot read.

use super::{Result, Store};
use crate::sys::fs;

/// The secret behind [`StateKey::code`].
#[derive(Clone)]
pub struct StateKey([u8; 32]);

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateKey(..)")
    }
}

impl StateKey {
    /// The authentication code of a state: keyed BLAKE3.
    pub fn code(&self, state: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, state)
    }
}

impl Store {
    /// The key, if there is one already.
    pub fn state_key(&self) -> Option<StateKey> {
        let path = self.layout().state_key();
        let found = fs::metadata_if_exists(&path).ok()??;
        if !found.is_file() || !self.is_own(&found) {
            return None;
        }
        let bytes = fs::read(&path, 32).ok()?;
        Some(StateKey(bytes.try_into().ok()?))
    }

    /// The key, made if there is none.
    pub fn make_state_key(&self) -> Result<StateKey> {
        if let Some(key) = self.state_key() {
            return Ok(key);
        }
        let mut bytes = [0; 32];
        let path = self.layout().state_key();
        let random = getrandom::fill(&mut bytes).map_err(std::io::Error::other);
        fs::at("draw random bytes for", &path, random)?;
        // Somebody else's file of that name would keep its mode.
        if fs::metadata_if_exists(&path)?.is_some_and(|found| !self.is_own(&found)) {
            fs::remove_file(&path)?;
        }
        fs::replace_private(&path, &bytes)?;
        // Of two processes that made one at the same time, the last one's is it.
        Ok(self.state_key().unwrap_or(StateKey(bytes)))
    }
}
