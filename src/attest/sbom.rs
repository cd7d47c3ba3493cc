//! A CycloneDX 1.6 bill of materials of a lock.
//!
//! | Component                | Type        | Hashes                                      |
//! |--------------------------|-------------|---------------------------------------------|
//! | each locked archive      | application, library | none: SHA-256 of each format is at the format's reference, because the two are two files |
//! | the system's toolchain   | application, library | none: what the lock has are properties |
//! | each compiled target on each host | library | none: key and pin are properties, because a pin is the digest of a listing, not of a file |
//! | registry crates of `std` | library     | SHA-256, from the library's own `Cargo.lock` |
//!
//! The serial number is made from the document, so the same lock has the same.

use serde_json::{Map, Value, json};

use super::cyclonedx::{distribution, licence, metadata, properties, purl, serial_number, sha256};

use crate::lock::{Lock, LockedBuild, LockedComponent, LockedSource, LockedToolchain};
use crate::recipe::BuildOptions;
use crate::types::{Channel, ComponentId, CrateSet, Sha256, SpecDigest, Triple};

/// A crate of the registry that `std` may be compiled with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its package as 64 hexadecimal digits, where locked.
    pub checksum: Option<String>,
}

/// Lists what a lock brings in. `text` is the lock file's text, `crates` are
/// those that `std` may be compiled with, where that is known.
pub fn sbom(lock: &Lock, text: &str, crates: &[RegistryCrate]) -> Value {
    let mut parts = Parts::new(lock);
    parts.toolchain();
    for (id, archive) in &lock.archives {
        parts.archive(id, archive);
    }
    for (name, target) in &lock.targets {
        match &target.source {
            LockedSource::Download => {}
            LockedSource::System => parts.system_target(name),
            LockedSource::Build { options, hosts } => {
                for (host, build) in hosts {
                    parts.compiled(name, host, options, *build, target.spec, crates);
                }
            }
        }
    }
    if parts.has_std {
        for one in crates {
            parts.registry_crate(one);
        }
    }
    parts.document(text)
}

/// The components and what depends on what, as they are collected.
struct Parts<'a> {
    lock: &'a Lock,
    /// The compiler's version, such as `1.97.0-nightly`.
    version: &'a str,
    components: Vec<Value>,
    dependencies: Vec<Value>,
    /// What the lock itself asks for.
    direct: Vec<String>,
    has_std: bool,
}

impl<'a> Parts<'a> {
    fn new(lock: &'a Lock) -> Self {
        let rustc = match &lock.toolchain {
            LockedToolchain::Dist { rustc, .. } => rustc.as_str(),
            LockedToolchain::System { rustc, .. } => rustc.trim_start_matches("rustc "),
        };
        Self {
            lock,
            version: rustc.split(' ').next().unwrap_or_default(),
            components: Vec::new(),
            dependencies: Vec::new(),
            direct: Vec::new(),
            has_std: false,
        }
    }

    fn add(&mut self, component: Value, reference: String, needs: &[String], direct: bool) {
        self.components.push(component);
        self.dependencies
            .push(json!({ "ref": reference, "dependsOn": needs }));
        if direct {
            self.direct.push(reference);
        }
    }

    fn toolchain(&mut self) {
        let LockedToolchain::System {
            rustc,
            commit,
            cargo,
            rust_src,
        } = &self.lock.toolchain
        else {
            return;
        };
        let cargo_version = cargo.trim_start_matches("cargo ").split(' ').next();
        let parts = [
            (
                "rustc",
                "application",
                self.version,
                vec![("version", rustc.clone()), ("commit", commit.clone())],
            ),
            (
                "cargo",
                "application",
                cargo_version.unwrap_or_default(),
                vec![("version", cargo.clone())],
            ),
            (
                "rust-src",
                "library",
                self.version,
                vec![("tree", rust_src.to_string())],
            ),
        ];
        for (name, kind, version, details) in parts {
            let reference = format!("component/{name}");
            let component = json!({
                "type": kind,
                "bom-ref": reference,
                "name": name,
                "version": version,
                "purl": purl("generic", name, version, &[]),
                "licenses": licence(name),
                "properties": properties(&details),
            });
            self.add(component, reference, &[], true);
        }
    }

