"""A quantised .tflite written as one flatbuffer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

#: what one flatbuffer can be, with room for what is not weights
_MOST_BYTES = 2**31 - 2**24


def write(result: Any, destination: Path) -> None:
    """Write what ai-edge-quantizer gave. From 256 kB on it keeps the weights behind the flatbuffer, which TensorFlow Lite 2.14,
    the newest for phones, takes for empty: they are put back, but in a file of gigabytes, which could not be else."""
    from ai_edge_litert.tools import flatbuffer_utils

    with tempfile.TemporaryDirectory(prefix="edgedeploy-tflite-") as scratch:
        # the quantiser takes only names that end as it likes
        written = Path(scratch) / "quantised.tflite"
        result.export_model(str(written), overwrite=True)
        if written.stat().st_size < _MOST_BYTES:
            model = flatbuffer_utils.read_model(str(written))
            for buffer in model.buffers:
                if buffer.data is not None:
                    # of a memoryview, which those behind the flatbuffer are, the builder makes a vector byte by byte, in Python
                    buffer.data = np.frombuffer(buffer.data, np.uint8)
            flatbuffer_utils.write_model(model, str(destination))
        else:
            destination.write_bytes(written.read_bytes())
