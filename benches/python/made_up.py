"""Made-up conversations whose speakers are known to the sample, to choose numbers on.

Recordings of single readers are cut at their pauses into phrases, and phrases of 1 to 8 readers put
together to conversations of 13 to 240 s: most turns of one to three phrases, some of a second,
nearly a third begun before the last one has ended. A third of the conversations have noise at 12 to
20 dB, a third are cut to a telephone's band. In the overlapping sets, two speak at once for 60 to
80 % of the time. The same seed makes the same conversations.
"""

import math

import common
import numpy as np

RATE = 16_000
STEP = RATE // 100
MARGIN = 2 * STEP
# Shapes of the conversations in which two speak at once for most of the time.
OVERLAPPING = [(n, s) for n in (2, 3, 4) for s in (30, 45, 60, 90)]
# Which share of the time that is left to one speaker passes before another joins.
ALONE = (0.0, 0.2)
# Share of the speech in which two speak at once.
OVERLAP = (0.6, 0.8)
# Speakers and seconds of each conversation.
SETS = {
    "one to eight": (1000, [
        (1, 13), (1, 30), (1, 60), (1, 90), (1, 20), (1, 45), (1, 120), (2, 20), (2, 30), (2, 60),
        (2, 90), (2, 150), (2, 240), (3, 40), (3, 60), (3, 100), (3, 150), (3, 240), (4, 60),
        (4, 90), (4, 150), (4, 240), (6, 120), (6, 180), (6, 240), (6, 150), (8, 240), (8, 200),
        (2, 40),
    ]),
    "two": (2000, [(2, s) for s in (20, 30, 45, 60, 80, 100, 120, 150, 25, 40, 55, 70)] * 2),
    "overlapping": (3000, OVERLAPPING),
    "overlapping, other readers": (4000, OVERLAPPING),
}
READERS = {
    **{s: f"en/librispeech/{s}-*.flac" for s in ("1688", "1998", "2033", "2414")},
    **{
        f"az{language}": f"{language[:2]}/azure_{language}_training.wav"
        for language in "de-DE es-ES fr-FR it-IT ja-JP ko-KR pt-BR zh-CN en-US".split()
    },
    "lj": "en/ljspeech/*.flac",
    "simpl": "de/librivox_simplicissimus.mp3",
    "mls": "es/mls_13697_11991_000000.opus",
    "mfa": "en/mfa/acoustic_corpus.wav",
}
# Readers of no other set, some seconds of each.
OTHER_READERS = {
    **{
        f"cheetah_{language}": f"{language}/cheetah_test_{language}.wav"
        for language in ("de", "es", "fr", "it", "pt")
    },
    "cheetah_en": "en/cheetah_test_en_norm.wav",
    "jfk": "en/jfk.wav",
    "sonnets": "codecs/p001.ogg",
    "austen": "en/librivox/*.wav",
    "common_voice": "ja/common_voice_ja_24511055.mp3",
}


def conversations(name, out):
    """Audio files in `out`, an RTTM beside each; made once."""
    seed, shapes = SETS[name]
    files = [out / f"{seed}_{index:02}.flac" for index in range(len(shapes))]
    if not all(file.with_suffix(".rttm").exists() for file in files):
        import soundfile

        out.mkdir(parents=True, exist_ok=True)
        readers = OTHER_READERS if name.endswith("other readers") else READERS
        phrases = {reader: read(pattern) for reader, pattern in readers.items()}
        build = put_on_top if name.startswith("overlapping") else put_together
        for index, (file, (speakers, secs)) in enumerate(zip(files, shapes, strict=True)):
            random = np.random.default_rng(seed + index)
            talk, turns = build(random, speakers, secs, phrases)
            soundfile.write(file, spoil(random, talk, index % 3), RATE)
            lines = [f"SPEAKER x 1 {a:.3f} {b - a:.3f} <NA> <NA> {who} <NA> <NA>\n" for a, b, who in turns]
            file.with_suffix(".rttm").write_text("".join(lines), encoding="utf-8")
    return files


def read(pattern):
    """All phrases of a reader, equally loud."""
    found = []
    for file in sorted(common.DATA.glob(pattern)):
        sound = samples(file)
        found += phrases_of(sound / (np.sqrt((sound**2).mean()) + 1e-9) * 0.06)
    return found


