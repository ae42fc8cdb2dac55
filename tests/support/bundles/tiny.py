"""Bundles with a graph of a few kilobytes, made here and run by the real interpreter: good ones, and every kind of bad.

The graph: the mean of the features over time, a layer to an embedding of 8, a layer to 7 logits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from edge.inference import bundle as bundles
from edge.inference.features import FeatureSpec
from edge.inference.interpreter import Interpreter
from edge.protocol import LABELS

SIZE = 8
RELATIVE = {
    "arousal": "arousal",
    "baseline": {
        "origin": [0.0] * 8, "bias": [1.0, *[0.0] * 6], "scatter": [1.0] * 8, "prior": 5.0, "memory": 300.0,
        "step_limit": 1.0,
        "spread": {
            "evidence_median": -1.0, "evidence_below": 1.0, "arousal_below": 1.0, "prior": 20.0, "memory": 200.0,
            "least": 0.6, "most": 1.6,
        },
    },
    "decision": {
        "threshold": 2.0, "label_weight": 1.0, "spread_power": 1.0, "slope": 1.0, "offset": -2.0, "temperature": 1.0,
    },
    "arousal_scale": {"low": -3.0, "high": 3.0, "spread_power": 1.0},
}  # fmt: skip
"""A relative head with constants of the right order of magnitude."""


class Graph:
    """A subgraph that is being written, the first of its model or, with `beside`, a further one."""

    def __init__(self, beside: Graph | None = None) -> None:
        self._codes: dict[int, int] = {} if beside is None else beside._codes
        self.model = tfl.ModelT() if beside is None else beside.model
        if beside is None:
            self.model.version = 3
            self.model.buffers = [tfl.BufferT()]
            self.model.operatorCodes, self.model.subgraphs = [], []
        self.graph = tfl.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs.append(self.graph)

    def tensor(self, name: str, shape: tuple[int, ...], data: np.ndarray | None = None, kind: int = 0) -> int:
        made = tfl.TensorT()
        made.name, made.shape, made.type = name, list(shape), kind
        made.buffer = 0
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def growing(self, name: str, signature: tuple[int, ...], kind: int) -> int:
        """A tensor whose shape is known when the graph runs: -1 where it is not known now."""
        made = self.tensor(name, tuple(max(1, size) for size in signature), kind=kind)
        self.graph.tensors[made].shapeSignature = list(signature)
        return made

    def constant(self, name: str, data: np.ndarray) -> int:
        kind = tfl.TensorType.INT32 if data.dtype == np.int32 else tfl.TensorType.FLOAT32
        return self.tensor(name, data.shape, data, kind)

    def op(
        self, code: int, inputs: list[int], output: int | None, kind: int = 0, options: object = None
    ) -> int:
        if code not in self._codes:
            entry = tfl.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            self.model.operatorCodes.append(entry)
            self._codes[code] = len(self.model.operatorCodes) - 1
        made = tfl.OperatorT()
        made.opcodeIndex, made.inputs = self._codes[code], inputs
        made.outputs = [] if output is None else [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        self.graph.operators.append(made)
        return -1 if output is None else output

    def dense(
        self, source: int, kernel: np.ndarray, bias: np.ndarray, name: str, shape: tuple[int, ...]
    ) -> int:
        inputs = [source, self.constant(f"{name}/kernel", kernel), self.constant(f"{name}/bias", bias)]
        options = tfl.FullyConnectedOptionsT()
        options.keepNumDims = len(shape) > 2
        code, kind = tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions
        return self.op(code, inputs, self.tensor(name, shape), kind, options)

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def graph(
    seed: int = 0, *, slow: int = 0, bias: np.ndarray | None = None, gain: float = 1.0, nan: bool = False,
    also: Callable[[Graph, int, int], None] | None = None,
) -> tuple[bytes, np.ndarray, np.ndarray]:  # fmt: skip
    """The flatbuffer, and kernel `[8, 7]` and bias `[7]` of its output layer.

    `slow`: extra layers of 5 ms each. `also` adds to the graph; it is given the tensors of the inputs.
    """
    random = np.random.default_rng(seed)
    made = Graph()
    features = made.tensor("features", (1, 300, 80))
    mask = made.tensor("mask", (1, 150))
    source = features
    for number in range(slow):
        kernel = np.eye(80, dtype=np.float32)
        source = made.dense(source, kernel, np.zeros(80, np.float32), f"slow{number}", (1, 300, 80))
    axis = made.constant("axis", np.array([1], np.int32))
    mean = made.tensor("mean", (1, 80))
    options = tfl.ReducerOptionsT()
    made.op(tfl.BuiltinOperator.MEAN, [source, axis], mean, tfl.BuiltinOptions.ReducerOptions, options)
    first = (random.normal(0, 0.2, (SIZE, 80)) * gain).astype(np.float32)
    embedding = made.dense(mean, first, np.zeros(SIZE, np.float32), "embedding", (1, SIZE))
    kernel = random.normal(0, 1.0, (7, SIZE)).astype(np.float32)
    if gain == 0:
        kernel[:] = 0
    offset = np.zeros(7, np.float32) if bias is None else np.asarray(bias, np.float32)
    if nan:
        offset = np.full(7, np.nan, np.float32)
    logits = made.dense(embedding, kernel, offset, "logits", (1, 7))
    row = random.normal(0, 1.0, (1, SIZE)).astype(np.float32)
    arousal = made.dense(embedding, row, np.zeros(1, np.float32), "arousal", (1, 1))
    if also is not None:
        also(made, features, mask)
    made.graph.inputs, made.graph.outputs = [features, mask], [embedding, logits, arousal]
    return made.bytes(), kernel.T.copy(), offset


def make(
    folder: Path, version: str = "1.0.0", *, name: str = "base", model: bytes | None = None, labels: object = LABELS,
    min_daemon: str = "0.1.0", abstain_below: float = 0.2, wrong_golden: bool = False, relative: bool = False,
    **changes: object,
) -> Path:  # fmt: skip
    """A whole bundle in `folder/name-version`; `changes` go to `graph`. Golden outputs are what the graph gives."""
    target = folder / f"{name}-{version}"
    target.mkdir(parents=True)
    data, kernel, bias = graph(**changes)  # type: ignore[arg-type]
    (target / "model.tflite").write_bytes(data)
    random = np.random.default_rng(99)
    mel = (random.normal(0, 1, (5, 1, 80)) + random.normal(0, 0.3, (5, 300, 80))).astype(np.float32)
    mask = np.ones((5, 150), np.float32)
    interpreter = Interpreter(target / "model.tflite")
    found = [interpreter.run({"features": m[None], "mask": k[None]}) for m, k in zip(mel, mask, strict=True)]
    logits = np.stack([one["logits"][0] for one in found])
    embedding = np.stack([one["embedding"][0] for one in found])
    if model is not None:
        (target / "model.tflite").write_bytes(model)
    if wrong_golden:
        logits = np.roll(logits, 1, axis=1)
    np.savez(target / "golden.npz", features=mel, mask=mask, logits=logits, embedding=embedding)
    np.savez(target / "head.npz", kernel=kernel, bias=bias)
    (target / "MODEL_CARD.md").write_text("made for a test\n")
    spec = FeatureSpec()
    tree = {
        "format": 1, "name": name, "version": version, "labels": list(labels), "sample_rate": 16000,
        "features": msgspec.to_builtins(spec), "features_sha256": spec.sha256(),
        "inputs": [{"name": "features", "shape": [1, 300, 80], "dtype": "float32"},
                   {"name": "mask", "shape": [1, 150], "dtype": "float32"}],
        "outputs": [{"name": "embedding", "shape": [1, SIZE], "dtype": "float32"},
                    {"name": "logits", "shape": [1, 7], "dtype": "float32"},
                    {"name": "arousal", "shape": [1, 1], "dtype": "float32"}],
        "logits": "logits", "embedding": "embedding", "kernels": "float", "temperature": 1.0,
        "abstain_below": abstain_below, "min_ms": 100, "embedding_size": SIZE, "metrics": {}, "corpora": [],
        "licence": "Apache-2.0", "min_daemon": min_daemon, "created": "2026-01-01",
        "files": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in target.iterdir()},
    }  # fmt: skip
    if relative:
        tree["relative"] = RELATIVE
    (target / bundles.MANIFEST).write_text(json.dumps(tree))
    return target


def crashing() -> bytes:
    """A graph whose branch is itself: LiteRT 2.3 follows it until the stack is used up (SIGSEGV)."""
    made = Graph()
    features, mask = made.tensor("features", (1, 300, 80)), made.tensor("mask", (1, 150))
    condition = made.tensor("condition", (1,), np.array([1], np.bool_), tfl.TensorType.BOOL)
    logits = made.tensor("logits", (1, 300, 80))
    options = tfl.IfOptionsT()
    options.thenSubgraphIndex = options.elseSubgraphIndex = 0
    made.op(
        tfl.BuiltinOperator.IF, [condition, features, mask], logits, tfl.BuiltinOptions.IfOptions, options
    )
    made.graph.inputs, made.graph.outputs = [features, mask], [logits]
    return made.bytes()
