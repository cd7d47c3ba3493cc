//! Power cuts: an ext4 image on a loop device, whose file system is told to
//! stop at once and to forget what is not on the disk yet; then it is mounted
//! again, which replays its journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::THUMB;
use super::bed::{BUILT, Bed, DOWNLOADED, OTHER, erase};
use super::check;
use crate::support::sandbox::{Said, said, snapshot};

/// A disk that can lose its power.
struct Disk {
    bed: Bed,
    image: PathBuf,
    mount: PathBuf,
}

/// A shell command that must succeed. It needs root and a loop device.
#[track_caller]
fn shell(script: &str) {
    let mut command = Command::new("sh");
    let path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
    said(command.args(["-ec", script]).env("PATH", path)).exits(0);
}

impl Disk {
    fn new() -> Self {
        let bed = Bed::new();
        let (image, mount) = (
            bed.sandbox.path("packed/image"),
            bed.sandbox.path("home/disk"),
        );
        fs::create_dir(&mount).unwrap();
        let disk = Self { bed, image, mount };
        shell(&format!(
            "truncate -s 48M '{0}' && mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 '{0}'",
            disk.image.display()
        ));
        disk.power_on();
        disk.clear();
        disk
    }

    fn power_on(&self) {
        shell(&format!(
            "mount -o loop '{}' '{}'",
            self.image.display(),
            self.mount.display()
        ));
    }

    /// Everything that is not on the disk now is lost.
    fn cut(&self) {
        // EXT4_IOC_SHUTDOWN without flushing the journal.
        shell(&format!(
            "perl -e 'open(my $d, q(<), $ARGV[0]) or die; my $how = pack(q(L), 2); \
             ioctl($d, 0x8004587d, $how) or die $!' '{}'",
            self.mount.display()
        ));
    }

    fn power_off_and_on(&self) {
        shell(&format!("umount '{}'", self.mount.display()));
        self.power_on();
    }

    /// An empty cache, and a project with a lock, both on the disk.
    fn clear(&self) {
        for name in ["cache", "p"] {
            erase(&self.mount.join(name));
        }
        fs::create_dir(self.mount.join("p")).unwrap();
        self.set(DOWNLOADED);
        shell(&format!("sync -f '{}'", self.mount.display()));
    }

    fn set(&self, targets: &str) {
        let project = self.project();
        fs::write(project.join("sysroot.toml"), Bed::manifest(targets)).unwrap();
        fs::write(project.join("sysroot.lock"), self.bed.lock_of(targets)).unwrap();
    }

