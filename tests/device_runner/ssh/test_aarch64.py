"""An aarch64 board over SSH: busybox for its tools, and the aarch64 runner. In emulation: no time means anything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import benching, bundles, transports
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.results.store import Store
from device_runner.transports.base import Stat, Transport
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Limits
from tests.bench_hosts import aarch64
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.conftest import CACHE
from tests.device_runner.ssh.conftest import command_lines, eventually, nap, soon


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    directory = tmp_path_factory.mktemp("aarch64")
    with aarch64.board(directory) as found:
        yield found


@pytest.fixture
def device(arm: tuple[Sshd, Path]) -> Iterator[Transport]:
    transport = transports.connect(arm[0].target())
    yield transport
    transport.close()


def test_its_programs_are_the_boards(device: Transport) -> None:
    assert device.run(["uname", "-m"], soon()).text == "aarch64\n"
    assert device.run(["cat", "/etc/passwd"], soon()).text == "root:x:0:0:root:/root:/bin/sh\n"
    assert device.path("x") == "/root/.cache/edgedeploy-device/x"


def test_files_with_busybox(device: Transport, arm: tuple[Sshd, Path], source: Path, tmp_path: Path) -> None:
    assert device.push(source, "store/it's a model", soon()) is True
    assert device.push(source, "store/it's a model", soon()) is False
    assert device.stat("store/it's a model", soon()) == Stat("file", source.stat().st_size)
    device.pull("store/it's a model", tmp_path / "fetched", soon())
    assert (tmp_path / "fetched").read_bytes() == source.read_bytes()
    root = arm[1] / device.path("x").lstrip("/")
    (root.parent / "link").symlink_to("/etc")
    with pytest.raises(UserError, match="leads out"):
        device.push(source, "link/passwd", soon())
    device.remove("store", soon())
    assert device.stat("store", soon()) is None


def test_a_program_past_its_deadline_is_ended(device: Transport) -> None:
    with pytest.raises(DeadlineExpired):
        device.run(["sh", "-c", f"sleep {nap(21)} & sleep {nap(22)}"], Deadline.after(2))
    assert eventually(lambda: command_lines(nap(21)) == command_lines(nap(22)) == [])


def test_every_runtime_on_it(
    arm: tuple[Sshd, Path], cache: Path, store: Store, fast: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = cache / "runner" / "linux-aarch64"
    if not link.exists():
        link.symlink_to(bundles.build("linux-aarch64", CACHE / "runner" / "linux-aarch64").root)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    arm[0].client_config(tmp_path / "me" / ".ssh" / "config")
    how = BRIEF.model_copy(
        update={"launches": 1, "steady": Limits(min_count=5, min_ms=0), "max_seconds": 120.0}
    )  # fmt: skip
    bare = [models / f"image.{suffix}" for suffix in ("tflite", "pte")]
    said = StatusLine(io.StringIO())
    finished = benching.bench([fast, *bare], "ssh://board", how, store, 0, {}, said, lambda identifier: None, True)
    assert [record.valid for record in finished.records] == [True] * 3, [r.invalid_because for r in finished.records]
    first = finished.records[0]
    assert first.launches[0].conforms is True
    assert first.device_accuracy is not None
    assert first.device_accuracy.value == 1.0
    assert first.devices[0].facts["abi"] == "linux-aarch64"
    assert [record.artifact.runtime for record in finished.records] == ["onnx", "tflite", "executorch"]
