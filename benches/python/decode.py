"""Seconds of audio that one core decodes in a second, in the sandbox and outside of it."""

import shutil
import subprocess
import sys

import common

# Name of the row, name of the file, ffmpeg's arguments.
FILES = [
    ("WAV, 16 bit, 48 kHz stereo", "pcm.wav", ["-c:a", "pcm_s16le"]),
    ("AIFF, 24 bit, 48 kHz stereo", "pcm.aiff", ["-c:a", "pcm_s24be"]),
    ("FLAC, 48 kHz stereo", "flac.flac", ["-c:a", "flac"]),
    ("ALAC (M4A), 48 kHz stereo", "alac.m4a", ["-c:a", "alac"]),
    ("MP3, 128 kbit/s, stereo", "mp3.mp3", ["-c:a", "libmp3lame", "-b:a", "128k"]),
    ("AAC (M4A), 128 kbit/s, stereo", "aac.m4a", ["-c:a", "aac", "-b:a", "128k"]),
    ("AAC (ADTS), 128 kbit/s, stereo", "aac.aac", ["-c:a", "aac", "-b:a", "128k"]),
    ("Ogg Vorbis, 128 kbit/s, stereo", "vorbis.ogg", ["-c:a", "libvorbis", "-b:a", "128k"]),
    ("Ogg Opus, 16 kbit/s, mono (SILK)", "silk.opus", ["-c:a", "libopus", "-b:a", "16k", "-ac", "1"]),
    ("Ogg Opus, 32 kbit/s, mono (hybrid)", "mono.opus", ["-c:a", "libopus", "-b:a", "32k", "-ac", "1"]),
    ("Ogg Opus, 128 kbit/s, stereo (CELT)", "celt.opus", ["-c:a", "libopus", "-b:a", "128k"]),
    ("WebM Opus, 64 kbit/s, mono", "webm.webm", ["-c:a", "libopus", "-b:a", "64k", "-ac", "1"]),
]
SECS = 60


def main():
    if shutil.which("ffmpeg") is None:
        sys.exit("this benchmark makes its files with ffmpeg: install it")
    folder = common.CACHE / "decode"
    folder.mkdir(parents=True, exist_ok=True)
    for _, name, arguments in FILES:
        command = ["ffmpeg", "-v", "error", "-y", "-i", common.LONG, "-t", SECS, "-ar", 48000]
        command += ["-ac", 2, *arguments, folder / name]
        subprocess.run([str(part) for part in command], check=True)
    done = common.run([common.BIN / "decode-speed", *(folder / name for _, name, _ in FILES)])
    rows = []
    for (row, _, _), line in zip(FILES, done.stdout.splitlines(), strict=True):
        secs, native, sandbox = map(float, line.split()[:3])
        rows.append([row, f"{secs / sandbox:.0f}", f"{secs / native:.0f}", f"{sandbox / native:.2f}"])
    head = ["one minute of", "sandbox, s/s", "native, s/s", "sandbox / native"]
    common.write_section("decode", "decode", "decode", common.table(head, rows))


if __name__ == "__main__":
    main()
