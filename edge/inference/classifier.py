"""Classifies the emotion of an utterance, with a calibrated confidence."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle, BundleError
from edge.inference.decision import Decision, decide
from edge.inference.interpreter import Interpreter
from edge.protocol import LABELS, UNCERTAIN

Float = NDArray[np.float32]
MIN_COSINE: Final = 0.98
"""Lowest cosine between golden and actual embedding: kernels of other machines round int8 values differently."""


class Result(msgspec.Struct, frozen=True):
    """The classification of one utterance."""

    event_type: str
    """One of `LABELS`, or `uncertain`."""
    confidence: float
    """Calibrated probability of `event_type`; where it is `uncertain`, of the most likely label."""
    probabilities: dict[str, float]
    """Label to probability, in the order of `LABELS`, summing to 1."""
    embedding: Float
    """Float32 `[size]`, averaged over windows."""
    outputs: NDArray[np.float64]
    """Float64, averaged over windows: logits `[7]` of an absolute head, logits and arousal `[8]` of a relative one."""
    enough_speech: bool
    """Whether there was speech enough to classify; what is shorter is `uncertain`."""
    arousal: float | None = None
    """-1 (calmer than usual here) to 1 (more agitated); None: absolute head, or too little speech."""
    unadapted_label: int = 0
    """Index of the label without the room's baseline."""
    unadapted_confident: bool = False
    """Whether that label would be published, or `uncertain`."""


