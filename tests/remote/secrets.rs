//! Credentials go to their server and nowhere else.

use std::fs;

use super::{ONE, Shared, World, bazel, cache_server, lock_of};
use crate::http::{Request, Server, answer};
use crate::support::sandbox::{Said, snapshot};

const TOKEN: &str = "t0p-s3cret-t0ken";

/// Holds that the token is in nothing that was said and in no file.
#[track_caller]
fn kept(world: &World, said: &Said) {
    for text in [&said.out, &said.err] {
        assert!(!text.contains(TOKEN), "{text}");
    }
    for (path, (content, _)) in snapshot(&world.sandbox.path("")) {
        let found = content
            .windows(TOKEN.len())
            .any(|window| window == TOKEN.as_bytes());
        assert!(!found, "{path}");
    }
}

fn shows_token(request: &Request) -> bool {
    request
        .headers
        .iter()
        .any(|(_, value)| value.contains(TOKEN))
}

#[test]
fn case_135_a_token_is_shown_to_its_server_and_to_nobody_else() {
    let (mut world, project, _) = World::built(&[ONE]);
    let objects = super::Objects::default();
    let kept_objects = objects.clone();
    let strict = Server::start(move |request| {
        if request.header("authorization") == Some(&format!("Bearer {TOKEN}")) {
            bazel(&kept_objects, request)
        } else {
            answer("401 Unauthorized", &[], b"")
        }
    });
    world.remote(&strict.url(), true);
    let said = world.run(&project, &["cache", "push"]).exits(4);
    said.mentions("401");
    world.sandbox.set(
        "SYSROOT_REMOTE_TOKEN",
        &format!("{}={TOKEN}", strict.address),
    );
    let said = world.run(&project, &["-v", "cache", "push"]).exits(0);
    kept(&world, &said);
    let lock = lock_of(&project);
    let other = world.machine_with("b", &[ONE], &lock);
    let (stranger, _) = cache_server();
    world.remote(&format!("{},{}", stranger.url(), strict.url()), false);
    let said = world.run(&other, &["-v", "sync", "--json"]).exits(0);
    assert_eq!(world.compiler.built().len(), 1);
    kept(&world, &said);
    assert_eq!(stranger.requests().len(), 1);
    assert!(!stranger.requests().iter().any(shows_token));
}

