"""Copies of the shipped bundle: full size, real sound.

`relabelled` is the shipped network under another version, as good as it is or with its labels exchanged. Only the
output layer of the graph is changed, and everything that is made of it: golden outputs, head, hashes. A bundle with
exchanged labels is well made in every way, and wrong: only the true labels, or the events of the model before, tell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.inference import bundle as bundles
from edge.protocol import LABELS

SHIPPED = bundles.load(bundles.find("base")).full_name
"""What a box runs that was never sent anything."""
SAME = tuple(range(len(LABELS)))
SHIFTED = (*SAME[1:], 0)
"""What was happy is called neutral, what was neutral surprised, and so on."""
NUDGE = 1e-4
"""Added to one logit, so that the bytes are others and the decisions are not."""


def relabelled(folder: Path, version: str, order: Sequence[int] = SAME) -> Path:
    """`folder/base-version`: its label `n` is what the shipped bundle calls label `order[n]`."""
    source = bundles.load(bundles.find("base"))
    target = folder / f"base-{version}"
    shutil.copytree(source.path, target)
    with np.load(target / bundles.HEAD) as archive:
        head = {name: archive[name] for name in archive.files}
    places = list(order)
    moved = {"kernel": head["kernel"][:, places], "bias": head["bias"][places]}
    moved["bias"][0] += NUDGE
    graph = (target / bundles.MODEL).read_bytes()
    for name, values in moved.items():
        before = head[name].astype("<f4").tobytes()
        assert graph.count(before) == 1, f"the graph has not exactly one {name} like that"
        graph = graph.replace(before, np.ascontiguousarray(values).astype("<f4").tobytes())
    (target / bundles.MODEL).write_bytes(graph)
    np.savez(target / bundles.HEAD, **(head | moved))
    golden = source.golden()
    golden["logits"] = golden["logits"][:, places]
    np.savez(target / bundles.GOLDEN, **golden)
    manifest = json.loads((target / bundles.MANIFEST).read_text())
    manifest["version"] = version
    (target / bundles.MANIFEST).write_text(json.dumps(manifest))
    update_hashes(target, *manifest["files"])
    return target


def update_hashes(folder: Path, *names: str) -> None:
    """Write the hashes of these files as they are now into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in names:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
