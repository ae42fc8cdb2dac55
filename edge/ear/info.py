"""What the ear reports about itself to the link: what it runs, and how it does."""

from __future__ import annotations

from typing import Literal, cast

from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.ear.baseline_store import BaselineStore
from edge.ear.capture.thread import Capture
from edge.ear.pipeline import Pipeline
from edge.ear.uplink.client import Uplink
from edge.inference.classifier import Classifier
from edge.protocol import SMALL_COUNT, EarHealth, EarInfo
from edge.util.process_stats import rss_mb_or_zero
from edge.util.version import VERSION


def ear_info(config: Config, classifier: Classifier, vad: Vad) -> EarInfo:
    """Describe this ear; the format of the microphone is added when it has been opened."""
    return EarInfo(
        model_sha256=classifier.bundle.sha256,
        runtime=cast(Literal["litert", "tflite-runtime"], classifier.runtime.partition(" ")[0]),
        vad=vad.engine,
        ear_version=VERSION,
        config_sha256=config.sha256(),
    )


def ear_health(
    pipeline: Pipeline, capture: Capture, uplink: Uplink, baseline: BaselineStore | None, level: int | None
) -> EarHealth:
    """Describe how this ear does, within the bounds of the protocol; `level`: in dBFS, None while it does not hear."""
    return EarHealth(
        frames=pipeline.frames,
        overruns=_bounded(capture.overruns),
        utterances=_bounded(pipeline.utterances),
        inference_p50_ms=min(60_000, pipeline.latency_ms(0.5)),
        inference_p95_ms=min(60_000, pipeline.latency_ms(0.95)),
        rss_mb=round(rss_mb_or_zero()),
        dropped=_bounded(uplink.dropped),
        baseline_utterances=None if baseline is None else _bounded(baseline.baseline.utterances),
        level_dbfs=level,
    )


def _bounded(count: int) -> int:
    return min(count, SMALL_COUNT)
