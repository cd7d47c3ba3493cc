//! Manifest and channel manifest to lock.
