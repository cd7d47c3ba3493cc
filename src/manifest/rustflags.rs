//! The compiler flags a manifest may name: code generation, nothing else.
//!
//! The list is of what is allowed. A flag that loads code, writes a file,
//! searches a directory, or links is refused by not being on it.

use crate::types::nearest::nearest;

/// Why a flag is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// A profile key says the same.
    #[error("flag `{}` is refused: the key `{key}` says this", .flag.escape_debug())]
    ProfileKey {
        /// The flag as found.
        flag: String,
        /// The key to use.
        key: &'static str,
    },
    /// Not on the list.
    #[error("flag `{}` is not on the list of code generation flags", .flag.escape_debug())]
    NotAllowed {
        /// The flag as found.
        flag: String,
        /// A similar flag on the list.
        nearest: Option<String>,
    },
    /// The value has characters that no code generation flag needs.
    #[error("flag `{}` has a value with a character outside `A-Z a-z 0-9 _ - . , + = :`", .flag.escape_debug())]
    Value {
        /// The flag as found.
        flag: String,
    },
    /// `native`, which is another CPU on another machine.
    #[error("flag `{}` depends on the machine that compiles", .flag.escape_debug())]
    Native {
        /// The flag as found.
        flag: String,
    },
    /// `help`, with which rustc compiles nothing.
    #[error("flag `{}` makes the compiler print a list instead", .flag.escape_debug())]
    Help {
        /// The flag as found.
        flag: String,
    },
    /// `-C`, `-Z` or `--cfg` as the last element, or an option that rustc takes
    /// with a value only.
    #[error("flag `{}` lacks its value", .flag.escape_debug())]
    Incomplete {
        /// The flag as found.
        flag: String,
        /// Its form with a value.
        form: String,
    },
    /// Two words in one element, which reach rustc as one.
    #[error("flag `{}` has a space inside of one element", .flag.escape_debug())]
    Spaced {
        /// The flag as found.
        flag: String,
        /// The same in one word.
        word: String,
    },
}

impl FlagError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ProfileKey { key, .. } => Some(format!("set `{key}` in the target's table")),
            Self::NotAllowed { nearest: near, .. } => {
                near.as_ref().map(|near| format!("did you mean `{near}`?"))
            }
            Self::Incomplete { form, .. } => Some(format!("write `{form}` as one element")),
            Self::Spaced { word, .. } => Some(format!("write `{word}`")),
            Self::Native { .. } => {
                Some("name a CPU; `rustc --print target-cpus --target NAME` lists them".to_owned())
            }
            Self::Value { .. } | Self::Help { .. } => None,
        }
    }
}

/// `-C` options; all change generated code only.
const CODEGEN: &[&str] = &[
    "code-model",
    "control-flow-guard",
    "debug-assertions",
    "dwarf-version",
    "force-frame-pointers",
    "force-unwind-tables",
    "jump-tables",
    "no-redzone",
    "no-vectorize-loops",
    "no-vectorize-slp",
    "overflow-checks",
    "relocation-model",
    "soft-float",
    "symbol-mangling-version",
    "target-cpu",
    "target-feature",
];

/// `-Z` options; all change generated code only and need no runtime library.
const UNSTABLE: &[&str] = &[
    "branch-protection",
    "cf-protection",
    "direct-access-external-data",
    "emit-stack-sizes",
    "fixed-x18",
    "fmt-debug",
    "function-return",
    "function-sections",
    "harden-sls",
    "indirect-branch-cs-prefix",
    "inline-mir",
    "location-detail",
    "merge-functions",
    "min-function-alignment",
    "mir-opt-level",
    "no-jump-tables",
    "no-unique-section-names",
    "patchable-function-entry",
    "plt",
    "reg-struct-return",
    "regparm",
    "relax-elf-relocations",
    "retpoline",
    "retpoline-external-thunk",
    "sanitizer",
    "sanitizer-cfi-normalize-integers",
    "sanitizer-kcfi-arity",
    "saturating-float-casts",
    "stack-protector",
    "tls-model",
    "trap-unreachable",
    "tune-cpu",
    "ub-checks",
    "use-ctors-section",
    "virtual-function-elimination",
];