    fn archive(&mut self, id: &ComponentId, archive: &LockedComponent) {
        let LockedComponent { xz, gz } = archive;
        let name = id.name.as_str();
        let channel = self.lock.channel.to_string();
        // The others have versions of their own, which the lock does not know.
        let is_rustc = matches!(name, "rustc" | "rust-std" | "rust-src");
        let version = if is_rustc { self.version } else { &channel };
        let formats = || xz.iter().chain(gz);
        let checksums: Vec<String> = formats().map(|a| a.sha256.to_string()).collect();
        let target = id.target.as_ref().map(Triple::as_str);
        let mut details = vec![
            ("channel", channel.clone()),
            ("checksum", checksums.join(",")),
        ];
        details.extend(target.map(|target| ("target", target.to_owned())));
        let purl = purl("generic", name, version, &details);
        details.retain(|(key, _)| *key != "checksum");
        let reference = format!("component/{id}");
        let kind = if matches!(name, "rust-std" | "rust-src") {
            "library"
        } else {
            "application"
        };
        let links: Vec<Value> = formats().map(distribution).collect();
        let component = json!({
            "type": kind,
            "bom-ref": reference,
            "name": name,
            "version": version,
            "purl": purl,
            "licenses": licence(name),
            "externalReferences": links,
            "properties": properties(&details),
        });
        self.add(component, reference, &[], true);
    }

    fn system_target(&mut self, target: &Triple) {
        let reference = format!("component/rust-std-{target}");
        let details = [("target", target.to_string())];
        let component = json!({
            "type": "library",
            "bom-ref": reference,
            "name": "rust-std",
            "version": self.version,
            "purl": purl("generic", "rust-std", self.version, &details),
            "licenses": licence("rust-std"),
            "properties": properties(&details),
        });
        self.add(component, reference, &[], true);
    }

    fn compiled(
        &mut self,
        target: &Triple,
        host: &Triple,
        options: &BuildOptions,
        build: LockedBuild,
        spec: Option<SpecDigest>,
        crates: &[RegistryCrate],
    ) {
        let LockedBuild { key, pin } = build;
        let mut details = vec![
            ("crates", options.crates.names().join(" ")),
            ("host", host.to_string()),
            ("recipe-key", key.to_string()),
        ];
        details.extend(pin.map(|pin| ("pin", pin.to_string())));
        details.extend(spec.map(|spec| ("spec-digest", spec.to_string())));
        details.push(("target", target.to_string()));
        let reference = format!("compiled/{target}/{host}");
        let component = json!({
            "type": "library",
            "bom-ref": reference,
            "group": "sysroot",
            "name": target,
            "version": self.version,
            "description": format!("Rust's library for {target}, compiled on {host}"),
            "licenses": licence("rust-src"),
            "properties": properties(&details),
        });
        let mut needs = match self.lock.channel {
            Channel::System => vec!["component/rustc".to_owned(), "component/cargo".to_owned()],
            _ => vec![
                format!("component/rustc-{host}"),
                format!("component/cargo-{host}"),
            ],
        };
        needs.push("component/rust-src".to_owned());
        if options.crates == CrateSet::Std {
            self.has_std = true;
            needs.extend(crates.iter().map(crate_reference));
        }
        self.add(component, reference, &needs, true);
    }

    /// Which of them a target needs is decided when it is compiled, so each
    /// is optional.
    fn registry_crate(&mut self, one: &RegistryCrate) {
        let RegistryCrate {
            name,
            version,
            checksum,
        } = one;
        let mut component = json!({
            "type": "library",
            "bom-ref": crate_reference(one),
            "name": name,
            "version": version,
            "scope": "optional",
            "purl": purl("cargo", name, version, &[]),
        });
        let checksum = checksum
            .as_deref()
            .and_then(|hex| Sha256::from_hex(hex).ok());
        if let (Some(hash), Some(map)) = (checksum, component.as_object_mut()) {
            map.insert("hashes".to_owned(), json!([sha256(&hash)]));
        }
        self.add(component, crate_reference(one), &[], false);
    }

    fn document(self, text: &str) -> Value {
        let mut dependencies = vec![json!({ "ref": "sysroot.lock", "dependsOn": self.direct })];
        dependencies.extend(self.dependencies);
        let mut document = Map::from_iter([
            ("bomFormat".to_owned(), json!("CycloneDX")),
            ("specVersion".to_owned(), json!("1.6")),
            ("version".to_owned(), json!(1)),
            ("metadata".to_owned(), metadata(text)),
            ("components".to_owned(), Value::Array(self.components)),
            ("dependencies".to_owned(), Value::Array(dependencies)),
        ]);
        let serial = serial_number(&Value::Object(document.clone()).to_string());
        document.insert("serialNumber".to_owned(), Value::String(serial));
        Value::Object(document)
    }
}

fn crate_reference(one: &RegistryCrate) -> String {
    format!("crate/{}@{}", one.name, one.version)
}
