"""Who spoke when: auricle's diarizer against sherpa-onnx and pyannote 3.1's clustering rule.

All of them run the same two ONNX files, one after the other. Rates are pyannote.metrics': no
collar, overlap counted, the number of speakers unknown. The audio is what the evaluation data has
with an RTTM beside it.
"""

import subprocess
import time
from importlib import metadata

import common
import made_up
import numpy as np

OUT = common.CACHE / "der"
MODELS = OUT / "models"
RATE, WINDOW, FRAME, FRAMES = 16_000, 160_000, 270, 589
# Who speaks in each class of the segmentation.
POWERSET = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
# What sherpa-onnx reads of a model beside its graph.
SEGMENTATION = {
    "num_speakers": 3, "powerset_max_classes": 2, "num_classes": 7, "sample_rate": RATE,
    "window_size": WINDOW, "receptive_field_size": 991, "receptive_field_shift": FRAME,
    "model_type": "pyannote-segmentation-3.0", "version": 1,
}
EMBEDDING = {
    "framework": "3d-speaker", "language": "Chinese-English", "url": "-", "comment": "-",
    "sample_rate": RATE, "output_dim": 192, "feature_normalize_type": "global-mean",
    "normalize_samples": 1,
}
# pyannote/speaker-diarization-3.1, config.yaml.
PYANNOTE_THRESHOLD, PYANNOTE_MIN_SIZE = 0.7045654963945799, 12
NO_MOVES = "passages stay with their strangers"
NO_THIRD = "a third is never told apart by the segmentation alone"
# What each stage is worth: the same run with one thing changed.
STAGES = {
    "as it is": [],
    "turns never overlap": ["overlap=false"],
    "pauses are not filled": ["max_pause_secs=0"],
    "strangers of one window may be one speaker": ["same_window_penalty=0"],
    NO_MOVES: ["move_margin=9"],
    "further speakers need as much as the first": ["overlap_threshold=0.5"],
    NO_THIRD: ["third_speaker_share=9"],
    "every voice is clustered, however short": ["min_voice_secs=0"],
    "whoever speaks less than a second is no speaker": ["min_speaker_secs=1"],
    "same speaker from cosine 0.4": ["same_speaker_cosine=0.4"],
    "same speaker from cosine 0.6": ["same_speaker_cosine=0.6"],
}


def main():
    files = [f for p in ("diarization/*", "derived/*") for f in common.audio_files(p)]
    files = [f for f in files if f.with_suffix(".rttm").exists()]
    secs = sum(length(f) for f in files)
    auricle(files[:1])  # writes the models
    engines = {
        "auricle": lambda: auricle(files),
        "auricle, number given": lambda: ([auricle_with_number(f) for f in files], None),
        "sherpa-onnx 0.5": lambda: sherpa(files, 0.5),
        "sherpa-onnx 0.9": lambda: sherpa(files, 0.9),
        "pyannote 3.1's rule": lambda: ([pyannote_rule(f) for f in files], None),
    }
    scores, speed = {}, {}
    for name, engine in engines.items():
        turns, took = engine()
        scores[name] = [score(f, t) for f, t in zip(files, turns, strict=True)]
        speed[name] = took and took / secs
    common.write_section("diarization", "rates", "der", rates(files, scores, speed))
    common.write_section("diarization", "stages", "der", stages(files))
    common.write_section("diarization", "made-up", "der", made_up_rates())


def length(file):
    import soundfile

    return soundfile.info(file).duration


def score(file, turns):
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(turns):
        out = Annotation()
        for index, (start, end, speaker) in enumerate(turns):
            out[Segment(start, end), index] = str(speaker)
        return out

    reference = read_rttm(file.with_suffix(".rttm"))
    whole = Timeline([Segment(0, length(file))])
    parts = DiarizationErrorRate()(annotation(reference), annotation(turns), uem=whole, detailed=True)
    parts["speakers"] = f"{len({t[2] for t in turns})}/{len({t[2] for t in reference})}"
    return parts


