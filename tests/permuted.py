"""The shipped bundle with its labels exchanged: a real network of full size, well made in every way, and wrong.

The output layer's columns change places in the graph, and everything that is made of it follows: golden outputs, head,
hashes. Nothing short of knowing what people meant, or of the model before, can tell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.model import bundle as bundles

SHIFTED = (1, 2, 3, 4, 5, 6, 0)
"""What was neutral is surprised, what was happy is neutral, and so on."""


def make(folder: Path, version: str, order: Sequence[int] = SHIFTED) -> Path:
    """`folder/base-version`: its label `n` is what the shipped bundle calls label `order[n]`."""
    source = bundles.load(bundles.find("base"))
    target = folder / f"base-{version}"
    shutil.copytree(source.path, target)
    with np.load(target / bundles.HEAD) as archive:
        head = {name: archive[name] for name in archive.files}
    moved = {"kernel": head["kernel"][:, list(order)], "bias": head["bias"][list(order)]}
    graph = (target / bundles.MODEL).read_bytes()
    for name, values in moved.items():
        before = head[name].astype("<f4").tobytes()
        assert graph.count(before) == 1, f"the graph has not exactly one {name} like that"
        graph = graph.replace(before, np.ascontiguousarray(values).astype("<f4").tobytes())
    (target / bundles.MODEL).write_bytes(graph)
    np.savez(target / bundles.HEAD, **(head | moved))
    golden = source.golden()
    golden["logits"] = golden["logits"][:, list(order)]
    np.savez(target / bundles.GOLDEN, **golden)
    manifest = json.loads((target / bundles.MANIFEST).read_text())
    manifest["version"] = version
    manifest["files"] = {
        name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    (target / bundles.MANIFEST).write_text(json.dumps(manifest))
    return target
