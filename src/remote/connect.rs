//! From a remote's place to the client that speaks to it.

use super::bounds::Patience;
use super::directory::Directory;
use super::error::RemoteError;
use super::http::HttpRemote;
use super::object::ObjectRemote;
use super::object_setup::set_up;
use super::place::{Place, Remote};
use super::settings::RemoteSettings;
use super::transport::Transport;
use crate::events::{Cancel, Observer};
use crate::fetch::{Budget, Proxies};

/// What remotes need of their surroundings.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Remotes, keys and credentials.
    pub settings: &'a RemoteSettings,
    /// The user's proxies.
    pub proxies: &'a Proxies,
    /// Whether only directories may be asked.
    pub offline: bool,
    /// Receives warnings.
    pub observer: &'a dyn Observer,
    /// Stops every wait.
    pub cancel: &'a Cancel,
}

/// Makes the client of a remote; nothing is connected to yet. `budget` is what
/// the remote may waste in this run.
pub fn connect(
    remote: &Remote,
    around: Surroundings<'_>,
    patience: Patience,
    budget: Option<&Budget>,
) -> Result<Box<dyn Transport>, RemoteError> {
    let mut options = patience.options(around.proxies, around.offline, around.cancel);
    options.budget = budget.cloned();
    match &remote.place {
        Place::Directory(root) => Ok(Box::new(Directory::new(root, around.cancel))),
        Place::Http(url) => {
            let credentials = around.settings.tokens.for_remote(remote)?;
            Ok(Box::new(HttpRemote::new(url, credentials, options)?))
        }
        Place::S3(_) | Place::Gcs(_) | Place::Azure(_) => {
            let environment = &around.settings.environment;
            let setup = set_up(remote, environment, &options)?;
            let setup = setup.ok_or_else(|| RemoteError::Url {
                text: remote.to_string(),
                reason: "it is no object store",
            })?;
            let bounds = patience.bounds();
            let remote = ObjectRemote::new(setup, bounds, options.budget, around.cancel);
            Ok(Box::new(remote))
        }
    }
}
