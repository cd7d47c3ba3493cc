//! Manifests that are read and refused.

use std::path::Path;

use super::*;
use crate::types::{Class, DebugInfo, Diagnostic, OptLevel, Panic};

const HEAD: &str =
    "[toolchain]\nchannel = \"nightly-2026-05-20\"\nhosts = [\"x86_64-unknown-linux-gnu\"]\n";

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Path::new("sysroot.toml"))
}

fn with(rest: &str) -> Result<Manifest, ManifestError> {
    parse(&format!("{HEAD}{rest}"))
}

fn target(rest: &str, name: &str) -> TargetRequest {
    with(rest).unwrap().targets[&name.parse().unwrap()].clone()
}

#[test]
fn every_key_is_read() {
    let text = r#"
[targets.my-os]
strategy = "build"
spec = "targets/my-os.json"
crates = ["core", "alloc"]
features = ["compiler-builtins-mem"]
opt-level = "s"
debug = "line-tables-only"
panic = "immediate-abort"
codegen-units = 16
embed-bitcode = false
rustflags = ["-C", "target-cpu=cortex-a72"]
"#;
    let want = TargetRequest {
        strategy: Strategy::Build,
        spec: Some("targets/my-os.json".parse().unwrap()),
        crates: Some(CrateSet::Alloc),
        features: ["compiler-builtins-mem".to_owned()].into(),
        profile: Profile {
            opt_level: Some(OptLevel::Size),
            debug: Some(DebugInfo::LineTablesOnly),
            panic: Some(Panic::ImmediateAbort),
            codegen_units: Some(16),
            embed_bitcode: Some(false),
        },
        rustflags: vec!["-Ctarget-cpu=cortex-a72".to_owned()],
    };
    assert_eq!(target(text, "my-os"), want);
}

#[test]
fn a_targets_own_value_wins_over_the_default() {
    let text = "[defaults]\nopt-level = 2\ndebug = 1\nfeatures = [\"a\"]\nrustflags = [\"-Cno-redzone\"]\n\
                [targets.a]\nopt-level = \"z\"\nfeatures = []\n[targets.b]\nstrategy = \"download\"\n";
    let a = target(text, "a");
    assert_eq!(a.profile.opt_level, Some(OptLevel::SizeMin));
    assert_eq!(a.profile.debug, Some(DebugInfo::Limited));
    assert!(a.features.is_empty());
    assert_eq!(a.rustflags, ["-Cno-redzone"]);
    // A download takes no build-only key from the defaults.
    assert_eq!(target(text, "b").build_only_key(), None);
}

#[test]
fn a_build_only_key_beside_download_is_an_error_at_the_key() {
    let text = "[targets.a]\nstrategy = \"download\"\npanic = \"abort\"\n";
    let error = with(text).unwrap_err();
    assert!(
        error.to_string().starts_with("sysroot.toml:6:1: "),
        "{error}"
    );
    // The strategy may come from the defaults.
    let text = "[defaults]\nstrategy = \"download\"\n[targets.a]\nfeatures = []\n";
    let error = with(text).unwrap_err();
    assert!(
        error.to_string().starts_with("sysroot.toml:7:1: "),
        "{error}"
    );
}

#[test]
fn only_the_systems_toolchain_needs_no_hosts() {
    assert!(
        parse("[toolchain]\nchannel = \"system\"\n")
            .unwrap()
            .hosts
            .is_empty()
    );
    for hosts in ["", "hosts = []\n"] {
        let error = parse(&format!("[toolchain]\nchannel = \"1.96.0\"\n{hosts}")).unwrap_err();
        assert!(error.to_string().contains("`hosts`"), "{error}");
    }
    for text in ["", "[toolchain]\nhosts = [\"a\"]\n"] {
        assert!(parse(text).unwrap_err().hint().is_some());
    }
}

#[test]
fn case_148_limits_hold_before_anything_is_parsed() {
    let big = format!("{HEAD}#{}", "x".repeat(MAX_SIZE));
    assert!(matches!(parse(&big), Err(ManifestError::TooLarge { .. })));
    let many: Vec<String> = (0..=MAX_TARGETS)
        .map(|n| format!("targets.t{n}={{}}\n"))
        .collect();
    let many = many.concat();
    let error = parse(&format!("{many}{HEAD}")).unwrap_err();
    assert!(
        matches!(error, ManifestError::TooManyTargets { .. }),
        "{error}"
    );
    assert_eq!(error.class(), Class::Usage);
}

