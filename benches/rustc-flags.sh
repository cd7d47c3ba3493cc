#!/usr/bin/env bash
# What one compilation of `core` costs with other flags, and whether the files
# stay the same: the evidence for docs/building-core.md. Prints a Markdown
# table; variants take turns, so that a busy moment hits all of them.
#
#   benches/rustc-flags.sh [ROUNDS]     three rounds unless told
#   SYSROOT_TEST_RUSTC=FILE             another compiler than /usr/bin/rustc
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

rounds=${1:-3}
ensure_system_toolchain
if has_apt; then
    ensure_packages time
fi
rustc=${SYSROOT_TEST_RUSTC:-/usr/bin/rustc}
source=$("$rustc" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names=() options=() environments=()
variant() {
    names+=("$1") options+=("$2") environments+=("${3:-}")
}
# shellcheck disable=SC2016 # The backticks are Markdown's.
{
    variant 'as compiled (1 code generation unit, bitcode)' ''
    variant '`-Zthreads=2`' '-Zthreads=2'
    variant '`-Ccodegen-units=16`' '-Ccodegen-units=16'
    variant '`-Cembed-bitcode=no`' '-Cembed-bitcode=no'
    variant '`--cap-lints=allow`' '--cap-lints=allow'
    variant '`-Znext-solver=no`' '-Znext-solver=no'
    variant '`--emit=metadata,link`, no dep-info' '--emit=metadata,link'
    variant 'no trimming (`GLIBC_TUNABLES`)' '' \
        'GLIBC_TUNABLES=glibc.malloc.top_pad=67108864:glibc.malloc.trim_threshold=4294967296:glibc.malloc.mmap_threshold=1073741824'
    variant 'larger caches of each thread (`GLIBC_TUNABLES`)' '' \
        'GLIBC_TUNABLES=glibc.malloc.tcache_count=127:glibc.malloc.mxfast=160'
    variant 'huge pages, no trimming (`GLIBC_TUNABLES`)' '' \
        'GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864:glibc.malloc.trim_threshold=4294967296:glibc.malloc.mmap_threshold=1073741824'
}

compile() {
    local i=$1 out=$work/$1 emit=--emit=dep-info,metadata,link
    rm -rf "$out"
    mkdir "$out"
    case ${options[i]} in --emit=*) emit= ;; esac
    # shellcheck disable=SC2086 # Options and variables are words.
    env -i PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 ${environments[i]} \
        /usr/bin/time -q -a -o "$work/times-$i" -f '%e %U %S %M' \
        "$rustc" --crate-name core --edition=2024 "$source" --crate-type lib $emit \
        -Copt-level=3 -Cembed-bitcode=yes -Ccodegen-units=1 -Cmetadata=0 \
        -Zforce-unstable-if-unmarked --target thumbv7em-none-eabihf --out-dir "$out" \
        ${options[i]} >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "${names[i]} does not compile"
    }
    [ "$i" = 0 ] || same "$out" || touch "$work/differs-$i"
}

same() {
    cmp -s "$work/0/libcore.rlib" "$1/libcore.rlib" && cmp -s "$work/0/libcore.rmeta" "$1/libcore.rmeta"
}

for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    for i in "${!names[@]}"; do
        compile "$i"
    done
done

median() {
    awk -v column="$2" '{ print $column }' "$work/times-$1" | sort -g |
        awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'
}

printf '\nMedians of %d rounds, %s cores, %s, thumbv7em-none-eabihf.\n\n' \
    "$rounds" "$(nproc)" "$("$rustc" -V)"
echo '| variant | wall | user | system | peak memory | the same files |'
echo '|---|---:|---:|---:|---:|---|'
for i in "${!names[@]}"; do
    files=yes
    [ ! -e "$work/differs-$i" ] || files=no
    printf '| %s | %.1f s | %.1f s | %.1f s | %.0f MiB | %s |\n' "${names[i]}" "$(median "$i" 1)" \
        "$(median "$i" 2)" "$(median "$i" 3)" "$(($(median "$i" 4 | cut -d. -f1) / 1024))" "$files"
done