/// Options of either list that rustc refuses without a value.
const WITH_VALUE: &[&str] = &[
    "branch-protection",
    "code-model",
    "dwarf-version",
    "fmt-debug",
    "function-return",
    "harden-sls",
    "location-detail",
    "merge-functions",
    "min-function-alignment",
    "mir-opt-level",
    "patchable-function-entry",
    "regparm",
    "relocation-model",
    "sanitizer",
    "stack-protector",
    "symbol-mangling-version",
    "target-cpu",
    "target-feature",
    "tls-model",
    "tune-cpu",
];

/// Sanitizers that are instrumentation alone; the others link a runtime that
/// cannot be built from rust-src.
const SANITIZERS: &[&str] = &[
    "kcfi",
    "kernel-address",
    "kernel-hwaddress",
    "shadow-call-stack",
];

/// Options that are keys of the target's table.
const PROFILE: &[(&str, &str)] = &[
    ("opt-level", "opt-level"),
    ("panic", "panic"),
    ("codegen-units", "codegen-units"),
    ("embed-bitcode", "embed-bitcode"),
    ("debuginfo", "debug"),
];

/// Checks flags and spells each in one element: `-C`, `target_cpu=x` becomes
/// `-Ctarget-cpu=x`. An error comes with the index of the flag at fault.
pub fn normalise<'a>(
    flags: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>, (usize, FlagError)> {
    let mut flags = flags.into_iter().enumerate();
    let mut normal = Vec::new();
    while let Some((at, flag)) = flags.next() {
        let value = if is_first_of_two(flag) {
            match flags.next() {
                Some((_, value)) => Some(value),
                None => return Err((at, incomplete(flag, form_of(flag)))),
            }
        } else {
            None
        };
        normal.push(one(flag, value).map_err(|error| (at, error))?);
    }
    Ok(normal)
}

/// Whether the flag's value is the element behind it.
fn is_first_of_two(flag: &str) -> bool {
    matches!(flag, "-C" | "--codegen" | "-Z" | "--cfg")
}

/// How a flag without anything behind it is meant.
fn form_of(flag: &str) -> String {
    match flag {
        "--cfg" => "--cfg=NAME".to_owned(),
        "-Z" => "-ZNAME=VALUE".to_owned(),
        _ => "-CNAME=VALUE".to_owned(),
    }
}

fn one(flag: &str, value: Option<&str>) -> Result<String, FlagError> {
    let whole = value.map_or_else(|| flag.to_owned(), |value| format!("{flag} {value}"));
    let split = |prefix: &str| flag.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    match (flag, value) {
        ("-C" | "--codegen", Some(option)) => option_flag("-C", option, &whole, CODEGEN),
        ("-Z", Some(option)) => option_flag("-Z", option, &whole, UNSTABLE),
        ("--cfg", Some(name)) => cfg(name, &whole),
        ("-O", None) => Err(profile_key(&whole, "opt-level")),
        ("-g", None) => Err(profile_key(&whole, "debug")),
        _ => {
            if let Some((first, rest)) = flag.split_once(' ')
                && is_first_of_two(first)
            {
                let (flag, word) = (quote(&whole), one(first, Some(rest.trim()))?);
                return Err(FlagError::Spaced { flag, word });
            }
            if let Some(option) = split("-C").or_else(|| split("--codegen=")) {
                option_flag("-C", option, &whole, CODEGEN)
            } else if let Some(option) = split("-Z") {
                option_flag("-Z", option, &whole, UNSTABLE)
            } else if let Some(name) = split("--cfg=") {
                cfg(name, &whole)
            } else {
                Err(not_allowed(&whole, None))
            }
        }
    }
}

