"""What a TFLite file asks of an interpreter: its operators with their versions, and the types of its tensors.

An interpreter refuses a file with an operator whose version is newer than what it knows. `tflite-runtime` ended at 2.14
and is the only one for 32-bit Arm, so a full-int8 bundle must keep to `OLDEST`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import msgspec

from edge.util.errors import UserError

OLDEST: Final = {
    "ABS": 5, "ADD": 5, "AVERAGE_POOL_2D": 3, "CONCATENATION": 4, "CONV_2D": 7, "DEPTHWISE_CONV_2D": 7,
    "DEQUANTIZE": 5, "FULLY_CONNECTED": 10, "GELU": 2, "MEAN": 3, "MUL": 7, "PAD": 4, "QUANTIZE": 3, "RELU": 3,
    "RESHAPE": 1, "STRIDED_SLICE": 8, "SUB": 5, "SUM": 2, "SQUEEZE": 2,
}  # fmt: skip
"""Highest version of each operator in tflite-runtime 2.14 (`core/kernels/register.cc` of TensorFlow 2.14)."""


class Tensors(msgspec.Struct, frozen=True):
    """How many tensors of each type, such as `INT8`, a graph has."""

    computed: dict[str, int]
    """Results of operators."""
    constants: dict[str, int]


def _model(path: Path) -> tuple[object, type, type]:
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    except (struct.error, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a TFLite file ({error})") from None
    if not model.subgraphs or not model.operatorCodes:
        raise UserError(f"{path}: not a TFLite file (it has no graph)")
    return model, schema.BuiltinOperator, schema.TensorType


def _names(kind: type) -> dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


def versions(path: Path) -> dict[str, int]:
    """Return the highest version of each operator in a TFLite file.

    Raises `UserError` for a file that cannot be read.
    """
    model, operators, _ = _model(path)
    names, found = _names(operators), dict[str, int]()
    for code in model.operatorCodes:  # type: ignore[attr-defined]
        # The first field is one byte and holds 127 where the code does not fit into it.
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        found[name] = max(found.get(name, 0), code.version)
    return found


def tensors(path: Path) -> Tensors:
    """Count the types of all tensors but the inputs of a graph. Raises `UserError` for a file that cannot be read."""
    model, _, kinds = _model(path)
    names = _names(kinds)
    computed: dict[str, int] = {}
    constants: dict[str, int] = {}
    for graph in model.subgraphs:  # type: ignore[attr-defined]
        made = {int(place) for operator in graph.operators for place in operator.outputs}
        for place, tensor in enumerate(graph.tensors):
            if place not in set(graph.inputs):
                counts = computed if place in made else constants
                counts[names[tensor.type]] = counts.get(names[tensor.type], 0) + 1
    return Tensors(computed, constants)


def check_full_int8(path: Path, outputs: int = 2) -> None:
    """Check that the oldest runtime can run the file, and that only its `outputs` outputs are float.

    Raises `UserError` otherwise.
    """
    for name, version in versions(path).items():
        if version > OLDEST.get(name, 0):
            raise UserError(
                f"{path}: operator {name} version {version} is newer than tflite-runtime 2.14 knows "
                f"({OLDEST.get(name, 'not listed in operators.py')}): change the network or the converter"
            )
    found = tensors(path)
    if found.computed.get("FLOAT32", 0) != outputs or set(found.computed) - {"FLOAT32", "INT8"}:
        raise UserError(f"{path}: is not int8 throughout: its results are of {found.computed}")
    if set(found.constants) - {"INT8", "INT32"}:
        raise UserError(f"{path}: is not int8 throughout: its constants are of {found.constants}")