def samples(file):
    import soundfile
    from scipy.signal import resample_poly

    sound, rate = soundfile.read(file, dtype="float32")
    sound = sound.mean(1) if sound.ndim > 1 else sound
    divisor = math.gcd(rate, RATE)
    if rate != RATE:
        sound = resample_poly(sound, RATE // divisor, rate // divisor).astype(np.float32)
    return sound


def phrases_of(sound):
    """Cut where it is 32 dB below its loud parts for more than 0.25 s, and every 6 s at least."""
    count = len(sound) // STEP
    level = 10 * np.log10((sound[: count * STEP].reshape(count, STEP) ** 2).mean(1) + 1e-10)
    smooth = np.convolve(level, np.ones(9) / 9, "same")
    runs = []
    for at in np.flatnonzero(level > np.percentile(level, 95) - 32):
        if runs and at - runs[-1][1] <= 25:
            runs[-1][1] = at + 1
        else:
            runs.append([at, at + 1])

    def cut(start, end):
        if end - start < 600:
            return [(start, end)]
        edge = (end - start) // 5
        middle = start + edge + int(smooth[start + edge : end - edge].argmin())
        return cut(start, middle) + cut(middle, end)

    pieces = [piece for run in runs for piece in cut(*run)]
    return [
        sound[max(0, start * STEP - MARGIN) : end * STEP + MARGIN]
        for start, end in pieces
        if end - start >= 25
    ]


def put_together(random, speakers, secs, phrases):
    """Samples, and turns of start, end and speaker."""
    names = list(random.choice(sorted(phrases), speakers, replace=False))
    following = {name: int(random.integers(len(phrases[name]))) for name in names}
    share = np.maximum(random.dirichlet(np.full(speakers, 2.0)), 0.06)
    share /= share.sum()
    talk = np.zeros((secs + 60) * RATE, np.float32)
    turns, at, last = [], random.uniform(0, 1.5), None
    loudness = {name: 10 ** (random.uniform(-4, 4) / 20) for name in names}
    while at < secs:
        spoken = {who for _, _, who in turns}
        chance = share.copy()
        for index, name in enumerate(names):
            if name == last and speakers > 1:
                chance[index] = 0
            if name not in spoken and at > 0.4 * secs:
                chance[index] += 1
        last = names[random.choice(speakers, p=chance / chance.sum())]
        short = random.random() < 0.2
        for _ in range(1 if short else int(random.integers(1, 4))):
            phrase = phrases[last][following[last] % len(phrases[last])]
            following[last] += 1
            if short:
                phrase = phrase[: int(random.uniform(0.6, 1.5) * RATE)]
            start, length = int(at * RATE), len(phrase) / RATE
            talk[start : start + len(phrase)] += phrase * loudness[last]
            turns.append((at + 0.02, at + length - 0.02, last))
            at += length + random.uniform(0.05, 0.5)
        overlap = random.random() >= 0.7
        at += -min(random.uniform(0.2, 1.5), length * 0.7) if overlap else random.uniform(0, 1.2)
        at = max(at, 0)
    end = max(end for _, end, _ in turns) + 0.5
    return talk[: int(end * RATE)], turns


def put_on_top(random, speakers, secs, phrases):
    """As `put_together`, but two speak at once for most of the time, and never three."""
    while True:
        talk, turns = try_on_top(random, speakers, secs, phrases)
        if OVERLAP[0] <= overlap(turns) <= OVERLAP[1]:
            return talk, turns


def overlap(turns):
    """The share of the speech in which at least two speak."""
    count = np.zeros(int(max(end for _, end, _ in turns) * 100) + 1, int)
    for start, end, _ in turns:
        count[int(start * 100) : int(end * 100)] += 1
    return (count > 1).sum() / (count > 0).sum()


def try_on_top(random, speakers, secs, phrases):
    names = list(random.choice(sorted(phrases), speakers, replace=False))
    following = {name: int(random.integers(len(phrases[name]))) for name in names}
    loudness = {name: 10 ** (random.uniform(-4, 4) / 20) for name in names}
    talk = np.zeros((secs + 60) * RATE, np.float32)
    turns, at, spoken, last = [], random.uniform(0, 1), set(), (0.0, None)
    while at < secs:
        free = [name for name in names if name != last[1]]
        name = str(random.choice([name for name in free if name not in spoken] or free))
        spoken.add(name)
        for _ in range(int(random.integers(1, 4))):
            phrase = phrases[name][following[name] % len(phrases[name])]
            following[name] += 1
            start, length = int(at * RATE), len(phrase) / RATE
            talk[start : start + len(phrase)] += phrase * loudness[name]
            turns.append((at + 0.02, at + length - 0.02, name))
            at += length + random.uniform(0.02, 0.15)
        # The next one begins when one of the two has ended and before the other has.
        first, last = sorted([last, (at, name)])
        if first[1] is None:
            first = (turns[0][0] + random.uniform(0.3, 1.5), None)
        at = first[0] + max(0.0, last[0] - first[0]) * random.uniform(*ALONE)
    end = max(end for _, end, _ in turns) + 0.5
    return talk[: int(end * RATE)], turns


def spoil(random, talk, how):
    """As it is, with noise, or by telephone."""
    from scipy.signal import butter, sosfilt

    if how == 1:
        if random.random() < 0.5:
            noise = samples(common.DATA / "nonspeech/noise1.wav")
        else:
            noise = random.standard_normal(30 * RATE).astype(np.float32)
        noise = np.resize(noise, len(talk))
        power = (talk**2).mean() / (noise**2).mean() / 10 ** (random.uniform(12, 20) / 10)
        talk = talk + noise * np.sqrt(power)
    if how == 2:
        talk = sosfilt(butter(4, [300, 3400], "band", fs=RATE, output="sos"), talk)
        mu = np.sign(talk) * np.log1p(255 * np.clip(np.abs(talk), 0, 1)) / np.log(256)
        mu = np.round(mu * 127) / 127
        talk = np.sign(mu) * (256 ** np.abs(mu) - 1) / 255
    return (talk * (0.7 / max(0.7, np.abs(talk).max()))).astype(np.float32)
