#!/bin/sh
# Builds my-component.wasm. It takes Rust with the target wasm32-unknown-unknown
# (rustup target add wasm32-unknown-unknown), and `auricle`.
set -eu
cd "$(dirname "$0")"
cargo build --quiet --release --locked --target wasm32-unknown-unknown --target-dir target
auricle component encode target/wasm32-unknown-unknown/release/my_component.wasm -o my-component.wasm
echo "built $PWD/my-component.wasm"
