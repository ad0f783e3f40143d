#!/usr/bin/env bash
# Makes a fresh Debian 12 machine ready to build, test and serve: system packages, a WebAssembly
# target, models and the ONNX Runtime library. Run it as often as you like: what is there is left
# alone, and a second run takes seconds and needs no network.
#
# It needs cargo (a prerequisite), and root or sudo only where packages are missing.
#
# Guests are compiled for wasm32-unknown-unknown. Where rustup cannot add that target, Debian's
# rustc-web compiles the standard library for it from source. Which way was taken stands in
#     ${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/auricle}/wasm-toolchain.env
# as KEY=VALUE lines that scripts/with-env puts into the environment of a build:
#     AURICLE_WASM_ROUTE      rustup: the toolchain has the target, nothing else is needed
#                             build-std: the next three lines say how
#     AURICLE_WASM_RUSTC      the compiler to use (cargo's RUSTC), with RUSTC_BOOTSTRAP=1
#     AURICLE_WASM_BUILD_STD  the value for cargo's -Z build-std
#     AURICLE_WASM_LINKER     the linker for the target
# AURICLE_WASM_ROUTE=build-std in the environment of this script skips rustup.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}"
TARGET=wasm32-unknown-unknown
PACKAGES=(cmake clang libclang-dev pkg-config g++ make libopenblas-dev
  python3 python3-pip ca-certificates)
WASM_PACKAGES=(rustc-web rust-web-src lld)

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# Prints those of the given Debian packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    # shellcheck disable=SC2016 # the format is dpkg's, not the shell's
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
      echo "$package"
    fi
  done
}

# Installs Debian packages, as root or with sudo; else says exactly what to run.
install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      die "these packages are missing; run this as root, then 'make setup' again:
    apt-get update && apt-get install -y --no-install-recommends $*"
    fi
  fi
  say "installing $*"
  "${as_root[@]}" apt-get update -q >&2 || return 1
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "$@" >&2 || return 1
}

system_packages() {
  command -v dpkg-query >/dev/null || {
    say "this is no Debian: have a C++ compiler, cmake, clang with libclang, pkg-config, OpenBLAS" \
      "with headers, and python3 with pip (on Debian: ${PACKAGES[*]})"
    return 0
  }
  local missing
  mapfile -t missing < <(missing_packages "${PACKAGES[@]}")
  [ "${#missing[@]}" -eq 0 ] && return 0
  install_packages "${missing[@]}" || die "apt-get failed; see above"
}

rust_toolchain() {
  command -v cargo >/dev/null || die "cargo is missing. Install Rust with rustup:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
  open a new shell, then run 'make setup' again"
  cargo --version >/dev/null 2>&1 && return 0
  # rust-toolchain.toml asks for a version that is not there yet.
  local channel
  channel="$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)"
  say "installing the Rust toolchain $channel"
  rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy >&2 \
    || die "rustup cannot install Rust $channel; install it by hand, then run 'make setup' again"
}

write_wasm_env() {
  mkdir -p "$CACHE"
  printf '%s\n' "$@" >"$CACHE/wasm-toolchain.env.$$"
  mv "$CACHE/wasm-toolchain.env.$$" "$CACHE/wasm-toolchain.env"
}

has_wasm_std() {
  compgen -G "$(rustc --print sysroot)/lib/rustlib/$TARGET/lib/libstd-*.rlib" >/dev/null
}

wasm_target() {
  if [ "${AURICLE_WASM_ROUTE:-}" != build-std ]; then
    if has_wasm_std || { add_wasm_target && has_wasm_std; }; then
      write_wasm_env AURICLE_WASM_ROUTE=rustup
      return 0
    fi
    say "rustup cannot add $TARGET; using Debian's rustc-web"
  fi
  wasm_from_debian
}

add_wasm_target() {
  command -v rustup >/dev/null || return 1
  say "adding the Rust target $TARGET"
  rustup target add "$TARGET" >&2
}

wasm_from_debian() {
  local missing linker
  command -v dpkg-query >/dev/null || die "cannot get the Rust target $TARGET.
  Have your toolchain provide it ('rustup target add $TARGET'), then run 'make setup' again"
  mapfile -t missing < <(missing_packages "${WASM_PACKAGES[@]}")
  if [ "${#missing[@]}" -gt 0 ]; then
    install_packages "${missing[@]}" \
      || die "neither rustup nor apt-get can provide $TARGET; with a network try again"
  fi
  linker="$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld"
  [ -x "$linker" ] || linker="$(command -v wasm-ld || compgen -G '/usr/bin/wasm-ld-*' | tail -n 1)"
  [ -n "$linker" ] || die "no WebAssembly linker: install lld, then run 'make setup' again"
  write_wasm_env AURICLE_WASM_ROUTE=build-std AURICLE_WASM_RUSTC=/usr/bin/rustc \
    AURICLE_WASM_BUILD_STD=std,panic_abort "AURICLE_WASM_LINKER=$linker"
}

models() {
  scripts/with-env cargo run --quiet --release --locked -p auricle-models --bin auricle-setup -- \
    pull --for-setup
}

rust_toolchain
system_packages
wasm_target
models
say "ready"
