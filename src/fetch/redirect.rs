//! Which redirects are followed: a pure rule over the two URLs.

use std::net::IpAddr;

use reqwest::Url;

use super::error::Fault;
use super::server::shown;

/// What the rule needs to know beside the two URLs.
pub(super) struct Context<'a> {
    /// The URL of the first request: the configured server.
    pub(super) origin: &'a Url,
    /// The URL that answered with the redirect.
    pub(super) from: &'a Url,
    /// Whether the bytes are checked against a hash known beforehand.
    pub(super) pinned: bool,
}

/// Resolves a `Location` and decides whether to follow it.
pub(super) fn follow(context: &Context<'_>, location: Option<&[u8]>) -> Result<Url, Fault> {
    let text = location.ok_or(refused("", "it names no location"))?;
    let text = std::str::from_utf8(text).map_err(|_| refused("", "it is not UTF-8"))?;
    let Ok(to) = context.from.join(text) else {
        let text = super::server::without_userinfo(text);
        return Err(refused(&text, "it is not a URL"));
    };
    match reason_to_refuse(context, &to) {
        Some(reason) => Err(refused(&shown(&to), reason)),
        None => Ok(to),
    }
}

fn refused(to: &str, reason: &'static str) -> Fault {
    Fault::Redirect {
        to: to.to_owned(),
        reason,
    }
}

fn reason_to_refuse(context: &Context<'_>, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "https" | "http") {
        return Some("only `https:` and `http:` are followed");
    }
    if to.host_str().is_none_or(str::is_empty) {
        return Some("it names no host");
    }
    if context.from.scheme() == "https" && to.scheme() == "http" {
        return Some("it leaves the encrypted connection");
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Some("it brings its own credentials");
    }
    if !context.pinned && !same_server(context.origin, to) {
        return Some("a file whose hash is not known beforehand must come from the server itself");
    }
    if !is_local_host(context.origin) && is_local_host(to) {
        return Some("it leads from another machine's server to this machine or its link");
    }
    None
}

/// Whether two URLs lead to one server: same host, and same port, or the
/// default ports with `http` upgraded to `https`.
pub(super) fn same_server(a: &Url, b: &Url) -> bool {
    let same_origin =
        a.scheme() == b.scheme() && a.port_or_known_default() == b.port_or_known_default();
    let upgraded =
        a.scheme() == "http" && b.scheme() == "https" && a.port().is_none() && b.port().is_none();
    a.host_str() == b.host_str() && (same_origin || upgraded)
}

fn is_local_host(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let host = host.trim_end_matches('.');
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    literal.parse().is_ok_and(is_local_address)
}

/// Whether an address is of this machine or its link, where a public server
/// has no business to send us. Private networks are not meant: a company's
/// mirror and its storage are both there, under names.
pub(super) fn is_local_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Whether a redirect's host has to be looked up and its addresses judged:
/// it is a name, and the server is a public one.
pub(super) fn needs_lookup(origin: &Url, to: &Url) -> bool {
    let is_name = to
        .host_str()
        .is_some_and(|host| !host.starts_with('[') && host.parse::<IpAddr>().is_err());
    is_name && !is_local_host(origin) && !same_server(origin, to)
}

/// The fault of a host name that leads to a local address.
pub(super) fn leads_inside(to: &Url) -> Fault {
    refused(
        &shown(to),
        "it leads from another machine's server to this machine or its link",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(origin: &str, to: &str, pinned: bool) -> bool {
        let origin = Url::parse(origin).unwrap();
        let context = Context {
            origin: &origin,
            from: &origin,
            pinned,
        };
        follow(&context, Some(to.as_bytes())).is_ok()
    }

    #[test]
    fn case_015_to_018_redirects_follow_the_rule() {
        let public = "https://a.example/dist/x";
        for (to, pinned, unpinned) in [
            ("/y", true, true),
            ("y", true, true),
            ("https://a.example/y", true, true),
            ("//a.example/y", true, true),
            ("https://a.example:444/y", true, false),
            ("https://cdn.example/y", true, false),
            ("//cdn.example/y", true, false),
            ("http://a.example/y", false, false),
            ("http://cdn.example/y", false, false),
            ("file:///etc/passwd", false, false),
            ("ftp://a.example/y", false, false),
            ("data:text/plain,x", false, false),
            ("javascript:alert(1)", false, false),
            ("https://", false, false),
            ("https://u:p@a.example/y", false, false),
            ("https://127.0.0.1/y", false, false),
            ("https://127.8.8.8/y", false, false),
            ("https://2130706433/y", false, false),
            ("https://0.0.0.0/y", false, false),
            ("https://localhost/y", false, false),
            ("https://x.localhost./y", false, false),
            ("https://169.254.169.254/y", false, false),
            ("https://10.0.0.1/y", true, false),
            ("https://[::1]/y", false, false),
            ("https://[::ffff:127.0.0.1]/y", false, false),
            ("https://[fe80::1]/y", false, false),
        ] {
            assert_eq!(decide(public, to, true), pinned, "pinned {to}");
            assert_eq!(decide(public, to, false), unpinned, "unpinned {to}");
        }
        // A server on this machine may send us to another one here.
        assert!(decide("http://127.0.0.1:1/x", "http://127.0.0.2:2/y", true));
        assert!(!decide(
            "http://127.0.0.1:1/x",
            "http://127.0.0.2:2/y",
            false
        ));
        // An upgrade of the same server is followed for everything.
        assert!(decide("http://a.example/x", "https://a.example/x", false));
    }

    #[test]
    fn case_016_a_redirect_without_location_is_refused() {
        let origin = Url::parse("https://a.example").unwrap();
        let context = Context {
            origin: &origin,
            from: &origin,
            pinned: true,
        };
        assert!(follow(&context, None).is_err());
        assert!(follow(&context, Some(b"\xff")).is_err());
    }

    #[test]
    fn case_018_names_of_a_public_servers_redirect_are_looked_up() {
        let url = |text| Url::parse(text).unwrap();
        let public = url("https://a.example/x");
        assert!(needs_lookup(&public, &url("https://inside.example/x")));
        assert!(!needs_lookup(&public, &url("https://8.8.8.8/x")));
        assert!(!needs_lookup(&public, &url("https://a.example/y")));
        assert!(!needs_lookup(
            &url("http://127.0.0.1/"),
            &url("http://b.example/x")
        ));
    }
}
