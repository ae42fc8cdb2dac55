"""Utterances as the device cuts them: voice activity detector, segmenter and classifier over recordings.

Every recording lies between stretches of the faint noise of a microphone, as if it were all that is heard for a while.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.audio.segmenter import BLOCK, Segmenter, Utterance
from edge.audio.vad import Vad, make_vad
from edge.config.settings import Config
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.protocol import LABELS
from edge.util import atomic_file
from edge.util.errors import UserError
from training.data.corpora.clip import ORDINARY, Clip
from training.data.progress import Progress
from training.data.recordings import Int16, Sounds
from training.metrics.predictions import ORDINARY as ORDINARY_INDEX
from training.metrics.predictions import Predictions

LEAD_BLOCKS: Final = 13
TAIL_BLOCKS: Final = 32
FLOOR: Final = 4.0
"""Root mean square of the noise of the microphone, in steps of int16."""


def predict(
    bundle: Bundle,
    clips: Sequence[Clip],
    sounds: Sounds,
    title: str,
    *,
    cache: Path | None = None,
    quiet: bool = False,
) -> Predictions:
    """Classify every utterance of every clip as the device would, after voice activity detection and segmentation.

    `names` are those of the files. With `cache`, a folder, results are kept for the next time. Raises `UserError` where
    there is no utterance at all.
    """
    key = _key(bundle, clips)
    held = cache / f"{bundle.full_name}-{key}.npz" if cache is not None else None
    if held is not None and held.is_file():
        with np.load(held) as archive:
            return _from_arrays(archive)
    clips = sounds.readable(clips, f"{title}, reading", quiet)
    config = Config()
    vad, classifier = make_vad(config), Classifier(bundle)
    outputs, embeddings, enough, milliseconds, owners = [], [], [], [], []
    for index, clip in enumerate(Progress(clips, title, "clip", quiet=quiet)):
        for utterance in cut(sounds[clip.path], vad, config):
            found = classifier.classify(utterance.samples, utterance.duration_ms)
            outputs.append(found.outputs)
            embeddings.append(found.embedding)
            enough.append(found.enough_speech)
            milliseconds.append(utterance.duration_ms)
            owners.append(index)
    if not outputs:
        raise UserError(f"{title}: the voice activity detector finds no speech")
    own = [clips[index] for index in owners]
    result = Predictions(
        np.array(outputs), np.array(embeddings, np.float64),
        np.array([ORDINARY_INDEX if c.label == ORDINARY else LABELS.index(c.label) for c in own], np.int64),
        tuple(c.speaker for c in own), tuple(room_of(c) for c in own), tuple(str(c.path) for c in own),
        np.array(enough), np.array(milliseconds),
    )  # fmt: skip
    if held is not None:
        held.parent.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        np.savez(packed, **_arrays(result))
        atomic_file.write(held, packed.getvalue(), 0o644)
    return result


def room_of(clip: Clip) -> str:
    """Return the room that a clip counts to: its corpus, or the place of recording where that is known."""
    return clip.speaker if clip.corpus == "emospeech" else clip.corpus


def cut(samples: Int16, vad: Vad, config: Config) -> Iterator[Utterance]:
    """Cut int16 samples `[n]` at 16 kHz into utterances, as the device does."""
    vad.reset()
    segmenter = Segmenter(config)
    for block in stream(samples):
        yield from segmenter.push(block, vad.probability(block))
    yield from segmenter.flush()


def stream(samples: Int16) -> NDArray[np.int16]:
    """Put an int16 recording `[n]` between faint noise; return blocks of the device, int16 `[blocks, 512]`."""
    short = -samples.size % BLOCK
    lead, tail = _faint(LEAD_BLOCKS * BLOCK, 1), _faint(TAIL_BLOCKS * BLOCK + short, 2)
    return np.concatenate([lead, samples, tail]).reshape(-1, BLOCK)


def _faint(count: int, seed: int) -> Int16:
    return np.rint(np.random.default_rng(seed).normal(0.0, FLOOR, count)).astype(np.int16)


def _key(bundle: Bundle, clips: Sequence[Clip]) -> str:
    manifest = bundle.manifest
    facts = [bundle.sha256, str(manifest.min_ms), repr(Config().vad), repr(Config().segmenter)]
    names = [f"{clip.speaker}/{clip.label}/{_version(clip.path)}" for clip in clips]
    return hashlib.sha256("\n".join(facts + names).encode()).hexdigest()[:16]


def _version(path: Path) -> str:
    """What tells a recording from another one, and from what it was before it was replaced."""
    try:
        found = path.stat()
    except OSError:
        return str(path.absolute())
    return f"{path.absolute()} {found.st_size} {found.st_mtime_ns}"


def _arrays(found: Predictions) -> dict[str, Any]:
    names = {name: np.array(getattr(found, name)) for name in ("speakers", "rooms", "names")}
    return names | {
        "outputs": found.outputs, "embeddings": found.embeddings.astype(np.float16), "truth": found.truth,
        "enough_speech": found.enough_speech, "speech_ms": found.speech_ms,
    }  # fmt: skip


def _from_arrays(archive: Any) -> Predictions:
    held = {name: archive[name] for name in archive.files}
    speakers, rooms, names = (tuple(held[name].tolist()) for name in ("speakers", "rooms", "names"))
    return Predictions(
        held["outputs"], held["embeddings"].astype(np.float64), held["truth"], speakers, rooms, names,
        held["enough_speech"], held["speech_ms"],
    )  # fmt: skip
