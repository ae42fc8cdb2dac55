"""Chooses Keras's backend before Keras is imported. `KERAS_BACKEND` of the environment always wins."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile

from edge.util.errors import UserError


def choose(*preferred: str) -> str:
    """Select the Keras backend: the first of `tensorflow`, `torch`, `jax` that is installed; returns its name.

    It is imported here, without what it writes at its start. Raises `UserError` if none is installed.
    """
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
    import_quietly(os.environ["KERAS_BACKEND"])
    return os.environ["KERAS_BACKEND"]


def import_quietly(name: str) -> None:
    """Import a framework without the lines about devices and instructions that its native part writes.

    TensorFlow writes some of them before it looks at `TF_CPP_MIN_LOG_LEVEL`, so standard error itself is put aside
    meanwhile. It is shown where the import fails. Raises what the import raises.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if name in sys.modules:
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as written:
        kept = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            importlib.import_module(name)
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
