"""Protocol `vad`: how much of annotated speech the device hears, and how much of the rest it takes for speech.

Recordings with speaker turns (RTTM) beside them, such as meetings. Detected is what a segmenter cuts, pre-roll and tail
included, in blocks of 32 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.audio.segmenter import BLOCK, Segmenter
from edge.audio.vad import make_vad
from edge.config.settings import Config
from edge.util.errors import UserError
from training.data.corpora.clip import audio_files
from training.data.recordings import RATE, Sounds
from training.metrics import intervals


def run(data: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Measure misses and false alarms of the voice activity detection on recordings with speaker turns.

    Returns one JSON object. Raises `UserError` where no recording has turns.
    """
    root = data / "vad"
    turns = _turns(root)
    sounds, config = Sounds(), Config()
    rows, speech, detected, names, count = [], [], [], [], 0
    for path in audio_files(root):
        if path.stem not in turns:
            continue
        truth = _blocks(turns[path.stem], sounds[path].size // BLOCK)
        found, utterances = _detected(sounds[path], config)
        rows.append({"file": path.name, "miss": _share(~found, truth), "false": _share(found, ~truth)})
        speech.append(truth)
        detected.append(found)
        names += [path.stem] * len(truth)
        count += utterances
    if not rows:
        raise UserError(f"{root} holds no recordings with turns (*.rttm)")
    truth, found, files = np.concatenate(speech), np.concatenate(detected), np.array(names)
    return {
        "protocol": "vad", "bundle": None, "n": len(rows), "utterances": count,
        "miss": _share(~found, truth), "miss_95": intervals.of_share(~found[truth], files[truth]),
        "false": _share(found, ~truth), "false_95": intervals.of_share(found[~truth], files[~truth]),
        "speech_min": round(float(truth.sum()) * BLOCK / RATE / 60, 2),
        "heard_min": round(float((truth & found).sum()) * BLOCK / RATE / 60, 2),
        "onset": config.vad.onset, "offset": config.vad.offset, "pre_roll_ms": config.segmenter.pre_roll_ms,
        "hang_over_ms": config.segmenter.hang_over_ms, "files": rows,
    }  # fmt: skip


def _turns(root: Path) -> dict[str, list[tuple[float, float]]]:
    """Begin and end in seconds of the turns of each recording."""
    found: dict[str, list[tuple[float, float]]] = {}
    for table in sorted(root.glob("*.rttm")):
        for line in table.read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if len(fields) > 4 and fields[0] == "SPEAKER":
                begin, length = float(fields[3]), float(fields[4])
                found.setdefault(fields[1], []).append((begin, begin + length))
    return found


def _blocks(turns: list[tuple[float, float]], count: int) -> NDArray[np.bool_]:
    """Which blocks hold speech for more than half of their time, `[count]`."""
    fine = np.zeros(count * BLOCK, np.bool_)
    for begin, end in turns:
        fine[int(begin * RATE) : int(end * RATE)] = True
    found: NDArray[np.bool_] = fine.reshape(-1, BLOCK).mean(axis=1) > 0.5
    return found


def _detected(samples: NDArray[np.int16], config: Config) -> tuple[NDArray[np.bool_], int]:
    """Which blocks of int16 samples `[n]` become part of an utterance, and how many utterances there are."""
    vad, segmenter = make_vad(config), Segmenter(config)
    blocks = samples[: samples.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    found, count = np.zeros(len(blocks), np.bool_), 0
    cut = [one for block in blocks for one in segmenter.push(block, vad.probability(block))]
    for utterance in [*cut, *segmenter.flush()]:
        begin = utterance.first_block - utterance.speech.start // BLOCK
        found[begin : begin + utterance.samples.size // BLOCK] = True
        count += 1
    return found, count


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return round(float(hits[among].mean()), 4) if among.any() else 0.0
