"""Instantiate + call + drop of each role, against the same component on bare wasmtime."""

import json
import os
import subprocess

import common

# What criterion calls a case, and what it is.
CASES = {
    ("handler", "404", "handler: an HTTP request answered with 404"): 0,
    ("chunker", "30s", "chunker: split of a clip of 30 s"): 0,
    ("chunker", "3600s", "chunker: split of a clip of 1 h"): 0,
    ("speaker-assigner", "1", "speaker-assigner: 1 segment of 12 words"): 0,
    ("speaker-assigner", "100", "speaker-assigner: 100 segments of 12 words"): 0,
}


def main():
    command = ["scripts/with-env", "cargo", "bench", "--locked", "-p", "auricle-benches"]
    busy = common.busy_secs()
    subprocess.run([*command, "--bench", "roles"], check=True, cwd=common.ROOT)
    del busy
    common.write_section("roles", "roles", "roles", report())


def report():
    rows = []
    for group, case, name in CASES:
        ours, bare = (estimate(group, side, case) for side in ("auricle", "bare"))
        rows.append([name, time(ours), time(bare), time(ours - bare), f"{ours / bare:.2f}"])
    head = ["Instantiate + call + drop", "auricle", "bare wasmtime", "difference", "ratio"]
    note = "Median of criterion's 100 samples, the sides one after the other in one run."
    return f"{note}\n\n{common.table(head, rows)}"


def estimate(group, side, case):
    """Nanoseconds."""
    target = common.pathlib.Path(os.environ.get("CARGO_TARGET_DIR", common.ROOT / "target"))
    for folder in (f"{side}_{case}", f"{side}/{case}"):
        file = target / "criterion" / group / folder / "new" / "estimates.json"
        if file.exists():
            return json.loads(file.read_text())["median"]["point_estimate"]
    raise SystemExit(f"criterion left no estimate of {group}/{side}/{case}")


def time(nanos):
    for unit, factor in (("ms", 1e6), ("µs", 1e3)):
        if abs(nanos) >= factor:
            return f"{nanos / factor:.3g} {unit}"
    return f"{nanos:.0f} ns"


if __name__ == "__main__":
    main()
