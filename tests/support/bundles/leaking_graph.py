"""Graphs that leak memory, for the real interpreter: a variable of the model to which every run adds something.

No fault of the interpreter is needed: TFLite's resource variables may have any size, and what is assigned to them may
be longer each time. The variable is read into a tensor without a shape, which is the one that gets its shape when the
graph runs, and it is of integers, which the XNNPACK delegate leaves alone (LiteRT 2.3).
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tests.support.bundles.tiny import Graph

INT = tfl.TensorType.INT32
COPIES = 3
"""Of what is hoarded: the variable, what was read of it, and what will be."""
OP, OPTIONS = tfl.BuiltinOperator, tfl.BuiltinOptions


class Always:
    """Adds `megabytes` (10^6) in every run: validation sees it."""

    def __init__(self, megabytes: float) -> None:
        self._values = round(megabytes * 1e6 / 4 / COPIES)

    def __call__(self, graph: Graph, _features: int, _mask: int) -> None:
        _hoard(graph, graph.constant("more", np.zeros(self._values, np.int32)))


class InShortSpeech:
    """Adds about `megabytes` (10^6) for each second that a window of 3 s is not filled with speech.

    Golden inputs are whole windows, and so validation sees nothing; a room does.
    """

    def __init__(self, megabytes: float) -> None:
        self._values = round(megabytes * 1e6 / 4 / COPIES / 50)

    def __call__(self, graph: Graph, _features: int, mask: int) -> None:
        half = graph.constant("half", np.array(0.5, np.float32))
        silent = graph.tensor("silent", (1, 150), kind=tfl.TensorType.BOOL)
        graph.op(OP.LESS, [mask, half], silent, OPTIONS.LessOptions, tfl.LessOptionsT())
        # [n, 2]: where the mask is silent. Its length is known when it runs.
        places = graph.growing("places", (-1, 2), tfl.TensorType.INT64)
        graph.op(OP.WHERE, [silent], places, OPTIONS.WhereOptions, tfl.WhereOptionsT())
        start = graph.constant("start", np.array([0, 1], np.int32))
        size = graph.constant("size", np.array([-1, 1], np.int32))
        rows = graph.growing("rows", (-1, 1), tfl.TensorType.INT64)
        graph.op(OP.SLICE, [places, start, size], rows, OPTIONS.SliceOptions, tfl.SliceOptionsT())
        values = graph.growing("values", (-1, 1), INT)
        graph.op(OP.CAST, [rows], values, OPTIONS.CastOptions, tfl.CastOptionsT())
        times = graph.constant("times", np.array([1, self._values], np.int32))
        wide = graph.growing("wide", (-1, self._values), INT)
        graph.op(OP.TILE, [values, times], wide, OPTIONS.TileOptions, tfl.TileOptionsT())
        flat = graph.growing("flat", (-1,), INT)
        shape = graph.constant("shape", np.array([-1], np.int32))
        graph.op(OP.RESHAPE, [wide, shape], flat)
        _hoard(graph, flat)


def _hoard(graph: Graph, more: int) -> None:
    """`variable = concatenation(variable, more)`; the variable is empty at first."""
    first = Graph(beside=graph)
    first.op(OP.ASSIGN_VARIABLE, [_handle(first), first.constant("first", np.zeros(1, np.int32))], None,
             OPTIONS.AssignVariableOptions, tfl.AssignVariableOptionsT())  # fmt: skip
    once = tfl.CallOnceOptionsT()
    once.initSubgraphIndex = len(graph.model.subgraphs) - 1
    graph.op(OP.CALL_ONCE, [], None, OPTIONS.CallOnceOptions, once)
    handle = _handle(graph)
    before = graph.tensor("before", (), kind=INT)
    graph.op(OP.READ_VARIABLE, [handle], before, OPTIONS.ReadVariableOptions, tfl.ReadVariableOptionsT())
    after = graph.growing("after", (-1,), INT)
    graph.op(
        OP.CONCATENATION, [before, more], after, OPTIONS.ConcatenationOptions, tfl.ConcatenationOptionsT()
    )
    assign = tfl.AssignVariableOptionsT()
    graph.op(OP.ASSIGN_VARIABLE, [handle, after], None, OPTIONS.AssignVariableOptions, assign)


def _handle(graph: Graph) -> int:
    options = tfl.VarHandleOptionsT()
    options.container, options.sharedName = "", "hoard"
    handle = graph.tensor("handle", (), kind=tfl.TensorType.RESOURCE)
    return graph.op(OP.VAR_HANDLE, [], handle, OPTIONS.VarHandleOptions, options)
