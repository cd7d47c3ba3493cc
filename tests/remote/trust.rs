//! Which trees are accepted: the pinned one, or one that a trusted key signed.

use std::fs;

use super::{ONE, Shared, TWO, World, bazel, cache_server, lock_of, output, warnings};
use crate::http::Server;

#[test]
fn a_pinned_tree_comes_from_the_remote_and_nothing_is_compiled() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE, TWO], &lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync", "--json"]).exits(0);
    assert_eq!(shared.rebuilt(2), 0);
    assert_eq!(output(&project, ONE), shared.files);
    let report = said.json();
    assert_eq!(report["pulled"].as_array().unwrap().len(), 2);
    assert_eq!(report["built"].as_array().unwrap().len(), 0);
    // What only builds need was not even downloaded.
    let fetched = report["fetched"].to_string();
    assert!(!fetched.contains("rust-src"), "{fetched}");
    assert_eq!(lock_of(&project), lock);
    // An entry, a record and a blob for each, and nothing was listed or written.
    assert_eq!(server.requests().len(), 6);
    assert!(server.requests().iter().all(|r| r.method == "GET"));
    // Everything is here now.
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_tree_that_only_a_pin_speaks_for_is_listed_and_evicted_by_its_target() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE, TWO], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["cache", "pull"]).exits(0);
    let run = |arguments: &[&str]| shared.world.run(&project, arguments).exits(0);
    let entries = || run(&["cache", "list", "--json"]).json()["entries"].clone();
    let found = entries();
    for (at, name) in [TWO, ONE].into_iter().enumerate() {
        let entry = &found[at];
        assert_eq!(
            (&entry["name"], &entry["kind"]),
            (&name.into(), &"tree".into())
        );
        assert!(entry["bytes"].as_u64().unwrap() > 0, "{entry}");
    }
    let size = run(&["cache", "size", "--json"]).json();
    assert_eq!(size["trees"], found.as_array().unwrap().len());
    let listed = run(&["cache", "list"]);
    assert!(listed.out.ends_with(&format!("  tree       {ONE}\n")));
    run(&["cache", "evict", ONE]);
    assert_eq!(entries().as_array().unwrap().len(), 1);
    assert_eq!(entries()[0], found[0]);
}

#[test]
fn case_104_of_many_processes_one_pulls_a_tree() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let first = shared.world.machine_with("b", &[ONE, TWO], &lock);
    shared.world.remote(&server.url(), false);
    let projects: Vec<_> = (0..8)
        .map(|n| {
            let project = shared.world.sandbox.path(&format!("many-{n}"));
            fs::create_dir(&project).unwrap();
            for file in ["sysroot.toml", "sysroot.lock"] {
                fs::copy(first.join(file), project.join(file)).unwrap();
            }
            project
        })
        .collect();
    std::thread::scope(|scope| {
        for project in &projects {
            scope.spawn(|| shared.world.run(project, &["sync"]).exits(0));
        }
    });
    assert_eq!(shared.rebuilt(2), 0);
    assert_eq!(server.requests().len(), 6);
    for project in &projects {
        assert_eq!(output(project, ONE), shared.files);
    }
}

#[test]
fn case_126_without_pin_and_key_it_is_built_and_the_remote_is_not_asked() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 1);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn case_126_a_key_that_did_not_sign_is_no_reason_to_take_it() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let other = shared.world.key("other-key").1;
    shared.world.trust(&other);
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 1);
    assert_eq!(warnings(&said).len(), 1, "{}", said.err);
    said.mentions("neither pinned by the lock nor signed");
    // The blob was not even asked for, only the record.
    let requests = server.requests();
    let blobs = requests.iter().filter(|r| r.path.starts_with("/cas/"));
    assert_eq!(blobs.count(), 1);
}

#[test]
fn a_signed_tree_is_taken_and_becomes_the_pin() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let public = shared.key.1.clone();
    shared.world.trust(&public);
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 0);
    assert_eq!(output(&project, ONE), shared.files);
    assert_eq!(lock_of(&project), shared.pinned);
}

#[test]
fn case_126_a_pin_overrules_a_signature() {
    // Another machine's compiler gives another tree, which it signs.
    let (mut world, project, unpinned) = World::built(&[ONE]);
    let pinned = lock_of(&project);
    let files = output(&project, ONE);
    let (server, _) = cache_server();
    let (secret, public) = world.key("key");
    let evil = world.machine_with("evil", &[ONE], &unpinned);
    world.compiler.salt("something else");
    world.run(&evil, &["sync"]).exits(0);
    assert_ne!(output(&evil, ONE), files);
    world.remote(&server.url(), true);
    world
        .run(&evil, &["cache", "push", "--sign", &secret])
        .exits(0);
    world.compiler.salt("");
    world.trust(&public);
    let victim = world.machine_with("victim", &[ONE], &pinned);
    let said = world.run(&victim, &["sync"]).exits(0);
    assert_eq!(output(&victim, ONE), files);
    assert_eq!(world.compiler.built().len(), 3);
    assert_eq!(warnings(&said).len(), 1, "{}", said.err);
    said.mentions("and the lock pins");
}

