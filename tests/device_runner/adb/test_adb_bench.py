"""`edgedeploy bench` on the phone: the real adbd, this host's runner inside its root, real models."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.benching import bench
from device_runner.results.store import Store
from device_runner.session import open_session
from edgedeploy.progress import StatusLine
from tests.bench_hosts.adbd import AdbServer, Phone, free_port
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.device_runner import tiny
from tests.device_runner.adb.conftest import plug_in, pull_out, serial_of
from tests.device_runner.conftest import BRIEF

_WORK = "/data/local/tmp/edgedeploy"
#: steady samples for long enough that something can happen to the cable meanwhile
_SLOW_MS = "3000"


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose inferences take about a millisecond: three seconds of it are not a million samples."""
    return tiny.write_bundle(tmp_path_factory.mktemp("bundles") / "long", layers=40, width=256)


@pytest.fixture
def environment(way: str, server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`adb:SERIAL` goes through the tests' own server, or, where there is neither server nor adb, through the library."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port if way == "server" else free_port()))
    if way == "library":
        (tmp_path / "programs").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "programs"))


def status() -> StatusLine:
    return StatusLine(io.StringIO())


@pytest.mark.usefixtures("environment")
def test_bench_on_a_phone_is_a_valid_run_that_leaves_nothing_running_or_lying_about(
    phone: Phone, cable: FaultProxy, fast: Path, slow: Path, store: Store
) -> None:
    device = f"adb:{serial_of(cable)}"
    done = bench([fast, slow], device, BRIEF, store, 0, {}, status(), lambda identifier: None)
    for run in store.ids():
        record = store.read(run)
        assert record.valid, record
        assert [launch.conforms for launch in record.launches] == [True] * 3
        assert [launch.valid for launch in record.launches] == [True] * 3
        (there,) = record.devices
        assert (there.name, there.transport) == (device, "adb")
        assert there.facts["abi"] == "linux-x86_64"
        context = record.launches[0].before
        assert context.temperatures_c["CPU0"] == 41.5
        assert (context.battery_percent, context.charging) == (83, False)
    assert len(store.ids()) == 2
    assert done is not None
    assert os.listdir(phone.inside(f"{_WORK}/runs")) == []
    assert not [line for line in phone.processes().values() if "edgebench" in line]
    # the second time everything but the plans is there already
    sent = cable.sent
    bench([fast, slow], device, BRIEF, store, 0, {}, status(), lambda identifier: None)
    assert cable.sent - sent < 1_000_000


def edgedeploy(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from edgedeploy.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def launch_is_steady(phone: Phone, number: int, process: subprocess.Popen[str]) -> Path:
    """Wait until launch `number` takes its steady samples; its directory on this host."""
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        for events in phone.inside(f"{_WORK}/runs").glob(f"*/{number}/events.jsonl"):
            if '"warmup"' in events.read_text():
                return events.parent
        time.sleep(0.02)
    raise AssertionError(process.communicate())


ARGUMENTS = ["--launches", "3", "--warmup-count", "1", "--warmup-ms", "0", "--min-ms", _SLOW_MS, "--json"]


@pytest.mark.usefixtures("environment")
def test_a_cable_pulled_during_a_launch_costs_no_sample(phone: Phone, cable: FaultProxy, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{serial_of(cable)}", *ARGUMENTS, cwd=tmp_path)
    try:
        launch_is_steady(phone, 1, process)
        pull_out(cable)
        time.sleep(1.5)
        assert [line for line in phone.processes().values() if "edgebench" in line]
        plug_in(cable)
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    store = Store(tmp_path / "runs")
    (run,) = store.ids()
    record = store.read(run)
    assert record.valid
    assert [(launch.index, launch.valid) for launch in record.launches] == [(0, True), (1, True), (2, True)]
    # the launch that nobody watched went on sampling to the end of its time
    rows = list(store.samples(run))
    for launch in range(3):
        steady = [row[4:6] for row in rows if row[:2] == (launch, "steady")]
        assert steady[-1][0] + steady[-1][1] - steady[0][0] >= float(_SLOW_MS) * 1e6
    assert json.loads(stdout)


@pytest.mark.usefixtures("environment")
def test_a_phone_that_restarts_during_a_launch_costs_that_launch_only(
    phone: Phone, cable: FaultProxy, long: Path, tmp_path: Path
) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{serial_of(cable)}", *ARGUMENTS, cwd=tmp_path)
    try:
        launch_is_steady(phone, 1, process)
        phone.reboot()
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    (record,) = [Store(tmp_path / "runs").read(run) for run in Store(tmp_path / "runs").ids()]
    assert [(launch.index, launch.valid) for launch in record.launches][:2] == [(0, True), (1, False)], stderr
    assert record.launches[2].valid
    assert not record.launches[1].valid
    assert record.launches[1].steady_count > 0
    assert list(phone.inside(f"{_WORK}/runs").glob("*/*")) == []


@pytest.mark.usefixtures("environment")
def test_a_host_that_dies_leaves_the_launch_to_be_fetched(phone: Phone, cable: FaultProxy, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{serial_of(cable)}", *ARGUMENTS, cwd=tmp_path)
    try:
        launch_is_steady(phone, 1, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    store = Store(tmp_path / "runs")
    (experiment,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    resumed = edgedeploy("bench", "--resume", experiment, "--json", cwd=tmp_path)
    _, stderr = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, stderr
    (run,) = store.ids()
    record = store.read(run)
    assert record.valid
    assert [(launch.index, launch.position, launch.valid) for launch in record.launches] == [
        (0, 0, True), (1, 1, True), (2, 2, True),
    ]  # fmt: skip
    assert "the host had gone away" in record.launches[1].flags[0]


@pytest.mark.usefixtures("environment")
def test_ctrl_c_leaves_the_phone_clean(phone: Phone, cable: FaultProxy, long: Path, tmp_path: Path) -> None:
    process = edgedeploy("bench", str(long), "--device", f"adb:{serial_of(cable)}", *ARGUMENTS, cwd=tmp_path)
    try:
        launch_is_steady(phone, 0, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert not [line for line in phone.processes().values() if "edgebench" in line]
    assert list(phone.inside(f"{_WORK}/runs").glob("*/*")) == []


@pytest.mark.usefixtures("environment")
def test_a_session_knows_the_phone(cable: FaultProxy) -> None:
    with open_session(inventory.resolve(f"adb:{serial_of(cable)}")) as session:
        assert session.facts["abi"] == "linux-x86_64"
        assert session.hello["runtimes"]["onnx"]
        assert session.cpus
