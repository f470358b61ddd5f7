"""Which types the constants in a .pte have: those of the program, and those inside XNNPACK's payloads."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

#: ExecuTorch's ScalarType numbers and XNNPACK's names of the types weights come in
_SCALARS = {0: "uint8", 1: "int8", 5: "float16", 6: "float32"}
_XNNPACK = {"fp32": "float32", "fp16": "float16", "qint8": "int8", "qcint8": "int8", "quint8": "uint8"}


def stored(file: Path) -> dict[str, int]:
    """How many elements of the file's constants are of which type; integers that are shapes or biases left out."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(file.read_bytes()).program
    counted: Counter[str] = Counter()
    plan = program.execution_plan[0]
    for value in plan.values:
        tensor = value.val
        # buffer 0 is that of what is computed
        if type(tensor).__name__ == "Tensor" and tensor.data_buffer_idx > 0 and int(tensor.scalar_type) in _SCALARS:
            counted[_SCALARS[int(tensor.scalar_type)]] += math.prod(tensor.sizes)
    for delegate in plan.delegates:
        if delegate.id == "XnnpackBackend":
            counted.update(_in_payload(bytes(program.backend_delegate_data[delegate.processed.index].data)))
    return dict(sorted(counted.items()))


def _in_payload(payload: bytes) -> dict[str, int]:
    """The same of one XNNPACK graph: its constants are the values with a buffer (0 means none)."""
    # the format has no public reader: its schema is in the package, and flatc turns it into JSON
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as xnnpack
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = xnnpack.XNNHeader.from_bytes(payload[: xnnpack.XNNHeader.EXPECTED_LENGTH])
    graph = payload[header.flatbuffer_offset : header.flatbuffer_offset + header.flatbuffer_size]
    with tempfile.TemporaryDirectory(prefix="edgedeploy-executorch-") as scratch:
        schema, binary = Path(scratch) / "schema.fbs", Path(scratch) / "graph.bin"
        schema.write_bytes(xnnpack._get_schema_bytes())
        binary.write_bytes(graph)
        _flatc_decompile(scratch, str(schema), str(binary), ["--raw-binary", "--defaults-json"])
        values = json.loads((Path(scratch) / "graph.json").read_bytes())["xvalues"]
    counted: Counter[str] = Counter()
    for value in values:
        held: dict[str, Any] = value["xvalue_union"]
        tensor = held.get("tensor_value", held)
        kind = _XNNPACK.get(str(tensor["datatype"]).removeprefix("xnn_datatype_"))
        if tensor["constant_buffer_idx"] > 0 and kind is not None:
            counted[kind] += math.prod(tensor["dims"])
    return counted
