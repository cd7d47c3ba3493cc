//! The client of an object store, from the variables its users know.
//!
//! The variables are read by the command line and handed in; each store takes
//! those of its own prefix, under the names that the `object_store` crate
//! documents.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::error::RemoteError;
use super::place::{Bucket, Place, Remote};
use crate::fetch::{self, Options, is_loopback};
use crate::sys::fs;

/// The largest file of a service account, in bytes.
const MAX_ACCOUNT: u64 = 64 << 10;

/// A store, ready to be asked.
pub(super) struct Setup {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: String,
    pub(super) remote: String,
    pub(super) secrets: Secrets,
    pub(super) network: fetch::Transport,
}

/// The variables of one store.
struct Variables<'a> {
    prefix: &'static str,
    all: &'a [(String, String)],
}

impl<'a> Variables<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let prefix = self.prefix;
        self.all
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Refuses an endpoint of another machine without encryption, unless the
    /// store's own variable or the remote allows it.
    fn check_endpoint(&self, remote: &Remote, names: &[&str]) -> Result<(), RemoteError> {
        let allow = format!("{}ALLOW_HTTP", self.prefix);
        let allowed = remote.allow_http || self.get(&allow).is_some_and(|value| value == "true");
        for name in names {
            if self.get(name).is_some_and(is_plain) && !allowed {
                return Err(RemoteError::Setup {
                    remote: remote.to_string(),
                    message: format!(
                        "{name} is plain http to another machine; https, or {allow}=true"
                    ),
                });
            }
        }
        Ok(())
    }

    /// The same for Google's endpoint, which only a service account's key names.
    fn check_account(&self, remote: &Remote) -> Result<(), RemoteError> {
        let keys = ["GOOGLE_SERVICE_ACCOUNT_KEY"];
        let files = [
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ];
        let texts = keys.iter().filter_map(|name| self.get(name));
        let texts = texts.map(str::to_owned);
        let named = files.iter().filter_map(|name| self.get(name));
        // What cannot be read is the client's to complain of.
        let read = named.filter_map(|file| fs::read_text(Path::new(file), MAX_ACCOUNT).ok());
        for text in texts.chain(read) {
            let account = serde_json::from_str::<serde_json::Value>(&text);
            let url = account.ok().and_then(|account| {
                let url = account.get("gcs_base_url")?.as_str()?;
                Some(url.to_owned())
            });
            if url.is_some_and(|url| is_plain(&url)) && !remote.allow_http {
                return Err(RemoteError::Setup {
                    remote: remote.to_string(),
                    message: "the service account's `gcs_base_url` is plain http to another \
                              machine; https, or `allow-http` of the remote"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether a URL leads to another machine without encryption.
fn is_plain(url: &str) -> bool {
    let url = url.parse::<reqwest::Url>();
    url.is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

/// Our own HTTP client, so that proxies, certificates and redirects are
/// treated as everywhere else.
#[derive(Debug)]
struct OurClient(reqwest::Client);

impl HttpConnector for OurClient {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// Prepares the client of a remote that is an object store; `None` for others.
pub(super) fn set_up(
    remote: &Remote,
    environment: &[(String, String)],
    options: &Options,
) -> Result<Option<Setup>, RemoteError> {
    let network = fetch::Transport::new(options)?;
    let connector = OurClient(network.http.clone());
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: usize::try_from(options.attempts.saturating_sub(1)).unwrap_or(0),
        retry_timeout: Duration::from_secs(30),
    };
    let secrets = Secrets::of(environment);
    let variables = |prefix| Variables {
        prefix,
        all: environment,
    };
    let store: Result<Arc<dyn ObjectStore>, _> = match &remote.place {
        Place::S3(bucket) => {
            let variables = variables("AWS_");
            let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
            variables.check_endpoint(remote, &endpoints)?;
            let builder = s3(&variables, bucket).with_retry(retry);
            builder.with_http_connector(connector).build().map(shared)
        }
        Place::Gcs(bucket) => {
            let variables = variables("GOOGLE_");
            variables.check_account(remote)?;
            let builder = gcs(&variables, bucket).with_retry(retry);
            builder.with_http_connector(connector).build().map(shared)
        }
        Place::Azure(bucket) => {
            let variables = variables("AZURE_");
            let endpoints = ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"];
            variables.check_endpoint(remote, &endpoints)?;
            let builder = azure(&variables, bucket).with_retry(retry);
            builder.with_http_connector(connector).build().map(shared)
        }
        Place::Http(_) | Place::Directory(_) => return Ok(None),
    };
    let store = store.map_err(|e| RemoteError::Setup {
        remote: remote.to_string(),
        message: secrets.message(&e),
    })?;
    Ok(Some(Setup {
        store,
        prefix: remote.place.prefix().to_owned(),
        remote: remote.to_string(),
        secrets,
        network,
    }))
}

fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(store)
}

fn s3(variables: &Variables<'_>, bucket: &Bucket) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables.iter() {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = variables.get("AWS_ENDPOINT_URL_S3") {
        builder = builder.with_endpoint(endpoint);
    }
    builder.with_bucket_name(&bucket.name)
}

fn gcs(variables: &Variables<'_>, bucket: &Bucket) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in variables.iter() {
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_bucket_name(&bucket.name)
}

fn azure(variables: &Variables<'_>, bucket: &Bucket) -> MicrosoftAzureBuilder {
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in variables.iter() {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_container_name(&bucket.name)
}

/// Values that no message may hold.
#[derive(Clone)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// The values of the variables whose names say that they are secret.
    fn of(environment: &[(String, String)]) -> Self {
        const MARKS: [&str; 6] = ["KEY", "SECRET", "TOKEN", "PASSWORD", "SAS", "CREDENTIAL"];
        let is_secret = |(name, value): &&(String, String)| {
            value.len() > 3 && MARKS.iter().any(|m| name.contains(m))
        };
        let mut values: Vec<String> = environment
            .iter()
            .filter(is_secret)
            .map(|(_, value)| value.clone())
            .collect();
        // A longer value may hold a shorter one.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// An error and its causes as one line without secrets and queries.
    pub(super) fn message(&self, error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text = format!("{text}: {message}");
            }
            cause = error.source();
        }
        self.clean(&text)
    }

    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        let words = text
            .split_whitespace()
            .map(|word| match word.split_once('?') {
                // A query may be a signature or a token.
                Some((url, _)) if url.contains("://") => format!("{url}?..."),
                _ => word.to_owned(),
            });
        let text = words.collect::<Vec<_>>().join(" ");
        let shown = text.chars().filter(|c| !c.is_control());
        shown.take(600).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn case_135_messages_hold_no_secret_and_no_query() {
        let secrets = Secrets::of(&variables(&[
            ("AWS_SECRET_ACCESS_KEY", "s3cr3t/abc"),
            ("AWS_SESSION_TOKEN", "s3cr3t/abcdef"),
            ("AWS_REGION", "region-1"),
        ]));
        let text = secrets.clean(
            "GET https://x.example/b?X-Amz-Signature=deadbeef&y s3cr3t/abcdef 's3cr3t/abc'\n region-1",
        );
        assert_eq!(text, "GET https://x.example/b?... *** '***' region-1");
    }

    #[test]
    fn case_136_a_plain_endpoint_of_another_machine_is_refused() {
        let remote = |allow| {
            let namespace = super::super::Namespace::default();
            Remote::parse("s3://bucket", crate::config::Access::Read, namespace, allow).unwrap()
        };
        let set = |allow, of: &[(&str, &str)]| {
            let all = variables(of);
            set_up(&remote(allow), &all, &Options::default()).map(|setup| setup.is_some())
        };
        let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let with = |url: &'static str, more: &[(&'static str, &'static str)]| {
            let mut all = vec![("AWS_ENDPOINT_URL", url)];
            all.extend(keys);
            all.extend_from_slice(more);
            all
        };
        assert!(set(false, &with("http://store.example:3900", &[])).is_err());
        let allow = [("AWS_ALLOW_HTTP", "true")];
        assert!(set(false, &with("http://store.example:3900", &allow)).unwrap());
        assert!(set(true, &with("http://store.example:3900", &[])).unwrap());
        assert!(set(false, &with("http://127.0.0.1:3900", &[])).unwrap());
        assert!(set(false, &with("https://store.example", &[])).unwrap());
    }

    #[test]
    fn case_136_a_plain_base_url_of_a_google_account_is_refused() {
        let remote = |allow| {
            let namespace = super::super::Namespace::default();
            Remote::parse("gs://bucket", crate::config::Access::Read, namespace, allow).unwrap()
        };
        let account = |url: &str| {
            format!(
                r#"{{"private_key": "k", "private_key_id": "i", "client_email": "e",
                    "disable_oauth": true, "gcs_base_url": "{url}"}}"#
            )
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("account.json");
        let file = file.to_str().unwrap();
        for (url, allow, is_good) in [
            ("http://store.example", false, false),
            ("http://store.example", true, true),
            ("http://127.0.0.1:4443", false, true),
            ("https://store.example", false, true),
        ] {
            let text = account(url);
            fs::replace(Path::new(file), text.as_bytes()).unwrap();
            for (name, value) in [
                ("GOOGLE_SERVICE_ACCOUNT_KEY", text.as_str()),
                ("GOOGLE_SERVICE_ACCOUNT", file),
            ] {
                let all = variables(&[(name, value)]);
                let setup = set_up(&remote(allow), &all, &Options::default());
                assert_eq!(setup.is_ok(), is_good, "{name} {url} {allow}");
            }
        }
    }
}
