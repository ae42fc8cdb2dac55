"""Chooses Keras's backend before Keras is imported. `KERAS_BACKEND` of the environment always wins."""

from __future__ import annotations

import importlib.util
import os

from edge.util.errors import UserError


def choose(*preferred: str) -> str:
    """Select the Keras backend: the first of `tensorflow`, `torch`, `jax` that is installed; returns its name.

    Raises `UserError` if none is.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if importlib.util.find_spec("keras") is None:
        raise UserError("keras is not installed: install the extra training (docs/install.md)")
    if "KERAS_BACKEND" not in os.environ:
        for name in preferred:
            if importlib.util.find_spec(name) is not None:
                os.environ["KERAS_BACKEND"] = name
                break
        else:
            raise UserError(
                f"none of {', '.join(preferred)} is installed: install the extra training (docs/install.md)"
            )
    return os.environ["KERAS_BACKEND"]
