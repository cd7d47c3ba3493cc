//! The LLVM arguments a target spec may have in `llvm-args`.
//!
//! The list is of what is allowed, by whole name. LLVM has thousands of
//! options, every part of it may register one, and neither a prefix nor a word
//! in the name tells the harmless ones: `-x86-lvi-load-opt-plugin` loads a
//! library, `-x86-lvi-load-dot` and `-attributor-depgraph-dot-filename-prefix`
//! write files, `-basic-block-sections` reads one. Listed is what built-in
//! specs use (of rustc 1.80 to 1.97), and what tunes code generation.
//!
//! An argument is one element, `-name` or `-name=value`. The value is a word or
//! a number, so it names no file; and it is never in the next element, nor is
//! anything read from a response file (`@file`).

/// Options that change generated code only.
const ALLOWED: &[&str] = &[
    "aarch64-enable-global-merge",
    "align-all-blocks",
    "align-all-functions",
    "align-all-nofallthru-blocks",
    "align-loops",
    "arm-global-merge",
    "arm-promote-constant",
    "arm-restrict-it",
    "bpf-expand-memcpy-in-order",
    "bpf-stack-size",
    "data-sections",
    "disable-block-placement",
    "disable-mips-delay-filler",
    "disable-tail-calls",
    "emulated-tls",
    "enable-emscripten-cxx-exceptions",
    "enable-emscripten-sjlj",
    "enable-global-merge",
    "enable-ipra",
    "enable-machine-outliner",
    "enable-misched",
    "enable-shrink-wrap",
    "enable-tail-merge",
    "exception-model",
    "fast-isel",
    "force-vector-width",
    "function-sections",
    "global-isel",
    "hexagon-small-data-threshold",
    "inline-threshold",
    "inlinecold-threshold",
    "inlinehint-threshold",
    "jump-table-density",
    "max-jump-table-size",
    "membedded-data",
    "mextern-sdata",
    "mgpopt",
    "min-jump-table-entries",
    "mips-ssection-threshold",
    "mips-tail-calls",
    "mlocal-sdata",
    "mno-check-zero-division",
    "mno-ldc1-sdc1",
    "msp430-branch-select",
    "msp430-hwmult-mode",
    "nvptx-fma-level",
    "nvptx-prec-divf32",
    "nvptx-prec-sqrtf32",
    "riscv-v-vector-bits-max",
    "riscv-v-vector-bits-min",
    "tail-merge-size",
    "tail-merge-threshold",
    "trap-unreachable",
    "unique-section-names",
    "unroll-max-count",
    "unroll-runtime",
    "unroll-threshold",
    "vectorize-loops",
    "vectorize-slp",
    "wasm-enable-eh",
    "wasm-enable-sjlj",
    "wasm-use-legacy-eh",
    "x86-align-branch",
    "x86-align-branch-boundary",
    "x86-branches-within-32B-boundaries",
    "x86-experimental-lvi-inline-asm-hardening",
    "x86-speculative-load-hardening",
];

/// The longest accepted value, in bytes.
const MAX_VALUE: usize = 64;

/// Whether an element of `llvm-args` is an option of the list with a plain
/// value or none.
pub(super) fn is_allowed(argument: &str) -> bool {
    let Some(option) = argument.strip_prefix('-') else {
        return false;
    };
    let option = option.strip_prefix('-').unwrap_or(option);
    let (name, value) = option.split_once('=').unwrap_or((option, "0"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-+,".contains(&b);
    ALLOWED.contains(&name) && (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_153_llvm_args_of_built_in_specs_and_tuning_are_allowed() {
        for good in [
            "-mno-check-zero-division",
            "--x86-experimental-lvi-inline-asm-hardening",
            "-enable-emscripten-cxx-exceptions=0",
            "-msp430-hwmult-mode=none",
            "-x86-align-branch=fused+jcc",
            "--inline-threshold=3",
        ] {
            assert!(is_allowed(good), "{good}");
        }
    }

    #[test]
    fn case_153_llvm_args_are_one_element_of_a_listed_name_and_a_plain_value() {
        for bad in [
            "",
            "-",
            "--",
            "inline-threshold=3",
            "---inline-threshold=3",
            " -inline-threshold=3",
            "-inline-threshold 3",
            "-inline-threshold=",
            "-inline-threshold=/x",
            "-inline-threshold=x.so",
            "-inline-threshold=..\\x",
            "-inline-threshold=a=b",
            "-INLINE-THRESHOLD=3",
            "-inline-thresholds=3",
            "3",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
        assert!(!is_allowed(&format!(
            "-inline-threshold={}",
            "1".repeat(65)
        )));
    }
}