#[test]
fn case_017_a_redirect_to_another_host_is_followed_without_the_token() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let storage = Server::on("127.0.0.2", move |request| bazel(&objects, request));
    let objects = shared.objects.clone();
    let to = storage.url();
    let front = Server::start(move |request| {
        if request.path.starts_with("/cas/") {
            let location = format!("{to}{}", request.path);
            return answer("307 Temporary Redirect", &[("location", &location)], b"");
        }
        bazel(&objects, request)
    });
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&front.url(), false);
    shared.world.sandbox.set(
        "SYSROOT_REMOTE_TOKEN",
        &format!("{}={TOKEN}", front.address),
    );
    let said = shared.world.run(&project, &["-v", "sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 0, "{}", said.err);
    assert!(front.requests().iter().all(shows_token));
    assert_eq!(storage.requests().len(), 2);
    assert!(!storage.requests().iter().any(shows_token));
    // An entry has no hash, so it must come from the server itself; and what
    // is sent is sent to the server itself.
    let to = storage.url();
    let elsewhere = Server::start(move |request| {
        let location = format!("{to}{}", request.path);
        answer("307 Temporary Redirect", &[("location", &location)], b"")
    });
    let project = shared.world.machine_with("c", &[ONE], &lock);
    shared.world.remote(&elsewhere.url(), true);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    said.mentions("redirect");
    let said = shared.world.run(&project, &["cache", "push"]).exits(4);
    said.mentions("redirect");
    assert_eq!(storage.requests().len(), 2);
}

#[test]
fn case_135_messages_about_settings_do_not_repeat_secrets() {
    let mut world = World::new();
    let project = world.machine("a", &[ONE]);
    for (name, value, code) in [
        (
            "SYSROOT_REMOTE",
            format!("https://user:{TOKEN}@a.example/x"),
            2,
        ),
        ("SYSROOT_REMOTE", format!("s3://{TOKEN}@bucket/x"), 2),
        ("SYSROOT_REMOTE_TOKEN", TOKEN.to_owned(), 2),
        ("SYSROOT_REMOTE_TOKEN", format!("={TOKEN}"), 2),
        (
            "SYSROOT_REMOTE_TOKEN",
            format!("a.example={TOKEN}\u{e9}"),
            2,
        ),
    ] {
        world.sandbox.set(name, &value);
        let said = world.run(&project, &["status"]).exits(code);
        assert!(
            said.err.contains(name) || said.err.contains("remote"),
            "{}",
            said.err
        );
        kept(&world, &said);
        world.sandbox.env.remove(name);
    }
    // The file's line is named and not quoted, so the file is not searched.
    for (bad, place, hint) in [
        (
            format!("url = \"https://u:{TOKEN}@a.example/\""),
            ":3:7: remote `https://",
            "SYSROOT_REMOTE_TOKEN",
        ),
        (
            format!("url = \"https://{TOKEN}@a.example/?{TOKEN}\""),
            ":3:7: remote `https://",
            "SYSROOT_REMOTE_TOKEN",
        ),
        (
            "url = \"/srv/cache\"".to_owned(),
            ":3:7: remote `/srv/cache` is refused: it is not a URL",
            "`file:///srv/cache`",
        ),
        (
            "url = \"s3://a\"\nnamespace = \"a b\"".to_owned(),
            ":4:13: `a b` is not a namespace",
            "[[remotes]]",
        ),
        (
            "url = \"s3://a\"\n[trust]\nkeys = [\"ed25519:AAAA\"]".to_owned(),
            ":5:9: `ed25519:AAAA` is not a public key",
            "keygen",
        ),
    ] {
        world.configure(&format!("# mine\n[[remotes]]\n{bad}\n"));
        let said = world.run(&project, &["status"]).exits(2);
        assert!(!said.err.contains(TOKEN), "{}", said.err);
        said.mentions(&format!("config.toml{place}")).mentions(hint);
    }
    world.configure("");
    world.remote("/srv/my cache", false);
    let said = world.run(&project, &["status"]).exits(2);
    said.mentions("`file:///srv/my`");
}

#[test]
fn case_136_plain_http_to_another_machine_is_refused_and_never_with_a_token() {
    let mut world = World::new();
    let project = world.machine("a", &[ONE]);
    world.remote("http://cache.example/x", false);
    let said = world.run(&project, &["status"]).exits(2);
    said.mentions("allow-http");
    world.configure("[[remotes]]\nurl = \"http://cache.example/x\"\nallow-http = true\n");
    world.sandbox.env.remove("SYSROOT_REMOTE");
    world.run(&project, &["cache", "dir"]).exits(0);
    let token = format!("cache.example={TOKEN}");
    world.sandbox.set("SYSROOT_REMOTE_TOKEN", &token);
    let said = world.run(&project, &["cache", "dir"]).exits(6);
    kept(&world, &said);
    said.mentions("without encryption");
}

#[test]
fn a_secret_key_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::new();
    let project = world.machine("a", &[ONE]);
    let said = world.run(&project, &["cache", "keygen", "--json"]).exits(0);
    let report = said.json();
    let file = report["secret_file"].as_str().unwrap().to_owned();
    assert!(file.starts_with(world.sandbox.path("home").to_str().unwrap()));
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    let encoded = secret.lines().nth(1).unwrap();
    assert!(!said.out.contains(encoded) && !said.err.contains(encoded));
    let public = report["public"].as_str().unwrap();
    world.trust(public);
    world.run(&project, &["cache", "keygen"]).exits(9);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    // What is no key is refused before anything is sent.
    world.remote("http://127.0.0.1:9", true);
    world.run(&project, &["lock"]).exits(0);
    let bad = world.sandbox.path("bad");
    fs::write(&bad, "not a key").unwrap();
    let bad = bad.to_str().unwrap();
    world
        .run(&project, &["cache", "push", "--sign", bad])
        .exits(2)
        .mentions("keygen");
    world.configure("[trust]\nkeys = [\"ed25519:AAAA\"]\n");
    world.run(&project, &["status"]).exits(2).mentions("AAAA");
}
