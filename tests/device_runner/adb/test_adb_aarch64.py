"""The phone whose shell, tools and runner are aarch64, emulated: adbd itself is this machine's. No time means anything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import bundles
from device_runner.benching import bench
from device_runner.results.store import Store
from edgedeploy.progress import StatusLine
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.bench_hosts.adbd import phone as running_phone
from tests.device_runner.adb.conftest import Connect, soon
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.conftest import CACHE


@pytest.fixture(scope="module")
def phone(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    built = bundles.build("linux-aarch64", CACHE / "runner" / "linux-aarch64").root
    there = cache / "runner" / built.name
    if not there.exists():
        there.symlink_to(built)
    with running_phone(tmp_path_factory.mktemp("arm") / "root", machine="aarch64") as device:
        yield device


def test_a_push_is_checked_by_the_phones_own_tools(phone: Phone, connect: Connect, way: str, tmp_path: Path) -> None:
    device = connect(phone.serial, way)
    assert device.run(["uname", "-m"], soon()).text == "aarch64\n"
    source = tmp_path / "file"
    source.write_bytes(b"x" * 3_000_000)
    assert device.push(source, "a b/file", soon()) is True
    assert device.push(source, "a b/file", soon()) is False
    device.pull("a b/file", tmp_path / "back", soon())
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    device.remove("a b", soon())


def test_bench_computes_what_the_host_computed(
    phone: Phone, server: AdbServer, fast: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    bench([fast], f"adb:{phone.serial}", BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    (run,) = store.ids()
    record = store.read(run)
    assert record.valid, record
    assert [launch.conforms for launch in record.launches] == [True] * 3
    facts = record.devices[0].facts
    assert (facts["abi"], facts["emulated"]) == ("linux-aarch64", True)
    assert any("emulated" in warning for warning in record.warnings)