    fn project(&self) -> PathBuf {
        self.mount.join("p")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bed.sandbox.command(&self.project(), arguments);
        command.env("SYSROOT_CACHE_DIR", self.mount.join("cache"));
        command.env("SYSROOT_FAULT_ROOT", &self.mount);
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// The labels of a run's operations.
    fn labels(&self, arguments: &[&str]) -> Vec<String> {
        let count = self.bed.sandbox.path("count");
        let _ = fs::remove_file(&count);
        said(self.command(arguments).env("SYSROOT_FAULT_COUNT", &count)).exits(0);
        let text = fs::read_to_string(&count).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs a command up to an operation, and cuts the power there.
    fn cut_at(&self, arguments: &[&str], label: &str) {
        let mut command = self.command(arguments);
        command
            .env("SYSROOT_FAULT", format!("stop@{label}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_until_stopped(&mut child, label);
        self.cut();
        child.kill().unwrap();
        child.wait().unwrap();
        self.power_off_and_on();
    }

    /// The store as [`check::store`] wants it: every tree whole or absent.
    fn check_store(&self, after: &str) {
        let cache = self.mount.join("cache/v1");
        let Ok(trees) = fs::read_dir(cache.join("trees")) else {
            return;
        };
        for tree in trees {
            let tree = tree.unwrap();
            let name = tree.file_name().into_string().unwrap();
            let text = fs::read_to_string(cache.join("listings").join(&name)).unwrap();
            assert_eq!(
                blake3::hash(text.as_bytes()).to_hex().as_str(),
                name,
                "{after}"
            );
            let listing = sysroot::types::Listing::parse(&text).unwrap();
            let found = snapshot(&tree.path());
            assert_eq!(found.len(), listing.entries().len(), "{after}: {name}");
            for file in listing.entries() {
                let digest = blake3::hash(&found[file.path.as_str()].0);
                assert_eq!(digest.as_bytes(), file.digest.as_bytes(), "{after}");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
    }
}

/// Waits until a child has stopped itself.
#[track_caller]
fn wait_until_stopped(child: &mut Child, what: &str) {
    let stat = format!("/proc/{}/stat", child.id());
    let begun = std::time::Instant::now();
    loop {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        let state = text.rsplit(") ").next();
        if state.is_some_and(|rest| rest.starts_with('T')) {
            return;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "{what} is never reached"
        );
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "{what} never stops"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Five of a run's operations, or all of them if `SYSROOT_TEST_ALL` is set:
/// those at which something becomes visible or durable.
fn moments(labels: &[String]) -> Vec<&String> {
    let kinds = ["rename to", "replace", "flush", "exchange"];
    let visible = |label: &&String| kinds.iter().any(|kind| label.starts_with(kind));
    let visible: Vec<&String> = labels.iter().filter(visible).collect();
    if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        return labels.iter().collect();
    }
    let step = (visible.len() / 5).max(1);
    visible
        .into_iter()
        .skip(step / 2)
        .step_by(step)
        .take(5)
        .collect()
}

#[test]
fn case_084_a_power_cut_after_success_loses_nothing_that_was_promised() {
    let disk = Disk::new();
    let waits: &[u64] = if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        &[0, 1, 2, 5, 8, 15, 30, 40]
    } else {
        &[0, 1, 5]
    };
    for seconds in waits {
        disk.clear();
        disk.set(DOWNLOADED);
        fs::remove_file(disk.project().join("sysroot.lock")).unwrap();
        disk.run(&["sync"]).exits(0);
        let (lock, want) = (
            fs::read(disk.project().join("sysroot.lock")).unwrap(),
            snapshot(&disk.project().join(".sysroot/lib")),
        );
        // What nobody flushed shows that the cut is one.
        fs::write(disk.mount.join("control"), "not flushed").unwrap();
        std::thread::sleep(Duration::from_secs(*seconds));
        disk.cut();
        disk.power_off_and_on();
        if *seconds == 0 {
            let control = fs::read(disk.mount.join("control")).unwrap_or_default();
            assert_eq!(control, b"", "this is no power cut");
        }
        let after = format!("{seconds} s after success");
        disk.check_store(&after);
        assert_eq!(
            fs::read(disk.project().join("sysroot.lock")).unwrap(),
            lock,
            "{after}"
        );
        // The store has everything, and the lock is there: no network.
        disk.run(&["sync", "--locked", "--offline"]).exits(0);
        assert_eq!(
            snapshot(&disk.project().join(".sysroot/lib")),
            want,
            "{after}"
        );
        disk.run(&["verify", "--deep"]).exits(0);
    }
}

#[test]
fn case_085_a_power_cut_during_a_sync_leaves_each_object_whole_or_absent() {
    let disk = Disk::new();
    let labels = disk.labels(&["sync"]);
    let want = snapshot(&disk.project().join(".sysroot/lib"));
    for label in moments(&labels) {
        disk.clear();
        disk.cut_at(&["sync"], label);
        disk.check_store(label);
        disk.run(&["sync"]).exits(0);
        assert_eq!(
            snapshot(&disk.project().join(".sysroot/lib")),
            want,
            "{label}"
        );
        disk.run(&["verify", "--deep"]).exits(0);
    }
}

/// How often something was compiled.
fn compilations(disk: &Disk) -> usize {
    let text = fs::read_to_string(disk.bed.sandbox.path("compiled")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn case_085_a_power_cut_during_a_build_leaves_records_and_pins_whole_or_absent() {
    let disk = Disk::new();
    let prepare = || {
        disk.clear();
        disk.set(BUILT);
        shell(&format!("sync -f '{}'", disk.mount.display()));
    };
    prepare();
    let labels = disk.labels(&["sync"]);
    let want = snapshot(&disk.project().join(".sysroot/lib"));
    let lock = disk.project().join("sysroot.lock");
    let (old, new) = (disk.bed.lock_of(BUILT), fs::read_to_string(&lock).unwrap());
    assert!(new.contains("pin = ") && !old.contains("pin = "));
    let told = ["/recipes/", "/statements/", "p/sysroot.lock"];
    let told = |label: &&String| told.iter().any(|part| label.contains(part));
    let of_records: Vec<&String> = labels.iter().filter(told).collect();
    assert!(of_records.len() > 12, "{of_records:#?}");
    let step = if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        1
    } else {
        3
    };
    for label in of_records.into_iter().step_by(step) {
        prepare();
        disk.cut_at(&["sync"], label);
        disk.check_store(label);
        let cache = disk.mount.join("cache/v1");
        for record in fs::read_dir(cache.join("recipes")).into_iter().flatten() {
            let path = record.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".")
            {
                continue;
            }
            let record: serde_json::Value =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let tree = record["tree"].as_str().unwrap();
            let tree = cache.join("trees").join(tree.trim_start_matches("blake3:"));
            assert!(
                tree.is_dir(),
                "{label}: a record of a tree that is not there"
            );
        }
        let text = fs::read_to_string(&lock).unwrap();
        assert!(text == old || text == new, "{label}: {text}");
        disk.run(&["sync"]).exits(0);
        assert_eq!(fs::read_to_string(&lock).unwrap(), new, "{label}");
        assert_eq!(
            snapshot(&disk.project().join(".sysroot/lib")),
            want,
            "{label}"
        );
        disk.run(&["verify", "--deep"]).exits(0);
    }
    // After success nothing is compiled again, and nothing has to be fetched.
    prepare();
    disk.run(&["sync"]).exits(0);
    let compiled = compilations(&disk);
    disk.cut();
    disk.power_off_and_on();
    assert_eq!(fs::read_to_string(&lock).unwrap(), new);
    disk.run(&["sync", "--locked", "--offline"]).exits(0);
    assert_eq!(snapshot(&disk.project().join(".sysroot/lib")), want);
    assert_eq!(compilations(&disk), compiled);
}

#[test]
fn case_086_a_power_cut_leaves_an_exported_file_whole_or_absent() {
    let disk = Disk::new();
    disk.run(&["sync"]).exits(0);
    let export = ["cache", "export", "bundle"];
    let labels = disk.labels(&export);
    let bundle = disk.project().join("bundle");
    let whole = fs::read(&bundle).unwrap();
    let of_file: Vec<&String> = labels
        .iter()
        .filter(|label| label.contains("p/bundle"))
        .collect();
    assert!(of_file.len() > 3, "{of_file:#?}");
    let flushed = |label: &&&String| !label.starts_with("write ");
    for label in of_file.iter().filter(flushed) {
        fs::remove_file(&bundle).unwrap();
        shell(&format!("sync -f '{}'", disk.mount.display()));
        disk.cut_at(&export, label);
        assert!(
            !bundle.exists() || fs::read(&bundle).unwrap() == whole,
            "{label}"
        );
        disk.run(&export).exits(0);
    }
    disk.cut();
    disk.power_off_and_on();
    assert_eq!(fs::read(&bundle).unwrap(), whole);
}

#[test]
fn case_106_another_disk_at_the_same_place_takes_no_project_away() {
    let disk = Disk::new();
    let cache = disk.bed.sandbox.path("cache");
    let run = |dir: &Path, arguments: &[&str]| {
        let mut command = disk.bed.sandbox.command(dir, arguments);
        said(command.env("SYSROOT_CACHE_DIR", &cache))
    };
    run(&disk.project(), &["sync"]).exits(0);
    let count = |kind: &str| {
        let gc = ["cache", "gc", "--max-age", "0s", "--dry-run", "--json"];
        let report = run(&disk.bed.sandbox.path("home"), &gc).exits(0).json();
        report[kind].as_array().unwrap().len()
    };
    let (image, mount) = (disk.image.display(), disk.mount.display());
    // Every root of such a file system is inode 2; they differ in their birth.
    shell(&format!(
        "umount '{mount}'; sleep 1.1; truncate -s 16M '{image}-b'; mkfs.ext4 -q '{image}-b'; \
         mount -o loop '{image}-b' '{mount}'; [ $(stat -c %i '{mount}') = 2 ]"
    ));
    assert_eq!((count("projects"), count("unknown_projects")), (0, 1));
    disk.power_off_and_on();
    assert_eq!((count("projects"), count("unknown_projects")), (0, 0));
    erase(&disk.project());
    assert_eq!((count("projects"), count("unknown_projects")), (1, 0));
}

#[test]
fn case_086_a_power_cut_while_the_lock_is_replaced_leaves_the_old_or_the_new() {
    let disk = Disk::new();
    let change = |disk: &Disk| {
        disk.clear();
        fs::write(disk.project().join("sysroot.toml"), Bed::manifest(OTHER)).unwrap();
    };
    change(&disk);
    let labels = disk.labels(&["lock"]);
    let (old, new) = (disk.bed.lock_of(DOWNLOADED), disk.bed.lock_of(OTHER));
    let of_lock = labels
        .iter()
        .filter(|l| l.contains("p/") && !l.starts_with("flush p "));
    for label in of_lock {
        change(&disk);
        shell(&format!("sync -f '{}'", disk.mount.display()));
        disk.cut_at(&["lock"], label);
        let text = fs::read_to_string(disk.project().join("sysroot.lock")).unwrap();
        assert!(text == old || text == new, "{label}: {text:?}");
        disk.run(&["lock"]).exits(0);
        let text = fs::read_to_string(disk.project().join("sysroot.lock")).unwrap();
        assert_eq!(text, new, "{label}");
    }
    // Once it has said so, it is the new one.
    change(&disk);
    disk.run(&["lock"]).exits(0);
    disk.cut();
    disk.power_off_and_on();
    let text = fs::read_to_string(disk.project().join("sysroot.lock")).unwrap();
    assert_eq!(text, new);
}

#[test]
fn case_084_an_output_from_before_a_reboot_is_read_and_not_believed() {
    let bed = Bed::new();
    bed.locked("p", DOWNLOADED);
    let boot = |id| [("SYSROOT_FAULT_BOOT", id)];
    bed.run("p", &["sync"], &boot("one")).exits(0);
    // What a file system may leave of a file that was not flushed: size and
    // times are right, the content is not.
    let file = bed
        .dir("p")
        .join(format!(".sysroot/lib/rustlib/{THUMB}/lib/libcore-a.rlib"));
    let good = fs::read(&file).unwrap();
    let times = fs::metadata(&file).unwrap().modified().unwrap();
    spoil(&file, &vec![0; good.len()], times);
    bed.run("p", &["sync"], &boot("one")).exits(0);
    assert_ne!(fs::read(&file).unwrap(), good, "metadata alone cannot tell");
    bed.run("p", &["sync"], &boot("two"))
        .exits(0)
        .mentions("it was put back");
    assert_eq!(fs::read(&file).unwrap(), good);
    // And what was read is believed from then on.
    let times = fs::metadata(&file).unwrap().modified().unwrap();
    spoil(&file, &vec![0; good.len()], times);
    bed.run("p", &["sync"], &boot("two")).exits(0);
    assert_ne!(fs::read(&file).unwrap(), good);
    check::store(&bed.sandbox, "a reboot");
}

/// Changes a file's content in place and hides that.
fn spoil(file: &Path, bytes: &[u8], times: std::time::SystemTime) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(file).unwrap().permissions();
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(file, bytes).unwrap();
    fs::File::open(file).unwrap().set_modified(times).unwrap();
    fs::set_permissions(file, mode).unwrap();
}
