"""A phone on USB, by an adb server and by the library: in a virtual machine, whose kernel has both ends of a USB cable."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench_hosts.usb_phone import ROOT as PHONE_ROOT
from tests.bench_hosts.usb_phone import SERIAL, UsbPhone
from tests.bench_hosts.vm import Done, Vm
from tests.device_runner.native.conftest import ROOT

#: a program that reads what the command line wrote needs more than this emulated machine's start of Python
_SEC = 600
#: with adb's server, and without
_PATHS = {"server": "/usr/sbin:/usr/bin:/sbin:/bin", "library": "/run/programs"}
_PUSH = """
import sys, time
from pathlib import Path
from device_runner import transports
from device_runner.deadline import Deadline
from device_runner.transports.base import Target
from edgedeploy.bundle import file_sha256

source = Path("/run/source")
source.write_bytes(bytes(range(256)) * 80_000 + b"the end")
device = transports.connect(Target("adb", sys.argv[1]))
sent = [device.push(source, "usb/file", Deadline.after(300)) for _ in range(2)]
device.pull("usb/file", Path("/run/back"), Deadline.after(300))
device.remove("usb", Deadline.after(30))
device.close()
print(sent, file_sha256(source) == file_sha256(Path("/run/back")))
"""


class Machine:
    """The machine, and edgedeploy in it."""

    def __init__(self, vm: Vm, cache: Path) -> None:
        self.vm, self._cache = vm, cache

    def environment(self, way: str) -> dict[str, str]:
        return {
            "PATH": _PATHS[way], "HOME": "/run", "PYTHONPATH": str(ROOT), "EDGEDEPLOY_CACHE": str(self._cache),
            "EDGEDEPLOY_STATE": "/run/state", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def start(self, way: str, *arguments: str | Path) -> str:
        return self.vm.start([sys.executable, "-m", "edgedeploy", *arguments], self.environment(way))

    def edgedeploy(self, way: str, *arguments: str | Path) -> Done:
        return self.vm.wait(self.start(way, *arguments), _SEC)


@pytest.fixture(scope="module")
def both(runner: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[UsbPhone, Machine]]:
    vm = Vm(tmp_path_factory.mktemp("usb"))
    phone = UsbPhone(vm, [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()])
    try:
        vm.boot()
        phone.boot()
        yield phone, Machine(vm, cache)
    finally:
        vm.power_off()


@pytest.fixture
def phone(both: tuple[UsbPhone, Machine]) -> UsbPhone:
    return both[0]


@pytest.fixture(autouse=True)
def _anew(both: tuple[UsbPhone, Machine]) -> None:
    """No server holds the phone, and nothing of the test before is left in its adbd."""
    phone, machine = both
    machine.vm.run(["adb", "kill-server"])
    phone.restart_adbd()


@pytest.fixture
def machine(both: tuple[UsbPhone, Machine]) -> Machine:
    return both[1]


def test_it_is_found_by_itself(machine: Machine, way: str) -> None:
    listed = machine.edgedeploy(way, "devices", "list", "--json")
    assert listed.exit_code == 0, listed.stderr
    found = {device["name"]: device for device in json.loads(listed.stdout)["devices"]}
    assert found[SERIAL]["state"] == "reachable", found
    # adb says _ for a space, USB does not
    assert found[SERIAL]["model"].replace("_", " ") == "Edge Phone 7"


def test_what_is_pushed_arrives_whole_and_once(machine: Machine, way: str) -> None:
    done = machine.vm.run([sys.executable, "-c", _PUSH, SERIAL], machine.environment(way), _SEC)
    assert done.stdout == "[True, False] True\n", done.stderr


def test_a_phone_that_is_not_there_is_said_to_be(phone: UsbPhone, machine: Machine, way: str) -> None:
    phone.pull_out()
    try:
        checked: Any = machine.edgedeploy(way, "devices", "check", f"adb:{SERIAL}", "--json")
        assert checked.exit_code == 1, checked
        assert "is the cable in" in checked.stdout
    finally:
        phone.plug_in()


#: of several seconds, so that there is a middle to pull the cable in on a machine where each look takes one
_LAUNCHES = ("--launches=2", "--warmup-count=1", "--warmup-ms=0", "--min-count=5", "--min-ms=15000", "--max-seconds=60")
_SAMPLING = f"""grep -lsE '"phase": ?"steady"' {PHONE_ROOT}/data/local/tmp/edgedeploy/runs/*/*/events.jsonl"""


# each of its waits says more than the limit on all tests does
@pytest.mark.timeout(3 * _SEC)
def test_a_bench_whose_cable_is_pulled_in_a_launch_goes_on(phone: UsbPhone, machine: Machine, way: str, fast: Path) -> None:
    """The launch goes on by itself meanwhile, and nothing of it is lost."""
    # what a bench that failed has left
    machine.vm.run(["sh", "-c", f"rm -rf {PHONE_ROOT}/data/local/tmp/edgedeploy/runs/*"])
    bench = ["bench", fast, "--device", f"adb:{SERIAL}", *_LAUNCHES, "--out", f"/run/runs-{way}", "--json"]
    name = machine.start(way, *bench)
    end = time.monotonic() + _SEC
    while not machine.vm.run(["sh", "-c", _SAMPLING]).stdout:
        assert machine.vm.so_far(name) is None, machine.vm.so_far(name)
        assert time.monotonic() < end, machine.vm.said(name, "err")
    phone.pull_out()
    time.sleep(3)
    phone.plug_in()
    # Debian's adbd does not come back to a cable that was out, and has no init that would start it anew as it is plugged in
    phone.restart_adbd()
    done = machine.vm.wait(name, _SEC)
    assert done.exit_code == 0, done
    said = machine.vm.run(["sh", "-c", f"cat /run/runs-{way}/*/run.json"]).stdout
    assert [launch["valid"] for launch in json.loads(said)["launches"]] == [True, True], said
