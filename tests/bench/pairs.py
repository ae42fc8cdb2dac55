"""Roomtone and the large model in turn, pair by pair: what else the machine does meets both, and their ratio stays."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.inference import bundle
from tests.bench.sound import speech
from tests.conftest import ROOT

HERE = Path(__file__).parent


def environment() -> Path:
    """The Python of the environment for the large model; made once (PyTorch and transformers)."""
    venv = Path(os.environ.get("ROOMTONE_BENCH_VENV", ROOT / ".venv-bench"))
    python = venv / "bin" / "python"
    stamp = venv / ".installed-1"
    if not stamp.exists():
        print(f"==> making {venv} with PyTorch and transformers (several minutes, once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        # Pinned: a later or an open version may bring gigabytes of CUDA libraries on x86-64.
        subprocess.run([*pip, "torch==2.13.0"], check=True, stdout=sys.stderr)
        subprocess.run([*pip, "transformers>=4.50", "numpy"], check=True, stdout=sys.stderr)
        stamp.touch()
    return python


def peer(python: Path) -> dict[str, Any]:
    """CPU milliseconds of 3 s of speech and resident megabytes of the large model, and its libraries."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run([python, HERE / "peer.py"], env=env, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def utterance(folder: Path, sound: Path) -> dict[str, float]:
    """CPU milliseconds of 3 s of speech, and of a reference computation, in a process of its own."""
    command = [sys.executable, str(HERE / "utterance.py"), str(folder), str(sound)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return dict(json.loads(done.stdout))


def run(folder: Path, rounds: int, python: Path | None, progress: Callable[[str], None]) -> dict[str, Any]:
    """Every family of bundles and, with `python`, the large model beside it, in so many rounds.

    Milliseconds are the least of the rounds; ratios are those of each round: the median, the least and the most.
    """
    sound = folder / "speech.npy"
    np.save(sound, speech(3.0))
    families = bundle.families()
    rows: list[dict[str, dict[str, Any]]] = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        row = {name: utterance(place, sound) for name, place in families.items()}
        if python is not None:
            row["peer"] = peer(python)
        rows.append(row)
    return figures(rows)


def figures(rows: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Figures of rounds: name (family or `peer`) to its `cpu_ms`, and `reference_ms` or `rss_mb`."""
    found: dict[str, Any] = {}
    for name in rows[0]:
        found[f"{name}_utterance_cpu_ms"] = min(row[name]["cpu_ms"] for row in rows)
        if name == "peer":
            found["peer_rss_mb"] = statistics.median(row[name]["rss_mb"] for row in rows)
            found["peer_library"] = rows[0][name].get("library", "unknown")
            continue
        own = [row[name]["cpu_ms"] / row[name]["reference_ms"] for row in rows]
        found[f"{name}_per_reference"] = spread(own)
        if "peer" in rows[0]:
            found[f"{name}_times_faster"] = spread(
                [row["peer"]["cpu_ms"] / row[name]["cpu_ms"] for row in rows]
            )
    found["reference_ms"] = min(row[name]["reference_ms"] for row in rows for name in row if name != "peer")
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most of the pairs."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}
