#!/usr/bin/env bash
# What a remote costs and saves, side by side in one run: a hit beside the
# build it replaces, a whole toolchain beside `rustup toolchain install`, push
# and pull beside a pipe of tar, zstd and curl, and two processes that share a
# cache beside one. The remote is Debian's nginx with WebDAV on loopback.
# Prints a Markdown table: medians, and medians of the rounds' ratios.
#
#   benches/remote.sh [ROUNDS]          three rounds unless told
#   BENCH_SYSROOT=FILE                  another binary than a release of this
#                                       checkout; BENCH_MAKE_DIST likewise
#   BENCH_DIST=DIR BENCH_LEVEL=9        as for benches/rustup.sh
#   BENCH_BUILDS=0                      leaves out what compiles
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
# shellcheck source=benches/lib.sh
. "$root/benches/lib.sh"
cd "$root"

rounds=${1:-3}
builds=${BENCH_BUILDS:-1}
target=thumbv7em-none-eabihf

ensure_rust
ensure_system_toolchain
ensure_nginx
if has_apt; then
    ensure_packages time curl zstd
fi
build_binaries
serve_dist 0
clean_environment
# The machine's compiler, not one that rustup would choose by directory.
system_rustc=/usr/bin/rustc
[ -x "$system_rustc" ] || system_rustc=$(command -v rustc)
export SYSROOT_RUSTC=$system_rustc

# --- the remote -------------------------------------------------------------

user=
[ "$(id -u)" != 0 ] || user='user root;'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$work/files"
cat >"$work/nginx.conf" <<END
$user
daemon off;
master_process off;
pid $work/pid;
error_log $work/error.log;
events { worker_connections 64; }
http {
    access_log off;
    sendfile on;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    client_max_body_size 4g;
    root $work/files;
    server {
        listen 127.0.0.1:$port;
        location / { dav_methods PUT; create_full_put_path on; }
    }
}
END
nginx -p "$work" -c "$work/nginx.conf" >"$work/nginx.log" 2>&1 &
servers+=($!)
remote=http://127.0.0.1:$port
until curl -s -o "$work/answer" "$remote/"; do sleep 0.1; done

"$sysroot" cache keygen "$work/key" >"$work/public" 2>"$work/log"
printf '[trust]\nkeys = ["%s"]\n' "$(cat "$work/public")" >"$work/config.toml"
export SYSROOT_CONFIG=$work/config.toml

# --- what is run ------------------------------------------------------------

# system DIR CACHE TARGET...: a project of the machine's compiler, synced
# without its targets, so that only they are left to do.
system() {
    local dir=$1 cache=$2 target
    shift 2
    mkdir -p "$dir"
    printf '[toolchain]\nchannel = "system"\n' >"$dir/sysroot.toml"
    quietly SYSROOT_CACHE_DIR="$cache" "$sysroot" -C "$dir" sync
    for target; do
        printf '\n[targets.%s]\nstrategy = "build"\ncrates = ["core", "alloc"]\n' "$target"
    done >>"$dir/sysroot.toml"
    quietly SYSROOT_CACHE_DIR="$cache" "$sysroot" -C "$dir" lock
}

quietly() {
    env "$@" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        die "$* failed"
    }
}

# at_once COMMAND COMMAND: one shell that waits for both.
# shellcheck disable=SC2016 # It is that shell which expands them.
at_once() {
    printf '%s & first=$!; %s & second=$!; wait $first && wait $second' "$1" "$2"
}

# run CACHE PROJECT: a sync, as text for a shell.
run() {
    printf 'SYSROOT_CACHE_DIR=%q %q -C %q sync' "$work/cache-$1" "$sysroot" "$work/project-$2"
}

# lacking DIR CACHE LINES: a project whose output and cache lack only what
# these lines of its manifest add.
lacking() {
    local dir=$1 cache=$2
    mkdir -p "$dir"
    printf '[toolchain]\nchannel = "nightly-%s"\nhosts = ["x86_64-unknown-linux-gnu"]\n' "$date" >"$dir/sysroot.toml"
    quietly SYSROOT_CACHE_DIR="$cache" "$sysroot" -C "$dir" sync
    printf "%b" "$3" >>"$dir/sysroot.toml"
    quietly SYSROOT_CACHE_DIR="$cache" "$sysroot" -C "$dir" lock
}

# Two processes that need different parts, with one cache and with one each.
disjoint() {
    local std="[targets.$second]\nstrategy = \"download\"\n" sources='components = ["rust-src"]\n'
    lacking "$work/project-shared-a" "$work/cache-shared" "$std"
    lacking "$work/project-shared-b" "$work/cache-shared" "$sources"
    lacking "$work/project-own-a" "$work/cache-own-a" "$std"
    lacking "$work/project-own-b" "$work/cache-own-b" "$sources"
    sync
    measure own bash -c "$(at_once "$(run own-a own-a)" "$(run own-b own-b)")"
    sync
    measure shared bash -c "$(at_once "$(run shared shared-a)" "$(run shared shared-b)")"
}

