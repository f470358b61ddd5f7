"""`bench --tiers` over the real daemons: what is measured, what the record says, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from device_runner import transports
from device_runner.inventory import Device
from device_runner.results import contexts, summary
from device_runner.results.recommend import Constraints, recommend
from device_runner.results.store import Store
from device_runner.tiers import far
from device_runner.tiers.shape import Shape
from device_runner.transports.base import Target
from edgedeploy.record import Limits, RunRecord
from tests.bench_hosts.adbd import adb_server, phone
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.support import wait_for
from tests.device_runner.test_interrupt import edgedeploy
from tests.device_runner.tiers.conftest import LOCAL, Bench, over

#: of every pair: as short as says something
SHORT = BRIEF.model_copy(update={"launches": 2})


def _made_of_parts(record: RunRecord, store: Store) -> None:
    """Each steady sample has its parts, and they are parts of it."""
    by_phase: dict[tuple[int, str], list[int]] = {}
    for launch, phase, _, index, start_ns, elapsed_ns, _ in store.samples(record.id):
        of = by_phase.setdefault((launch, phase), [])
        assert index == len(of)
        of.append(elapsed_ns)
        assert (start_ns is None) == (phase in ("near", "round_trip", "far"))
    for launch in record.launches:
        whole, near, round_trip, far = (
            np.array(by_phase[launch.index, phase]) for phase in ("steady", "near", "round_trip", "far")
        )
        assert len(whole) == len(near) == len(round_trip) == len(far) == launch.steady_count
        assert (near + round_trip <= whole).all()
        assert (far < round_trip).all()


def test_a_cut_model_over_this_host_twice(cut: Path, run_over: Bench, store: Store) -> None:
    (record,) = run_over(over(LOCAL, LOCAL), cut, how=SHORT, accuracy=True)
    assert record.valid, record.invalid_because
    assert all(launch.conforms for launch in record.launches)
    assert [(device.role, device.tier) for device in record.devices] == [("near", "mobile"), ("far", "edge")]
    assert (record.split, record.tier, record.computes_on) == (1, "mobile+edge", "mobile+edge")
    assert record.path is not None
    assert record.path.kind == "same device"
    assert record.device_accuracy is not None
    assert record.device_accuracy.value == 1.0
    for launch in record.launches:
        crossing, far = launch.crossing, launch.far
        assert crossing is not None
        assert far is not None
        # 48 of header, 24 of head, 32 of descriptor; 16 floats there, 8 back
        assert (crossing.bytes_sent, crossing.bytes_received) == (48 + 24 + 32 + 64, 48 + 24 + 32 + 32)
        assert crossing.gaps == ()
        assert far.load_warm_ns
        assert far.peak_rss_kb
        assert far.before is not None
        assert far.after is not None
        for look in (launch.link_before, launch.link_after):
            assert look is not None
            assert look.rtt_us > 0
            assert look.up_mbit_s
            assert look.down_mbit_s
    assert record.near_ms is not None
    assert record.median_ms is not None
    _made_of_parts(record, store)
    told = summary.as_json(summary.rows([record])[0], "")["two_devices"]
    assert told["split"] == 1
    assert told["far_ms"]["estimate"] > 0


def test_a_whole_model_is_far_and_its_upload_is_in_the_time(whole: Path, cut: Path, run_over: Bench, store: Store) -> None:
    slow = Shape(mbit_s=20.0, delay_ms=3.0)
    record, other = run_over(over(LOCAL, LOCAL, slow), whole, cut, how=SHORT)
    assert record.valid, record.invalid_because
    assert (record.split, record.tier, record.computes_on) == (0, "edge from mobile", "edge")
    assert record.path is not None
    assert "20mbit,3ms" in record.path.shaped
    assert record.median_ms is not None
    assert record.median_ms.estimate >= 6, "two delays of 3 ms"
    assert all(launch.load_warm_ns is None for launch in record.launches)
    _made_of_parts(record, store)
    assert contexts.differences(record, other) == {}, "where a model is cut is what is compared"
    (fast,) = run_over(over(LOCAL, LOCAL), whole, how=SHORT)
    assert set(contexts.differences(record, fast)) == {"link"}
    best = recommend([record, other, fast], Constraints(tier="edge"), "latency", 0.02)
    assert best.choice == fast
    assert [each.record for each in best.ruled_out] == [other]


@pytest.fixture
def ssh_device(board: Sshd) -> Device:
    return Device("board", board.target())


def _left(device: Device) -> dict[str, list[str]]:
    """What there is in the device's work root that a run could have left."""
    transport = transports.connect(device.target)
    try:
        root = Path(transport.path("x")).parent
        return {name: sorted(os.listdir(root / name)) for name in ("runs", "checks", "leases") if (root / name).is_dir()}
    finally:
        transport.close()


