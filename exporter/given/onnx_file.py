"""An .onnx as given: what may be in it, its copy with fixed shapes and one file, and what it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from exporter.given import COMPANIONS
from exporter.given.probe import MOST_BYTES

_QUANTISED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger", "MatMulNBits", "QGemm", "QAttention", "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
)  # fmt: skip


def examine(source: Path, copy: Path) -> dict[str, Any]:
    """As `exporter.given.examine` tells it. Raises an exception whose message says why the file cannot be used."""
    import onnx

    from exporter.given.examine import Refused

    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception:
        raise Refused("it is no ONNX model, or a damaged one") from None
    changes = _take_weights_in(model, source)
    changes += _fix_inputs(model)
    if changes:
        if model.ByteSize() > MOST_BYTES:
            raise Refused("with its weights it has more than 2 GB, which is where ONNX files end")
        onnx.save(model, str(copy))
    else:
        shutil.copyfile(source, copy)
    inputs, outputs = _run_once(model, copy)
    if _fix_outputs(model, outputs):
        onnx.save(model, str(copy))
    nodes = list(all_nodes(model))
    kinds = {node.op_type for node in nodes}
    from exporter.backends import onnx_coverage

    return {
        "inputs": inputs, "outputs": outputs, "changes": changes, "small": _small(model, kinds),
        "parameters": sum(int(np.prod(tensor.dims)) for tensor in _tensors(model) if tensor.data_type in _weight_types()),
        "macs": sum(op.macs for _, op in onnx_coverage.heavy_operators(model, copy.parent)),
        "family": "convolutional" if kinds & {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv"} else "transformer",
    }  # fmt: skip


def all_nodes(model: Any) -> Iterator[Any]:
    """Every node, those of functions and of inner graphs too; a loop, since the depth is not ours to bound."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node


def _graphs(model: Any) -> Iterator[Any]:
    yield model.graph
    for node in all_nodes(model):
        for attribute in node.attribute:
            yield from (attribute.g, *attribute.graphs)


def _tensors(model: Any) -> Iterator[Any]:
    """Every constant, wherever it is."""
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in all_nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _weight_types() -> tuple[int, ...]:
    from onnx import TensorProto

    return (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE,
            TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4)  # fmt: skip


def _take_weights_in(model: Any, source: Path) -> list[str]:
    """Weights in a file beside the model are read into it. Any other path is refused: it may lead anywhere."""
    from onnx import TensorProto
    from onnx.external_data_helper import load_external_data_for_tensor

    from exporter.given.examine import Refused

    allowed = {source.name + end for end in COMPANIONS}
    outside = [tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
    for tensor in outside:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        beside = source.with_name(location) if location in allowed else None
        if beside is None or beside.is_symlink() or not beside.is_file():
            raise Refused(
                f"its weights are to be read from {location[:200]!r}; only a file beside it called "
                f"{' or '.join(sorted(allowed))} is read. Save it in one file: onnx.save(onnx.load(...), ...)"
            )
        begin, length = (int(entries.get(key, "0")) for key in ("offset", "length"))
        if begin < 0 or length < 0 or begin + length > beside.stat().st_size:
            raise Refused(f"its weights are to be read from beyond the end of {location}")
        load_external_data_for_tensor(tensor, str(source.parent))
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return [f"{len(outside)} weights taken in from the file beside it"] if outside else []


def _fix_inputs(model: Any) -> list[str]:
    """Batch 1 where the batch is open. Constants are no inputs, as they were up to IR version 3."""
    from exporter.given.examine import Refused

    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in constants]
    changes = []
    if len(inputs) < len(graph.input):
        del graph.input[:]
        graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)
        changes.append("constants are no longer inputs too")
    opened = False
    for info in graph.input:
        if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
            raise Refused(f"its input {info.name!r} is no tensor of a known number of axes")
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if dim.dim_value > 0:
                if axis == 0 and dim.dim_value != 1:
                    raise Refused(f"its input {info.name!r} takes a batch of {dim.dim_value}; export it for 1")
                continue
            if axis > 0:
                raise Refused(
                    f"axis {axis} of its input {info.name!r} is open ({dim.dim_param or '?'}); fix it first: "
                    "python -m onnxruntime.tools.make_dynamic_shape_fixed"
                )
            dim.dim_value = 1
            opened = True
    if opened:
        # what was inferred for any batch
        del graph.value_info[:]
        changes.append("its open batch is 1")
    return changes


def _run_once(model: Any, copy: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The inputs, and the outputs as they come of zeros."""
    import onnxruntime

    from exporter.given.examine import Refused

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(copy), options, providers=["CPUExecutionProvider"])
    feeds = {
        info.name: np.zeros([dim.dim_value for dim in info.type.tensor_type.shape.dim], _dtype(info.type))
        for info in model.graph.input
    }
    names = [output.name for output in session.get_outputs()]
    given = session.run(names, feeds)
    if not all(isinstance(array, np.ndarray) for array in given):
        raise Refused("it gives something other than tensors")
    return (
        [{"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in feeds.items()],
        [{"name": name, "dtype": a.dtype.name, "shape": list(a.shape)} for name, a in zip(names, given, strict=True)],
    )


def _dtype(kind: Any) -> Any:
    import onnx

    return onnx.helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)


def _fix_outputs(model: Any, outputs: list[dict[str, Any]]) -> bool:
    """Shapes that the file leaves open are those of the run; whether there were any."""
    opened = False
    for info, found in zip(model.graph.output, outputs, strict=True):
        dims = info.type.tensor_type.shape.dim
        if [dim.dim_value for dim in dims] != found["shape"]:
            del dims[:]
            for size in found["shape"]:
                dims.add().dim_value = size
            opened = True
    return opened


def _small(model: Any, kinds: set[str]) -> str:
    from onnx import TensorProto

    quantised = sorted(kinds & set(_QUANTISED))
    if quantised:
        return f"it is quantised already ({', '.join(quantised[:3])})"
    if any(tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16) for tensor in _tensors(model)):
        return "its weights are in half precision already"
    return ""
