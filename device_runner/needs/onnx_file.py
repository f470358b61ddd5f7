"""What an .onnx file asks of ONNX Runtime: its format, the operator sets it is written in, operators that are not ONNX's own.

Numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from device_runner.needs.flatbuffer import Data
from device_runner.needs.protobuf import Message
from device_runner.needs.words import IR_VERSION, OPSET, Needs, operator_of

#: ONNX's own operators have no domain, or this one
STANDARD = "ai.onnx"
_IR_VERSION, _GRAPH, _OPSET_IMPORT, _FUNCTIONS = 1, 7, 8, 25
_SET_DOMAIN, _SET_VERSION = 1, 2
_GRAPH_NODE = 1
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_OPSET_IMPORT, _FUNCTION_DOMAIN = 1, 7, 9, 10


@dataclass
class _Found:
    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    #: domain and name
    used: set[tuple[str, str]] = field(default_factory=set)
    defined: set[tuple[str, str]] = field(default_factory=set)


def read(data: Data) -> Needs:
    """Raises Malformed for what is no model."""
    found = _Found()
    for number, value in Message(data, 0, len(data)).fields():
        if number == _IR_VERSION and isinstance(value, int):
            found.ir_version = value
        elif number == _OPSET_IMPORT and isinstance(value, Message):
            _opset(value, found)
        elif number == _GRAPH and isinstance(value, Message):
            _nodes(value, _GRAPH_NODE, found)
        elif number == _FUNCTIONS and isinstance(value, Message):
            _function(value, found)
    # a function that the model brings along is not asked of the runtime
    used = found.used - found.defined
    domains = {domain for domain, _ in used} | {STANDARD}
    needs: Needs = {
        IR_VERSION: {"": found.ir_version},
        OPSET: {domain: version for domain, version in found.opsets.items() if domain in domains},
    }
    for domain, name in used:
        if domain != STANDARD:  # of its own operators the version of the set says all
            needs.setdefault(operator_of(domain), {})[name] = 1
    return needs


def _opset(message: Message, found: _Found) -> None:
    domain, version = STANDARD, 0
    for number, value in message.fields():
        if number == _SET_DOMAIN and isinstance(value, Message):
            domain = value.text() or STANDARD
        elif number == _SET_VERSION and isinstance(value, int):
            version = value
    found.opsets[domain] = max(version, found.opsets.get(domain, 0))


def _nodes(graph: Message, field_of_nodes: int, found: _Found) -> None:
    for number, value in graph.fields():
        if number == field_of_nodes and isinstance(value, Message):
            _node(value, found)


def _node(node: Message, found: _Found) -> None:
    domain, name = STANDARD, ""
    for number, value in node.fields():
        if not isinstance(value, Message):
            continue
        if number == _NODE_OPERATOR:
            name = value.text()
        elif number == _NODE_DOMAIN:
            domain = value.text() or STANDARD
        elif number == _NODE_ATTRIBUTE:
            for graph in _graphs(value):
                _nodes(graph, _GRAPH_NODE, found)
    found.used.add((domain, name))


def _graphs(attribute: Message) -> Iterator[Message]:
    for number, value in attribute.fields():
        if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS) and isinstance(value, Message):
            yield value


def _function(function: Message, found: _Found) -> None:
    domain, name = STANDARD, ""
    for number, value in function.fields():
        if not isinstance(value, Message):
            continue
        if number == _FUNCTION_NAME:
            name = value.text()
        elif number == _FUNCTION_DOMAIN:
            domain = value.text() or STANDARD
        elif number == _FUNCTION_NODE:
            _node(value, found)
        elif number == _FUNCTION_OPSET_IMPORT:
            _opset(value, found)
    found.defined.add((domain, name))
