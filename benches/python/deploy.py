"""What deploying costs: a swap, cold and from the cache; many tenants that are quiet.

The component is the first-party chunker. It is made another one by a custom section of random bytes,
so that nothing of it is known; the section can also make it as large as is wanted.
"""

import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.request

import common
from common import BIN, DATA

TENANTS = int(os.environ.get("TENANTS", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "9"))
DISTINCT = 20
ROLES = ("handler", "chunker", "speaker-assigner")
CLIP = DATA / "en" / "jfk.wav"


class Server:
    """A server on a data directory, and its admin API."""

    def __init__(self, directory, config=None):
        began = time.monotonic()
        command = [str(BIN / "auricle"), "serve", "--listen", "127.0.0.1:0", "--model", "tiny.en"]
        command += ["--admin-listen", "127.0.0.1:0", "--data-dir", str(directory), "--log", "error"]
        command += ["--config", str(config)] if config else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=common.ROOT)
        self.addresses = {}
        while len(self.addresses) < 2:
            line = self.process.stdout.readline()
            what, address = re.match(r"(\w+) on (http://\S+)", line).groups()
            self.addresses[what] = address
        self.start_secs = time.monotonic() - began

    def admin(self, method, path, body=None, content_type="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        url = f"{self.addresses['admin']}/admin/v1/{path}"
        request = urllib.request.Request(url, data if method == "POST" else None, method=method)
        request.add_header("content-type", content_type)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def push(self, tenant, component):
        path = f"tenants/{tenant}/components"
        return self.admin("POST", path, component, "application/wasm")["id"]

    def deploy(self, tenant, role, component, **configuration):
        path = f"tenants/{tenant}/deployments/{role}/revisions"
        return self.admin("POST", path, {"component": component, "configuration": configuration})

    def transcribe(self, key):
        edge = "edge-of-a-part"
        head = (
            f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        ).encode()
        body = head + CLIP.read_bytes()[: 44 + 32_000] + f"\r\n--{edge}--\r\n".encode()
        request = urllib.request.Request(f"{self.addresses['listening']}/transcribe", body)
        request.add_header("content-type", f"multipart/form-data; boundary={edge}")
        request.add_header("authorization", f"Bearer {key}")
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) * 1024 / 1e6

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def leb(number):
    out = b""
    while True:
        byte, number = number & 127, number >> 7
        out += bytes([byte | (128 if number else 0)])
        if not number:
            return out


def another(component, size=0):
    """The same component with other bytes, of at least this size."""
    padding = secrets.token_bytes(max(16, size - len(component)))
    content = leb(5) + b"bench" + padding
    return component + b"\0" + leb(len(content)) + content


def first_party(role):
    """The newest component of ours that the build has made for this role."""
    files = BIN.glob(f"build/auricle-first-party-*/out/auricle-{role}.wasm")
    return max(files, key=os.path.getmtime).read_bytes()


def timed(work):
    began = time.monotonic()
    result = work()
    return result, 1000 * (time.monotonic() - began)


def swaps(server):
    """Milliseconds from the call to a revision that serves: of a component that is new, and of one
    that was compiled before."""
    server.admin("POST", "tenants", {"id": "swapper"})
    component, rows = first_party("chunker"), []
    for size, name in ((0, "as it is"), (1_000_000, "of 1 MB")):
        cold, warm = [], []
        for number in range(ROUNDS):
            new = another(component, size)
            digest, pushed = timed(lambda: server.push("swapper", new))
            _, deployed = timed(lambda: server.deploy("swapper", "chunker", digest))
            cold.append(pushed + deployed)
            _, again = timed(
                lambda: server.deploy("swapper", "chunker", digest, **{"max-secs": str(10 + number)})
            )
            warm.append(again)
        rows.append([f"first-party chunker {name}, {len(new) / 1e6:.2f} MB", *map(spread, (cold, warm))])
    return rows


def spread(values):
    return f"{common.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def many(directory):
    """Tenants with three deployments each, of components that they share."""
    server = Server(directory)
    components = {role: first_party(role) for role in ROLES}
    for number in range(TENANTS):
        tenant = f"t{number}"
        server.admin("POST", "tenants", {"id": tenant})
        for role, component in components.items():
            server.deploy(tenant, role, server.push(tenant, component), n=str(number))
    server.stop()


def main():
    with tempfile.TemporaryDirectory() as directory:
        server = Server(directory)
        try:
            swap_rows = swaps(server)
        finally:
            server.stop()
    common.write_section("deployments", "swaps", "deploy", swap_report(swap_rows))
    with tempfile.TemporaryDirectory() as directory:
        common.write_section("deployments", "tenants", "deploy", tenants_report(directory))


def swap_report(rows):
    head = ["component", "new: push and deploy, ms", "compiled before: deploy, ms"]
    return (
        "From the call to a revision that serves, checked, compiled apart, linked and called once; "
        f"median of {ROUNDS} (least to most). At most 1,000 ms and 50 ms are allowed for 1 MB; here that "
        "is a custom section, with the code of the smaller one.\n\n"
        + common.table(head, rows)
    )


def tenants_report(directory):
    # The first start compiles; what that took of memory is not what is compared.
    Server(directory).stop()
    empty = Server(directory)
    base, base_start = empty.resident_mb(), empty.start_secs
    empty.stop()
    many(directory)
    config = pathlib.Path(directory) / "idle.toml"
    config.write_text("[deployments]\nidle_secs = 5\n")
    server = Server(directory, config)
    rows = [
        ["no tenant", f"{base:.0f}", f"{base_start:.2f}"],
        [f"{TENANTS} tenants, none has asked", f"{server.resident_mb():.0f}", f"{server.start_secs:.2f}"],
    ]
    keys = []
    for number in range(DISTINCT):
        tenant = f"own{number}"
        server.admin("POST", "tenants", {"id": tenant})
        for role in ROLES:
            server.deploy(tenant, role, server.push(tenant, another(first_party(role))))
        body = {"tenant": tenant}
        keys.append(server.admin("POST", "keys", body)["secret"])
    for key in keys:
        server.transcribe(key)
    busy = server.resident_mb()
    rows.append([f"and {DISTINCT} with components of their own, in use", f"{busy:.0f}", ""])
    time.sleep(15)
    idle = server.resident_mb()
    rows.append([f"the same, quiet for longer than idle_secs", f"{idle:.0f}", ""])
    for key in keys:
        server.transcribe(key)
    server.stop()
    each = (idle - base) / (TENANTS + DISTINCT)
    head = ["tenants with three deployments each", "resident MB", "start, s"]
    return (
        f"A quiet tenant costs {1000 * each:.0f} kB; 2,000 are allowed, and a start of 5 s. The "
        "model is tiny.en; MB are 10⁶ bytes.\n\n" + common.table(head, rows)
    )


if __name__ == "__main__":
    main()
