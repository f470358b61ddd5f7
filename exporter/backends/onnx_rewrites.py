"""Rewrites of an ONNX graph that the quantiser does not do itself. Both keep what the model computes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from exporter.backends.rows import int8_rows

#: from here on DequantizeLinear has an axis, and with it a scale per channel
LEAST_OPSET = 13


def at_least(float_model: Path, scratch: Path) -> Path:
    """The file itself where its operator set has scales per channel, else its conversion to one that has, in `scratch`."""
    import onnx

    model = onnx.load(str(float_model))
    if all(each.version >= LEAST_OPSET for each in model.opset_import if each.domain in ("", "ai.onnx")):
        return float_model
    newer = scratch / "newer.onnx"
    onnx.save(onnx.version_converter.convert_version(model, LEAST_OPSET), str(newer))
    return newer


def transpose_constants(model: Any) -> int:
    """Transpose of a constant [n, k] -> the constant [k, n]. Returns how many.

    The exporter leaves one in front of the product where several layers share a weight; to quantisers the weight is no constant
    then, and the product stays float.
    """
    from onnx import numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    given = {output.name for output in graph.output}
    #: weight -> what it is called transposed, once for all that transpose it
    done: dict[str, str] = {}
    instead: dict[str, str] = {}
    kept = []
    for node in graph.node:
        tensor = constants.get(node.input[0]) if node.op_type == "Transpose" and node.output[0] not in given else None
        order = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), [1, 0])
        if tensor is None or len(tensor.dims) != 2 or order != [1, 0]:
            kept.append(node)
            continue
        if tensor.name not in done:
            done[tensor.name] = node.output[0]
            turned = np.ascontiguousarray(numpy_helper.to_array(tensor).T)
            graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
        instead[node.output[0]] = done[tensor.name]
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = instead.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)
    read = {name for node in kept for name in node.input} | given
    for name in done:
        if name not in read:
            graph.initializer.remove(constants[name])
    return len(instead)


def linears_to_gemm(model: Any) -> int:
    """MatMul by a constant [k, n], and Add of a constant [n] after it where there is one -> Gemm on the flattened rows.

    Returns how many. A Gemm takes the bias as int32 into the int8 kernel and gives float, one operator in place of a quantised
    product, a dequantisation and a float add. Needs inferred, static shapes; leaves what does not fit alone.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = _shapes(graph)
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)
    adds = {name: node for node in graph.node if node.op_type == "Add" for name in node.input}
    nodes: list[onnx.NodeProto] = []
    replaced: set[str] = set()
    for node in graph.node:
        if node.op_type == "Add" and node.output[0] in replaced:
            continue
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        rows = shapes.get(node.input[0])
        if weight is None or len(weight.dims) != 2 or rows is None:
            nodes.append(node)
            continue
        product = node.output[0]
        add = adds.get(product) if uses[product] == 1 else None
        bias = next((name for name in add.input if name != product), "") if add is not None else ""
        if bias not in constants or list(constants[bias].dims) != [weight.dims[1]]:
            add, bias = None, ""
        elif uses[bias] > 1:
            # its int32 steps are of the scale of what is multiplied, another one in each product
            own = numpy_helper.from_array(numpy_helper.to_array(constants[bias]), f"{product}/bias")
            graph.initializer.append(own)
            bias = own.name
        stem = add.output[0] if add is not None else product
        flat, wide = f"{stem}/flat_shape", f"{stem}/shape"
        for name, shape in ((flat, [math.prod(rows[:-1]), rows[-1]]), (wide, [*rows[:-1], weight.dims[1]])):
            graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
        operands = [f"{stem}/rows", node.input[1], *([bias] if bias else [])]
        nodes += [
            helper.make_node("Reshape", [node.input[0], flat], [f"{stem}/rows"], f"{stem}/flatten"),
            helper.make_node("Gemm", operands, [f"{stem}/sums"], f"{stem}/gemm"),
            helper.make_node("Reshape", [f"{stem}/sums", wide], [stem], f"{stem}/unflatten"),
        ]
        replaced.add(stem)
    del graph.node[:]
    graph.node.extend(nodes)
    return len(replaced)


def embeddings_to_int8(model: Any) -> int:
    """Gather of rows of a float table -> Gather of int8 rows, times a Gather of their scales. Returns how many.

    The quantiser knows one scale for a whole table only; with a scale per row next to nothing is lost. Only tables that
    nothing else reads are replaced, as the float one would have to stay otherwise.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    nodes: list[Any] = []
    tables: set[str] = set()
    for node in graph.node:
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        fits = table is not None and len(table.dims) == 2 and table.data_type == TensorProto.FLOAT and axis == 0
        if table is None or not fits or uses[table.name] > 1:
            nodes.append(node)
            continue
        rows, scales = int8_rows(numpy_helper.to_array(table))
        name, ids, out = table.name, node.input[1], node.output[0]
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}/int8"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}/scales"))
        nodes += [
            helper.make_node("Gather", [f"{name}/int8", ids], [f"{out}/int8"], f"{out}/rows", axis=0),
            helper.make_node("Cast", [f"{out}/int8"], [f"{out}/float"], f"{out}/cast", to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}/scales", ids], [f"{out}/scales"], f"{out}/scales_of_rows", axis=0),
            helper.make_node("Mul", [f"{out}/float", f"{out}/scales"], [out], f"{out}/scale"),
        ]
        tables.add(name)
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name not in tables]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return len(tables)


def _shapes(graph: Any) -> dict[str, list[int]]:
    """Shapes of the tensors whose every dimension is known."""
    found = {}
    for info in (*graph.value_info, *graph.input, *graph.output):
        dims = info.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            found[info.name] = [dim.dim_value for dim in dims]
    return found