#[test]
fn case_126_a_repositorys_pin_speaks_for_that_repository_only() {
    // Somebody who may write to the remote, and to a repository, puts a tree
    // of theirs there and pins it.
    let (mut world, project, unpinned) = World::built(&[ONE]);
    let files = output(&project, ONE);
    let (server, _) = cache_server();
    let evil = world.machine_with("evil", &[ONE], &unpinned);
    world.compiler.salt("something else");
    world.run(&evil, &["sync"]).exits(0);
    let bad_pin = lock_of(&evil);
    world.remote(&server.url(), true);
    world.run(&evil, &["cache", "push"]).exits(0);
    world.compiler.salt("");
    // Their repository gets what it pins; another one of the same recipe, on
    // the same machine, does not.
    let theirs = world.machine_with("victim", &[ONE], &bad_pin);
    let built = world.compiler.built().len();
    world.run(&theirs, &["sync"]).exits(0);
    assert_ne!(output(&theirs, ONE), files);
    assert_eq!(world.compiler.built().len(), built);
    let ours = world.sandbox.path("ours");
    fs::create_dir(&ours).unwrap();
    fs::copy(theirs.join("sysroot.toml"), ours.join("sysroot.toml")).unwrap();
    fs::write(ours.join("sysroot.lock"), &unpinned).unwrap();
    world.run(&ours, &["sync"]).exits(0);
    assert_eq!(output(&ours, ONE), files);
    assert_eq!(world.compiler.built().len(), built + 1);
}

#[test]
fn case_137_another_namespace_is_empty() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let configured = |namespace: &str| {
        format!(
            "[[remotes]]\nurl = \"{}\"\nnamespace = \"{namespace}\"\n",
            server.url()
        )
    };
    shared.world.sandbox.env.remove("SYSROOT_REMOTE");
    shared.world.configure(&configured("after-the-incident"));
    let project = shared.world.machine_with("b", &[ONE], &lock);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 1);
    assert_eq!(warnings(&said).len(), 0, "{}", said.err);
    shared.world.configure(&configured(""));
    let project = shared.world.machine_with("c", &[ONE], &lock);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 1);
}

#[test]
fn several_remotes_are_asked_in_order_the_environments_first() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let full = Server::start(move |request| bazel(&objects, request));
    let (empty, _) = cache_server();
    let lock = shared.pinned.clone();
    shared
        .world
        .configure(&format!("[[remotes]]\nurl = \"{}\"\n", full.url()));
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&empty.url(), false);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(1), 0);
    let (first, then) = (empty.requests(), full.requests());
    assert_eq!((first.len(), then.len()), (1, 3));
    assert!(first[0].at < then[0].at);
}

#[test]
fn case_134_files_of_the_repository_choose_no_remote() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.sandbox.env.remove("SYSROOT_REMOTE");
    let text = format!("[[remotes]]\nurl = \"{}\"\n", server.url());
    fs::create_dir_all(project.join(".config/sysroot")).unwrap();
    for name in ["config.toml", ".config/sysroot/config.toml"] {
        fs::write(project.join(name), &text).unwrap();
    }
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(server.requests().len(), 0);
    let manifest = project.join("sysroot.toml");
    let with = fs::read_to_string(&manifest).unwrap() + &text;
    fs::write(&manifest, with).unwrap();
    shared.world.run(&project, &["sync"]).exits(2);
}

#[test]
fn archives_come_signed_from_a_remote_when_the_dist_server_is_gone() {
    let (mut world, project, _) = World::built(&[ONE]);
    let (server, _) = cache_server();
    world.remote(&server.url(), true);
    let (secret, public) = world.key("key");
    world
        .run(
            &project,
            &["cache", "push", "--components", "--sign", &secret],
        )
        .exits(0);
    let lock = lock_of(&project);
    world
        .sandbox
        .set("SYSROOT_DIST_SERVER", "http://127.0.0.1:9");
    let other = world.machine_with("b", &[ONE], &lock);
    world
        .run(&other, &["cache", "pull"])
        .exits(0)
        .mentions("missing  rustc-");
    world.trust(&public);
    let said = world.run(&other, &["cache", "pull", "--json"]).exits(0);
    assert_eq!(said.json()["missing"].as_array().unwrap().len(), 0);
    world.run(&other, &["sync", "--offline"]).exits(0);
    assert_eq!(output(&other, ONE), output(&project, ONE));
    world.run(&other, &["verify", "--deep"]).exits(0);
}
