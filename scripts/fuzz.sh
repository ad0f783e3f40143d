#!/usr/bin/env bash
# Builds the fuzz targets and runs each for FUZZ_SECS seconds (600), as many at once as there are
# cores; then the seeded cases of frames. FUZZ_TARGETS names some of them. fuzz/README.md says what
# they are.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"
read -ra targets <<<"${FUZZ_TARGETS:-multipart wav media parameters events subtitles http2 websocket}"
secs="${FUZZ_SECS:-600}"

# HTTP/2 and WebSocket frames: tests of the gateway, not of this workspace.
frames=()
others=()
for target in "${targets[@]}"; do
  case "$target" in
    http2 | websocket) frames+=("$target") ;;
    *) others+=("$target") ;;
  esac
done
targets=("${others[@]}")

fuzz_frames() {
  for target in "${frames[@]}"; do
    (cd .. && AURICLE_FUZZ_SECS="$secs" scripts/with-env cargo test --quiet --release --locked \
      --workspace --lib -- --nocapture "fuzz::${target}_frames")
  done
}
if [ ${#targets[@]} -eq 0 ]; then
  fuzz_frames
  exit
fi

cargo build --quiet --release --locked "${targets[@]/#/--bin=}"
# Not a target: without the counters, which only link with the fuzzer.
RUSTFLAGS="" cargo run --quiet --release --locked -p auricle-fuzz-seeds -- corpus
for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target"
done
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET sh -c "
  target/x86_64-unknown-linux-gnu/release/TARGET corpus/TARGET -artifact_prefix=artifacts/TARGET/ \
    -max_total_time=$secs -max_len=4096 -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
    >artifacts/TARGET/log 2>&1
  status=\$?
  echo \"TARGET: \$(grep -o 'cov: [0-9]* ft: [0-9]*' artifacts/TARGET/log | tail -n 1)\" \
    \"\$(sed -n 's/^stat::number_of_executed_units: */executions: /p' artifacts/TARGET/log)\"
  [ \$status -eq 0 ] || { tail -n 30 artifacts/TARGET/log; exit 1; }"
fuzz_frames
