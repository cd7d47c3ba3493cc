//! Garage: whichever node is asked, and with one of three stopped.

use std::process::{Child, Stdio};

use super::garage::Garage;
use super::{World, until};

fn warm(world: &mut World, name: &str, shard: &str, key: &str) -> Child {
    let project = world.machine(name);
    let arguments = ["cache", "warm", "--json", "--shard", shard, "--sign", key];
    let mut command = world.sandbox.command(&project, &arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for a shard that must end well, and counts what it did.
fn done(child: Child) -> usize {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{err}", output.status);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed"].as_array().unwrap().len(), 0, "{report}");
    report["done"].as_array().unwrap().len()
}

#[test]
fn what_one_node_was_given_every_node_has() {
    let garage = Garage::start();
    let mut world = World::new(6);
    let project = world.machine("a");
    world.build(&project);
    garage.serve(&mut world, 0, true);
    for result in ["new", "present"] {
        let said = world.run(&project, &["cache", "push", "--json"]).exits(0);
        let report = said.json();
        let pushed = report["pushed"].as_array().unwrap();
        assert_eq!(pushed.len(), 6);
        assert!(pushed.iter().all(|p| p["result"] == result), "{report}");
    }
    // A blob and a record for each.
    garage.has_objects(12);
    for node in 0..3 {
        garage.serve(&mut world, node, false);
        world.all_come(&format!("reader-{node}"));
    }
}

#[test]
fn case_133_another_tree_for_a_recipe_is_a_conflict_on_every_node() {
    let garage = Garage::start();
    let mut world = World::new(1);
    let unpinned = world.lock.clone();
    let project = world.machine("a");
    world.build(&project);
    garage.serve(&mut world, 0, true);
    world.run(&project, &["cache", "push"]).exits(0);
    world.sandbox.env.remove("SYSROOT_REMOTE");
    world.lock = unpinned;
    world.compiler.salt("not reproducible");
    let other = world.machine("b");
    world.run(&other, &["sync"]).exits(0);
    garage.serve(&mut world, 1, true);
    world
        .run(&other, &["cache", "push"])
        .exits(1)
        .mentions("conflict");
    garage.has_objects(2);
}

#[test]
fn work_goes_on_while_one_of_three_nodes_is_stopped() {
    let mut garage = Garage::start();
    let mut world = World::new(30);
    let key = world.signing_key();
    garage.serve(&mut world, 0, true);
    let first = warm(&mut world, "a", "1/2", &key);
    garage.serve(&mut world, 1, true);
    let second = warm(&mut world, "b", "2/2", &key);
    until("a third is built", || world.compiler.built().len() >= 10);
    garage.stop(2);
    assert!(
        world.compiler.built().len() < 30,
        "it was not in the middle"
    );
    let (first, second) = (done(first), done(second));
    println!("two shards, one of three nodes stopped: {first} and {second}");
    assert_eq!(first + second, 30);
    assert_eq!(world.compiler.built().len(), 30, "each is compiled once");
    // Two of three nodes answer; then the third comes back, meanwhile and after.
    garage.serve(&mut world, 1, false);
    world.all_come("reader-1");
    garage.restart(2);
    world.all_come("reader-2");
    garage.healthy();
    // What was written without it is read through it, and without another one.
    garage.stop(0);
    garage.serve(&mut world, 2, false);
    world.all_come("reader-3");
}

#[test]
fn case_131_a_store_that_is_gone_costs_a_warning_and_the_build_goes_on() {
    let mut garage = Garage::start();
    let mut world = World::new(1);
    world.signing_key();
    garage.serve(&mut world, 0, false);
    // One of three cannot answer for the others: no quorum.
    garage.stop(1);
    garage.stop(2);
    let project = world.machine("a");
    let said = world.run(&project, &["sync"]).exits(0);
    assert!(said.err.contains("warning"), "{}", said.err);
    assert_eq!(world.compiler.built().len(), 1);
}
