"""Devices that come, go, come back, fail and get hot, with the real daemons: Debian's adbd and adb, OpenSSH's sshd."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_runner import probing
from device_runner.inventory.device import Device
from device_runner.lab import health, presence, view
from device_runner.lab.presence import Watch
from device_runner.lab.queue import DeviceState, Event
from device_runner.lab.sqlite_queue import SqliteQueue
from device_runner.lab.supervisor import Supervisor
from device_runner.transports.base import Target
from tests.bench_hosts import adbd, sshd
from tests.bench_hosts.adbd import Phone
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.lab.conftest import job
from tests.device_runner.lab.test_run import BRIEF, Lab

#: for a machine on which much else runs
_LONG_SEC = 240.0


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Sshd]:
    with sshd.running(tmp_path / "board") as server:
        yield server


@pytest.fixture
def phone(runner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    """With an adb server of its own."""
    elf = [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()]
    with adbd.adb_server(tmp_path / "adb") as server, adbd.phone(tmp_path / "phone", guest_files=elf) as device:
        monkeypatch.setenv("HOME", str(tmp_path / "adb"))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        yield device


@pytest.fixture
def real_queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    with contextlib.closing(SqliteQueue(tmp_path / "lab" / "queue.sqlite")) as queue:
        yield queue


def until(what: Callable[[], bool], said: Callable[[], object]) -> None:
    end = time.monotonic() + _LONG_SEC
    while not what():
        assert time.monotonic() < end, said()
        time.sleep(0.05)


def state_of(queue: SqliteQueue, name: str) -> DeviceState | None:
    return next((state for state in queue.devices() if state.name == name), None)


def word_of(queue: SqliteQueue, name: str) -> str:
    shown = view.snapshot(queue, is_run=True)
    return next((seen.word for seen in shown.devices if seen.state.name == name), "")


def comes_goes_and_comes_back(
    queue: SqliteQueue, device: Device, off: Callable[[], None], on: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Each change is told; one that is away is dead and gets nothing, and what it may do it gets when it is back."""
    monkeypatch.setattr(presence, "LOOK_SEC", 0.2)
    queue.put("night", 0, [job("1", device.name)])
    woken = threading.Event()
    watch = Watch(queue, woken.set)
    watch.follow([device])
    try:
        until(lambda: word_of(queue, device.name) == "free", queue.events)
        assert woken.is_set()
        assert queue.claimable(device.name)
        off()
        until(lambda: word_of(queue, device.name) == "dead", queue.events)
        assert queue.claim(device.name, "w") is None
        on()
        until(lambda: word_of(queue, device.name) == "free", queue.events)
        assert queue.claim(device.name, "w") is not None
    finally:
        watch.end()
    told = [event.text.partition(":")[0] for event in queue.events() if event.device == device.name]
    # to begin with, an adb server that has just been told of a phone calls it offline
    assert told[told.index("present") :] == ["present", "dead", "present"]


