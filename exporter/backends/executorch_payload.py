"""The graph inside a payload of XNNPACK in a .pte. It has no public reader: flatc makes it JSON by the package's schema."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any


def graph(payload: bytes) -> dict[str, Any]:
    """xnodes and xvalues of one delegate's payload, as the schema names them; what is no finite number is null."""
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as xnnpack
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = xnnpack.XNNHeader.from_bytes(payload[: xnnpack.XNNHeader.EXPECTED_LENGTH])
    with tempfile.TemporaryDirectory(prefix="edgedeploy-executorch-") as scratch:
        schema, binary = Path(scratch) / "schema.fbs", Path(scratch) / "graph.bin"
        schema.write_bytes(xnnpack._get_schema_bytes())
        binary.write_bytes(payload[header.flatbuffer_offset : header.flatbuffer_offset + header.flatbuffer_size])
        _flatc_decompile(scratch, str(schema), str(binary), ["--raw-binary", "--defaults-json"])
        # the limits of an activation may be infinite, which flatc writes and JSON does not have
        text = re.sub(r":\s*[-+]?(inf|nan)\b", ": null", (Path(scratch) / "graph.json").read_text("utf-8"))
    read: dict[str, Any] = json.loads(text)
    return read


def tensor(value: dict[str, Any]) -> dict[str, Any]:
    """The tensor of one of the xvalues, quantised or not."""
    held: dict[str, Any] = value["xvalue_union"]
    found: dict[str, Any] = held.get("tensor_value", held)
    return found
