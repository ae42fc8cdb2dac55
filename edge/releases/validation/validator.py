"""The checks of a new bundle: does it load, reproduce its golden outputs, and stay within this device's limits?"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference import bundle as bundles
from edge.inference import memory_pages
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter
from edge.releases.store.state import manifest_sha256
from edge.releases.validation.messages import Budget, ValidationRequest, Verdict
from edge.util.errors import UserError
from edge.util.process_stats import rss_mb

WARM_UP_RUNS: Final = 3
LATENCY_RUNS: Final = 9
MIN_SPREAD: Final = 1e-4
"""A model whose logits differ by less over all inputs is constant."""

Inputs = list[dict[str, NDArray[np.float32]]]


class ValidationFailed(Exception):  # noqa: N818 - a verdict, not an error of this program
    """The bundle does not pass; the text is for the publisher."""


def validate_bundle(request: ValidationRequest) -> Verdict:
    """Run all checks. Raises nothing, whatever is wrong with the bundle; it may still crash the process."""
    try:
        return _validate(request)
    except ValidationFailed as failed:
        return Verdict(ok=False, reason=str(failed))
    except UserError as error:
        return Verdict(ok=False, reason=str(error))
    except (MemoryError, OSError, ValueError, KeyError, RuntimeError, ArithmeticError) as error:
        return Verdict(ok=False, reason=f"{type(error).__name__}: {error}"[:300])


def _validate(request: ValidationRequest) -> Verdict:
    bundle = bundles.load(Path(request.bundle))
    if bundle.full_name != request.name or bundle.sha256 != request.model_sha256:
        raise ValidationFailed(
            f"the bundle is {bundle.full_name} {bundle.sha256[:12]}, not {request.name}: another one was signed"
        )
    digest = manifest_sha256(bundle.path)
    inputs, reference_ms = _reference(request.reference)
    inputs += _golden_inputs(bundle)
    # The new model must not be given what the one that runs now leaves behind: it would seem to need less.
    gc.collect()
    memory_pages.trim_heap()
    before = rss_mb()
    interpreter = Interpreter(bundle.model)
    outputs = [_run(interpreter, one, bundle) for one in inputs]
    labels = _check_outputs(outputs)
    # Shapes and names against the manifest, and the golden outputs.
    Classifier(bundle).self_test()
    if bundle.manifest.kernels == "full-int8":
        Classifier(bundle, reference=True).self_test()
    if bundles.HEAD in bundle.manifest.files:
        bundle.head()
    window_ms = _latency(interpreter, inputs)
    _check_latency(window_ms, reference_ms, request.budget)
    memory = _check_memory(interpreter, inputs, before, request.budget)
    return Verdict(
        ok=True, manifest_sha256=digest, window_ms=round(window_ms, 2), reference_ms=round(reference_ms, 2),
        memory_mb=round(memory, 1), labels=labels,
    )  # fmt: skip


def _reference(path: str) -> tuple[Inputs, float]:
    """Golden inputs and median latency of the model that runs now (a folder or a name); nothing where it has none."""
    if not path:
        return [], 0.0
    try:
        bundle = bundles.load(bundles.find(path))
        inputs = _golden_inputs(bundle)
        interpreter = Interpreter(bundle.model)
        return inputs, _latency(interpreter, inputs)
    except UserError:
        return [], 0.0


def _golden_inputs(bundle: Bundle) -> Inputs:
    golden = bundle.golden()
    found = [
        {"features": mel[None].astype(np.float32), "mask": mask[None].astype(np.float32)}
        for mel, mask in zip(golden["features"], golden["mask"], strict=True)
    ]
    if not found:
        raise ValidationFailed("the bundle has no golden inputs")
    return found


def _run(interpreter: Interpreter, one: dict[str, NDArray[np.float32]], bundle: Bundle) -> NDArray[Any]:
    found = interpreter.run(one)
    manifest = bundle.manifest
    for name in (manifest.logits, manifest.embedding):
        if name not in found:
            raise ValidationFailed(f"the graph has no output {name}")
        if not np.isfinite(found[name]).all():
            raise ValidationFailed(f"the output {name} is not finite (NaN or infinity)")
    return found[manifest.logits].reshape(-1)


def _check_outputs(outputs: list[NDArray[Any]]) -> int:
    """Number of distinct predicted labels. Raises `ValidationFailed` for a constant model."""
    stacked = np.stack(outputs)
    if len(outputs) > 1 and float(np.ptp(stacked, axis=0).max()) < MIN_SPREAD:
        raise ValidationFailed("collapsed: its output is the same for every input")
    return len(set(stacked.argmax(axis=1).tolist()))


def _latency(interpreter: Interpreter, inputs: Inputs) -> float:
    """Median latency of a window, in milliseconds of CPU time of this thread, the only one that works.

    Not wall-clock time: a model is refused for good, and other load on the device must not be the reason.
    """
    durations = []
    for count in range(WARM_UP_RUNS + LATENCY_RUNS):
        started = time.thread_time()
        interpreter.run(inputs[count % len(inputs)])
        if count >= WARM_UP_RUNS:
            durations.append(1000 * (time.thread_time() - started))
    return float(np.median(durations))


def _check_latency(window_ms: float, reference_ms: float, budget: Budget) -> None:
    if window_ms > budget.window_ms:
        raise ValidationFailed(
            f"too slow: {window_ms:.0f} ms for a window of 3 s, at most {budget.window_ms:.0f} are allowed"
        )
    limit = max(budget.free_ms, budget.times_reference * reference_ms)
    if reference_ms and window_ms > limit:
        raise ValidationFailed(
            f"too slow: {window_ms:.3g} ms for a window, the model that runs now needs {reference_ms:.3g} ms"
            f" (at most {budget.times_reference:g} times as much)"
        )


def _check_memory(interpreter: Interpreter, inputs: Inputs, before: float, budget: Budget) -> float:
    warmed_up = rss_mb()
    for count in range(budget.runs):
        interpreter.run(inputs[count % len(inputs)])
    after = rss_mb()
    if after - warmed_up > budget.leak_mb:
        raise ValidationFailed(f"leaks memory: {after - warmed_up:.0f} MB in {budget.runs} runs")
    if after - before > budget.memory_mb:
        raise ValidationFailed(
            f"needs {after - before:.0f} MB of memory, at most {budget.memory_mb:.0f} are allowed"
        )
    return after - before
