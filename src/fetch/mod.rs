//! Bytes from a dist server: the channel manifest, and component archives.
//!
//! [`Client`] talks to one [`DistServer`], [`Mirrors`] to several in order; every wait, size, redirect and
//! repetition has a bound in [`Options`]. No byte leaves [`Client::download`]
//! before the whole file matched its SHA-256, and what [`archive::unpack`]
//! reads is the handle whose bytes were hashed. Neither decides *what* to
//! fetch, where trees are stored, or how many downloads run side by side.

pub mod archive;
mod budget;
mod choose;
mod client;
mod error;
mod hash_file;
mod local;
mod meter;
mod mirrors;
mod object;
mod options;
mod partial;
mod range;
mod redirect;
mod reply;
mod retry;
mod server;
mod transport;

pub use budget::{Budget, Look};
pub use choose::{Format, choose_format};
pub use client::{Arrival, Client, Download, FetchedManifest};
pub use error::{Fault, FetchError};
pub use mirrors::{Answer, Mirrors};
pub use object::Receive;
pub(crate) use object::{Sent, Upload};
pub use options::{Clock, Options, Proxies, SystemClock};
pub use server::DistServer;
pub(crate) use server::{Credentials, is_loopback, without_userinfo};
pub(crate) use transport::{Interrupted, Transport, Until};
