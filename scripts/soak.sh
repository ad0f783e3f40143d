#!/usr/bin/env bash
# The long form of the hostile suite, MINUTES (30) long, and of the storm of swaps, SWAPS (1000) of
# them. Writes docs/benchmarks/soak.md.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

PAGE=docs/benchmarks/soak.md

one() {
  scripts/with-env cargo test --release --locked --workspace --test all -- --nocapture --exact "$1"
}

scripts/with-env cargo build --release --locked --workspace --bins --tests
AURICLE_SOAK_MINUTES="${MINUTES:-30}" \
  one faults::no_fault_is_noticed_by_the_victim_and_all_memory_comes_back
storm="$(AURICLE_STORM_SWAPS="${SWAPS:-1000}" \
  one deploying::storm::swaps_under_load_fail_no_request_and_nothing_grows)"
printf '%s\n' "$storm"
printf '\nComponents swapped while three clients ask without pause: %s.\n' \
  "$(grep -m1 ' swaps, ' <<<"$storm")" >>"$PAGE"
