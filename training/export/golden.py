"""Inputs and expected outputs of a bundle, made from synthetic voices: no recording of a person is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.inference.interpreter import Interpreter
from edge.util.errors import UserError

COUNT = 2
MARGIN = 0.5  # between the two best logits: a decision that rounding cannot turn


def voice(seed: int, seconds: float = 2.0) -> NDArray[np.int16]:
    """Generate a voice-like test sound, int16 `[n]` at 16 kHz: a buzz with gliding pitch and formants, in syllables."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    rate = random.uniform(2.5, 6.0)
    pitch = random.uniform(90, 280) * 2 ** (random.uniform(0.05, 0.5) * np.sin(2 * np.pi * rate / 3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    formants = [(random.uniform(300, 800), 90.0), (random.uniform(900, 2200), 140.0), (2700.0, 200.0)]
    sound = np.zeros_like(time)
    for harmonic in range(1, 40):
        frequency = harmonic * float(pitch.mean())
        gain = sum(1.0 / (1.0 + ((frequency - centre) / width) ** 2) for centre, width in formants)
        sound += (gain + 0.02) / harmonic**0.5 * np.sin(harmonic * phase)
    sound *= 0.1 + np.clip(np.sin(2 * np.pi * rate * time), 0, None)
    sound += 0.01 * random.standard_normal(time.size)
    result: NDArray[np.int16] = np.round(sound / np.abs(sound).max() * 12000).astype(np.int16)
    return result


def write(model: Path, out: Path, logits: str, embedding: str, arousal: str | None = None) -> None:
    """Write the golden file: inputs that are decided clearly, and the outputs of two kernel implementations for them.

    `logits`, `embedding` and, of a relative head, `arousal` are those of the default kernels; `reference_logits` and so
    on those of the reference kernels, which a full-int8 graph gives bit for bit on every machine. The arguments are the
    names of the outputs. Raises `UserError` if the two decide differently: then the graph is not fit to be shipped.
    """
    default, reference = Interpreter(model), Interpreter(model, reference=True)
    outputs = {"logits": logits, "embedding": embedding} | ({"arousal": arousal} if arousal else {})
    kept: dict[str, list[NDArray[Any]]] = {
        name: []
        for name in ("samples", "features", "mask", *outputs, *(f"reference_{name}" for name in outputs))
    }
    for seed in range(200):
        samples = voice(seed)
        mel, mask = features.network_input(features.trim(features.to_float(samples)))
        found = default.run({"features": mel, "mask": mask})
        best = np.sort(found[logits][0])
        if best[-1] - best[-2] < MARGIN:
            continue
        plain = reference.run({"features": mel, "mask": mask})
        if plain[logits].argmax() != found[logits].argmax():
            raise UserError(f"{model}: reference and default kernels decide differently (golden seed {seed})")
        values = [samples, mel[0], mask[0]]
        values += [kernels[name][0] for kernels in (found, plain) for name in outputs.values()]
        for name, value in zip(kept, values, strict=True):
            kept[name].append(value)
        if len(kept["samples"]) == COUNT:
            break
    else:
        raise UserError(f"{model}: no synthetic voice is decided clearly; is the model trained?")
    np.savez_compressed(out, **{name: np.stack(values) for name, values in kept.items()})  # type: ignore[arg-type]
