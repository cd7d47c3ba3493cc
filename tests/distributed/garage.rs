//! Three nodes of Garage on this machine, with three copies of everything: two
//! of them are enough to read and to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Process, World, free_ports, program, until};

const BUCKET: &str = "sysroot";
const KEY: &str = "GK31c2f218a2e44f485b94239e";
const SECRET: &str = "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835";

/// A cluster that ends with the test.
pub(super) struct Garage {
    dir: tempfile::TempDir,
    nodes: Vec<Node>,
}

struct Node {
    config: PathBuf,
    rpc: u16,
    s3: u16,
    process: Option<Process>,
}

impl Garage {
    /// Starts three nodes, joins them, and makes a bucket and a key.
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nodes = (0..3).map(|number| Node::new(dir.path(), number)).collect();
        let mut garage = Self { dir, nodes };
        for number in 0..3 {
            garage.restart(number);
        }
        let ids: Vec<String> = (0..3)
            .map(|n| garage.ask(n, &["node", "id", "-q"]))
            .collect();
        // They would tell each other, but take their time.
        for (node, peer) in [(0, 1), (0, 2), (1, 2)] {
            garage.ask(node, &["node", "connect", &ids[peer]]);
        }
        for id in &ids {
            let id = &id[..16];
            garage.ask(0, &["layout", "assign", id, "-z", "here", "-c", "1GB"]);
        }
        garage.ask(0, &["layout", "apply", "--version", "1"]);
        garage.ask(0, &["bucket", "create", BUCKET]);
        garage.ask(0, &["key", "import", "--yes", KEY, SECRET, "-n", "test"]);
        let allow = ["bucket", "allow", "--read", "--write", BUCKET, "--key", KEY];
        garage.ask(0, &allow);
        garage.healthy();
        garage
    }

    /// Waits until all nodes see each other and agree.
    pub(super) fn healthy(&self) {
        for node in 0..3 {
            until("all nodes are healthy", || {
                let said = self.ask(node, &["status"]);
                said.matches("127.0.0.1:").count() == 3 && !said.contains("FAILED")
            });
        }
    }

    /// Kills a node, as when its machine loses power.
    pub(super) fn stop(&mut self, number: usize) {
        self.nodes[number].process = None;
    }

    /// Starts a node with what it had.
    pub(super) fn restart(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let mut command = Command::new(program("SYSROOT_TEST_GARAGE"));
        command
            .env_clear()
            .env("RUST_LOG", "garage=info")
            .arg("-c")
            .arg(&node.config)
            .arg("server");
        let log = self.dir.path().join(format!("node{number}.log"));
        node.process = Some(Process::start(&mut command, &log, &[node.rpc, node.s3]));
    }

    /// From now on the world's remote is the cluster, by way of this node.
    pub(super) fn serve(&self, world: &mut World, number: usize, write: bool) {
        world.remote(&format!("s3://{BUCKET}/cache"), write);
        let endpoint = format!("http://127.0.0.1:{}", self.nodes[number].s3);
        for (name, value) in [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "garage"),
        ] {
            world.sandbox.set(name, value);
        }
    }

    /// Waits until the bucket has so many objects; they are counted a moment
    /// after they are written.
    pub(super) fn has_objects(&self, count: usize) {
        until(&format!("{count} objects"), || {
            let said = self.ask(0, &["bucket", "info", BUCKET]);
            let line = said.lines().find(|line| line.starts_with("Objects:"));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.and_then(|number| number.parse().ok()) == Some(count)
        });
    }

    /// Runs its command line on a node.
    fn ask(&self, number: usize, arguments: &[&str]) -> String {
        let mut command = Command::new(program("SYSROOT_TEST_GARAGE"));
        command
            .env_clear()
            .arg("-c")
            .arg(&self.nodes[number].config)
            .args(arguments);
        let output = command.output().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{arguments:?}:\n{out}{err}");
        out.trim().to_owned()
    }
}

impl Node {
    fn new(dir: &Path, number: usize) -> Self {
        let [rpc, s3] = free_ports();
        let config = dir.join(format!("node{number}.toml"));
        let place = dir.join(format!("node{number}"));
        let text = format!(
            r#"
metadata_dir = "{place}/meta"
data_dir = "{place}/data"
db_engine = "lmdb"
lmdb_map_size = "1G"
replication_factor = 3
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
api_bind_addr = "127.0.0.1:{s3}"
s3_region = "garage"
"#,
            place = place.display(),
            secret = "5a".repeat(32),
        );
        fs::write(&config, text).unwrap();
        Self {
            config,
            rpc,
            s3,
            process: None,
        }
    }
}
