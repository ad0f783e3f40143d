"""Streams: when the first text comes, against the whole answer, with the model `base`.

A client that asks for `stream=true` reads events as they come. The clock starts when the request is
sent; the file is on this machine, so that sending it takes no time.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time

import common
from common import BIN, DATA, LONG

ROUNDS = int(os.environ.get("ROUNDS", "5"))
FILES = (DATA / "en" / "jfk.wav", LONG)
FORMATS = ("json", "diarized_json")
EDGE = "edge-of-a-part"


def main():
    command = [str(BIN / "auricle"), "serve", "--listen", "127.0.0.1:0", "--model", "base"]
    server = subprocess.Popen(
        [*command, "--log", "warn"], stdout=subprocess.PIPE, text=True, cwd=common.ROOT
    )
    try:
        address = re.search(r"http://(\S+)", server.stdout.readline()).group(1)
        rows = [row(address, file, shape) for file in FILES for shape in FORMATS]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    head = ["file", "response_format", "first text, s", "all, s", "of the whole time", "events"]
    note = f"`POST /v1/audio/transcriptions` with `stream=true`, `base` q8_0. Median of {ROUNDS} rounds."
    common.write_section("first-event", "first-event", "first_event", f"{note}\n\n{common.table(head, rows)}")


def row(address, file, shape):
    body = form(file, {"model": "whisper-1", "stream": "true", "response_format": shape})
    rounds = [stream(address, body) for _ in range(ROUNDS)]
    first, whole, count = (common.median(values) for values in zip(*rounds, strict=True))
    print(f"{file.name}, {shape}: {first:.2f} of {whole:.2f} s", file=sys.stderr, flush=True)
    return [file.name, shape, f"{first:.2f}", f"{whole:.2f}", f"{100 * first / whole:.0f} %", int(count)]


def form(file, fields):
    parts = [
        f'--{EDGE}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{EDGE}\r\ncontent-disposition: form-data; name="file"; filename="{file.name}"\r\n'
        "content-type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode() + file.read_bytes() + f"\r\n--{EDGE}--\r\n".encode()


def stream(address, body):
    """Seconds to the first text and to the end, and how many events came."""
    connection = http.client.HTTPConnection(address)
    headers = {"content-type": f"multipart/form-data; boundary={EDGE}"}
    began = time.monotonic()
    connection.request("POST", "/v1/audio/transcriptions", body, headers)
    response = connection.getresponse()
    first, count = None, 0
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[len(b"data: ") :])
        assert event["type"] != "error", event
        count += 1
        if event["type"] == "transcript.text.delta" and first is None:
            first = time.monotonic() - began
    whole = time.monotonic() - began
    connection.close()
    assert first is not None and event["type"] == "transcript.text.done", event
    return first, whole, count


if __name__ == "__main__":
    main()
