//! Recipes at random: equal keys if and only if equal recipes.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn name(names: &'static [&'static str]) -> impl Strategy<Value = Triple> {
    prop::sample::select(names).prop_map(|name| name.parse().unwrap())
}

/// Few values, so that pairs that differ in one field alone are common.
fn hashes() -> impl Strategy<Value = Vec<Sha256>> {
    vec(
        (0_u8..2).prop_map(|byte| Sha256::from_bytes([byte; 32])),
        0..3,
    )
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(&["", "a", "b", "ab", "a\nb"][..]).prop_map(str::to_owned)
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let dist = (hashes(), hashes(), hashes()).prop_map(|(rustc, cargo, rust_src)| Inputs::Dist {
        rustc,
        cargo,
        rust_src,
    });
    let system = (text(), text(), 0_u8..2).prop_map(|(rustc, cargo, byte)| Inputs::System {
        rustc,
        cargo,
        rust_src: TreeDigest::from_bytes([byte; 32]),
    });
    prop_oneof![dist, system]
}

fn options() -> impl Strategy<Value = BuildOptions> {
    let crates = prop::sample::select(&[CrateSet::Core, CrateSet::Alloc, CrateSet::Std][..]);
    let levels = [
        OptLevel::Number(0),
        OptLevel::Number(3),
        OptLevel::Size,
        OptLevel::SizeMin,
    ];
    let debug = [
        DebugInfo::None,
        DebugInfo::LineTablesOnly,
        DebugInfo::Limited,
        DebugInfo::Full,
    ];
    let panic = [Panic::Unwind, Panic::Abort, Panic::ImmediateAbort];
    let fields = (
        crates,
        btree_set(text(), 0..3),
        prop::sample::select(levels.to_vec()),
        prop::sample::select(debug.to_vec()),
        option::of(prop::sample::select(panic.to_vec())),
        1_u16..4,
        any::<bool>(),
        vec(text(), 0..3),
    );
    fields.prop_map(
        |(crates, features, opt_level, debug, panic, codegen_units, embed_bitcode, rustflags)| {
            BuildOptions {
                crates,
                features,
                opt_level,
                debug,
                panic,
                codegen_units,
                embed_bitcode,
                rustflags,
            }
        },
    )
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let hosts = name(&["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]);
    let targets = name(&["thumbv6m-none-eabi", "thumbv7m-none-eabi"]);
    let spec = option::of((0_u8..2).prop_map(|byte| SpecDigest::from_bytes([byte; 32])));
    let fields = (inputs(), hosts, targets, spec, options());
    fields.prop_map(|(inputs, host, target, spec, options)| Recipe {
        inputs,
        host,
        target,
        spec,
        options,
    })
}

proptest! {
    #[test]
    fn case_121_keys_are_equal_if_and_only_if_recipes_are(a in recipe(), b in recipe(), field in 0..13) {
        prop_assert_eq!(a.key() == b.key(), a == b);
        // One field of the other recipe, all else the same.
        let mut mixed = a.clone();
        match field {
            0 => mixed.inputs = b.inputs,
            1 => mixed.host = b.host,
            2 => mixed.target = b.target,
            3 => mixed.spec = b.spec,
            4 => mixed.options.crates = b.options.crates,
            5 => mixed.options.features = b.options.features,
            6 => mixed.options.opt_level = b.options.opt_level,
            7 => mixed.options.debug = b.options.debug,
            8 => mixed.options.panic = b.options.panic,
            9 => mixed.options.codegen_units = b.options.codegen_units,
            10 => mixed.options.embed_bitcode = b.options.embed_bitcode,
            11 => mixed.options.rustflags = b.options.rustflags,
            _ => {}
        }
        prop_assert_eq!(mixed.key() == a.key(), mixed == a);
    }
}
