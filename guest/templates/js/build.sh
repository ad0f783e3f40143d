#!/bin/sh
# Builds my-component.wasm. It takes Node.js 20 or later with npm.
set -eu
cd "$(dirname "$0")"
# The tools are pinned in package-lock.json; none of their scripts is run.
[ -d node_modules ] || npm ci --ignore-scripts --no-audit --no-fund --silent
npm run --silent build
echo "built $PWD/my-component.wasm"
