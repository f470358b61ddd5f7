"""Who may import whom, read off the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "accelerate",
    "torch",
    "onnx",
    "onnxruntime",
    "executorch",
    "litert_torch",
    "torchao",
    "ai_edge_litert",
    "ai_edge_quantizer",
    "ray",
    "tokenizers",
}


def imports(path: Path, *, top_level: bool) -> Iterator[str]:
    """Names imported by a file: all, or those run when it is imported (not inside functions, not for type checking)."""
    nodes: list[ast.AST] = list(ast.parse(path.read_text("utf-8")).body)
    while nodes:
        node = nodes.pop()
        if top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if top_level and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        nodes.extend(ast.iter_child_nodes(node))


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, room
    return found


@pytest.mark.parametrize(("room", "never"), [("exporter", "device_runner"), ("device_runner", "exporter")])
def test_the_two_halves_do_not_import_each_other(room: str, never: str) -> None:
    for path in files(room):
        assert not [name for name in imports(path, top_level=False) if name.split(".")[0] == never], path


def test_contracts_import_no_room() -> None:
    for path in files("edgedeploy"):
        if path.parent.name != "commands":
            rooms = {name.split(".")[0] for name in imports(path, top_level=False)} & {"exporter", "device_runner"}
            assert not rooms, path


def test_nothing_the_command_line_loads_imports_heavy_packages() -> None:
    for path in [*files("edgedeploy"), *files("device_runner")]:
        heavy = {name.split(".")[0] for name in imports(path, top_level=True)} & HEAVY
        assert not heavy, f"{path} imports {heavy}"
    for path in files("edgedeploy/commands"):
        outside = {name.split(".")[0] for name in imports(path, top_level=True)} & {
            "pydantic",
            "numpy",
            "exporter",
            "device_runner",
        }
        assert not outside, f"{path} imports {outside}"


def test_a_host_that_only_measures_never_imports_torch() -> None:
    # a lab over many hosts is Ray's, inside its functions; everything else measures without it
    cluster = ROOT / "device_runner/lab/cluster"
    for path in files("device_runner"):
        allowed = {"ray"} if path.is_relative_to(cluster) else set()
        heavy = {name.split(".")[0] for name in imports(path, top_level=False)} & HEAVY - allowed
        assert not heavy, f"{path} imports {heavy}"
