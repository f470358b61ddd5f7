"""Which types the constants in a .pte have: those of the program, and those inside XNNPACK's payloads."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from exporter.backends import executorch_payload

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
    counted: Counter[str] = Counter()
    for tensor in map(executorch_payload.tensor, executorch_payload.graph(payload)["xvalues"]):
        kind = _XNNPACK.get(str(tensor["datatype"]).removeprefix("xnn_datatype_"))
        if tensor["constant_buffer_idx"] > 0 and kind is not None:
            counted[kind] += math.prod(tensor["dims"])
    return counted
