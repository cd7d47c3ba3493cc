# shellcheck shell=bash
# What the benchmarks that compare whole programs share: the binaries, a dist
# server on loopback with a toolchain of this machine, measuring, and tables.
# They set `root`, the checkout's directory, and read scripts/lib.sh first.
# shellcheck disable=SC2034 # They use what is set here.
: "${root:?}"

date=2026-05-20
second=aarch64-unknown-linux-gnu
level=${BENCH_LEVEL:-9}
dist=${BENCH_DIST:-$root/target/bench-dist-$level}

work=$(mktemp -d)
servers=()
cleanup() {
    local server
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
    done
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Builds what is compared, unless BENCH_SYSROOT and BENCH_MAKE_DIST name it.
build_binaries() {
    sysroot=${BENCH_SYSROOT:-$root/target/release/sysroot}
    make_dist=${BENCH_MAKE_DIST:-$root/target/release/examples/make-dist}
    [ -n "${BENCH_SYSROOT:-}" ] || cargo build --release --locked
    [ -n "${BENCH_MAKE_DIST:-}" ] || cargo build --release --locked --example make-dist
}

# serve_dist SMALL: packs a toolchain of this machine and so many small targets
# into a dist tree, and serves it at `url`.
serve_dist() {
    local toolchain
    source=debian
    for toolchain in nightly stable; do
        if rustup which rustc --toolchain "$toolchain" >/dev/null 2>&1; then
            source=$toolchain
            break
        fi
    done
    say "packing the $source toolchain at level $level into $dist (kept for the next run)"
    "$make_dist" build "$dist" --level "$level" --small-targets "$1" --copy-std "$second" \
        "$date=$source" >/dev/null
    "$make_dist" serve "$dist" >"$work/url" &
    servers+=($!)
    until [ -s "$work/url" ]; do sleep 0.1; done
    url=$(cat "$work/url")
}

# Nothing of the user's: not their settings, not CI's defaults.
clean_environment() {
    unset CI RUSTUP_TOOLCHAIN SYSROOT_REMOTE SYSROOT_REMOTE_ACCESS SYSROOT_CONFIG \
        SYSROOT_OFFLINE SYSROOT_JOBS
    export RUSTUP_DIST_SERVER=$url SYSROOT_DIST_SERVER=$url
    export RUSTUP_HOME=$work/rustup CARGO_HOME=$work/cargo SYSROOT_CACHE_DIR=$work/cache
    export RUSTUP_TERM_PROGRESS_WHEN=never NO_COLOR=1
    rustup=$(command -v rustup)
}

# measure NAME COMMAND...: appends "seconds kilobytes cpu-seconds" to the
# name's file.
measure() {
    local name=$1
    shift
    /usr/bin/time -q -o "$work/time" -f '%e %M %U %S' "$@" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        die "$* failed"
    }
    awk '{ print $1, $2, $3 + $4 }' "$work/time" >>"$work/$name"
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
    awk -v us=$((ended - started)) -v n="$times" 'BEGIN { printf "%.6f 0 0\n", us / n / 1e6 }' >>"$work/$name"
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

# pair_row WHAT OURS THEIRS WANTED: two names' medians, and the median of the
# rounds' own ratios, by wall and by CPU time, so that a round in which the
# machine was busy spoils neither.
pair_row() {
    local ratio cpu
    ratio=$(paste -d' ' "$work/$2" "$work/$3" | awk '{ print $1 / $4 }' | middle)
    cpu=$(paste -d' ' "$work/$2" "$work/$3" | awk '$6 > 0 { print $3 / $6 }' | middle)
    awk -v what="$1" -v ours="$(median "$2" 1)" -v theirs="$(median "$3" 1)" -v wanted="$4" \
        -v ratio="$ratio" -v cpu="$cpu" 'BEGIN {
        printf "| %s | %.2f s | %.2f s | %.3f | %s | %.3f |\n", what, ours, theirs, ratio, wanted, cpu
    }'
}

middle() {
    sort -g | awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'
}

# checkout DIR TARGET...: with rust-src, unless `components` says otherwise.
components='"rust-src"'
checkout() {
    local dir=$1 target
    shift
    mkdir -p "$dir"
    {
        printf '[toolchain]\nchannel = "nightly-%s"\nhosts = ["x86_64-unknown-linux-gnu"]\ncomponents = [%s]\n' "$date" "$components"
        for target; do
            printf '\n[targets.%s]\nstrategy = "download"\n' "$target"
        done
    } >"$dir/sysroot.toml"
}

erase() {
    chmod -R u+w "$@" 2>/dev/null || true
    rm -rf "$@"
}
