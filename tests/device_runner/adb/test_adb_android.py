"""The runner for Android, with Android builds of the runtimes, on a phone with the real adbd and a stand-in for its C library.

x86_64 at this machine's own speed, and arm64 in emulation: what is not shown is a phone's CPU, its linker, and what its kernel
forbids.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import bundles, inventory
from device_runner.benching import bench
from device_runner.results.store import Store
from device_runner.session import open_session
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from tests.bench_hosts import bionic
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.device_runner import too_new
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.conftest import CACHE

MACHINES = {"android-x86_64": "x86_64", "android-arm64": "aarch64"}


@pytest.fixture(scope="module", params=MACHINES)
def abi(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def phone(abi: str, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    built = bundles.build(abi, CACHE / "runner" / abi).root
    there = cache / "runner" / built.name
    if not there.exists():
        there.symlink_to(built)
    device = Phone(tmp_path_factory.mktemp("bionic") / "root", machine=MACHINES[abi])
    bionic.build_root(device.root, MACHINES[abi])
    try:
        device.boot()
        yield device
    finally:
        device.power_off()


@pytest.fixture
def name(phone: Phone, server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    return f"adb:{phone.serial}"


def test_a_model_that_asks_for_too_much_is_refused_and_the_phone_left_as_it_is(
    phone: Phone, name: str, store: Store, models: Path, tmp_path: Path
) -> None:
    asked = {
        r"opset 27 of ai\.onnx \(it has 26 at most\)": too_new.onnx(tmp_path / "new.onnx", 27),
        r"the operator FULLY_CONNECTED in version 11 \(it has version 10 at most\)": too_new.tflite(
            tmp_path / "new.tflite", models / "image.tflite", "FULLY_CONNECTED", 11
        ),
        r"the kernel aten::imbedding\.out": too_new.executorch(
            tmp_path / "new.pte", models / "text.pte", "aten::embedding", "aten::imbedding"
        ),
    }

    def there() -> set[Path]:
        return {path for path in phone.inside("/data").rglob("*") if not path.is_dir()}

    before = there()
    for lacking, model in asked.items():
        # one that fits goes along, and is not sent either
        with pytest.raises(UserError, match=lacking):
            bench([models / "image.onnx", model], name, BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    assert there() == before
    assert not [path for path in before if path.name == "edgebench"], "this test comes before those that put something there"


def test_the_phone_gets_the_runner_for_android(abi: str, name: str) -> None:
    with open_session(inventory.resolve(name)) as session:
        assert session.facts["abi"] == abi
        assert session.hello["missing"] == {}
        assert session.facts["emulated"] is (abi == "android-arm64")


def test_every_runtime_and_a_bundle_whose_outputs_are_the_hosts(name: str, store: Store, fast: Path, models: Path) -> None:
    bare = [models / f"image.{suffix}" for suffix in ("onnx", "tflite", "pte")]
    done = bench([fast, *bare], name, BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    assert [record.valid for record in done.records] == [True] * 4, [record.invalid_because for record in done.records]
    assert [launch.conforms for launch in done.records[0].launches] == [True] * 3
    versions = {record.artifact.runtime: record.launches[0].runtime_version for record in done.records}
    assert versions == {"onnx": "1.28.2", "tflite": "2.14.0", "executorch": "react-native-executorch 0.9.3"}


def test_launches_that_take_turns(abi: str, name: str, store: Store, fast: Path, models: Path) -> None:
    how = BRIEF.model_copy(update={"turn_ms": 2})
    bare = [models / f"image.{suffix}" for suffix in ("tflite", "pte")]
    done = bench([fast, *bare], name, how, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    assert [record.valid for record in done.records] == [True] * 3, [record.invalid_because for record in done.records]
