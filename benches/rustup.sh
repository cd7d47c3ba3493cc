#!/usr/bin/env bash
# Compares sysroot with rustup, side by side in one run: the same components
# from the same server on loopback, each with homes of its own. Prints a
# Markdown table of medians.
#
#   benches/rustup.sh [ROUNDS]          five rounds unless told
#   BENCH_DIST=DIR BENCH_LEVEL=9        where the dist tree is kept, and its
#                                       compression: 9 is upstream's
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
cd "$root"

rounds=${1:-5}
level=${BENCH_LEVEL:-9}
dist=${BENCH_DIST:-$root/target/bench-dist-$level}
date=2026-05-20
second=aarch64-unknown-linux-gnu
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

# --- what is compared -------------------------------------------------------

cargo build --release --locked
cargo build --release --locked --example make-dist
sysroot=$root/target/release/sysroot
make_dist=$root/target/release/examples/make-dist

source=debian
for toolchain in nightly stable; do
    if rustup which rustc --toolchain "$toolchain" >/dev/null 2>&1; then
        source=$toolchain
        break
    fi
done
say "packing the $source toolchain at level $level into $dist (kept for the next run)"
"$make_dist" build "$dist" --level "$level" --small-targets ${#small[@]} --copy-std "$second" \
    "$date=$source" >/dev/null

work=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
    fi
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

"$make_dist" serve "$dist" >"$work/url" &
server=$!
until [ -s "$work/url" ]; do sleep 0.1; done
url=$(cat "$work/url")

# Nothing of the user's: not their settings, not CI's defaults.
unset CI RUSTUP_TOOLCHAIN SYSROOT_REMOTE SYSROOT_CONFIG SYSROOT_OFFLINE SYSROOT_JOBS
export RUSTUP_DIST_SERVER=$url SYSROOT_DIST_SERVER=$url
export RUSTUP_HOME=$work/rustup CARGO_HOME=$work/cargo SYSROOT_CACHE_DIR=$work/cache
export RUSTUP_TERM_PROGRESS_WHEN=never NO_COLOR=1
rustup=$(command -v rustup)

# --- measuring --------------------------------------------------------------

# measure NAME COMMAND...: appends "seconds kilobytes" to the name's file.
measure() {
    local name=$1
    shift
    /usr/bin/time -q -a -o "$work/$name" -f '%e %M' "$@" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        die "$* failed"
    }
}

# Like measure, for what takes milliseconds: the mean of TIMES runs in a row.
measure_many() {
    local name=$1 times=$2 started ended i
    shift 2
    started=${EPOCHREALTIME/./}
    for ((i = 0; i < times; i++)); do
        "$@" >"$work/log" 2>&1 </dev/null || {
            cat "$work/log" >&2
            die "$* failed"
        }
    done
    ended=${EPOCHREALTIME/./}
    awk -v us=$((ended - started)) -v n="$times" 'BEGIN { printf "%.6f 0\n", us / n / 1e6 }' >>"$work/$name"
}

# median NAME COLUMN
median() {
    awk -v column="$2" '{ print $column }' "$work/$1" | sort -g |
        awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'
}

# row WHAT OURS THEIRS WANTED FACTOR UNIT: shown values are multiplied.
row() {
    awk -v what="$1" -v ours="$2" -v theirs="$3" -v wanted="$4" -v factor="$5" -v unit="$6" 'BEGIN {
        printf "| %s | %.1f %s | %.1f %s | %.3f | %s |\n", what, ours * factor, unit, theirs * factor, unit, ours / theirs, wanted
    }'
}

# checkout DIR TARGET...
checkout() {
    local dir=$1 target
    shift
    mkdir -p "$dir"
    {
        printf '[toolchain]\nchannel = "nightly-%s"\nhosts = ["x86_64-unknown-linux-gnu"]\ncomponents = ["rust-src"]\n' "$date"
        for target; do
            printf '\n[targets.%s]\nstrategy = "download"\n' "$target"
        done
    } >"$dir/sysroot.toml"
}

erase() {
    chmod -R u+w "$@" 2>/dev/null || true
    rm -rf "$@"
}

# --- cold and warm ----------------------------------------------------------

for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    erase "$RUSTUP_HOME" "$CARGO_HOME" "$SYSROOT_CACHE_DIR" "$work"/{cold,warm,many}
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

    checkout "$work/many" "${small[@]}"
    "$sysroot" -C "$work/many" sync >/dev/null 2>&1 </dev/null
    "$rustup" target add --toolchain "nightly-$date" "${small[@]}" >/dev/null 2>&1
    measure_many sysroot-noop 20 "$sysroot" -C "$work/many" sync
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
    row 'its instructions (callgrind)' "${ours:-0}" "${theirs:-1}" '' 0.000001 M
    row '`verify --deep` / `b3sum` of the same files' "$(median verify-deep 1)" "$(median b3sum 1)" '<= 1.25' 1000 ms
}
