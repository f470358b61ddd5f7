"""Inputs and outputs of a .tflite, as its signature names them, or as its tensors are called where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

Details = dict[str, dict[str, Any]]


def ends(interpreter: Interpreter) -> tuple[Details, Details]:
    """Name -> what the interpreter says of the tensor, of the inputs and of the outputs, in the model's order.

    The interpreter refuses to run while a signature runner is held.
    """
    if not interpreter.get_signature_list():
        return (
            {details["name"]: details for details in interpreter.get_input_details()},
            {details["name"]: details for details in interpreter.get_output_details()},
        )
    runner = interpreter.get_signature_runner()
    return _in_order(runner.get_input_details()), _in_order(runner.get_output_details())


def _in_order(details: Details) -> Details:
    """By the number that litert-torch ends its names with (args_0, output_10): the map itself is in no order."""

    def number(name: str) -> int:
        digits = name.rpartition("_")[2]
        return int(digits) if digits.isdigit() else 0

    return dict(sorted(details.items(), key=lambda item: number(item[0])))
