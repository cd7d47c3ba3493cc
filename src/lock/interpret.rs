//! From the lock's raw tables to values that fit together.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::check::check;
use super::place::Place;
use super::schema::{
    RawArchive, RawLock, RawOptions, RawRequest, RawSignature, RawSource, RawTarget, RawToolchain,
};
use super::{
    Lock, LockedArchive, LockedBuild, LockedComponent, LockedSource, LockedTarget, LockedToolchain,
    ManifestSignature,
};
use crate::document::{Document, Fault};
use crate::manifest::schema::Scalar;
use crate::manifest::{TargetRequest, rustflags, values};
use crate::recipe::BuildOptions;
use crate::signature::Fingerprint;
use crate::types::{Channel, ComponentId, CrateSet, Profile, RelPath, Triple};

pub(super) fn interpret(
    doc: &Document<'_>,
    raw: RawLock,
    top: &DeTable<'_>,
) -> Result<Lock, Fault> {
    let place = Place::top(doc, top);
    let lock = Lock {
        channel: raw.channel,
        hosts: raw.hosts.into_iter().collect(),
        components: raw.components.into_iter().collect(),
        toolchain: toolchain(&place.below("toolchain"), raw.channel, raw.toolchain)?,
        archives: archives(&place.below("archives"), raw.archives)?,
        targets: targets(&place.below("targets"), raw.targets)?,
    };
    check(&place, &lock)?;
    Ok(lock)
}

fn toolchain(
    place: &Place<'_, '_>,
    channel: Channel,
    raw: RawToolchain,
) -> Result<LockedToolchain, Fault> {
    let RawToolchain {
        date,
        rustc,
        commit,
        manifest,
        manifest_digest,
        signer,
        signature,
        cargo,
        rust_src,
    } = raw;
    // They are printed as they are.
    let texts = [
        ("rustc", Some(&rustc)),
        ("commit", commit.as_ref()),
        ("cargo", cargo.as_ref()),
    ];
    for (key, text) in texts {
        if text.is_some_and(|text| text.chars().any(char::is_control)) {
            return Err(place.fault(key, format!("`{key}` has control characters")));
        }
    }
    if channel == Channel::System {
        place.forbidden("date", date.as_ref())?;
        place.forbidden("manifest", manifest.as_ref())?;
        place.forbidden("manifest-digest", manifest_digest.as_ref())?;
        place.forbidden("signer", signer.as_ref())?;
        place.forbidden("signature", signature.as_ref())?;
        return Ok(LockedToolchain::System {
            rustc,
            commit: place.required("commit", commit)?,
            cargo: place.required("cargo", cargo)?,
            rust_src: place.required("rust-src", rust_src)?,
        });
    }
    place.forbidden("cargo", cargo.as_ref())?;
    place.forbidden("rust-src", rust_src.as_ref())?;
    let date = place.required("date", date)?;
    if let Some(asked) = channel.date().filter(|asked| *asked != date) {
        let message = format!("the channel is of {asked}, and this is {date}");
        return Err(place.fault("date", message));
    }
    // Whatever names the channel's manifest stands under its name in the cache.
    let manifest_path: RelPath = place.required("manifest", manifest)?;
    let own = channel.manifest_path().unwrap_or_default();
    if manifest_path.as_str() != own {
        let message = format!("the manifest of {channel} is {own}, and this is {manifest_path}");
        return Err(place.fault("manifest", message));
    }
    if !channel.has_version(&rustc) {
        let form = channel.version_form();
        let message = format!(
            "the rustc of {channel} is {form}, and this is {}",
            rustc.escape_debug()
        );
        return Err(place.fault("rustc", message));
    }
    Ok(LockedToolchain::Dist {
        date,
        rustc,
        commit,
        manifest_path,
        manifest_sha256: place.required("manifest-digest", manifest_digest)?,
        signature: self::signature(place, signer, signature)?,
    })
}

fn signature(
    place: &Place<'_, '_>,
    signer: Option<Fingerprint>,
    raw: Option<RawSignature>,
) -> Result<ManifestSignature, Fault> {
    match (signer, raw) {
        (None, None) => Ok(ManifestSignature::NotAsked),
        (None, Some(RawSignature::None)) => Ok(ManifestSignature::Missing),
        (Some(signer), Some(RawSignature::Detached(detached))) => {
            Ok(ManifestSignature::Good { signer, detached })
        }
        (None, Some(RawSignature::Detached(_))) => {
            Err(place.fault("signature", "a signature without its `signer`"))
        }
        (Some(_), None | Some(RawSignature::None)) => {
            Err(place.fault("signer", "a `signer` without a signature"))
        }
    }
}

fn archives(
    place: &Place<'_, '_>,
    raw: BTreeMap<crate::types::ComponentName, BTreeMap<String, RawArchive>>,
) -> Result<BTreeMap<ComponentId, LockedComponent>, Fault> {
    let mut archives = BTreeMap::new();
    for (name, by_target) in raw {
        let place = place.below(name.as_str());
        for (target, archive) in by_target {
            let id = ComponentId {
                name: name.clone(),
                target: match target.as_str() {
                    "*" => None,
                    triple => Some(
                        triple
                            .parse::<Triple>()
                            .map_err(|error| place.fault(triple, error.to_string()))?,
                    ),
                },
            };
            archives.insert(id, component(&place.below(&target), archive)?);
        }
    }
    Ok(archives)
}

