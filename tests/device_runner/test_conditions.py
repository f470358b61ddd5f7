"""What a device says of itself: this host's real files, and a tree of a phone's, read by the same real programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_runner import conditions
from device_runner.conditions import (
    battery,
    cores,
    cpu_features,
    cpufreq,
    cpus,
    files,
    heat,
    power,
    screen,
    thermal,
    time_in_state,
)
from device_runner.conditions.asking import ask
from device_runner.conditions.system import System, detect
from device_runner.deadline import Deadline
from device_runner.device_isa import mismatch, target_of
from device_runner.transports.local import LocalTransport
from tests.device_runner.elsewhere import Elsewhere, programs


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
    governors, frequencies = cpufreq.clocks(ask(phone, cpufreq.ASKS, soon()))
    assert governors == {"cpu0": "schedutil", "cpu7": "performance"}
    assert frequencies == {"cpu0": 1_800_000, "cpu7": 2_900_000}


def test_one_zone_and_one_cpu_are_read_as_many_are(phone: Elsewhere) -> None:
    phone.write("class/thermal/thermal_zone0/type", "cpu: big\n")
    phone.write("class/thermal/thermal_zone0/temp", "-1500\n")
    assert thermal.temperatures_c(ask(phone, thermal.ASKS, soon())) == {"thermal_zone0:cpu: big": -1.5}


def test_a_zone_that_is_asleep_is_left_out(phone: Elsewhere) -> None:
    phone.write("class/thermal/thermal_zone0/temp", "41000\n")
    phone.write("class/thermal/thermal_zone1/type", "gpu\n")
    phone.write("class/thermal/cooling_device0/type", "fan\n")
    assert thermal.temperatures_c(ask(phone, thermal.ASKS, soon())) == {"thermal_zone0:": 41.0}


@pytest.mark.parametrize(
    ("status", "charging"), [("Charging", True), ("Full", True), ("Discharging", False), ("Unknown", None)]
)
def test_the_battery_and_not_the_charger(phone: Elsewhere, status: str, charging: bool | None) -> None:
    phone.write("class/power_supply/ac/type", "Mains\n")
    phone.write("class/power_supply/battery/type", "Battery\n")
    phone.write("class/power_supply/battery/capacity", "83\n")
    phone.write("class/power_supply/battery/status", status + "\n")
    assert power.battery(ask(phone, power.ASKS, soon())) == (83.0, charging)


def test_hostile_names_in_a_directory_do_not_become_arguments(phone: Elsewhere) -> None:
    for name in ("-rf", "$(reboot)", "cpu0;reboot", "..x", "x" * 200, "ok"):
        phone.write(f"class/thermal/{name}/temp", "1")
    assert files.entries(phone, "/sys/class/thermal", soon()) == ["ok"]


def test_the_cpus_that_may_be_used_are_this_processs(tmp_path: Path) -> None:
    import os

    assert cpus.allowed(ask(LocalTransport(tmp_path), cpus.ASKS, soon())) == frozenset(os.sched_getaffinity(0))


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


ANDROID = System(android=True)
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
Thermal Status: {status}
Cached temperatures:
	Temperature{{mValue=29.0, mType=3, mName=skin, mStatus=0}}
HAL Ready: true
HAL connection:
	ThermalHAL 2.0 connected: yes
Current temperatures from HAL:
{sensors}
Current cooling devices from HAL:
	CoolingDevice{{mValue=0, mType=2, mName=fan}}
Temperature static thresholds from HAL:
	TemperatureThreshold{{mType=3, mName=skin}}
"""
SENSORS = """	Temperature{mValue=45.25, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=33.1, mType=3, mName=skin, mStatus=0}
	Temperature{mValue=NaN, mType=9, mName=TPU, mStatus=0}
	Temperature{mValue=96.0, mType=8, mName=soc, mStatus=0}"""
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  status: {status}
  present: true
  level: 41
  scale: 50
  voltage: 4123
  temperature: 287
  technology: Li-ion