# One round of what compiles.
compile() {
    # A compiled target: built, and from the remote.
    system "$work/project-build" "$work/cache-build" "$target"
    measure build env SYSROOT_CACHE_DIR="$work/cache-build" "$sysroot" -C "$work/project-build" sync
    quietly SYSROOT_CACHE_DIR="$work/cache-build" SYSROOT_REMOTE="$remote" \
        SYSROOT_REMOTE_ACCESS=read-write "$sysroot" -C "$work/project-build" cache push --sign "$work/key"
    system "$work/project-hit" "$work/cache-hit" "$target"
    measure hit env SYSROOT_CACHE_DIR="$work/cache-hit" SYSROOT_REMOTE="$remote" \
        "$sysroot" -C "$work/project-hit" sync

    # Two processes that need the same one: one waits for the other.
    for name in same-a same-b; do
        system "$work/project-$name" "$work/cache-same" "$target"
    done
    measure same bash -c "$(at_once "$(run same same-a)" "$(run same same-b)")"
}

for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    erase "$RUSTUP_HOME" "$CARGO_HOME" "$work"/cache* "$work"/project-* "$work"/files/*
    mkdir -p "$RUSTUP_HOME" "$CARGO_HOME"

    [ "$builds" = 0 ] || compile
    disjoint

    # A whole toolchain.
    sync
    measure install "$rustup" toolchain install "nightly-$date" --profile minimal \
        --no-self-update --target "$second" --component rust-src
    checkout "$work/project-full" "$second"
    quietly SYSROOT_CACHE_DIR="$work/cache-full" "$sysroot" -C "$work/project-full" sync
    erase "$work"/files/*
    sync
    measure push env SYSROOT_CACHE_DIR="$work/cache-full" SYSROOT_REMOTE="$remote" \
        SYSROOT_REMOTE_ACCESS=read-write \
        "$sysroot" -C "$work/project-full" cache push --components --sign "$work/key"
    trees=$work/cache-full/v1/trees
    sync
    measure send bash -o pipefail -c "tar -C $trees -c . | zstd -q -3 | curl -sS --fail -T- $remote/stream"
    for name in pull sync; do
        mkdir "$work/project-$name"
        cp "$work"/project-full/sysroot.* "$work/project-$name/"
    done
    sync
    measure pull env SYSROOT_CACHE_DIR="$work/cache-pull" SYSROOT_REMOTE="$remote" \
        "$sysroot" -C "$work/project-pull" cache pull
    [ "$(find "$work/cache-pull/v1/trees" -type f | wc -l)" = "$(find "$trees" -type f | wc -l)" ] ||
        die "not everything was pulled"
    mkdir "$work/cache-pipe"
    sync
    # The pull ends when everything is on the disk, so the pipe must, too.
    measure receive bash -o pipefail -c \
        "curl -sS --fail $remote/stream | zstd -q -d | tar -C $work/cache-pipe -x && sync -f $work/cache-pipe"
    erase "$work/cache-pipe"
    mkdir "$work/cache-pipe"
    sync
    measure receive-cached bash -o pipefail -c \
        "curl -sS --fail $remote/stream | zstd -q -d | tar -C $work/cache-pipe -x"
    sync
    measure sync env SYSROOT_CACHE_DIR="$work/cache-sync" SYSROOT_REMOTE="$remote" \
        "$sysroot" -C "$work/project-sync" sync
done

size=$(du -sm "$trees" | cut -f1)
printf '\nMedians of %d rounds, %s cores, %s toolchain (%s MB unpacked), xz level %s, %s.\n\n' \
    "$rounds" "$(nproc)" "$source" "$size" "$level" "$("$rustup" --version 2>/dev/null)"
# shellcheck disable=SC2016 # The backticks are Markdown's.
{
    echo '| | sysroot | other | ratio | wanted | of CPU time |'
    echo '| --- | ---: | ---: | ---: | --- | ---: |'
    [ "$builds" = 0 ] || pair_row '`sync` of a compiled target from the remote / compiling it' hit build '<= 0.05'
    pair_row '`cache pull` of a toolchain / `rustup toolchain install`' pull install '<= 0.333'
    pair_row '`sync` of it from the remote / `rustup toolchain install`' sync install '<= 0.333'
    pair_row '`cache push` of it / `tar`, `zstd -3`, `curl -T-`' push send '<= 1.3'
    pair_row '`cache pull` of it / `curl`, `zstd -d`, `tar -x`, `sync -f`' pull receive '<= 1.3'
    pair_row 'the same / without `sync -f`' pull receive-cached ''
    pair_row 'two processes that fetch different parts into one cache / into two' shared own '<= 1.05'
    [ "$builds" = 0 ] || pair_row 'two that need one compiled target / one' same build '<= 1.05'
}
