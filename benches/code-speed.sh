#!/usr/bin/env bash
# What the choices of a compiled target cost the code that uses it: the same
# program against std as the system ships it and as compiled here with other
# settings, counted in instructions by callgrind, which does not depend on what
# else the machine does. Also prints the size of what was compiled.
#
#   benches/code-speed.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
cd "$root"

ensure_rust
ensure_system_toolchain
if has_apt; then
    ensure_packages valgrind
fi
cargo build --release --locked
sysroot=$root/target/release/sysroot
export SYSROOT_RUSTC=${SYSROOT_RUSTC:-/usr/bin/rustc}
host=$("$SYSROOT_RUSTC" -vV | sed -n 's/^host: //p')

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export SYSROOT_CACHE_DIR=$work/cache

# Compiles the program with a compiler and prints instructions and checksum.
count() {
    "$1" --edition 2024 -O -o "$work/program" benches/code-speed/program.rs
    valgrind --tool=callgrind --callgrind-out-file="$work/callgrind" "$work/program" \
        >"$work/sum" 2>"$work/log"
    awk '/Collected/ { print $4 }' "$work/log"
}

row() {
    printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "$(cat "$work/sum")"
}

printf '| std | instructions | its rlibs | result |\n| --- | ---: | ---: | --- |\n'
shipped=$(count "$SYSROOT_RUSTC")
row "as shipped" "$shipped" "$(du -cb "$(dirname "$("$SYSROOT_RUSTC" --print target-libdir)")"/lib/*.rlib |
    awk 'END { print $1 }')"
for settings in '' 'codegen-units = 16' 'opt-level = 2' 'opt-level = "s"'; do
    project=$work/project
    rm -rf "$project"
    mkdir "$project"
    printf '[toolchain]\nchannel = "system"\n[targets.%s]\nstrategy = "build"\n%s\n' \
        "$host" "$settings" >"$project/sysroot.toml"
    "$sysroot" -C "$project" -q sync
    size=$(du -cb "$project/.sysroot/lib/rustlib/$host/lib"/*.rlib | awk 'END { print $1 }')
    row "compiled, ${settings:-defaults}" "$(count "$project/.sysroot/bin/rustc")" "$size"
done
