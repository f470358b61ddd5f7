"""YAML that a person wrote: without aliases, no key twice, and with the lines that messages name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from edgedeploy.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Without aliases: nothing that is read here needs them, and a few lines of them can unfold to gigabytes."""

    def compose_node(self, parent: yaml.nodes.Node | None, index: Any) -> yaml.nodes.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
        node: yaml.nodes.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.nodes.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.nodes.ScalarNode):
                    if key.value in seen:
                        raise yaml.composer.ComposerError(None, None, f"{key.value!r} is there twice", key.start_mark)
                    seen.add(key.value)
        return node


def text_of(path: Path, max_bytes: int, what: str) -> str:
    """The file's text. Raises UserError when it cannot be read, is not UTF-8, or is larger than a `what` is."""
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(raw) > max_bytes:
        raise UserError(f"{path}: over {max_bytes} bytes; {what} is smaller")
    return text


def load(text: str, path: Path) -> tuple[Any, yaml.nodes.Node | None]:
    """(what it says, its tree with line numbers; {} and None when it is empty). Raises UserError naming the line."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return (loader.construct_document(root) if root is not None else {}), root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML that can be read: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML that can be read: {str(error)[:200]}") from None


def line_of(node: yaml.nodes.Node, where: list[Any]) -> int:
    """The line, from 1, of the value at that path, or of the last part of it that is there."""
    line = node.start_mark.line
    for part in where:
        inner: Any = None
        if isinstance(node, yaml.nodes.MappingNode):
            inner = next(((key, value) for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.nodes.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = (node.value[part], node.value[part])
        if inner is None:
            break
        line, node = inner[0].start_mark.line, inner[1]
    return int(line) + 1


def validated(
    model: type[Model], data: dict[str, Any], root: yaml.nodes.Node | None, path: Path, reason: Callable[[Any, list[Any]], str]
) -> Model:
    """What `load` gave, as a model. Raises UserError with the line that is wrong.

    reason: in words, of a pydantic error and the path of what it is about.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = [part for part in first["loc"] if part != "[key]"]
        line = f":{line_of(root, where)}" if root is not None else ""
        raise UserError(f"{path}{line}: {'.'.join(map(str, where)) or 'the file'}: {reason(first, where)}") from None
