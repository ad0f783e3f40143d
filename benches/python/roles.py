"""Instantiate + call + drop of each role, against the same component on bare wasmtime."""

import common
from common import BIN

CASES = {
    "handler": "handler: an HTTP request answered with 404",
    "chunker-30": "chunker: split of a clip of 30 s",
    "chunker-3600": "chunker: split of a clip of 1 h",
    "speaker-assigner-1": "speaker-assigner: 1 segment of 12 words",
    "speaker-assigner-100": "speaker-assigner: 100 segments of 12 words",
}


def main():
    run = common.run([BIN / "role-speed"])
    sides = {}
    for line in run.stdout.splitlines():
        case, side, calls, *nanos = line.split()
        sides[case, side] = [int(calls), *map(int, nanos)]
    rows = []
    for case, name in CASES.items():
        (calls, p50, p99), (_, bare_p50, bare_p99) = (sides[case, s] for s in ("auricle", "bare"))
        rows.append([
            name, calls, time(p50), time(p99), time(bare_p50), time(bare_p99),
            time(p50 - bare_p50), f"{p50 / bare_p50:.2f}",
        ])
    head = [
        "Instantiate + call + drop", "calls", "auricle p50", "p99", "bare wasmtime p50", "p99",
        "difference of p50", "ratio",
    ]
    foreign = run.foreign_secs / run.wall_secs
    note = (
        "Every call timed on its own, the sides in turn in blocks of calls. Everything else on the "
        f"machine used {foreign:.2f} cores."
    )
    common.write_section("roles", "roles", "roles", f"{note}\n\n{common.table(head, rows)}")


def time(nanos):
    if abs(nanos) >= 1e6:
        return f"{nanos / 1e6:.2f} ms"
    return f"{nanos / 1e3:.1f} µs"


if __name__ == "__main__":
    main()