fn option_flag(
    prefix: &str,
    option: &str,
    whole: &str,
    allowed: &[&'static str],
) -> Result<String, FlagError> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    // rustc takes either spelling; one is kept, so that one meaning is one key.
    let name = name.replace('_', "-");
    if let Some((_, key)) = PROFILE.iter().find(|(flag, _)| *flag == name) {
        return Err(profile_key(whole, key));
    }
    if !allowed.contains(&name.as_str()) {
        let near = nearest(&name, allowed.iter().copied());
        // The value is kept, where it is one that the right name could have.
        let value = value.filter(|value| is_plain(value));
        let value = value.map_or_else(String::new, |value| format!("={value}"));
        let near = near.map(|near| format!("{prefix}{near}{value}"));
        return Err(not_allowed(whole, near));
    }
    let Some(value) = value else {
        if WITH_VALUE.contains(&name.as_str()) {
            return Err(incomplete(whole, format!("{prefix}{name}=VALUE")));
        }
        return Ok(format!("{prefix}{name}"));
    };
    if !is_plain(value) {
        return Err(FlagError::Value { flag: quote(whole) });
    }
    // The key of a build has the flag's text, not what it means on one machine.
    let words = || {
        value
            .split(',')
            .map(|word| word.trim_start_matches(['+', '-']))
    };
    if matches!(name.as_str(), "target-cpu" | "tune-cpu" | "target-feature")
        && words().any(|word| word == "native")
    {
        return Err(FlagError::Native { flag: quote(whole) });
    }
    if words().any(|word| word == "help" || word == "cpuhelp") {
        return Err(FlagError::Help { flag: quote(whole) });
    }
    if name == "sanitizer" && !value.split(',').all(|kind| SANITIZERS.contains(&kind)) {
        return Err(not_allowed(whole, None));
    }
    Ok(format!("{prefix}{name}={value}"))
}

fn cfg(name: &str, whole: &str) -> Result<String, FlagError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let ident = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if starts_well && ident {
        Ok(format!("--cfg={name}"))
    } else {
        Err(not_allowed(whole, None))
    }
}

fn is_plain(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.,+=:".contains(&b);
    !value.is_empty() && value.len() <= 1024 && value.bytes().all(plain)
}

fn quote(flag: &str) -> String {
    flag.chars().take(80).collect()
}

fn incomplete(flag: &str, form: String) -> FlagError {
    FlagError::Incomplete {
        flag: quote(flag),
        form,
    }
}

fn profile_key(flag: &str, key: &'static str) -> FlagError {
    FlagError::ProfileKey {
        flag: quote(flag),
        key,
    }
}

