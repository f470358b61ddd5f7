"""What a subject from Python code depends on: everything it imports and says it reads, and nothing is missed that changes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgedeploy.errors import UserError
from exporter.python_code import Depends, Watched
from exporter.subjects import load

NAME = "mine.py:subject"
CODE = """
import click
import edgedeploy_test_helper
from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects.base import Subject

subject = Subject(
    name="mine", model=None, split=None, reads=["weights.bin", "pictures"],
    signature=Signature(
        task="other", metric="none", inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 2)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 2)),),
    ),
)
"""
HELPER = "edgedeploy_test_helper"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A subject in Python with a module, a file and a folder beside it, all older than what is done with them."""
    files = {"mine.py": CODE, f"lib/{HELPER}.py": "x = 1", "weights.bin": "w", "pictures/cat/1.png": "cat"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "earlier").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.syspath_prepend(tmp_path / "earlier")
    yield tmp_path
    sys.modules.pop(HELPER, None)


def watched() -> Watched:
    made = Watched([NAME, "fashion-lite0"])
    made.loaded({NAME: load(NAME)})
    return made


def depends() -> Depends:
    found = watched().depends()
    assert isinstance(found, Depends), found
    return found


def holds(found: Depends) -> bool:
    # as another process reads it from its note
    try:
        return Depends(**found.document()).hold()
    except OSError:
        return False


def appended(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + "\n")


@pytest.mark.parametrize(
    "change",
    [
        appended("mine.py"),
        appended("weights.bin"),
        appended("pictures/cat/1.png"),
        appended(f"lib/{HELPER}.py"),
        lambda folder: (folder / "weights.bin").unlink(),
        lambda folder: (folder / "pictures/cat/2.png").write_text("another"),
        # the same module, by its name, is another one's from here on
        lambda folder: (folder / f"earlier/{HELPER}.py").write_text("x = 1"),
        lambda folder: (folder / "earlier/click.py").write_text(""),
    ],
    ids=["code", "file", "in-folder", "module", "gone", "new-in-folder", "module-elsewhere", "package-shadowed"],
)
def test_whatever_changes_is_noticed(folder: Path, change: Callable[[Path], object]) -> None:
    found = depends()
    assert holds(found)
    change(folder)
    # the folders of sys.path are listed anew by another process
    sys.path_importer_cache.clear()
    assert not holds(found)


def test_a_package_of_another_version_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = depends()
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99" if name == "click" else real(name))
    assert not holds(found)


@pytest.mark.parametrize("name", ["mine.py", "weights.bin", f"lib/{HELPER}.py"])
def test_what_changes_while_it_is_exported_leaves_nothing_to_rely_on(folder: Path, name: str) -> None:
    exporting = watched()
    appended(name)(folder)
    found = exporting.depends()
    assert isinstance(found, str)
    assert f"{folder / name} changed while it was exported" in found


def test_a_module_that_was_written_and_imported_meanwhile_is_not_relied_on(folder: Path) -> None:
    exporting = watched()
    (folder / "lib/edgedeploy_test_late.py").write_text("")
    try:
        __import__("edgedeploy_test_late")
        found = exporting.depends()
    finally:
        del sys.modules["edgedeploy_test_late"]
    assert isinstance(found, str)
    assert "edgedeploy_test_late.py changed" in found


def test_a_module_of_a_folder_that_was_put_into_the_path_meanwhile_does_not_make_all_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime's quantiser does so."""
    (folder / "late").mkdir()
    (folder / "late/edgedeploy_test_late.py").write_text("")
    # what is older than the export has not changed meanwhile
    time.sleep(0.1)
    exporting = watched()
    with monkeypatch.context() as patch:
        patch.syspath_prepend(folder / "late")
        __import__("edgedeploy_test_late")
    try:
        found = exporting.depends()
    finally:
        del sys.modules["edgedeploy_test_late"]
    assert isinstance(found, Depends), found
    assert holds(found)
    appended("late/edgedeploy_test_late.py")(folder)
    assert not holds(found)


def test_a_module_that_torch_writes_anew_in_each_process_does_not_count(folder: Path) -> None:
    # some converters import it; it lies in a temporary folder, which is another one the next time
    import torch.distributed.nn  # noqa: F401

    assert "_remote_module_non_scriptable" in sys.modules
    assert not any("_remote_module" in name for name in (*depends().files, *depends().modules))


def test_code_that_does_not_say_what_it_reads_is_told_how(folder: Path) -> None:
    (folder / "mine.py").write_text(CODE.replace('reads=["weights.bin", "pictures"]', "reads=None"))
    found = watched().depends()
    assert isinstance(found, str)
    assert found.startswith("mine.py: ")
    assert "reads=[...]" in found


def test_who_is_no_python_code_depends_on_nothing_here() -> None:
    exporting = Watched(["fashion-lite0"])
    exporting.loaded({"fashion-lite0": load("fashion-lite0")})
    assert exporting.depends() == Depends()


@pytest.mark.parametrize(
    ("reads", "says"), [('["gone.bin"]', "gone.bin, which is no file and no folder"), ('"weights.bin"', "is a list of paths")]
)
def test_what_is_wrong_with_reads_is_said(folder: Path, reads: str, says: str) -> None:
    (folder / "mine.py").write_text(CODE.replace('["weights.bin", "pictures"]', reads))
    with pytest.raises(UserError, match=says):
        load(NAME)


def test_a_pipe_is_not_read(folder: Path) -> None:
    (folder / "weights.bin").unlink()
    os.mkfifo(folder / "weights.bin")
    with pytest.raises(UserError, match="no file and no folder"):
        load(NAME)