def rates(files, scores, speed):
    rows = []
    for index, file in enumerate(files):
        cells = [cell(scores[name][index]) for name in scores]
        rows.append([file.stem, f"{length(file):.0f}", *cells])
    pooled = [f"{percent(parts):.1f}" for parts in scores.values()]
    rows.append(["**all**", "", *pooled])
    rows.append(["real-time factor", "", *[f"{s:.3f}" if s else "" for s in speed.values()]])
    note = (
        "Diarization error rate in per cent and speakers found/true. Real-time factor: two threads "
        "each, model load and decoding left out. "
        f"sherpa-onnx {metadata.version('sherpa-onnx')}, "
        f"pyannote.metrics {metadata.version('pyannote.metrics')}."
    )
    return f"{note}\n\n{common.table(['file', 'secs', *scores], rows)}"


def cell(parts):
    return f"{percent([parts]):.2f} {parts['speakers']}"


def percent(parts, what=("missed detection", "false alarm", "confusion")):
    return 100 * sum(p[w] for p in parts for w in what) / sum(p["total"] for p in parts)


def stages(files):
    rows = []
    for name, settings in STAGES.items():
        parts = [score(f, t) for f, t in zip(files, auricle(files, settings)[0], strict=True)]
        kinds = [f"{percent(parts, [w]):.1f}" for w in ("missed detection", "false alarm", "confusion")]
        rows.append([name, f"{percent(parts):.1f}", *kinds, " ".join(p["speakers"] for p in parts)])
    head = ["auricle", "all files", "missed", "false alarm", "confusion", "speakers"]
    return common.table(head, rows)


def made_up_rates():
    rows = []
    for name in made_up.SETS:
        files = made_up.conversations(name, common.CACHE / "made-up")
        for what in ("as it is", NO_MOVES, NO_THIRD):
            settings = STAGES[what]
            parts = [score(f, t) for f, t in zip(files, auricle(files, settings)[0], strict=True)]
            counts = [p["speakers"].split("/") for p in parts]
            right = sum(found == true for found, true in counts)
            kinds = [f"{percent(parts, [w]):.1f}" for w in ("missed detection", "false alarm", "confusion")]
            rows.append([f"{name}: {what}", f"{right} of {len(files)}", f"{percent(parts):.1f}", *kinds])
    head = ["speakers", "counted right", "all files", "missed", "false alarm", "confusion"]
    return common.table(head, rows)


# ------------------------------------------------------------------------------------- engines


def auricle(files, settings=()):
    """Turns of each file, and seconds taken."""
    command = [common.BIN / "examples" / "diarize_rttm", "--models", MODELS]
    for setting in settings:
        command += ["--set", setting]
    OUT.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*command, OUT, *files], check=True, stdout=subprocess.PIPE, text=True)
    took = sum(float(line.split("\t")[2]) for line in done.stdout.splitlines())
    return [read_rttm(OUT / f"{f.stem}.rttm") for f in files], took


def auricle_with_number(file):
    """Turns of a file when the true number of speakers is given."""
    number = len({speaker for *_, speaker in read_rttm(file.with_suffix(".rttm"))})
    return auricle([file], [f"num_speakers={number}"])[0][0]


def read_rttm(file):
    turns = []
    for line in file.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        turns.append((float(fields[3]), float(fields[3]) + float(fields[4]), fields[7]))
    return turns


def samples(file):
    import soundfile

    return soundfile.read(file, dtype="float32")[0]


def with_metadata(name, values):
    import onnx

    model = onnx.load(MODELS / f"{name}.onnx")
    del model.metadata_props[:]
    for key, value in values.items():
        model.metadata_props.add(key=key, value=str(value))
    path = MODELS / f"{name}-sherpa.onnx"
    onnx.save(model, path)
    return str(path)


def sherpa(files, threshold):
    """sherpa-onnx with the values of its own examples."""
    import sherpa_onnx as so

    segmentation = so.OfflineSpeakerSegmentationModelConfig(
        pyannote=so.OfflineSpeakerSegmentationPyannoteModelConfig(
            model=with_metadata("segmentation", SEGMENTATION)
        ),
        num_threads=2,
    )
    diarizer = so.OfflineSpeakerDiarization(
        so.OfflineSpeakerDiarizationConfig(
            segmentation=segmentation,
            embedding=extractor_config(),
            clustering=so.FastClusteringConfig(num_clusters=-1, threshold=threshold),
            min_duration_on=0.3,
            min_duration_off=0.5,
        )
    )
    turns, took = [], 0.0
    for file in files:
        audio = samples(file)
        began = time.monotonic()
        found = diarizer.process(audio).sort_by_start_time()
        took += time.monotonic() - began
        turns.append([(t.start, t.end, t.speaker) for t in found])
    return turns, took


