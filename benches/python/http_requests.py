"""Requests a second to the smallest handler: on Auricle, on `wasmtime serve`, and on hyper without a
guest; beside them what Auricle answers without a guest, key and quota.

`wrk` asks with one thread, on the same cores as the server. The servers take turns, so that what else
the machine does meets all of them. Auricle checks a key and keeps quotas with every request.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import common
import deploy
from common import BIN, CACHE

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECS = int(os.environ.get("SECS", "5"))
CONNECTIONS = (1, 16, 64)
QUOTAS = {
    "requests_per_minute": 100_000_000,
    "audio_secs_per_minute": 100_000,
    "max_requests": 1_000,
    "guest_cpu_secs_per_minute": 100_000,
    "max_guest_memory_bytes": 1 << 34,
}


class Peer:
    """Another server, from its command to the address it prints or was given."""

    def __init__(self, command, address=None):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = f"http://{address}/" if address else self.process.stdout.readline().split()[-1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def main():
    if not shutil.which("wrk"):
        sys.exit("wrk is not here: apt-get install wrk")
    component = newest_greeting()
    with tempfile.TemporaryDirectory() as directory:
        auricle, key = auricle_with(component, pathlib.Path(directory))
        wasmtime, hyper = wasmtime_serve(component), Peer([BIN / "plain-hyper"])
        here = auricle.addresses["listening"]
        sides = {
            "auricle": (here, {"authorization": f"Bearer {key}"}),
            "wasmtime serve": (wasmtime.url, {}),
            "plain hyper": (hyper.url, {}),
            "auricle's `/livez`": (f"{here}/livez", {}),
        }
        try:
            for url, headers in sides.values():
                answers(url, headers, '{"status":"ok"}200' if url.endswith("/livez") else "hello\n200")
            rows = [row(sides, connections) for connections in CONNECTIONS]
        finally:
            for server in (auricle, wasmtime, hyper):
                server.stop()
    head = ["connections", *(f"{side}, requests/s (p50)" for side in sides)]
    head += ["of wasmtime serve", "of plain hyper", "`/livez` of plain hyper"]
    note = (
        f"Medians of {ROUNDS} rounds of {SECS} s, and of the ratios within a round (least to most). "
        "At least 1.3 of `wasmtime serve` and 0.6 of plain hyper are wanted at 16 connections."
    )
    common.write_section("requests", "requests", "http_requests", f"{note}\n\n{common.table(head, rows)}")


def newest_greeting():
    files = BIN.glob("build/auricle-benches-*/out/auricle-greeting-handler.wasm")
    return max(files, key=os.path.getmtime)


def auricle_with(component, directory):
    """A server with a tenant whose handler this is, and the tenant's key."""
    server = deploy.Server(directory)
    server.admin("POST", "tenants", {"id": "greeter", "quotas": QUOTAS})
    server.deploy("greeter", "handler", server.push("greeter", component.read_bytes()))
    return server, server.admin("POST", "keys", {"tenant": "greeter"})["secret"]


def wasmtime_serve(component):
    """`wasmtime serve` takes no port 0 that it would tell: one that was free just now is given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = CACHE / "wasmtime" / "bin" / "wasmtime"
    return Peer([program, "serve", "-S", "cli", "--addr", address, component], address)


def answers(url, headers, expected):
    """Nothing is measured before the right answer has been seen."""
    for _ in range(100):
        command = ["curl", "-sS", "-w", "%{http_code}", url]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            break
        time.sleep(0.1)
    if done.stdout != expected:
        sys.exit(f"{url} answered {done.stdout!r} {done.stderr}")


def row(sides, connections):
    rounds = []
    for _ in range(ROUNDS):
        rounds.append([wrk(*side, connections) for side in sides.values()])
    cells = []
    for side in zip(*rounds, strict=True):
        rate, p50 = (common.median(values) for values in zip(*side, strict=True))
        cells.append(f"{rate:,.0f} ({p50:.2f} ms)")
    for side, other in ((0, 1), (0, 2), (3, 2)):
        ratios = [measured[side][0] / measured[other][0] for measured in rounds]
        cells.append(f"{common.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(connections, *cells, file=sys.stderr, flush=True)
    return [connections, *cells]


def wrk(url, headers, connections):
    """Requests a second, and the median of their milliseconds. A single failure ends it all."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECS}s", "--latency", url]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        sys.exit(f"{url}: {report}")
    p50, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", report).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", report).group(1))
    return rate, float(p50) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


if __name__ == "__main__":
    main()
