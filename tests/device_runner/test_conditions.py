"""What a device says of itself: this host's real files, and a tree of a phone's, read by the same real programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from device_runner import conditions
from device_runner.conditions import cpufreq, cpus, files, power, thermal
from device_runner.deadline import Deadline
from device_runner.device_isa import mismatch, target_of
from device_runner.transports.base import Completed
from device_runner.transports.local import LocalTransport


class Elsewhere(LocalTransport):
    """This host, with /sys in another directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(root / "work")
        self.sys = root / "sys"
        self.sys.mkdir()

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        moved = super().run(
            [part.replace("/sys", str(self.sys), 1) if part.startswith("/sys") else part for part in argv], deadline
        )
        return Completed(moved.exit_code, moved.stdout.replace(bytes(self.sys), b"/sys"), moved.stderr)

    def write(self, path: str, content: str) -> None:
        target = self.sys / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


@pytest.fixture
def phone(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def soon() -> Deadline:
    return Deadline.after(30)


def test_this_host_says_what_it_is_doing(tmp_path: Path) -> None:
    context = conditions.snapshot(LocalTransport(tmp_path), soon())
    assert context.load_1m is not None
    assert context.memory_available_kb is not None
    assert context.memory_available_kb > 1000
    assert context.taken.endswith("Z")


def test_what_a_device_does_not_have_is_not_guessed(phone: Elsewhere) -> None:
    context = conditions.snapshot(phone, soon())
    found = (context.governors, context.frequencies_khz, context.temperatures_c, context.battery_percent, context.charging)
    assert found == (None, None, None, None, None)


def test_clocks_of_each_cpu(phone: Elsewhere) -> None:
    for cpu, governor, khz in ((0, "schedutil", 1_800_000), (7, "performance", 2_900_000)):
        phone.write(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor + "\n")
        phone.write(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{khz}\n")
    phone.write("devices/system/cpu/cpufreq/boost", "1")
    phone.write("devices/system/cpu/cpu9/cpufreq/scaling_cur_freq", "<unknown>\n")
    governors, frequencies = cpufreq.clocks(phone, soon())
    assert governors == {"cpu0": "schedutil", "cpu7": "performance"}
    assert frequencies == {"cpu0": 1_800_000, "cpu7": 2_900_000}


def test_one_zone_and_one_cpu_are_read_as_many_are(phone: Elsewhere) -> None:
    phone.write("class/thermal/thermal_zone0/type", "cpu: big\n")
    phone.write("class/thermal/thermal_zone0/temp", "-1500\n")
    assert thermal.temperatures_c(phone, soon()) == {"thermal_zone0:cpu: big": -1.5}


def test_a_zone_that_is_asleep_is_left_out(phone: Elsewhere) -> None:
    phone.write("class/thermal/thermal_zone0/temp", "41000\n")
    phone.write("class/thermal/thermal_zone1/type", "gpu\n")
    phone.write("class/thermal/cooling_device0/type", "fan\n")
    assert thermal.temperatures_c(phone, soon()) == {"thermal_zone0:": 41.0}


@pytest.mark.parametrize(
    ("status", "charging"), [("Charging", True), ("Full", True), ("Discharging", False), ("Unknown", None)]
)
def test_the_battery_and_not_the_charger(phone: Elsewhere, status: str, charging: bool | None) -> None:
    phone.write("class/power_supply/ac/type", "Mains\n")
    phone.write("class/power_supply/battery/type", "Battery\n")
    phone.write("class/power_supply/battery/capacity", "83\n")
    phone.write("class/power_supply/battery/status", status + "\n")
    assert power.battery(phone, soon()) == (83.0, charging)


def test_hostile_names_in_a_directory_do_not_become_arguments(phone: Elsewhere) -> None:
    for name in ("-rf", "$(reboot)", "cpu0;reboot", "..x", "x" * 200, "ok"):
        phone.write(f"class/thermal/{name}/temp", "1")
    assert files.entries(phone, "/sys/class/thermal", soon()) == ["ok"]


def test_the_cpus_that_may_be_used_are_this_processs(tmp_path: Path) -> None:
    import os

    assert cpus.allowed(LocalTransport(tmp_path), soon()) == frozenset(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("abi", "isa", "target"),
    [
        ("linux-x86_64", ["avx2"], "x86_64"),
        ("linux-x86_64", ["avx512_vnni"], "x86_64-vnni"),
        ("android-x86_64", ["avx_vnni"], "x86_64-vnni"),
        ("linux-aarch64", ["dotprod"], "aarch64"),
        ("android-arm64-v8a", [], "aarch64"),
        ("plan9-mips", [], None),
    ],
)
def test_the_target_of_a_device(abi: str, isa: list[str], target: str | None) -> None:
    hello = {"abi": abi, "cpu": {"model": "x", "isa": isa}}
    assert target_of(hello) == target
    assert mismatch("any", hello) is None
    assert target is None or mismatch(target, hello) is None
    assert (mismatch("riscv", hello) is None) == (target is None)