#[test]
fn case_148_ten_thousand_levels_do_not_overflow_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let run = || {
        for part in [
            "[", "{a=", "a=[", "a=[{", "a.", "\"a\".", "'a' .", "[[", "[a.",
        ] {
            for start in ["", "a=", "x = \"'\"\na=", "["] {
                for end in ["", "a = 1\n", "a]\n"] {
                    let text = format!("{start}{}{end}", part.repeat(10_000));
                    let error = parse(&text).unwrap_err().to_string();
                    assert!(error.contains("nested deeper"), "{part}: {error}");
                }
            }
        }
        let keys: Vec<String> = (0..2000)
            .map(|n| format!("{}=1\n", vec![format!("k{n}"); 16].join(".")))
            .collect();
        let keys = keys.concat();
        assert!(parse(&keys).is_err());
    };
    small.spawn(run).unwrap().join().unwrap();
}

#[test]
fn case_149_an_unknown_key_is_named_with_the_nearest_one() {
    for (text, at, near) in [
        ("[targets.a]\nstratgy = \"build\"\n", "5:1", "strategy"),
        ("[targets.a]\nopt_level = 1\n", "5:1", "opt-level"),
        ("[defaults]\ncrate = []\n", "5:1", "crates"),
        ("[target.a]\n", "4:2", "targets"),
        ("[targets.a]\nstrategy = \"dwonload\"\n", "5:12", "download"),
        ("[targets.a]\npanic = \"aborts\"\n", "5:9", "abort"),
        (
            "[targets.a]\nrustflags = [\"-Ctarget-cup=x\"]\n",
            "5:14",
            "-Ctarget-cpu=x",
        ),
    ] {
        let error = with(text).expect_err(text);
        assert!(
            error
                .to_string()
                .starts_with(&format!("sysroot.toml:{at}: ")),
            "{error}"
        );
        assert_eq!(
            error.hint(),
            Some(format!("did you mean `{near}`?")),
            "{text}"
        );
        assert_eq!(error.class(), Class::Usage);
    }
    let error = with("[targets.a]\nrunner = \"sh\"\n").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown key `runner` in `[targets.a]`")
    );
}

#[test]
fn conflict_markers_are_named_with_the_way_out() {
    let sides = "<<<<<<< HEAD\n[targets.a]\n=======\n[targets.b]\n>>>>>>> theirs\n";
    for text in [sides, &sides.replace('\n', "\r\n")] {
        let error = with(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sysroot.toml:4:1: the manifest has git's conflict markers"
        );
        assert!(error.hint().unwrap().contains("then run `sysroot lock`"));
    }
    // A text over several lines may have such a line.
    let text = "[targets.a]\nfeatures = [\"\"\"\n<<<<<<< HEAD\"\"\"]\n";
    assert!(!with(text).unwrap_err().to_string().contains("conflict"));
}

#[test]
fn what_people_write_instead_is_answered_with_what_to_write() {
    for (text, message, hint) in [
        (
            "[targets.thumbv8m.main-none-eabi]\n",
            "4:19: unknown key `main-none-eabi` in `[targets.thumbv8m]`",
            "a name with a dot is quoted: `[targets.\"thumbv8m.main-none-eabi\"]`",
        ),
        (
            "targets = [\"x\"]\n",
            "4:1: unknown key `targets` in `[toolchain]`",
            "each target has a table of its own: `[targets.NAME]`",
        ),
        (
            "[targets]\nx = true\n",
            "5:5: target `x` is not a table",
            "write `[targets.x]`, with its keys below",
        ),
        (
            "[targets]\n\"x.y\" = true\n",
            "5:9: target `x.y` is not a table",
            "write `[targets.\"x.y\"]`, with its keys below",
        ),
        (
            "[targets.a]\nspec = \"/etc/a.json\"\n",
            "5:8: path `/etc/a.json` is refused: it is absolute",
            "name it relative to the manifest, such as `targets/NAME.json`",
        ),
        (
            "[targets.a]\ncrates = \"core\"\n",
            "5:10: expected a list, found the string \"core\"",
            "write it in brackets: `[\"core\"]`",
        ),
        (
            "[targets.a]\nopt-level = \"3\"\n",
            "5:13: expected 0 to 3, \"s\" or \"z\"",
            "write it without quotes: `3`",
        ),
        (
            "[targets.a]\ndebug = \"true\"\n",
            "5:9: expected a boolean",
            "write it without quotes: `true`",
        ),
    ] {
        let error = with(text).expect_err(text);
        let place = format!("sysroot.toml:{message}");
        assert!(error.to_string().starts_with(&place), "{error}");
        assert_eq!(error.hint().as_deref(), Some(hint), "{text}");
    }
    let error = parse("targets = true\n").unwrap_err();
    let place = "sysroot.toml:1:11: expected a table, found the boolean `true`";
    assert_eq!(error.to_string(), place);
    let hosts = "[toolchain]\nchannel = \"1.96.0\"\nhosts = \"x\"\n";
    assert_eq!(
        parse(hosts).unwrap_err().hint().as_deref(),
        Some("write it in brackets: `[\"x\"]`")
    );
    for (key, place) in [
        ("channel = \"1.96.0\"", "`[toolchain]`"),
        ("hosts = [\"x\"]", "`[toolchain]`"),
        ("components = []", "`[toolchain]`"),
        ("opt-level = 3", "`[defaults]`"),
    ] {
        let error = parse(&format!("{key}\n{HEAD}")).expect_err(key);
        assert!(error.to_string().contains("unknown key"), "{error}");
        assert!(error.hint().unwrap().contains(place), "{key}");
    }
}

