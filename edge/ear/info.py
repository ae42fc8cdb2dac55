"""What the ear reports about itself to the link: model, runtime, detector, version and configuration."""

from __future__ import annotations

from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.inference.classifier import Classifier
from edge.protocol import ModelInfo
from edge.util.version import VERSION


def model_info(config: Config, classifier: Classifier, vad: Vad) -> ModelInfo:
    """Describe this ear; the format of the microphone is added when it has been opened."""
    manifest = classifier.bundle.manifest
    return ModelInfo(
        model=classifier.bundle.full_name,
        model_sha256=classifier.bundle.sha256,
        feature_spec_sha256=manifest.features_sha256,
        runtime=classifier.runtime,
        vad=vad.engine,
        ear_version=VERSION,
        config_sha256=config.sha256(),
    )
