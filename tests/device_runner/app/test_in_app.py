"""`bench --in-app` against the real adbd: what is said to pm, am and run-as, what comes back, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.app.build import App
from device_runner.app.sources import ID
from device_runner.benching import Finished, bench
from device_runner.inventory import Device
from device_runner.results.contexts import differences
from device_runner.results.store import Store
from device_runner.session import open_session
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from tests.bench_hosts import android_apps
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.device_runner import tiny
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.support import ORDER, json_of
from tests.device_runner.ssh.conftest import eventually

_HOME = f"/data/data/{ID}"
_WORK = "/data/local/tmp/edgedeploy"


@pytest.fixture(autouse=True)
def _clean(phone: Phone, server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    for name in ("calls.log", "refuse", "release"):
        phone.inside(f"/data/{name}").unlink(missing_ok=True)


@pytest.fixture
def device(phone: Phone) -> Device:
    return replace(inventory.resolve(f"adb:{phone.serial}"), bundle="app")


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_bundle(tmp_path_factory.mktemp("bundles") / "long", layers=40, width=256)


def run(device: Device, store: Store, *paths: Path) -> Finished:
    return bench(paths, device, BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)


def left(phone: Phone) -> dict[str, str]:
    """What of ours runs on the phone, and what lies on it that is no cache, once a look that was under way had time to end."""
    eventually(lambda: not running(phone))
    lying = [path for path in ("handover", "am", "runs") if phone.inside(f"{_WORK}/{path}").exists()]
    return {**running(phone), **dict.fromkeys(lying, "lies about")}


def running(phone: Phone) -> dict[str, str]:
    return {str(pid): line for pid, line in phone.processes().items() if ID in line or "instrument" in line}


def test_a_run_inside_the_app(phone: Phone, device: Device, app: App, fast: Path, slow: Path, store: Store) -> None:
    done = run(device, store, fast, slow)
    assert [record.valid for record in done.records] == [True, True], [record.invalid_because for record in done.records]
    for record in done.records:
        assert [launch.conforms for launch in record.launches] == [True] * 3
        (there,) = record.devices
        assert there.transport == "adb"
        assert there.facts["in_app"]["app"] == ID
        assert record.launches[0].before is not None
        assert record.launches[0].before.temperatures_c["CPU0"] == 41.5
        events = json_of(store.directory(record.id) / "log/0000.events.jsonl")
        assert [event["event"] for event in events if event["event"] != "progress"] == ORDER
    said = android_apps.calls(phone)
    # installed once, by size over a pipe; started once for each launch and each question; removed
    assert [line for line in said if line.startswith("pm install")] == [f"pm install -t -r -S {app.path.stat().st_size}"]
    starts = [line for line in said if line.startswith("am instrument")]
    assert len(starts) == 1 + 6
    assert all(line.startswith("am instrument -w -r -e ") and line.endswith(f"{ID}/.BenchInstrumentation") for line in starts)
    assert "pm uninstall dev.edgedeploy.bench" in said
    assert not phone.inside(_HOME).exists()
    assert not left(phone)


def test_it_is_compared_with_a_run_outside_only_when_told(device: Device, fast: Path, store: Store, tmp_path: Path) -> None:
    inside = run(device, store, fast).records[0]
    outside = run(replace(inventory.resolve("local"), name=device.name), Store(tmp_path / "other"), fast).records[0]
    assert "inside an app" in differences(inside, outside)["device"]


def test_a_bare_model_is_described_by_the_app(device: Device, store: Store, models: Path) -> None:
    paths = [models / f"image.{suffix}" for suffix in ("onnx", "tflite", "pte")]
    assert [record.valid for record in run(device, store, *paths).records] == [True] * 3


def test_an_app_that_was_there_stays_without_what_we_put_into_it(
    phone: Phone, device: Device, fast: Path, store: Store
) -> None:
    with open_session(device):
        phone.inside(f"{_HOME}/files/edgedeploy/app.brought").unlink()  # as if a person had installed it
    assert phone.inside(_HOME).exists()
    phone.inside("/data/calls.log").unlink()
    assert run(device, store, fast).records[0].valid
    assert not [line for line in android_apps.calls(phone) if line.startswith(("pm install", "pm uninstall"))]
    assert sorted(os.listdir(phone.inside(f"{_HOME}/files/edgedeploy"))) == ["app.key"]
    assert not left(phone)
    phone.inside(f"{_HOME}/files/edgedeploy/app.brought").touch()
    with open_session(device):
        pass
    assert not phone.inside(_HOME).exists()


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package signatures do not match", "signed by another key"),
        ("INSTALL_FAILED_USER_RESTRICTED: Install canceled by user", "Install via USB"),
        ("INSTALL_FAILED_SOMETHING_NEW: x\x1b[31m", "INSTALL_FAILED_SOMETHING_NEW"),
    ],
)
def test_a_phone_that_refuses_the_app(phone: Phone, device: Device, why: str, said: str) -> None:
    phone.inside("/data/refuse").write_text(why + "\n")
    with pytest.raises(UserError, match=said), open_session(device):
        pass
    assert not left(phone)


def test_an_app_that_is_not_debuggable_cannot_be_entered(phone: Phone, device: Device) -> None:
    phone.inside("/data/release").touch()
    with pytest.raises(UserError, match=r"cannot be entered.*not debuggable"), open_session(device):
        pass
    assert not phone.inside(_HOME).exists()
    assert not left(phone)


def test_what_is_no_phone_has_no_apps() -> None:
    with pytest.raises(UserError, match="for Android phones"), open_session(replace(inventory.resolve("local"), bundle="app")):
        pass


def edgedeploy(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from edgedeploy.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def steady(phone: Phone, number: int, process: subprocess.Popen[str]) -> Path:
    """Wait until launch `number` takes its steady samples; its directory in the app."""
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        for events in phone.inside(f"{_HOME}/files/edgedeploy/runs").glob(f"*/{number}/events.jsonl"):
            if '"warmup"' in events.read_text():
                return events.parent
        time.sleep(0.02)
    raise AssertionError(process.communicate())


ARGUMENTS = ["--launches", "3", "--warmup-count", "1", "--warmup-ms", "0", "--min-ms", "3000", "--json", "--in-app"]


def test_the_command_says_what_the_run_says(phone: Phone, fast: Path, tmp_path: Path) -> None:
    arguments = ["--quick", "--min-ms", "10", "--json", "--in-app", "--device", f"adb:{phone.serial}"]
    out, err = edgedeploy("bench", str(fast), *arguments, cwd=tmp_path).communicate(timeout=120)
    (row,) = json.loads(out)["runs"]
    assert row["valid"], err


def test_ctrl_c_leaves_nothing(phone: Phone, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{phone.serial}", *ARGUMENTS, cwd=tmp_path)
    try:
        steady(phone, 0, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert not left(phone)
    assert not phone.inside(_HOME).exists()


def test_a_host_that_dies_leaves_the_launch_to_be_fetched(phone: Phone, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{phone.serial}", *ARGUMENTS, cwd=tmp_path)
    try:
        steady(phone, 1, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    store = Store(tmp_path / "runs")
    (experiment,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    _, stderr = edgedeploy("bench", "--resume", experiment, "--json", cwd=tmp_path).communicate(timeout=120)
    record = store.read(store.ids()[0])
    assert [(launch.index, launch.valid) for launch in record.launches] == [(0, True), (1, True), (2, True)], stderr
    assert "the host had gone away" in record.launches[1].flags[0]
    assert len([line for line in android_apps.calls(phone) if line.startswith("pm install")]) == 1
    assert not phone.inside(_HOME).exists()
    assert not left(phone)


def test_an_app_that_android_kills_is_a_launch_that_failed(phone: Phone, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{phone.serial}", *ARGUMENTS, cwd=tmp_path)
    try:
        steady(phone, 1, process)
        for pid, line in phone.processes().items():
            if "desktop.Desktop " in line and line.startswith("/app/jre"):
                os.kill(pid, signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    store = Store(tmp_path / "runs")
    record = store.read(store.ids()[0])
    assert [launch.valid for launch in record.launches][:2] == [True, False], stderr
    assert record.launches[1].error is not None
    assert record.launches[1].error["code"] == "worker_died"
    assert record.launches[1].error["message"] == "Process crashed."
    assert record.launches[1].steady_count > 0
    assert record.launches[2].valid
