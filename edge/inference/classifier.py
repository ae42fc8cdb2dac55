"""From the samples of one utterance to an emotion, with the confidence that was calibrated for it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle, BundleError
from edge.inference.interpreter import Interpreter
from edge.protocol.messages import LABELS, UNCERTAIN

Float = NDArray[np.float32]
MIN_COSINE: Final = 0.98
"""Golden outputs: kernels of other machines round int8 activations differently, but not more than this."""


class Result(msgspec.Struct, frozen=True):
    """What was heard."""

    event_type: str
    """One of `LABELS`, or `uncertain`."""
    confidence: float
    """Calibrated probability of the most likely label, also when uncertain."""
    probabilities: dict[str, float]
    """One share for each label, in the order of `LABELS`, summing to 1."""
    embedding: Float
    """Pooled embedding `[size]`, averaged over windows."""
    logits: NDArray[np.float64]
    """`[7]`, averaged over windows, as the network gave them: neither calibrated nor moved by the room's mean."""
    enough_speech: bool
    """Whether there was speech enough to judge; what is shorter is `uncertain`."""
    unadapted_label: int = 0
    """Number of the label that the network alone would say, without the room's mean."""
    unadapted_confident: bool = False
    """Whether it would be said, or be `uncertain`."""


class Classifier:
    """One loaded model; not for several threads at once.

    `abstain_below` replaces the bundle's own threshold. `room` is the mean of a room that the classifier adapts to: it
    is read at each utterance and never changed here. Raises `InterpreterError` or `BundleError`.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int = 1,
        abstain_below: float | None = None,
        reference: bool = False,
        baseline: Baseline | None = None,
    ) -> None:
        self.bundle = bundle
        manifest = bundle.manifest
        self._spec = manifest.features
        self._abstain_below = manifest.abstain_below if abstain_below is None else abstain_below
        self._baseline = baseline
        self._reference = reference
        self._interpreter = Interpreter(bundle.model, threads, reference)
        self.runtime = self._interpreter.runtime
        """Such as `litert 2.3.0`."""
        for what, found, expected in (
            ("inputs", self._interpreter.inputs, manifest.inputs),
            ("outputs", self._interpreter.outputs, manifest.outputs),
        ):
            have = {(tensor.name, tensor.shape, tensor.dtype) for tensor in found}
            if have != {(tensor.name, tensor.shape, tensor.dtype) for tensor in expected}:
                raise BundleError(
                    f"{bundle.path}: the {what} of the graph are not those of the manifest: {have}"
                )

    def classify(self, samples: NDArray[Any], speech_ms: int | None = None) -> Result:
        """Classifies mono 16 kHz samples, int16 or float, of any length.

        Long speech is cut into windows of 3 s every 1.5 s and their logits are averaged, weighted by length.
        `speech_ms` is how much of it is speech, where that is known: in a noisy room, silence cannot be told by its
        level, and a short word would seem long. Raises `ValueError` for other types and shapes, NaN and infinity.
        """
        manifest = self.bundle.manifest
        speech = features.trim(features.to_float(samples), self._spec)
        if speech.size < features.MIN_SAMPLES:
            # Too short for a single feature frame: nothing is known, and that is what is said.
            return self._result(np.zeros(len(LABELS)), np.zeros(len(manifest.embedding_mean)), False)
        logits, embedding = self.outputs(speech)
        length_ms = speech.size / 16
        if speech_ms is not None:
            length_ms = min(length_ms, speech_ms + 2 * self._spec.trim_margin_ms)
        return self._result(logits, embedding, length_ms >= manifest.min_ms)

    def outputs(self, speech: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Uncalibrated logits `[7]` and embedding `[size]` of trimmed float32 speech, averaged over windows."""
        logits: list[NDArray[np.float64]] = []
        embeddings: list[NDArray[np.float64]] = []
        weights: list[float] = []
        for window in features.windows(speech, self._spec):
            mel, mask = features.network_input(window, self._spec)
            found = self._run(mel, mask)
            logits.append(found[0])
            embeddings.append(found[1])
            weights.append(float(mask.sum()))
        return np.average(logits, axis=0, weights=weights), np.average(embeddings, axis=0, weights=weights)

    def _run(self, mel: Float, mask: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = self._interpreter.run({"features": mel, "mask": mask})
        manifest = self.bundle.manifest
        return found[manifest.logits][0].astype(np.float64), found[manifest.embedding][0].astype(np.float64)

    def _result(
        self, logits: NDArray[np.float64], embedding: NDArray[np.float64], enough_speech: bool
    ) -> Result:
        moved = logits if self._baseline is None or not enough_speech else logits + self._baseline.shift
        scaled = moved / self.bundle.manifest.temperature
        shares = np.exp(scaled - scaled.max())
        shares /= shares.sum()
        best = int(shares.argmax())
        confidence = float(shares[best])
        sure = enough_speech and confidence >= self._abstain_below
        unadapted_label, unadapted_confidence = best, confidence
        if moved is not logits:
            alone = np.exp((logits - logits.max()) / self.bundle.manifest.temperature)
            unadapted_label = int(alone.argmax())
            unadapted_confidence = float(alone[unadapted_label] / alone.sum())
        return Result(
            LABELS[best] if sure else UNCERTAIN,
            confidence,
            {label: float(share) for label, share in zip(LABELS, shares, strict=True)},
            embedding.astype(np.float32),
            logits,
            enough_speech,
            unadapted_label,
            enough_speech and unadapted_confidence >= self._abstain_below,
        )

    def self_test(self) -> int:
        """Runs the golden inputs and compares with the golden outputs; returns how many there are.

        Raises `BundleError` if the outputs differ.

        Bit for bit where the graph is full int8 and the kernels are the reference ones, else by decision and cosine.
        """
        golden = self.bundle.golden()
        exact = self._reference and self.bundle.manifest.kernels == "full-int8"
        for index, (mel, mask) in enumerate(zip(golden["features"], golden["mask"], strict=True)):
            logits, embedding = self._run(mel[None], mask[None])
            if exact:
                self._same_bits(golden, index, logits, embedding)
            expected = golden["logits"][index]
            if not np.isfinite(logits).all() or int(logits.argmax()) != int(expected.argmax()):
                raise BundleError(
                    f"{self.bundle.path}: golden input {index} is decided differently on this machine"
                )
            if (cosine := _cosine(embedding, golden["embedding"][index])) < MIN_COSINE:
                raise BundleError(
                    f"{self.bundle.path}: golden input {index}: cosine {cosine:.3f} to what is expected"
                )
        return max(1, len(golden["mask"]))

    def _same_bits(
        self, golden: dict[str, NDArray[Any]], index: int, logits: NDArray[Any], embedding: NDArray[Any]
    ) -> None:
        for name, found in (("reference_logits", logits), ("reference_embedding", embedding)):
            if name not in golden:
                raise BundleError(
                    f"{self.bundle.path}: a full-int8 bundle needs {name} in its golden outputs"
                )
            if not np.array_equal(found.astype(np.float32), golden[name][index]):
                raise BundleError(
                    f"{self.bundle.path}: golden input {index}: the reference kernels give other bits ({name})"
                )


def _cosine(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(np.dot(first, second) / max(1e-12, float(np.linalg.norm(first) * np.linalg.norm(second))))
