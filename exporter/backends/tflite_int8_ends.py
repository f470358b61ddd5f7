"""The ends of a quantised .tflite made its own int8: an input's QUANTIZE is taken off, and an output's DEQUANTIZE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exporter.runtimes.base import Int8End


def strip(file: Path, arriving: Mapping[int, Int8End], leaving: Iterable[int]) -> tuple[dict[int, Int8End], dict[int, Int8End]]:
    """Rewrite the file so that these ends are int8; returns the inputs and the outputs that could be.

    Ends are tensor indices of the main subgraph. An input can where all that reads it quantises it as it arrives, an output
    where it is what a DEQUANTIZE gives.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(file))
    if any(buffer.offset and buffer.offset > 1 for buffer in model.buffers):
        return {}, {}  # a file of gigabytes, which is not written as one flatbuffer
    graph = _Graph(model)
    taken = {index: end for index, end in arriving.items() if graph.take_quantised(index, end)}
    given = {index: end for index in leaving if (end := graph.give_quantised(index)) is not None}
    if taken or given:
        flatbuffer_utils.write_model(model, str(file))
    return taken, given


class _Graph:
    """The main subgraph of a model as flatbuffer objects, changed in place."""

    def __init__(self, model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._model, self._graph = model, model.subgraphs[0]
        self._int8 = schema.TensorType.INT8
        self._quantize, self._dequantize = schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE

    def take_quantised(self, index: int, arriving: Int8End) -> bool:
        graph = self._graph
        readers = [operator for operator in graph.operators if index in list(operator.inputs)]
        if not readers or index in list(graph.outputs):
            return False
        if any(self._code(each) != self._quantize or self._end(each.outputs[0]) != arriving for each in readers):
            return False
        quantised = [int(each.outputs[0]) for each in readers]
        if set(quantised) & {int(each) for each in graph.outputs}:
            return False
        graph.operators = [each for each in graph.operators if not any(each is reader for reader in readers)]
        for operator in graph.operators:
            operator.inputs = [quantised[0] if int(each) in quantised else int(each) for each in operator.inputs]
        self._move("inputs", index, quantised[0])
        return True

    def give_quantised(self, index: int) -> Int8End | None:
        graph = self._graph
        last = next((operator for operator in graph.operators if index in list(operator.outputs)), None)
        if last is None or self._code(last) != self._dequantize:
            return None
        quantised = int(last.inputs[0])
        end = self._end(quantised)
        computed = any(quantised in list(operator.outputs) for operator in graph.operators)
        if end is None or not computed:
            return None
        # who reads it inside goes on reading it in float
        if not any(index in list(operator.inputs) for operator in graph.operators):
            graph.operators = [each for each in graph.operators if each is not last]
        self._move("outputs", index, quantised)
        return end

    def _move(self, side: str, before: int, after: int) -> None:
        """Let an end be another tensor, in the subgraph and in the signatures."""
        ends = [after if int(each) == before else int(each) for each in getattr(self._graph, side)]
        setattr(self._graph, side, ends)
        for signature in self._model.signatureDefs or ():
            for each in getattr(signature, side) or ():
                if each.tensorIndex == before and signature.subgraphIndex == 0:
                    each.tensorIndex = after

    def _code(self, operator: Any) -> int:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))

    def _end(self, index: int) -> Int8End | None:
        """How a tensor is held; None where it is not int8 of a single scale."""
        tensor = self._graph.tensors[index]
        held = tensor.quantization
        if tensor.type != self._int8 or held is None or held.scale is None or len(held.scale) != 1:
            return None
        return Int8End("int8", float(np.float32(held.scale[0])), int(held.zeroPoint[0]))