fn not_allowed(flag: &str, nearest: Option<String>) -> FlagError {
    FlagError::NotAllowed {
        flag: quote(flag),
        nearest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_meaning_has_one_spelling() {
        let want = Ok(vec!["-Ctarget-cpu=cortex-a72".to_owned()]);
        for spelling in [
            &["-Ctarget-cpu=cortex-a72"][..],
            &["-C", "target-cpu=cortex-a72"],
            &["-C", "target_cpu=cortex-a72"],
            &["--codegen", "target-cpu=cortex-a72"],
            &["--codegen=target-cpu=cortex-a72"],
        ] {
            assert_eq!(normalise(spelling.iter().copied()), want, "{spelling:?}");
        }
        let flags = [
            "-Cforce-frame-pointers",
            "-Zsanitizer=kcfi",
            "--cfg",
            "my_os",
        ];
        let want = ["-Cforce-frame-pointers", "-Zsanitizer=kcfi", "--cfg=my_os"];
        assert_eq!(normalise(flags), Ok(want.map(str::to_owned).to_vec()));
    }

    #[test]
    fn case_154_flags_that_load_code_or_write_elsewhere_are_refused() {
        for bad in [
            &["-Zllvm-plugins=x.so"][..],
            &["-Zcodegen-backend=x.so"],
            &["-C", "llvm-args=-load=x.so"],
            &["-Cllvm_args=x"],
            &["-Clinker=/bin/sh"],
            &["-C", "linker=/bin/sh"],
            &["-Clink-arg=x"],
            &["-Cpasses=x"],
            &["-Csave-temps"],
            &["@file"],
            &["-o", "x"],
            &["-ox"],
            &["--out-dir", "x"],
            &["--emit", "link=x"],
            &["--emit=link=x"],
            &["--extern", "a=b"],
            &["-L", "x"],
            &["-Lx"],
            &["-l", "x"],
            &["--sysroot", "x"],
            &["--sysroot=x"],
            &["-Zdump-mir=all"],
            &["-Zdump_mir_dir=x"],
            &["-Cincremental=x"],
            &["-Zself-profile=x"],
            &["-Zsanitizer=address"],
            &["-Zsanitizer=kcfi,address"],
            &["-Ctarget-cpu=@file"],
            &["-Ctarget-cpu=a b"],
            &["-Ctarget-cpu=a\x1fb"],
            &["-Ctarget-cpu="],
            &["--cfg=feature=\"x\""],
            &["--remap-path-prefix=a=b"],
            &["-W", "x"],
            &["src/lib.rs"],
            &[""],
            &["-"],
            &["-C"],
            &["-Z"],
            &["--cfg"],
        ] {
            let error = normalise(bad.iter().copied()).expect_err(&format!("{bad:?}"));
            assert_eq!(error.0, 0, "{bad:?}");
            assert!(
                error.1.to_string().contains(bad[0])
                    || bad[0].contains('\x1f')
                    || bad[0].contains('"'),
                "{}",
                error.1
            );
        }
    }

    #[test]
    fn an_option_that_rustc_takes_with_a_value_only_needs_one() {
        for (bad, form) in [
            (&["-C", "target-cpu"][..], "`-Ctarget-cpu=VALUE`"),
            (&["-Ctarget_cpu"], "`-Ctarget-cpu=VALUE`"),
            (&["-Zsanitizer"], "`-Zsanitizer=VALUE`"),
            (&["-C"], "`-CNAME=VALUE`"),
            (&["-Z"], "`-ZNAME=VALUE`"),
            (&["--cfg"], "`--cfg=NAME`"),
        ] {
            let (_, error) = normalise(bad.iter().copied()).expect_err(&format!("{bad:?}"));
            assert!(error.to_string().contains("lacks its value"), "{error}");
            assert!(error.hint().unwrap().contains(form), "{:?}", error.hint());
        }
        for name in WITH_VALUE {
            assert!(CODEGEN.contains(name) || UNSTABLE.contains(name), "{name}");
        }
        assert!(normalise(["-Cforce-frame-pointers", "-Zub-checks"]).is_ok());
    }

    #[test]
    fn two_words_in_one_element_are_answered_with_the_whole_flag() {
        for (bad, hint) in [
            (
                "-C target-cpu=cortex-m4",
                Some("write `-Ctarget-cpu=cortex-m4`"),
            ),
            (
                "--codegen  target_cpu=cortex-m4",
                Some("write `-Ctarget-cpu=cortex-m4`"),
            ),
            ("--cfg my_os", Some("write `--cfg=my_os`")),
            ("-C linker=/bin/sh", None),
            (
                "-C target-cpu",
                Some("write `-Ctarget-cpu=VALUE` as one element"),
            ),
        ] {
            let (_, error) = normalise([bad]).expect_err(bad);
            assert_eq!(error.hint().as_deref(), hint, "{error}");
            assert!(error.to_string().contains("flag `-"), "{error}");
        }
    }

    #[test]
    fn case_121_flags_that_mean_another_cpu_on_another_machine_are_refused() {
        for bad in [
            &["-Ctarget-cpu=native"][..],
            &["-C", "target_cpu=native"],
            &["--codegen=target-cpu=native"],
            &["-Ztune-cpu=native"],
            &["-Z", "tune_cpu=native"],
            &["-Ctarget-feature=+sse4.2,+native"],
        ] {
            let (_, error) = normalise(bad.iter().copied()).expect_err(&format!("{bad:?}"));
            assert!(matches!(error, FlagError::Native { .. }), "{error}");
            assert!(error.hint().unwrap().contains("target-cpus"));
        }
        assert!(normalise(["-Ctarget-cpu=native-x"]).is_ok());
    }

    #[test]
    fn case_154_help_instead_of_a_value_is_refused() {
        for bad in [
            "-Ctarget-cpu=help",
            "-Ztune-cpu=help",
            "-Ctarget-feature=+help",
            "-Ccode-model=help",
        ] {
            let (_, error) = normalise([bad]).expect_err(bad);
            assert!(matches!(error, FlagError::Help { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_a_key_is_no_flag() {
        for (flag, key) in [
            ("-Copt-level=s", "opt-level"),
            ("-O", "opt-level"),
            ("-Cpanic=abort", "panic"),
            ("-Ccodegen_units=1", "codegen-units"),
            ("-Cembed-bitcode=no", "embed-bitcode"),
            ("-Cdebuginfo=2", "debug"),
            ("-g", "debug"),
        ] {
            let (_, error) = normalise([flag]).unwrap_err();
            assert!(
                error.hint().unwrap().contains(&format!("`{key}`")),
                "{flag}"
            );
        }
    }
}
