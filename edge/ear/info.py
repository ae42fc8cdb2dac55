"""What the ear reports about itself to the link: model, runtime, detector, version and configuration."""

from __future__ import annotations

from typing import Literal, cast

from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.inference.classifier import Classifier
from edge.protocol import EarInfo
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
