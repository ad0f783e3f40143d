#!/usr/bin/env bash
# Formatting and lints of the guests, which are a workspace of their own: they are compiled for
# WebAssembly, with the toolchain that scripts/setup.sh has found.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo fmt --all --check --manifest-path guest/Cargo.toml

# shellcheck disable=SC2016 # expanded by the inner shell, which has the environment
route="$(scripts/with-env bash -c 'echo "${AURICLE_WASM_ROUTE:-rustup}"')"
if [ "$route" != rustup ]; then
  # Debian's rustc-web brings no clippy.
  echo "guests: no clippy for the toolchain of route $route; skipped" >&2
  exit 0
fi
cargo clippy --release --manifest-path guest/Cargo.toml --workspace \
  --target wasm32-unknown-unknown -- -D warnings
