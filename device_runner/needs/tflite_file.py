"""What a .tflite file asks of TensorFlow Lite or LiteRT: its operators, each in a version of its own, and where weights may be.

Places of fields are those of https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs;
tflite_operators.txt has its BuiltinOperator, a name a line, the first is 0.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from device_runner.needs.flatbuffer import Data, root
from device_runner.needs.words import CUSTOM_OPERATOR, LAYOUT, OPERATOR, Needs

IDENTIFIER = b"TFL3"
_CUSTOM = 32
_OPERATOR_CODES, _BUFFERS = 1, 4
#: of an operator code; the first was too small, so that a code of 127 or more stands in the last
_OLD_CODE, _CUSTOM_NAME, _VERSION, _CODE = 0, 1, 2, 3
#: of a buffer: where in the file its content is, when that is not in the flatbuffer; 1 and 0 stand for nowhere
_BUFFER_OFFSET = 1
#: since TensorFlow Lite 2.15, for files of gigabytes; an older one takes such a buffer for empty, and its model for whole
BEHIND = "weights behind the flatbuffer"


@cache
def operators() -> tuple[str, ...]:
    """The names of the built-in operators, by their codes."""
    return tuple(Path(__file__).with_name("tflite_operators.txt").read_text("ascii").split())


def read(data: Data) -> Needs:
    """Raises Malformed for what is no model."""
    needs: Needs = {}
    model = root(data, (IDENTIFIER,))
    for entry in model.tables(_OPERATOR_CODES):
        code, version = max(entry.int8(_OLD_CODE), entry.int32(_CODE)), entry.int32(_VERSION, 1)
        if code == _CUSTOM:
            kind, name = CUSTOM_OPERATOR, entry.text(_CUSTOM_NAME)
        else:
            kind, name = OPERATOR, operators()[code] if 0 <= code < len(operators()) else f"number {code}"
        known = needs.setdefault(kind, {})
        known[name] = max(version, known.get(name, 0))
    if any(buffer.uint64(_BUFFER_OFFSET) > 1 for buffer in model.tables(_BUFFERS)):
        needs[LAYOUT] = {BEHIND: 1}
    return needs
