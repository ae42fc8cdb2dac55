"""The weights of a bundle, to go on training from it: most are read from the graph, the rest is beside it.

A TFLite file holds the large matrices as int8 with a scale for each output channel (dynamic-range quantisation), which
is a fine place to begin from: they need not be shipped twice. `training.npz` in the bundle says which tensor of the
graph is which weight of the network, and holds the few weights that the converter folded or fused away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.networks.pretrained import QUERY_SCALE
from training.recipes.recipe import Recipe, from_document

FILE: Final = "training.npz"
LARGE: Final = 4096
"""Fewer numbers than this are kept as they are."""
TOLERANCE: Final = 0.05
"""Root mean square of what rounding to int8 may change, as a share of the weight's own."""
ORDERS: Final[dict[int, tuple[tuple[int, ...], ...]]] = {
    2: ((0, 1), (1, 0)), 3: ((0, 1, 2), (1, 2, 0)), 4: ((1, 2, 3, 0),)
}  # fmt: skip
"""Axes of a tensor of the graph in the order of the network's weight, by its number of axes."""
FACTORS: Final = (QUERY_SCALE, 1.0, 1.0)
"""Of query, key and value in the graph, where each is a tensor of its own (`networks/folded.py`)."""
Array = NDArray[np.float32]
EMPTY: Final[dict[str, Array]] = {}


def constants(model: Path) -> dict[str, Array]:
    """Read the large constant tensors of a TFLite file by name, as float32 `[...]`; int8 ones are dequantised."""
    from edge.inference.interpreter import Interpreter

    return {
        name: values
        for name, values in Interpreter(model, reference=True).constants()
        if values.size >= LARGE
    }


def write(
    out: Path,
    recipe: Recipe,
    weights: Sequence[NDArray[Any]],
    model: Path,
    encoder: Mapping[str, Array] = EMPTY,
) -> None:
    """Write what `read` needs beside the graph itself; `weights`, float32 `[...]`, are in the order of the network.

    Weights that are neither in the graph nor trained come from the `encoder` and are only named.
    """
    graph = constants(model)
    places: list[dict[str, Any]] = []
    kept: dict[str, NDArray[Any]] = {}
    for index, weight in enumerate(weights):
        found = None
        if weight.size >= LARGE:
            found = _find(weight, graph) or _parts(weight, graph) or _borrowed(weight, encoder)
        places.append(found or {})
        if found is None:
            kept[f"weight{index:04d}"] = weight.astype(np.float16 if weight.size >= LARGE else np.float32)
    facts = {"recipe": msgspec.to_builtins(recipe), "places": places}
    kept["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(out, **kept)  # type: ignore[arg-type]


def copy(source: Path, out: Path, recipe: Recipe) -> None:
    """Write `source`, of a bundle with the same graph, to `out`, as made by a recipe with other constants."""
    with np.load(source, allow_pickle=False) as archive:
        kept = {name: archive[name] for name in archive.files}
    facts = json.loads(kept["facts"].tobytes()) | {"recipe": msgspec.to_builtins(recipe)}
    kept["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(out, **kept)


def _find(weight: NDArray[Any], graph: dict[str, Array]) -> dict[str, Any] | None:
    """The tensor that is this weight up to rounding, and the order of its axes."""
    for name, values in graph.items():
        flat = values.reshape([size for size in values.shape if size != 1])
        # The converter turns dense kernels `[in, out]` to `[out, in]`, and one-dimensional convolutions likewise.
        for axes in ORDERS.get(weight.ndim, ()):
            if flat.ndim != weight.ndim or flat.transpose(axes).shape != weight.shape:
                continue
            error = float(np.sqrt(np.mean(np.square(flat.transpose(axes) - weight))))
            if error <= TOLERANCE * float(np.sqrt(np.mean(np.square(weight)))):
                return {"tensor": name, "axes": list(axes)}
    return None


def _parts(weight: NDArray[Any], graph: dict[str, Array]) -> dict[str, Any] | None:
    """The tensors that query, key and value of an attention layer are: the query has its scale in it."""
    if weight.ndim != 2 or weight.shape[1] != 3 * weight.shape[0]:
        return None
    parts = [
        _find(part * factor, graph) for part, factor in zip(np.split(weight, 3, axis=1), FACTORS, strict=True)
    ]
    found = [part for part in parts if part is not None]
    return {"parts": found} if len(found) == len(parts) else None


def _borrowed(weight: NDArray[Any], encoder: Mapping[str, Array]) -> dict[str, Any] | None:
    """The convolution of the encoder that this weight is, as it came."""
    for name, values in encoder.items():
        if values.ndim == weight.ndim == 3 and np.array_equal(values.transpose(2, 1, 0), weight):
            return {"encoder": name}
    return None


def read(
    bundle: Bundle, encoder: Callable[[], Mapping[str, Array]] = lambda: EMPTY
) -> tuple[Recipe, list[NDArray[Any]]]:
    """Return the recipe and the weights, float32 `[...]`, that a bundle was made from.

    `encoder` is called for weights that the bundle only names. Raises `UserError` where the bundle does not hold them.
    """
    path = bundle.path / FILE
    if FILE not in bundle.manifest.files:
        raise UserError(f"{bundle.path} has no {FILE}: it was made to be used, not to be trained further")
    with np.load(path, allow_pickle=False) as archive:
        facts = json.loads(archive["facts"].tobytes())
        kept = {name: archive[name] for name in archive.files}
    graph = constants(bundle.model)
    weights = []
    for index, place in enumerate(facts["places"]):
        if "encoder" in place:
            values = encoder()[place["encoder"]].transpose(2, 1, 0)
        elif "parts" in place:
            parts = [_tensor(part, graph) for part in place["parts"]]
            values = np.concatenate(
                [part / factor for part, factor in zip(parts, FACTORS, strict=True)], axis=1
            )
        elif place:
            values = _tensor(place, graph)
        else:
            values = kept[f"weight{index:04d}"].astype(np.float32)
        weights.append(np.ascontiguousarray(values))
    return from_document(facts["recipe"]), weights


def _tensor(place: Mapping[str, Any], graph: Mapping[str, Array]) -> Array:
    values = graph[place["tensor"]]
    return values.reshape([size for size in values.shape if size != 1]).transpose(place["axes"])