def extractor_config():
    import sherpa_onnx as so

    return so.SpeakerEmbeddingExtractorConfig(
        model=with_metadata("campplus", EMBEDDING), num_threads=2
    )


def pyannote_rule(file):
    """Windows every second, a voice for each stranger, centroid linkage on voices of length 1,
    clusters of fewer than 12 voices (or a tenth of all) given to the nearest large one; frames as
    pyannote 3.1 joins them. The voices are CAM++'s, so the threshold is not tuned to them."""
    import onnxruntime
    import sherpa_onnx as so
    from scipy.cluster.hierarchy import fcluster, linkage

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(MODELS / "segmentation.onnx", options)
    extractor = so.SpeakerEmbeddingExtractor(extractor_config())
    audio, windows, voices, owners = samples(file), [], [], []
    step = RATE // FRAME
    for first in range(0, max(1, (len(audio) - WINDOW) // FRAME + step + 1), step):
        piece = np.zeros(WINDOW, np.float32)
        part = audio[first * FRAME : first * FRAME + WINDOW]
        piece[: len(part)] = part
        speaking = POWERSET[session.run(None, {"x": piece[None, None]})[0][0].argmax(-1)]
        for local in range(3):
            clean = (speaking[:, local] == 1) & (speaking.sum(1) == 1)
            if clean.sum() < 13:
                continue
            mask = np.zeros(WINDOW, bool)
            for frame in np.flatnonzero(clean):
                mask[frame * FRAME + 360 : (frame + 1) * FRAME + 360] = True
            stream = extractor.create_stream()
            stream.accept_waveform(RATE, piece[mask])
            stream.input_finished()
            voice = np.array(extractor.compute(stream))
            voices.append(voice / np.linalg.norm(voice))
            owners.append((len(windows), local))
        windows.append((first, speaking))
    if not voices:
        return []
    voices = np.array(voices)
    labels = np.ones(len(voices), int)
    if len(voices) > 1:
        tree = linkage(voices, "centroid", metric="euclidean")
        labels = fcluster(tree, PYANNOTE_THRESHOLD, "distance")
    centres = large_clusters(voices, labels)
    speakers = dict(zip(owners, (voices @ centres.T).argmax(1), strict=True))
    return join(windows, speakers, len(centres), len(audio) / RATE)


def large_clusters(voices, labels):
    names, sizes = np.unique(labels, return_counts=True)
    least = min(PYANNOTE_MIN_SIZE, max(1, round(0.1 * len(voices))))
    large = names[sizes >= least]
    if len(large) == 0:
        labels, large = np.ones(len(voices), int), np.array([1])
    means = np.array([voices[labels == name].mean(0) for name in large])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    for name in set(labels) - set(large):
        labels = np.where(labels == name, large[(unit @ voices[labels == name].mean(0)).argmax()], labels)
    means = np.array([voices[labels == name].mean(0) for name in large])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def join(windows, speakers, count, secs):
    total = windows[-1][0] + FRAMES
    seen, expected, activity = np.zeros(total), np.zeros(total), np.zeros((total, count))
    for index, (first, speaking) in enumerate(windows):
        seen[first : first + FRAMES] += 1
        expected[first : first + FRAMES] += speaking.sum(1)
        here = np.zeros((FRAMES, count))
        for local in range(3):
            speaker = speakers.get((index, local))
            if speaker is not None:
                here[:, speaker] = np.maximum(here[:, speaker], speaking[:, local])
        activity[first : first + FRAMES] += here
    number = np.rint(expected / np.maximum(seen, 1)).astype(int)
    rank = np.argsort(np.argsort(-activity, 1, kind="stable"), 1, kind="stable")
    active = (rank < number[:, None]) & (activity > 0)
    turns = []
    for speaker in range(count):
        edges = np.diff(np.concatenate([[0], active[:, speaker].astype(int), [0]]))
        for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            at = [min(secs, (frame * FRAME + 360) / RATE) for frame in (start, end)]
            if at[0] < at[1]:
                turns.append((*at, speaker))
    return turns


if __name__ == "__main__":
    main()