def test_a_board_that_is_switched_off_and_on_is_seen(
    board: Sshd, real_queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("rpi5", board.target())
    comes_goes_and_comes_back(real_queue, device, board.stop, board.start, monkeypatch)


def test_a_phone_that_is_pulled_out_and_comes_back_after_a_reboot_is_seen(
    phone: Phone, real_queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("pixel7", Target("adb", phone.serial))
    comes_goes_and_comes_back(real_queue, device, phone.power_off, phone.boot, monkeypatch)


def test_a_phone_that_hangs_up_on_everybody_is_dead_and_costs_a_look_now_and_then(
    real_queue: SqliteQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """adb calls it offline and then forgets it, whenever it is looked at."""
    with adbd.adb_server(tmp_path / "adb") as server, socket.create_server(("127.0.0.1", 0)) as rude:
        monkeypatch.setenv("HOME", str(tmp_path / "adb"))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        asked: list[float] = []

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    rude.accept()[0].close()

        def probe(*arguments: Any) -> probing.Probe:
            asked.append(time.monotonic())
            return real_probe(*arguments)

        real_probe = probing.probe
        monkeypatch.setattr(probing, "probe", probe)
        threading.Thread(target=hang_up, daemon=True).start()
        watch, before = Watch(real_queue, lambda: None), threading.active_count()
        watch.follow([Device("pixel7", Target("adb", f"127.0.0.1:{rude.getsockname()[1]}"))])
        try:
            until(lambda: word_of(real_queue, "pixel7") == "dead", real_queue.events)
            time.sleep(2 * presence.LOOK_SEC)
            # one that tracks, one that looks
            assert threading.active_count() - before <= 2
            assert len(asked) <= 4
        finally:
            watch.end()
        rude.shutdown(socket.SHUT_RDWR)
    assert word_of(real_queue, "pixel7") == "dead"


def inventory_of(tmp_path: Path, **devices: dict[str, object]) -> Path:
    file = tmp_path / "devices.yaml"
    file.write_text(json.dumps({"devices": devices}))
    return file


def as_entry(target: Target, **more: object) -> dict[str, object]:
    return {"transport": target.transport, "address": target.address, "settings": dict(target.settings), **more}


@contextlib.contextmanager
def at_work(lab: Lab, plan: Path, devices: Path) -> Iterator[SqliteQueue]:
    """The lab's process as a thread of this one, its workers processes; it has come to its end afterwards."""
    from device_runner.lab import plan_file
    from device_runner.lab.expanding import expand

    asked = plan_file.read(plan)
    with contextlib.closing(SqliteQueue(lab.place.queue)) as queue:
        queue.put(asked.name, 0, expand(asked, plan.parent, devices))
        thread = threading.Thread(target=Supervisor(lab.place, devices, lambda device, text: None, 60.0).run)
        thread.start()
        try:
            yield queue
            thread.join(_LONG_SEC)
            assert not thread.is_alive(), queue.jobs()
        finally:
            queue.hold("", "draining")
            thread.join(_LONG_SEC)


def test_a_board_in_trouble_of_its_own_is_quarantined_and_let_back_when_it_is_mended(
    board: Sshd, fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FIRST_SEC", 0.5)
    # programs run there, so it is no dead device; a runner cannot be put there
    broken = board.home / ".cache/edgedeploy-device/runners"
    broken.parent.mkdir(parents=True)
    broken.write_text("in the way")
    with sshd.running(tmp_path / "sound") as sound:
        devices = inventory_of(tmp_path, rpi5=as_entry(board.target()), rpi4=as_entry(sound.target()))
        lab = Lab(tmp_path)
        plan = lab.plan({"artifacts": [str(fast)], "devices": ["rpi4", "rpi5"], "repeats": 3}, plan=BRIEF)
        with at_work(lab, plan, devices) as queue:
            until(lambda: word_of(queue, "rpi5") == "quarantined", queue.events)
            held = state_of(queue, "rpi5")
            assert held is not None
            assert held.hold_by == "lab"
            assert "3 failures in a row of its own making" in held.hold_reason
            assert {whose for device, _, whose, _ in queue.verdicts() if device == "rpi5"} == {"device"}
            # looked at, and not let back
            until(lambda: (state := state_of(queue, "rpi5")) is not None and state.checks > 0, queue.events)
            assert word_of(queue, "rpi5") == "quarantined"
            until(lambda: all(each.state == "done" for each in queue.jobs() if each.pool == ("rpi4",)), queue.events)
            broken.unlink()
        told = [event.text for event in lab_events(lab) if event.device == "rpi5"]
        assert "may work again: it passed a health check" in told
        assert {(each.state, each.valid) for each in lab.jobs()} == {("done", True)}


def test_a_hot_phone_is_waited_for_while_others_do_what_they_can(phone: Phone, board: Sshd, fast: Path, tmp_path: Path) -> None:
    devices = inventory_of(
        tmp_path, rpi5=as_entry(board.target()),
        pixel7=as_entry(Target("adb", phone.serial), limits={"max_temperature_c": 40}),
    )  # fmt: skip
    lab = Lab(tmp_path)
    plan = lab.plan(
        {"artifacts": [str(fast)], "devices": ["pixel7"]},
        {"artifacts": [str(fast)], "devices": ["pixel7", "rpi5"], "run_on": "any", "repeats": 2}, plan=BRIEF,
    )  # fmt: skip
    with at_work(lab, plan, devices) as queue:
        until(lambda: word_of(queue, "pixel7") == "cooling", queue.events)
        hot = state_of(queue, "pixel7")
        assert hot is not None
        assert hot.temperature_c == 41.5
        assert "41.5 °C, over 40" in hot.activity
        until(lambda: sum(each.state == "done" for each in queue.jobs()) == 2, queue.events)
        assert {each.device for each in queue.jobs() if each.state == "done"} == {"rpi5"}
        dumpsys = phone.inside("/system/bin/dumpsys")
        dumpsys.write_text(dumpsys.read_text().replace("41.5", "33.0"))
    assert {(each.state, each.valid) for each in lab.jobs()} == {("done", True)}
    with contextlib.closing(SqliteQueue(lab.place.queue)) as queue:
        cool = state_of(queue, "pixel7")
        assert cool is not None
        assert cool.temperature_c == 33.0


def lab_events(lab: Lab) -> list[Event]:
    with contextlib.closing(SqliteQueue(lab.place.queue)) as queue:
        return queue.events()
