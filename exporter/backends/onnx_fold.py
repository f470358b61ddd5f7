"""Products that no input of the model changes, computed once at export.

Float models have them computed by the runtime when it loads (DeBERTa's relative positions go through the same linears as its
tokens: 512 rows of them to 64 tokens). Quantised, they are operators like any other, which nothing folds: the int8 model
would compute them with each inference, twice the work of the float one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

#: what is worth it; anything else that is constant is folded by the runtime whatever is around it
_PRODUCTS = frozenset(("MatMul", "Gemm", "Conv"))
#: another value each time
_RANDOM = frozenset(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"))
#: results of more are left to be computed: the file would grow by them
MOST_BYTES = 64 * 2**20


def fold_products(model: Any, scratch: Path) -> int:
    """Put results in the place of constant products, and of what is made of them alone. Returns how many operators are gone.

    Needs inferred shapes; one result without is left alone.
    """
    graph = model.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return 0  # what the bodies of loops and branches read is not looked at
    constant, products = _constant(graph)
    wanted = _wanted(graph, constant, products)
    if not wanted:
        return 0
    graph.initializer.extend(_computed(model, wanted, scratch))
    return _drop_unused(graph, wanted)


def _constant(graph: Any) -> tuple[set[str], set[str]]:
    """Names of what no input changes, and of those that a product is behind."""
    # of old files an initializer may be an input too, and then it is only what that is where nothing is given
    constant = {tensor.name for tensor in graph.initializer} - {given.name for given in graph.input}
    products: set[str] = set()
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if node.op_type in _RANDOM or not constant.issuperset(inputs):
            continue
        made = {name for name in node.output if name}
        constant |= made
        if node.op_type in _PRODUCTS or not products.isdisjoint(inputs):
            products |= made
    return constant, products


def _wanted(graph: Any, constant: set[str], products: set[str]) -> list[Any]:
    """Of those with a product behind them, what something reads that inputs do change; none where they come to too much.

    As the graph describes them: name, type and shape.
    """
    from onnx import helper

    read: set[str] = set()
    for node in graph.node:
        if not constant.issuperset(name for name in node.output if name):
            read.update(node.input)
    ends = {output.name for output in graph.output}
    names, total = (products & read) - ends, 0
    found = []
    for value in graph.value_info:
        tensor = value.type.tensor_type
        shape = [dim.dim_value for dim in tensor.shape.dim]
        if value.name not in names or not tensor.HasField("shape") or 0 in shape:
            continue
        total += math.prod(shape) * helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
        found.append(value)
    return found if total <= MOST_BYTES else []


def _computed(model: Any, wanted: list[Any], scratch: Path) -> list[Any]:
    """The results, as initializers."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    graph, names = model.graph, [value.name for value in wanted]
    needed, nodes = set(names), []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(name for name in node.input if name)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    alone = onnx.helper.make_graph(nodes[::-1], "constants", [], wanted, weights)
    file = scratch / "constants.onnx"
    onnx.save(
        onnx.helper.make_model(alone, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions),
        str(file),
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return [numpy_helper.from_array(array, name) for name, array in zip(names, session.run(names, {}), strict=True)]


def _drop_unused(graph: Any, wanted: list[Any]) -> int:
    """Remove the operators that made what is there now, and what only they read."""
    done = {value.name for value in wanted}
    read = {output.name for output in graph.output}
    kept: list[Any] = []
    for node in reversed(graph.node):
        if (read - done - {""}).isdisjoint(node.output):
            continue
        for place, name in enumerate(node.output):
            if name in done:  # made here as well, by one that makes something else too
                node.output[place] = f"{name}/unfolded"
        kept.append(node)
        read.update(node.input)
    gone = len(graph.node) - len(kept)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    given = {each.name for each in graph.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in read or tensor.name in given]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    return gone