#[test]
fn an_excerpt_shows_the_line_and_a_caret() {
    let error = with("[targets.a]\nstratgy = \"build\"\n").unwrap_err();
    assert_eq!(
        error.excerpt().unwrap(),
        "\
error: unknown key `stratgy` in `[targets.a]`
 --> sysroot.toml:5:1
  |
5 | stratgy = \"build\"
  | ^^^^^^^"
    );
}

#[test]
fn case_150_channels_that_name_no_day_are_refused_at_their_value() {
    for bad in [
        "nightly",
        "nightly-2026-02-30",
        "nightly-2012-01-01",
        "nightly-10000-01-01",
        "stable",
        "",
        "nightly-2026-05-20\\n",
    ] {
        let text = format!("[toolchain]\nchannel = \"{bad}\"\nhosts = [\"x\"]\n");
        let error = parse(&text).expect_err(bad);
        assert!(
            error.to_string().starts_with("sysroot.toml:2:11: "),
            "{error}"
        );
    }
}

#[test]
fn case_151_target_names_and_spec_paths_are_checked() {
    for bad in [
        "[targets.a]\n[targets.a]\n",
        "[targets]\na = {}\na = {}\n",
        "[targets.\"\"]\n",
        "[targets.\"../a\"]\n",
        "[targets.\"/a\"]\n",
        "[targets.\"-a\"]\n",
        "[targets.\"a b\"]\n",
        "[targets.a]\nspec = \"../a.json\"\n",
        "[targets.a]\nspec = \"/a.json\"\n",
        "[targets.a]\nspec = \"x/../a.json\"\n",
        "[targets.a]\nspec = \"b.json\"\n",
        "[targets.a]\nspec = \"a.toml\"\n",
        "[targets.a]\nspec = \".json\"\n",
        "[targets.a]\nspec = \"\"\n",
        "[targets.a]\nspec = \"C:\\\\a.json\"\n",
        "[defaults]\nspec = \"a.json\"\n",
    ] {
        assert!(matches!(with(bad), Err(ManifestError::Invalid(_))), "{bad}");
    }
}

#[test]
fn values_outside_their_range_are_refused() {
    for bad in [
        "opt-level = 4",
        "opt-level = -1",
        "opt-level = true",
        "opt-level = \"3\"",
        "opt-level = 1.5",
        "debug = 3",
        "debug = \"some\"",
        "panic = 1",
        "codegen-units = 0",
        "codegen-units = 257",
        "codegen-units = \"1\"",
        "embed-bitcode = 1",
        "crates = []",
        "crates = [\"proc_macro\"]",
        "crates = \"core\"",
        "features = [\"A\"]",
        "features = [\"\"]",
        "features = [\"-x\"]",
        "features = [\"a b\"]",
        "features = [\"a,b\"]",
        "rustflags = \"-Ctarget-cpu=x\"",
        "rustflags = [\"-Clinker=x\"]",
        "strategy = 1",
        "spec = 1",
    ] {
        let error = with(&format!("[targets.a]\n{bad}\n")).expect_err(bad);
        assert!(
            error.to_string().starts_with("sysroot.toml:5:"),
            "{bad}: {error}"
        );
    }
    assert!(with("targets = 1\n").is_err());
    assert!(parse("toolchain = 1\n").is_err());
    assert!(parse("defaults = []\ntargets = []\n").is_err());
}

#[test]
fn case_154_a_flag_off_the_list_is_refused_at_its_place() {
    let error = with(
        "[targets.a]\nrustflags = [\n  \"-Ctarget-cpu=x\",\n  \"-C\", \"linker=/bin/sh\",\n]\n",
    )
    .unwrap_err();
    assert!(
        error.to_string().starts_with("sysroot.toml:7:3: "),
        "{error}"
    );
    assert!(error.to_string().contains("-C linker=/bin/sh"), "{error}");
}

#[test]
fn line_ends_and_byte_order_mark_do_not_matter() {
    let text = format!("{HEAD}[targets.a]\ncrates = [\n\"core\",\n]\n");
    let want = parse(&text).unwrap();
    assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap(), want);
    assert_eq!(parse(&format!("\u{feff}{text}")).unwrap(), want);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", cut in 0..400_usize) {
        let _ = parse(&text);
        let full = format!("{HEAD}[targets.my-os]\nspec = \"t/my-os.json\"\nopt-level = \"s\"\n");
        let cut = full.floor_char_boundary(cut);
        if let Err(error) = parse(&format!("{}{text}", &full[..cut])) {
            let _ = (error.to_string(), error.excerpt(), error.hint());
        }
    }
}