fn component(place: &Place<'_, '_>, raw: RawArchive) -> Result<LockedComponent, Fault> {
    let one = |key: &str, path, sha256| match (path, sha256) {
        (Some(path), Some(sha256)) => Ok(Some(LockedArchive { path, sha256 })),
        (None, None) => Ok(None),
        _ => Err(place.fault(key, format!("`{key}-path` and `{key}-digest` go together"))),
    };
    let component = LockedComponent {
        xz: one("xz", raw.xz_path, raw.xz_digest)?,
        gz: one("gz", raw.gz_path, raw.gz_digest)?,
    };
    if component.hashes().is_empty() {
        return Err(place.fault("", "the archive has neither `xz-path` nor `gz-path`"));
    }
    Ok(component)
}

fn targets(
    place: &Place<'_, '_>,
    raw: BTreeMap<Triple, RawTarget>,
) -> Result<BTreeMap<Triple, LockedTarget>, Fault> {
    raw.into_iter()
        .map(|(name, raw)| {
            let target = target(&place.below(name.as_str()), raw)?;
            Ok((name, target))
        })
        .collect()
}

fn target(place: &Place<'_, '_>, raw: RawTarget) -> Result<LockedTarget, Fault> {
    let request = request(&place.below("request"), raw.request)?;
    let source = match raw.source {
        RawSource::Build => {
            let options = place.required("options", raw.options)?;
            let hosts = raw.hosts.into_iter();
            LockedSource::Build {
                options: self::options(&place.below("options"), options)?,
                hosts: hosts
                    .map(|(host, raw)| {
                        let (key, pin) = (raw.key, raw.pin);
                        (host, LockedBuild { key, pin })
                    })
                    .collect(),
            }
        }
        RawSource::Download | RawSource::System => {
            place.forbidden("options", raw.options.as_ref())?;
            place.forbidden("hosts", raw.hosts.first_key_value().as_ref())?;
            if raw.source == RawSource::Download {
                LockedSource::Download
            } else {
                LockedSource::System
            }
        }
    };
    match (&request.spec, &raw.spec_digest) {
        (Some(_), None) => Err(place.fault("spec-digest", "the key `spec-digest` is missing here")),
        (None, Some(_)) => Err(place.fault("spec-digest", "a digest of a spec that nothing names")),
        _ => Ok(LockedTarget {
            request,
            spec: raw.spec_digest,
            source,
        }),
    }
}

fn request(place: &Place<'_, '_>, raw: RawRequest) -> Result<TargetRequest, Fault> {
    Ok(TargetRequest {
        strategy: raw.strategy,
        spec: raw.spec,
        crates: raw.crates.map(|names| crates(place, &names)).transpose()?,
        features: features(place, raw.features)?,
        profile: Profile {
            opt_level: scalar(
                place,
                "opt-level",
                raw.opt_level.as_ref(),
                values::opt_level,
            )?,
            debug: scalar(place, "debug", raw.debug.as_ref(), values::debug)?,
            panic: raw.panic,
            codegen_units: scalar(
                place,
                "codegen-units",
                raw.codegen_units.as_ref(),
                values::codegen_units,
            )?,
            embed_bitcode: raw.embed_bitcode,
        },
        rustflags: flags(place, &raw.rustflags)?,
    })
}

fn options(place: &Place<'_, '_>, raw: RawOptions) -> Result<BuildOptions, Fault> {
    let opt_level = scalar(place, "opt-level", Some(&raw.opt_level), values::opt_level)?;
    let debug = scalar(place, "debug", Some(&raw.debug), values::debug)?;
    let units = Some(&raw.codegen_units);
    let codegen_units = scalar(place, "codegen-units", units, values::codegen_units)?;
    Ok(BuildOptions {
        crates: crates(place, &raw.crates)?,
        features: features(place, raw.features)?,
        opt_level: place.required("opt-level", opt_level)?,
        debug: place.required("debug", debug)?,
        panic: raw.panic,
        codegen_units: place.required("codegen-units", codegen_units)?,
        embed_bitcode: raw.embed_bitcode,
        rustflags: flags(place, &raw.rustflags)?,
    })
}

fn scalar<T>(
    place: &Place<'_, '_>,
    key: &str,
    value: Option<&Scalar>,
    read: impl Fn(&Scalar) -> Option<T>,
) -> Result<Option<T>, Fault> {
    let Some(value) = value else { return Ok(None) };
    match read(value) {
        Some(read) => Ok(Some(read)),
        None => Err(place.fault(
            key,
            format!("the value of `{key}` is not one of its values"),
        )),
    }
}

fn crates(place: &Place<'_, '_>, names: &[String]) -> Result<CrateSet, Fault> {
    if names.is_empty() {
        return Err(place.fault("crates", "`crates` is empty"));
    }
    values::crate_set(names.iter().map(String::as_str)).map_err(|_| {
        place.fault(
            "crates",
            "`crates` has a name other than `core`, `alloc`, `std`",
        )
    })
}

fn features(
    place: &Place<'_, '_>,
    names: Vec<String>,
) -> Result<std::collections::BTreeSet<String>, Fault> {
    if names.iter().any(|name| !values::is_feature(name)) {
        return Err(place.fault("features", "`features` has a text that is no feature name"));
    }
    Ok(names.into_iter().collect())
}

/// A lock may be edited by anyone who may edit the manifest, so it is held to
/// the same list.
fn flags(place: &Place<'_, '_>, flags: &[String]) -> Result<Vec<String>, Fault> {
    rustflags::normalise(flags.iter().map(String::as_str))
        .map_err(|(_, error)| place.fault("rustflags", error.to_string()))
}
