//! Bytes from a dist server: the channel manifest, and component archives.