class Classifier:
    """A loaded model. Not thread-safe.

    `abstain_below` replaces the bundle's own threshold. `baseline` is that of the room, for a bundle with a relative
    head; it is read at each utterance and never changed here. Without one, utterances are compared with the origin,
    that of ordinary speech in general. Raises `InterpreterError` or `BundleError`.
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
        self._head = manifest.relative
        self._origin = None if self._head is None else Baseline.from_bundle(bundle)
        self._baseline = baseline or self._origin
        self._reference = reference
        self._interpreter = Interpreter(bundle.model, threads, reference)
        self.runtime = self._interpreter.runtime
        """Name and version of the interpreter, such as `litert 2.3.0`."""
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
        """Classify samples, int16 or float `[n]`, mono, 16 kHz, of any length.

        Long speech is split into windows of 3 s every 1.5 s, and their logits are averaged, weighted by length.
        `speech_ms` is the length of the speech, where it is known: in a noisy room silence cannot be detected by its
        level, and a short word would seem long. Raises `ValueError` for other dtypes and shapes, NaN and infinity.
        """
        manifest = self.bundle.manifest
        speech = features.trim(features.to_float(samples), self._spec)
        if speech.size < features.MIN_SAMPLES:
            # Too short for a single feature frame: every label is equally likely.
            nothing = np.zeros(len(LABELS) + (self._head is not None))
            return self.result(nothing, np.zeros(manifest.embedding_size), False)
        outputs, embedding = self.outputs(speech)
        begin, end = features.speech_bounds(speech, self._spec, margin_ms=0)
        length_ms = (end - begin) / 16
        if speech_ms is not None:
            length_ms = min(length_ms, speech_ms)
        return self.result(outputs, embedding, length_ms >= manifest.min_ms)

    def outputs(self, speech: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Run trimmed float32 speech `[n]` at 16 kHz; average over windows, weighted by their length.

        Returns `Result.outputs` (`[7]` or `[8]`) and the embedding `[size]`, float64.
        """
        outputs: list[NDArray[np.float64]] = []
        embeddings: list[NDArray[np.float64]] = []
        weights: list[float] = []
        for window in features.windows(speech, self._spec):
            mel, mask = features.network_input(window, self._spec)
            found = self._run(mel, mask)
            outputs.append(found[0])
            embeddings.append(found[1])
            weights.append(float(mask.sum()))
        return np.average(outputs, axis=0, weights=weights), np.average(embeddings, axis=0, weights=weights)

    def _run(self, mel: Float, mask: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = self._interpreter.run({"features": mel, "mask": mask})
        manifest = self.bundle.manifest
        outputs = found[manifest.logits][0]
        if self._head is not None:
            outputs = np.concatenate([outputs, found[self._head.arousal][0]])
        return outputs.astype(np.float64), found[manifest.embedding][0].astype(np.float64)

    def result(
        self, outputs: NDArray[np.float64], embedding: NDArray[np.float64], enough_speech: bool
    ) -> Result:
        """Decide an utterance by its `Result.outputs`, float64 `[7]` or `[8]`, and embedding `[size]`.

        Logits as `outputs` returns them, not probabilities. Without `enough_speech` the event is `uncertain`
        and has no arousal; probabilities and confidence are there all the same.
        """
        found, unadapted = self._decide(outputs, self._baseline), self._decide(outputs, self._origin)
        sure = enough_speech and found.event_type != UNCERTAIN and self._confident(found)
        return Result(
            found.event_type if sure else UNCERTAIN,
            found.confidence,
            {label: float(share) for label, share in zip(LABELS, found.probabilities, strict=True)},
            embedding.astype(np.float32),
            outputs,
            enough_speech,
            None if self._head is None or not enough_speech else found.arousal,
            int(unadapted.probabilities.argmax())
            if unadapted.event_type == UNCERTAIN
            else LABELS.index(unadapted.event_type),
            enough_speech and unadapted.event_type != UNCERTAIN and self._confident(unadapted),
        )

    def _decide(self, outputs: NDArray[np.float64], baseline: Baseline | None) -> Decision:
        if self._head is not None and baseline is not None:
            return decide(baseline.relative(outputs), self._head)
        scaled = outputs[: len(LABELS)] / self.bundle.manifest.temperature
        shares = np.exp(scaled - scaled.max())
        shares /= shares.sum()
        best = int(shares.argmax())
        return Decision(LABELS[best], float(shares[best]), shares, 0.0)

    def _confident(self, found: Decision) -> bool:
        return found.confidence >= self._abstain_below

    def self_test(self, turn: int | None = None) -> int:
        """Run the golden inputs and compare the outputs; returns the number of inferences.

        With `turn` only one of them is run: every input has its turn, and they begin again after the last one.
        The outputs must be equal for a full-int8 graph with reference kernels; else label and cosine of the
        embedding count, against the outputs of the kernels of this interpreter's kind or of the reference
        kernels. Raises `BundleError` if the outputs differ.
        """
        golden = self.bundle.golden()
        full_int8 = self.bundle.manifest.kernels == "full-int8"
        exact = self._reference and full_int8
        # Kernels round int8 differently: those of an older interpreter are near the reference kernels.
        expected = ("", "reference_") if full_int8 and "reference_logits" in golden else ("",)
        inputs = list(zip(golden["features"], golden["mask"], strict=True))
        chosen = range(len(inputs)) if turn is None or not inputs else (turn % len(inputs),)
        for index in chosen:
            mel, mask = inputs[index]
            outputs, embedding = self._run(mel[None], mask[None])
            logits = outputs[: len(LABELS)]
            if exact:
                self._same_bits(golden, index, outputs, embedding)
            labels = [one for one in expected if logits.argmax() == golden[f"{one}logits"][index].argmax()]
            if not np.isfinite(logits).all() or not labels:
                raise BundleError(
                    f"{self.bundle.path}: golden input {index} gives another label on this machine"
                )
            cosine = max(_cosine(embedding, golden[f"{one}embedding"][index]) for one in labels)
            if not cosine >= MIN_COSINE:
                raise BundleError(
                    f"{self.bundle.path}: golden input {index}: cosine {cosine:.3f} to the expected embedding"
                )
        return max(1, len(chosen))

    def _same_bits(
        self, golden: dict[str, NDArray[Any]], index: int, outputs: NDArray[Any], embedding: NDArray[Any]
    ) -> None:
        count = len(LABELS)
        parts = [("reference_logits", outputs[:count]), ("reference_embedding", embedding)]
        if self._head is not None:
            parts.append(("reference_arousal", outputs[count:]))
        for name, found in parts:
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
