"""A bundle whose files are not plain files: each is refused at once, none is waited for, followed or read without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy import bundle
from edgedeploy.bundle import BundleError
from tests.edgedeploy.test_cli import run

Make = Callable[[], Path]
NAMES = ("manifest.json", "bundle.sha256", "model.onnx", "golden/inputs/image.npy", "eval/labels.npz")


def check(path: Path) -> None:
    bundle.check_files(bundle.read(path))


def fifo(target: Path, elsewhere: Path) -> None:
    os.mkfifo(target)


def endless(target: Path, elsewhere: Path) -> None:
    target.symlink_to("/dev/zero")


def link(target: Path, elsewhere: Path) -> None:
    target.symlink_to(elsewhere)


def directory(target: Path, elsewhere: Path) -> None:
    target.mkdir()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("put", [fifo, endless, link, directory])
@pytest.mark.timeout(20)
def test_what_is_no_plain_file_is_refused(
    make_bundle: Make, tmp_path: Path, name: str, put: Callable[[Path, Path], None]
) -> None:
    path = make_bundle()
    # the link leads to the very same bytes: it is refused for being a link
    (path / name).rename(tmp_path / "elsewhere")
    put(path / name, tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=Path(name).name):
        check(path)


@pytest.mark.parametrize("put", [fifo, endless, link, directory])
def test_what_the_manifest_does_not_list_is_refused(
    make_bundle: Make, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    path = make_bundle()
    put(path / "golden/extra", tmp_path)
    with pytest.raises(BundleError, match="golden/extra: not in the manifest"):
        check(path)


def test_a_directory_that_is_a_link_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    path = make_bundle()
    (path / "golden").rename(tmp_path / "golden")
    (path / "golden").symlink_to(tmp_path / "golden")
    with pytest.raises(BundleError, match="leads out"):
        check(path)


@pytest.mark.parametrize(("name", "size"), [("manifest.json", bundle.MAX_MANIFEST_BYTES), ("bundle.sha256", 1000)])
def test_a_file_without_bounds_is_not_read(make_bundle: Make, name: str, size: int) -> None:
    path = make_bundle()
    os.truncate(path / name, 2**40)  # sparse: a tebibyte that takes no room
    with pytest.raises(BundleError, match=f"over {size} bytes"):
        bundle.read(path)


@pytest.mark.parametrize("command", ["show", "verify", "bench"])
@pytest.mark.timeout(60)
def test_no_command_waits_for_a_fifo(make_bundle: Make, tmp_path: Path, command: str) -> None:
    path = make_bundle()
    (path / "bundle.sha256").unlink()
    os.mkfifo(path / "bundle.sha256")
    done = run(command, path, cwd=tmp_path)
    assert done.returncode == 2
    assert "bundle.sha256: not a plain file" in done.stderr
