//! rust-src to rlibs.