"""


def heat_of(device: Elsewhere, system: System = ANDROID) -> heat.Heat:
    return heat.read(ask(device, heat.asks(system), soon()), system)


def charge_of(device: Elsewhere) -> battery.Charge:
    return battery.read(ask(device, battery.asks(ANDROID), soon()), ANDROID)


def dumpsys(patch: pytest.MonkeyPatch, tmp_path: Path, **services: str) -> None:
    for name, text in services.items():
        (tmp_path / f"{name}.txt").write_text(text)
    programs(patch, tmp_path / "bin", dumpsys=f'cat "{tmp_path}/$1.txt"', getprop="echo 34")


def test_a_phone_says_its_temperatures_through_its_thermal_service(
    phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumpsys(monkeypatch, tmp_path, thermalservice=THERMAL.format(status=3, sensors=SENSORS))
    phone.write("class/thermal/thermal_zone0/temp", "99000\n")
    # a phone that says it is not asked in /sys as well
    assert detect(phone, soon()) == System(android=True, zones=False)
    # what is no temperature (percent, NaN) is left out, and the sensors of now stand before those of the cache
    found = heat_of(phone)
    assert found == heat.Heat({"CPU0": 45.25, "skin": 33.1}, ("thermal status severe",))
    dumpsys(monkeypatch, tmp_path, thermalservice=THERMAL.format(status=0, sensors=""))
    assert heat_of(phone) == heat.Heat({"skin": 29.0}, ())


def test_a_phone_whose_services_say_nothing_shows_its_zones_or_nothing(
    phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumpsys(monkeypatch, tmp_path, thermalservice="Can't find service: thermalservice\n")
    assert heat_of(phone) == heat.Heat({}, None)
    assert charge_of(phone) == battery.Charge()
    assert screen.screen_on(ask(phone, screen.ASKS, soon())) is None
    phone.write("class/thermal/thermal_zone0/temp", "41000\n")
    assert heat_of(phone).temperatures_c == {"thermal_zone0:": 41.0}


@pytest.mark.parametrize(("status", "charging"), [(1, None), (2, True), (3, False), (4, False), (5, True)])
def test_a_phones_battery(
    phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, charging: bool | None
) -> None:
    dumpsys(monkeypatch, tmp_path, battery=BATTERY.format(status=status))
    assert charge_of(phone) == battery.Charge(82.0, charging, 28.7)
    dumpsys(monkeypatch, tmp_path, battery=BATTERY.format(status=status).replace("present: true", "present: false"))
    assert charge_of(phone) == battery.Charge()


@pytest.mark.parametrize(
    ("dumped", "on"),
    [
        ("Display Power: state=ON\n", True),
        ("  mWakefulness=Awake\nDisplay Power: state=DOZE_SUSPEND\n", False),
        ("  mWakefulness=Asleep\n", False),
        ("POWER MANAGER\n  mWakefulness=Awake\n", True),
        ("nothing of it\n", None),
    ],
)
def test_a_phones_screen(
    phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dumped: str, on: bool | None
) -> None:
    dumpsys(monkeypatch, tmp_path, power=dumped)
    assert screen.screen_on(ask(phone, screen.ASKS, soon())) is on


def test_a_snapshot_of_a_phone_has_all_of_it(phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dumpsys(
        monkeypatch, tmp_path, thermalservice=THERMAL.format(status=0, sensors=SENSORS), battery=BATTERY.format(status=2),
        power="Display Power: state=ON\n",
    )  # fmt: skip
    context = conditions.snapshot(phone, soon())
    assert context.temperatures_c == {"CPU0": 45.25, "skin": 33.1, "battery": 28.7}
    assert (context.battery_percent, context.charging, context.screen_on, context.throttling) == (82.0, True, True, ())


def test_a_raspberry_pis_firmware_says_what_its_kernel_does_not(
    phone: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = """case "$1" in measure_temp) echo "temp=48.3'C";; get_throttled) echo throttled=0x50005;; esac"""
    programs(monkeypatch, tmp_path / "bin", vcgencmd=said)
    system = detect(phone, soon())
    assert system == System(vcgencmd=True)
    found = heat_of(phone, system)
    assert found.temperatures_c == {"vcgencmd": 48.3}
    assert found.throttling == ("under-voltage", "throttled", "under-voltage since boot", "throttled since boot")


def test_throttling_counts_when_it_holds_or_came_and_went_meanwhile() -> None:
    was, also = "throttled since boot", "under-voltage since boot"
    assert heat.throttled_meanwhile((was,), (was,)) == ()
    assert heat.throttled_meanwhile((was,), (was, also)) == (also,)
    assert heat.throttled_meanwhile(("throttled",), ("throttled",)) == ("throttled",)
    assert heat.throttled_meanwhile(None, None) == ()


def test_the_hottest_is_a_thermometer_that_works() -> None:
    assert heat.hottest({"vbat": 4123.0, "soc": 44.0, "unplugged": -274.0}) == ("soc", 44.0)
    assert heat.hottest({"vbat": 4123.0}) is None
    assert heat.hottest(None) is None


def test_time_at_each_frequency(phone: Elsewhere) -> None:
    phone.write("devices/system/cpu/cpufreq/policy0/stats/time_in_state", "300000 1200\n1800000 34\nx y\n")
    phone.write("devices/system/cpu/cpufreq/boost", "1\n")
    assert time_in_state.time_in_state_ms(ask(phone, time_in_state.ASKS, soon())) == {
        "policy0": {"300000": 12_000, "1800000": 340}
    }


def test_cores_in_one_line(phone: Elsewhere) -> None:
    for cpu, most, now in ((0, 1_800_000, 600_000), (1, 1_800_000, 600_000), (2, 2_800_000, 2_800_000), (3, 2_800_000, 0)):
        phone.write(f"devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", f"{most}\n")
        phone.write(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{now}\n")
    phone.write("devices/system/cpu/cpu3/online", "0\n")
    assert cores.summary(cores.read(phone, soon())) == "1 of 2800 MHz (now 2800), 2 of 1800 MHz (now 600); offline: 3"


def test_a_feature_is_one_that_every_cpu_has(phone: Elsewhere) -> None:
    big, little = "Features\t: fp asimd atomics asimddp i8mm\n", "Features\t: fp asimd asimddp\n"
    phone.write("/proc/cpuinfo", f"processor\t: 0\n{big}processor\t: 1\n{little}")
    assert cpu_features.read(phone, soon()) == {"dotprod"}
    phone.write("/proc/cpuinfo", "processor\t: 0\n")
    assert cpu_features.read(phone, soon()) is None