def _serving(text: str) -> bool:
    """Whether any far side runs whose plan's path has `text` in it."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if b"--serve" in line and text.encode() in line:
            return True
    return False


def test_this_host_and_a_board(cut: Path, whole: Path, run_over: Bench, store: Store, ssh_device: Device, board: Sshd) -> None:
    records = run_over(over(LOCAL, ssh_device), cut, whole, how=SHORT)
    for record in records:
        assert record.valid, record.invalid_because
        assert record.place == "local → board"
        assert record.path is not None
        assert record.path.kind == "through the host"
        assert record.path.hops == ("an SSH tunnel from this host",)
        _made_of_parts(record, store)
    assert _left(ssh_device) == {"runs": [], "leases": []}
    assert not _serving(str(board.home))


def test_directly_nothing_is_led_through_this_host(cut: Path, run_over: Bench, ssh_device: Device) -> None:
    (record,) = run_over(over(LOCAL, ssh_device, direct="127.0.0.1"), cut, how=SHORT)
    assert record.valid, record.invalid_because
    assert record.path is not None
    assert (record.path.kind, record.path.hops) == ("direct", ("the network, to 127.0.0.1",))


def test_a_board_drives_this_host(cut: Path, run_over: Bench, ssh_device: Device) -> None:
    (record,) = run_over(over(ssh_device, LOCAL), cut, how=SHORT)
    assert record.valid, record.invalid_because
    assert record.path is not None
    assert record.path.hops == ("an SSH tunnel to this host",)


def test_a_phone_and_a_board(cut: Path, run_over: Bench, ssh_device: Device, runner: Path, tmp_path: Path) -> None:
    elf = [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()]
    with phone(tmp_path / "phone", guest_files=elf) as near, adb_server(tmp_path / "adb") as server:
        settings = {"server": server.address, "key_file": str(tmp_path / "adbkey")}
        pixel = Device("phone", Target("adb", near.serial, settings))
        (record,) = run_over(over(pixel, ssh_device), cut, how=SHORT)
        assert record.valid, record.invalid_because
        assert all(launch.conforms for launch in record.launches)
        assert record.path is not None
        assert record.path.hops == ("adb reverse", "an SSH tunnel from this host")
        assert not _serving("edgedeploy")


def test_a_board_that_goes_away_in_a_launch_costs_that_launch(
    cut: Path, run_over: Bench, board: Sshd, cable: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what led there is gone with the cable, so that no patience of the near side's helps
    monkeypatch.setattr(far, "RECONNECT_SEC", 1.0)
    device = Device("board", board.target(cable.port))
    long = SHORT.model_copy(update={"steady": Limits(min_count=1, min_ms=1500, max_count=1_000_000)})

    def pull() -> None:
        runs = Path(os.environ["EDGEDEPLOY_CACHE"]) / "device" / "local" / "runs"
        wait_for(lambda: any('"warmup"' in each.read_text() for each in runs.glob("*/0/events.jsonl")), "the steady phase")
        cable.cut()

    puller = threading.Thread(target=pull)
    puller.start()
    (record,) = run_over(over(LOCAL, device), cut, how=long)
    puller.join()
    assert cable.faults == 1
    lost = [launch for launch in record.launches if launch.error is not None and launch.error["code"] == "link_lost"]
    assert len(lost) == 1
    assert lost[0].steady_count > 0, "what it had is kept"
    good = [launch for launch in record.launches if launch.valid]
    assert good, "the others were measured"
    assert not _serving(str(board.home))


@pytest.fixture
def listed(board: Sshd, tmp_path: Path) -> Path:
    """devices.yaml with the board."""
    target = board.target()
    lines = ["schema_version: 1", "devices:", "  board:", "    transport: ssh", f"    address: {target.address}"]
    lines += ["    settings:"] + [f"      {key}: {value}" for key, value in target.settings.items()]
    file = tmp_path / "devices.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_ctrl_c_leaves_both_clean_and_the_run_goes_on(
    cut: Path, listed: Path, board: Sshd, ssh_device: Device, tmp_path: Path, cache: Path
) -> None:
    asked = ["bench", str(cut), "--tiers", "mobile=local,edge=board", "--devices", str(listed), "--launches", "2"]
    asked += ["--warmup-count", "1", "--warmup-ms", "0", "--min-ms", "1500", "--json"]
    # the cache is every test's: what another one's launch left, a kill's above all, is not of this one
    runs = cache / "device" / "local" / "runs"
    others = set(runs.glob("*/*"))
    process = edgedeploy(*asked, cwd=tmp_path)
    try:
        wait_for(
            lambda: any('"warmup"' in each.read_text() for each in runs.glob("*/0/events.jsonl") if each.parent not in others),
            "the steady phase",
        )
        assert _serving(str(board.home))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert not _serving(str(board.home))
    assert not set(runs.glob("*/*")) - others, "nothing of the launch is left"
    experiment = json.loads(stdout)["experiment"]
    again = edgedeploy("bench", "--resume", experiment, "--devices", str(listed), "--json", cwd=tmp_path)
    stdout, stderr = again.communicate(timeout=60)
    assert again.returncode == 0, stderr
    (run,) = json.loads(stdout)["runs"]
    assert run["valid"]
    assert run["device"] == "local → board"
    assert _left(ssh_device) == {"runs": [], "leases": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tiers", "mobile=local"], "two tiers"),
        (["--tiers", "mobile=local,phone=local"], "give two of mobile, edge, cloud"),
        (["--tiers", "mobile=local,mobile=local"], "each once"),
        (["--tiers", "mobile=local,edge=nowhere"], "no device 'nowhere'"),
        (["--tiers", "mobile=local,edge=local", "--link", "fast"], "is not a link"),
        (["--tiers", "mobile=local,edge=local", "--direct", "board.local"], "numeric address"),
        (["--tiers", "mobile=local,edge=local", "--direct", "10.0.0.1", "--link", "1mbit"], "leave out"),
        (["--tiers", "mobile=local,edge=local", "--device", "local"], "names its devices"),
        (["--tiers", "mobile=local,edge=local", "--profile"], "not with --profile"),
        (["--tiers", "mobile=local,edge=local", "--mode", "throughput"], "throughput"),
        (["--link", "1mbit"], "are of --tiers"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(cut: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    process = edgedeploy("bench", str(cut), *arguments, cwd=tmp_path)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in stderr
    assert "Traceback" not in stderr
