#!/usr/bin/env bash
# Runs the benchmarks and writes their tables into docs/benchmarks/:
#     benches/run.sh [quality|voice|throughput|overhead|memory|roles|decode|http_requests|first_event|deploy|hour|der|speakers]...
# Without an argument all of them, which takes about an hour on two cores; quality does not depend
# on what else the machine does, the others do. Audio comes from the directory AURICLE_EVAL_DATA.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/benches"
export AURICLE_EVAL_DATA="${AURICLE_EVAL_DATA:-../shared/data}"
ALL=(quality voice roles decode http_requests first_event deploy memory overhead throughput hour der speakers)

say() { printf 'bench: %s\n' "$*" >&2; }

subsets=("${@:-${ALL[@]}}")
for subset in "${subsets[@]}"; do
  [[ " ${ALL[*]} " == *" $subset "* ]] || {
    say "no benchmark '$subset'; there are: ${ALL[*]}"
    exit 2
  }
done
[ -d "$AURICLE_EVAL_DATA" ] || {
  say "no audio in '$AURICLE_EVAL_DATA': set AURICLE_EVAL_DATA"
  exit 2
}

python="$CACHE/venv/bin/python"
if ! cmp -s benches/requirements.txt "$CACHE/installed.txt"; then
  say "installing the Python packages of benches/requirements.txt"
  python3 -m venv --clear "$CACHE/venv"
  "$python" -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt
  cp benches/requirements.txt "$CACHE/installed.txt"
fi

# Bins alone would be built with other features of wasmtime than `make test` does, anew.
scripts/with-env cargo build --release --locked --workspace --bins --examples
for model in base:q8_0 base:f16 base:q5_1; do
  ./target/release/auricle models pull "$model" >/dev/null
done

# For http_requests: the program of the wasmtime that the workspace locks.
wasmtime_cli() {
  local version features
  version="$(sed -n '/^name = "wasmtime"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)"
  "$CACHE/wasmtime/bin/wasmtime" --version 2>/dev/null | grep -q "^wasmtime $version" && return
  say "building wasmtime-cli $version (some ten minutes)"
  features=run,serve,pooling-allocator,component-model,component-model-async,cranelift,parallel-compilation,disable-logging
  cargo install --quiet --locked --root "$CACHE/wasmtime" "wasmtime-cli@$version" \
    --no-default-features --features "$features"
}

for subset in "${subsets[@]}"; do
  say "$subset"
  [ "$subset" != http_requests ] || wasmtime_cli
  "$python" "benches/python/$subset.py"
done
