#!/usr/bin/env bash
# Compares sysroot with rustup, side by side in one run: the same components
# from the same server on loopback, each with homes of its own. Prints a
# Markdown table of medians.
#
#   benches/rustup.sh [ROUNDS]          five rounds unless told
#   BENCH_DIST=DIR BENCH_LEVEL=9        where the dist tree is kept, and its
#                                       compression: 9 is upstream's
#   BENCH_SYSROOT=FILE                  another binary than a release of this
#                                       checkout
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
# shellcheck source=benches/lib.sh
. "$root/benches/lib.sh"
cd "$root"

rounds=${1:-5}
small=(
    aarch64-unknown-none aarch64-unknown-none-softfloat armebv7r-none-eabihf armv7a-none-eabi
    armv7a-none-eabihf armv7r-none-eabi armv7r-none-eabihf loongarch64-unknown-none
    riscv32i-unknown-none-elf riscv32im-unknown-none-elf riscv32imac-unknown-none-elf
    riscv32imafc-unknown-none-elf riscv32imc-unknown-none-elf riscv64gc-unknown-none-elf
    riscv64imac-unknown-none-elf thumbv6m-none-eabi thumbv7em-none-eabi thumbv7em-none-eabihf
    thumbv7m-none-eabi x86_64-unknown-none
)

ensure_rust
if has_apt; then
    ensure_packages time b3sum valgrind rust-web-src
fi

build_binaries
serve_dist ${#small[@]}
clean_environment

# --- cold and warm ----------------------------------------------------------

for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    erase "$RUSTUP_HOME" "$CARGO_HOME" "$SYSROOT_CACHE_DIR" "$work"/{cold,warm,many,many-src}
    mkdir -p "$RUSTUP_HOME" "$CARGO_HOME"
    sync

    measure rustup-cold "$rustup" toolchain install "nightly-$date" --profile minimal \
        --no-self-update --target "$second" --component rust-src
    sync
    checkout "$work/cold" "$second"
    measure sysroot-cold "$sysroot" -C "$work/cold" sync
    sync
    checkout "$work/warm" "$second"
    cp "$work/cold/sysroot.lock" "$work/warm/"
    measure_many sysroot-warm 1 "$sysroot" -C "$work/warm" sync

    measure verify-deep "$sysroot" -C "$work/warm" verify --deep
    # The same files, each once although it may have several names.
    find "$work/warm/.sysroot" "$SYSROOT_CACHE_DIR" -type f -size +0 -printf '%i %p\n' |
        sort -u -k1,1 | cut -d' ' -f2- | tr '\n' '\0' >"$work/files"
    measure b3sum xargs -0 -n 100000 -a "$work/files" b3sum

    find "$SYSROOT_CACHE_DIR" -type f -size +0 -print0 >"$work/stored"
    measure cache-verify "$sysroot" cache verify
    measure b3sum-store xargs -0 -n 100000 -a "$work/stored" b3sum

    # rust-src has three quarters of all files, and rustup looks at none.
    components='' checkout "$work/many" "${small[@]}"
    checkout "$work/many-src" "${small[@]}"
    for project in many many-src; do
        "$sysroot" -C "$work/$project" sync >/dev/null 2>&1 </dev/null
    done
    "$rustup" target add --toolchain "nightly-$date" "${small[@]}" >/dev/null 2>&1
    measure_many sysroot-noop 20 "$sysroot" -C "$work/many" sync
    measure_many sysroot-noop-src 20 "$sysroot" -C "$work/many-src" sync
    measure_many rustup-noop 20 "$rustup" target add --toolchain "nightly-$date" "${small[0]}"
done

say "counting instructions of the no-op"
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 </dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p' | tail -n 1
}
ours=$(instructions "$sysroot" -C "$work/many" sync)
theirs=$(instructions "$rustup" target add --toolchain "nightly-$date" "${small[0]}")

printf '\nMedians of %d rounds, %s cores, %s toolchain, xz level %s, %s.\n\n' \
    "$rounds" "$(nproc)" "$source" "$level" "$("$rustup" --version 2>/dev/null)"
# shellcheck disable=SC2016 # The backticks are Markdown's.
{
    echo '| | sysroot | other | ratio | wanted |'
    echo '| --- | ---: | ---: | ---: | --- |'
    row 'cold sync by download / `rustup toolchain install`' "$(median sysroot-cold 1)" "$(median rustup-cold 1)" '<= 0.5' 1 s
    row 'its peak memory' "$(median sysroot-cold 2)" "$(median rustup-cold 2)" '<= 1' 0.0009765625 MiB
    row 'warm sync of a fresh checkout / `rustup toolchain install`' "$(median sysroot-warm 1)" "$(median rustup-cold 1)" '<= 0.033' 1000 ms
    row 'no-op sync, 20 targets / `rustup target add` of one installed' "$(median sysroot-noop 1)" "$(median rustup-noop 1)" '< 0.5' 1000 ms
    row 'the same with rust-src, 3 351 files more' "$(median sysroot-noop-src 1)" "$(median rustup-noop 1)" '' 1000 ms
    row 'instructions of the no-op without rust-src (callgrind)' "${ours:-0}" "${theirs:-1}" '' 0.000001 M
    row '`verify --deep` / `b3sum` of the same files' "$(median verify-deep 1)" "$(median b3sum 1)" '<= 1.25' 1000 ms
    row '`cache verify` / `b3sum` of the store' "$(median cache-verify 1)" "$(median b3sum-store 1)" '' 1000 ms
}
