"""Transcribes one English file with another engine and prints a JSON object.

    peer.py faster-whisper-batched MODEL_DIR FILE THREADS
    peer.py whisper.cpp MODEL_FILE FILE THREADS

`secs` and `cpu_secs` count from the file to the text; loading is not in them. Run as a process of its
own, so that neither engine's threads and memory are there while another one is measured.
"""

import json
import sys
import time

import common


def main():
    engine, model, file, threads = sys.argv[1:]
    prepare = {"faster-whisper-batched": faster_whisper, "whisper.cpp": whisper_cpp}[engine]
    began = time.monotonic()
    transcribe = prepare(model, int(threads))
    loaded, cpu = time.monotonic(), common.own_cpu_secs()
    text = transcribe(file)
    result = {
        "load_secs": loaded - began,
        "secs": time.monotonic() - loaded,
        "cpu_secs": common.own_cpu_secs() - cpu,
        "text": text,
    }
    print(json.dumps(result))


def faster_whisper(model, threads):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    pipeline = BatchedInferencePipeline(
        WhisperModel(model, compute_type="int8", cpu_threads=threads)
    )

    def transcribe(file):
        segments, _ = pipeline.transcribe(file, language="en", beam_size=1, batch_size=8)
        return " ".join(segment.text for segment in segments)

    return transcribe


def whisper_cpp(model, threads):
    from faster_whisper import decode_audio
    from pywhispercpp.model import Model

    engine = Model(
        model,
        n_threads=threads,
        print_progress=False,
        print_realtime=False,
        redirect_whispercpp_logs_to=None,
    )

    def transcribe(file):
        segments = engine.transcribe(decode_audio(file), language="en")
        return " ".join(segment.text for segment in segments)

    return transcribe


if __name__ == "__main__":
    main()
