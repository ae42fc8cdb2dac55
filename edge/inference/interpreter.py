"""One interface to the two TFLite interpreters: LiteRT (`ai-edge-litert`), else `tflite-runtime`.

The library is imported when the first `Interpreter` is created. Both write a line about their XNNPACK delegate to file
descriptor 2; that line is dropped, everything else is passed on.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import memory_pages
from edge.util.errors import UserError

LIBRARIES: Final = (
    ("ai_edge_litert.interpreter", "ai-edge-litert", "litert"),
    ("tflite_runtime.interpreter", "tflite-runtime", "tflite-runtime"),
)
"""Module, distribution and short name, in order of preference."""
_REDIRECTION: Final = threading.Lock()
_NOISE: Final = b"Created TensorFlow Lite XNNPACK delegate for CPU"


class InterpreterError(UserError):
    """No interpreter is installed, or it cannot load or run the model; the text says which."""


class Tensor(msgspec.Struct, frozen=True):
    """An input or output: name, shape and type name such as `float32`."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def _library() -> tuple[Any, str]:
    """The first library that can be imported and its runtime name, such as `litert 2.3.0`."""
    why = []
    for module, distribution, name in LIBRARIES:
        try:
            library = importlib.import_module(module)
            # Not by `importlib.metadata`, which alone loads thirty modules.
            return library, f"{name} {sys.modules[module.partition('.')[0]].__version__}"
        except ImportError as error:
            why.append(f"{distribution}: {error}")
    raise InterpreterError(
        "no TFLite interpreter is installed: pip install ai-edge-litert "
        f"(32-bit Arm or Python 3.11: tflite-runtime) [{'; '.join(why)}]"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Buffer what is written to descriptor 2 in this block, and repeat all but the delegate's line."""
    if os.environ.get("ROOMTONE_DEBUG"):
        yield
        return
    # One thread after the other: each would put back the descriptor that it has found.
    with _REDIRECTION:
        held = os.memfd_create("roomtone-stderr")
        kept = os.dup(2)
        os.dup2(held, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            size = os.fstat(held).st_size
            written = os.pread(held, size, 0) if size else b""
            os.close(held)
            rest = b"".join(line for line in written.splitlines(keepends=True) if _NOISE not in line)
            if rest:
                os.write(2, rest)


class Interpreter:
    """A loaded model file. Not thread-safe.

    `reference` uses the reference kernels without delegates, whose results do not depend on the machine.
    Raises `InterpreterError` if no interpreter is installed or it cannot load the file.
    """

    def __init__(self, path: Path | str, threads: int = 1, reference: bool = False) -> None:
        library, self.runtime = _library()
        options: dict[str, Any] = {"model_path": str(path), "num_threads": threads}
        if reference:
            options["experimental_op_resolver_type"] = library.OpResolverType.BUILTIN_REF
        if not Path(path).is_file():
            raise InterpreterError(f"{path}: no such model file")
        try:
            with _quiet():
                self._inner = library.Interpreter(**options)
                self._inner.allocate_tensors()
            memory_pages.release(Path(path))
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(
                f"{path}: {self.runtime} cannot load this model: {_first_line(error)}"
            ) from None
        self._in = sorted(self._inner.get_input_details(), key=lambda d: str(d["name"]))
        self._out = sorted(self._inner.get_output_details(), key=lambda d: str(d["name"]))
        self.inputs = tuple(map(_tensor, self._in))
        """Sorted by name."""
        self.outputs = tuple(map(_tensor, self._out))
        """Sorted by name."""
        # Looked up once: the detector of speech runs 31 times a second.
        self._places = {_bare(str(d["name"])): int(d["index"]) for d in self._in}
        self._results = [(_bare(str(d["name"])), int(d["index"])) for d in self._out]

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model: float32 or int8 inputs `[...]` by name, as in `inputs`, to copies of all outputs.

        Raises `InterpreterError` for other names, shapes or dtypes.
        """
        if arrays.keys() != self._places.keys():
            raise InterpreterError(f"the model's inputs are {sorted(self._places)}, not {sorted(arrays)}")
        try:
            for name, array in arrays.items():
                self._inner.set_tensor(self._places[name], np.ascontiguousarray(array))
            self._inner.invoke()
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(f"{self.runtime} cannot run the model: {_first_line(error)}") from None
        return {name: self._inner.get_tensor(index) for name, index in self._results}

    def constants(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield name and values, float32 `[...]`, of the model's constants; int8 values are multiplied by their scales.

        Needs `reference=True`: a delegate removes its constants from the interpreter.
        """
        for detail in self._inner.get_tensor_details():
            try:
                values = self._inner.get_tensor(detail["index"])
            except ValueError:
                continue  # a computed tensor, which has no value now
            scales = detail["quantization_parameters"]["scales"]
            if values.dtype == np.int8 and scales.size:
                shape = [1] * values.ndim
                if scales.size > 1:
                    shape[detail["quantization_parameters"]["quantized_dimension"]] = scales.size
                values = values.astype(np.float32) * scales.reshape(shape)
            if values.dtype == np.float32 and values.ndim:
                yield str(detail["name"]), values


def _bare(name: str) -> str:
    """`serving_default_features:0` as `features`."""
    return name.split(":", maxsplit=1)[0].removeprefix("serving_default_")


def _tensor(detail: Mapping[str, Any]) -> Tensor:
    shape = tuple(int(size) for size in detail["shape"])
    return Tensor(_bare(str(detail["name"])), shape, np.dtype(detail["dtype"]).name)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
