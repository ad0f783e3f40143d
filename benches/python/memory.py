"""Resident memory of `auricle serve` with the model `base`: at rest, under work, at rest again."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

import common
from common import BIN, DATA

REQUESTS = int(os.environ.get("REQUESTS", "20"))
IDLE_SECS = 15
ALLOWED_MB = 150
CLIP = DATA / "en" / "jfk.wav"


def main():
    command = [str(BIN / "auricle"), "serve", "--listen", "127.0.0.1:0", "--model", "base"]
    server = subprocess.Popen(
        [*command, "--log", "warn"], stdout=subprocess.PIPE, text=True, cwd=common.ROOT
    )
    try:
        address = re.search(r"http://\S+", server.stdout.readline()).group(0)
        time.sleep(2)
        rows = [("after the start", resident(server.pid))]
        for number in range(REQUESTS):
            post(f"{address}/transcribe")
            if number == 0:
                rows.append(("right after the first request", resident(server.pid)))
        rows.append((f"right after {REQUESTS} requests", resident(server.pid)))
        time.sleep(IDLE_SECS)
        rows.append((f"{IDLE_SECS} s later", resident(server.pid)))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    common.write_section("memory", "memory", "memory", report(rows))


def resident(pid):
    """Megabytes that are in memory, those of them that are no file's, and the most so far."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    keys = ("VmRSS", "RssAnon", "VmHWM")
    return [int(re.search(rf"{key}:\s*(\d+)", status).group(1)) * 1024 / 1e6 for key in keys]


def post(url):
    edge = "edge-of-a-part"
    head = (
        f"--{edge}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{CLIP.name}\"\r\n"
        "content-type: audio/wav\r\n\r\n"
    )
    language = f"\r\n--{edge}\r\ncontent-disposition: form-data; name=\"language\"\r\n\r\nen"
    body = head.encode() + CLIP.read_bytes() + f"{language}\r\n--{edge}--\r\n".encode()
    request = urllib.request.Request(
        url, body, {"content-type": f"multipart/form-data; boundary={edge}"}
    )
    with urllib.request.urlopen(request) as response:
        text = json.load(response)["text"]
    assert "country" in text, text


def report(rows):
    model_mb = common.ggml_model("q8_0").stat().st_size / 1e6
    lines = [[when, *(f"{mb:.0f}" for mb in values)] for when, values in rows]
    for line, (_, (rss, *_)) in zip(lines, rows, strict=True):
        line.append(f"{rss - model_mb:+.0f}")
    head = ["`auricle serve`, base q8_0", "resident MB", "of it anonymous", "peak MB", "over the model"]
    note = (
        f"The model's file has {model_mb:.0f} MB; at rest {ALLOWED_MB} MB over it are allowed. The "
        f"requests are `{CLIP.name}` (11 s) one after the other. MB are 10⁶ bytes. One run."
    )
    return f"{note}\n\n{common.table(head, lines)}"


if __name__ == "__main__":
    main()
