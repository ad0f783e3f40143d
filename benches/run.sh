#!/usr/bin/env bash
# Runs the benchmarks and writes their tables into docs/benchmarks/:
#     benches/run.sh [quality|voice|throughput|overhead|memory|roles|decode|first_event|deploy|hour|der|speakers]...
# Without an argument all of them, which takes about an hour on two cores; quality does not depend
# on what else the machine does, the others do. Audio comes from the directory AURICLE_EVAL_DATA.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE="${AURICLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/auricle}/benches"
export AURICLE_EVAL_DATA="${AURICLE_EVAL_DATA:-../shared/data}"
ALL=(quality voice roles decode first_event deploy memory overhead throughput hour der speakers)

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

for subset in "${subsets[@]}"; do
  say "$subset"
  "$python" "benches/python/$subset.py"
done
