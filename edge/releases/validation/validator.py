"""The trial itself: does the bundle load, and do what it promises, within what this box has to give?"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference import bundle as bundles
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter
from edge.releases.validation.messages import Ask, Budget, Verdict
from edge.util.errors import UserError
from edge.util.memory import rss_mb

WARM: Final = 3
LATENCY_RUNS: Final = 9
SAME: Final = 1e-4
"""Logits of all inputs within this: the model hears nothing."""

Inputs = list[dict[str, NDArray[np.float32]]]


class Failed(Exception):  # noqa: N818 - a verdict, not an error of this program
    """The bundle does not pass; the text is for the person who published it."""


def try_bundle(ask: Ask) -> Verdict:
    """Never raises for what a bundle can do wrong, short of taking the process down."""
    try:
        return _try(ask)
    except Failed as failed:
        return Verdict(ok=False, why=str(failed))
    except UserError as error:
        return Verdict(ok=False, why=str(error))
    except (MemoryError, OSError, ValueError, KeyError, RuntimeError, ArithmeticError) as error:
        return Verdict(ok=False, why=f"{type(error).__name__}: {error}"[:300])


def _try(ask: Ask) -> Verdict:
    bundle = bundles.load(Path(ask.bundle))
    if bundle.full_name != ask.name or bundle.sha256 != ask.model_sha256:
        raise Failed(
            f"the bundle is {bundle.full_name} {bundle.sha256[:12]}, not {ask.name}: another one was signed"
        )
    inputs, reference_ms = _reference(ask.reference)
    inputs += _golden_inputs(bundle)
    before = rss_mb()
    interpreter = Interpreter(bundle.model)
    outputs = [_run(interpreter, one, bundle) for one in inputs]
    labels = _judge_outputs(outputs)
    # Shapes and names against the manifest, and the golden outputs.
    Classifier(bundle).self_test()
    if bundle.manifest.kernels == "full-int8":
        Classifier(bundle, reference=True).self_test()
    if bundles.HEAD in bundle.manifest.files:
        bundle.head()
    window_ms = _latency(interpreter, inputs)
    _judge_latency(window_ms, reference_ms, ask.budget)
    memory = _judge_memory(interpreter, inputs, before, ask.budget)
    return Verdict(
        ok=True, window_ms=round(window_ms, 2), reference_ms=round(reference_ms, 2), memory_mb=round(memory, 1),
        labels=labels,
    )  # fmt: skip


def _reference(path: str) -> tuple[Inputs, float]:
    """The golden inputs of the model that runs now (a folder or a name) and its median; nothing where it has none."""
    if not path:
        return [], 0.0
    try:
        bundle = bundles.load(bundles.find(path))
        inputs = _golden_inputs(bundle)
        interpreter = Interpreter(bundle.model)
        return inputs, _latency(interpreter, inputs)
    except UserError:
        return [], 0.0
    finally:
        gc.collect()


def _golden_inputs(bundle: Bundle) -> Inputs:
    golden = bundle.golden()
    found = [
        {"features": mel[None].astype(np.float32), "mask": mask[None].astype(np.float32)}
        for mel, mask in zip(golden["features"], golden["mask"], strict=True)
    ]
    if not found:
        raise Failed("the bundle has no golden inputs")
    return found


def _run(interpreter: Interpreter, one: dict[str, NDArray[np.float32]], bundle: Bundle) -> NDArray[Any]:
    found = interpreter.run(one)
    manifest = bundle.manifest
    for name in (manifest.logits, manifest.embedding):
        if name not in found:
            raise Failed(f"the graph has no output {name}")
        if not np.isfinite(found[name]).all():
            raise Failed(f"the output {name} is not finite (NaN or infinity)")
    return found[manifest.logits].reshape(-1)


def _judge_outputs(outputs: list[NDArray[Any]]) -> int:
    """How many different decisions there are."""
    stacked = np.stack(outputs)
    if len(outputs) > 1 and float(np.ptp(stacked, axis=0).max()) < SAME:
        raise Failed("collapsed: it answers the same whatever it hears")
    return len(set(stacked.argmax(axis=1).tolist()))


def _latency(interpreter: Interpreter, inputs: Inputs) -> float:
    """Median of a window in milliseconds of CPU time of this thread, the only one that works.

    Not by the clock on the wall: a model is refused for good, and a box that was busy with something else must not
    be the reason.
    """
    taken = []
    for count in range(WARM + LATENCY_RUNS):
        begun = time.thread_time()
        interpreter.run(inputs[count % len(inputs)])
        if count >= WARM:
            taken.append(1000 * (time.thread_time() - begun))
    return float(np.median(taken))


def _judge_latency(window_ms: float, reference_ms: float, budget: Budget) -> None:
    if window_ms > budget.window_ms:
        raise Failed(
            f"too slow: {window_ms:.0f} ms for a window of 3 s, at most {budget.window_ms:.0f} are allowed"
        )
    limit = max(budget.free_ms, budget.times_reference * reference_ms)
    if reference_ms and window_ms > limit:
        raise Failed(
            f"too slow: {window_ms:.3g} ms for a window, the model that runs now needs {reference_ms:.3g} ms"
            f" (at most {budget.times_reference:g} times as much)"
        )


def _judge_memory(interpreter: Interpreter, inputs: Inputs, before: float, budget: Budget) -> float:
    settled = rss_mb()
    for count in range(budget.runs):
        interpreter.run(inputs[count % len(inputs)])
    after = rss_mb()
    if after - settled > budget.leak_mb:
        raise Failed(f"leaks memory: {after - settled:.0f} MB in {budget.runs} runs")
    if after - before > budget.memory_mb:
        raise Failed(f"needs {after - before:.0f} MB of memory, at most {budget.memory_mb:.0f} are allowed")
    return after - before
