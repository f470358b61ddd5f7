"""Waiting until a device is fit for a launch; and setting it for a run and putting it back, whatever ends the run."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_runner.benching import bench
from device_runner.conditions import journal, preparing, waiting
from device_runner.conditions.knobs import from_key
from device_runner.conditions.system import System
from device_runner.deadline import Deadline
from device_runner.results.store import Store
from device_runner.transports.base import Completed
from edgedeploy.errors import TransientError, UserError
from edgedeploy.gates import Gates
from edgedeploy.preparation import Preparation
from edgedeploy.progress import StatusLine
from tests.device_runner.conftest import BRIEF
from tests.device_runner.elsewhere import GOVERNOR, Board, Elsewhere, board, programs, with_governors

ROOT = Path(__file__).resolve().parents[2]
LINUX, ANDROID = System(), System(android=True)
ZONE = "class/thermal/thermal_zone0/temp"


@pytest.fixture(autouse=True)
def _fresh_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path / "state"))


@pytest.fixture
def made(tmp_path: Path) -> Board:
    return board(tmp_path / "board")


def soon() -> Deadline:
    return Deadline.after(30)


def test_each_gate_says_why_it_is_shut(made: Board) -> None:
    there = made.transport
    there.write(ZONE, "47200\n")
    there.write("class/power_supply/battery/type", "Battery\n")
    there.write("class/power_supply/battery/capacity", "12\n")
    there.write("/proc/loadavg", "3.50 1.00 0.50 2/99 12345\n")
    shut = Gates(max_temperature_c=45, max_load=2, min_battery_percent=40)
    assert waiting.shut(there, shut, LINUX, soon()) == [
        "thermal_zone0: is at 47.2 °C, over 45", "the load is 3.50, over 2", "the battery is at 12 %, under 40",
    ]  # fmt: skip
    at_the_limit = Gates(max_temperature_c=47.2, max_load=3.5, min_battery_percent=12)
    assert waiting.shut(there, at_the_limit, LINUX, soon()) == []
    assert waiting.shut(there, Gates(), LINUX, soon()) == []


def test_a_gate_on_what_a_device_does_not_show_is_refused_at_once(made: Board, fast: Path, tmp_path: Path) -> None:
    how = BRIEF.model_copy(update={"gates": Gates(min_battery_percent=10, max_temperature_c=40)})
    store, said = Store(tmp_path / "runs"), StatusLine(io.StringIO())
    with pytest.raises(UserError, match="the temperature cannot be read; the battery cannot be read"):
        bench([fast], made, how, store, 0, {}, said, lambda identifier: None)
    assert not store.root.exists()


def test_waiting_ends_when_the_device_has_cooled_down(made: Board) -> None:
    made.transport.write(ZONE, "60000\n")
    said = []

    def look() -> list[str]:
        return waiting.shut(made.transport, Gates(max_temperature_c=45), LINUX, soon())

    def say(text: str) -> None:
        said.append(text)
        made.transport.write(ZONE, "44000\n")

    assert waiting.wait(look, 60, say) == []
    assert said == ["waiting, 0 s of 60: thermal_zone0: is at 60.0 °C, over 45"]


def test_waiting_ends_when_its_patience_does() -> None:
    looks = iter(["hot"] * 100)
    said: list[str] = []
    assert waiting.wait(lambda: [next(looks)], 0.05, said.append) == ["hot"]
    assert said


#: hot for as many looks as the file says, then cool
PI = """case "$1" in
measure_temp)
    n=$(cat {count})
    echo $((n - 1)) > {count}
    if [ "$n" -gt 0 ]; then echo "temp=85.0'C"; else echo "temp=50.0'C"; fi;;
get_throttled) echo throttled=0x{throttled};;
esac"""


def pi(patch: pytest.MonkeyPatch, tmp_path: Path, hot_looks: int, throttled: str = "0") -> None:
    count = tmp_path / "count"
    count.write_text(f"{hot_looks}\n")
    programs(patch, tmp_path / "bin", vcgencmd=PI.format(count=count, throttled=throttled))


def test_a_gate_that_stays_shut_makes_its_launch_invalid_and_the_run_goes_on(
    fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # looks: is it shown at all, before the first launch, the context of that launch
    pi(monkeypatch, tmp_path, hot_looks=3)
    gates = ["--max-temperature-c", "60", "--gate-timeout-s", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "bench", fast, "--quick", "--min-ms", "20", "--warmup-ms", "1", "--json", *gates],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    record = Store(tmp_path / "runs").read(Path(run["path"]).name)
    assert record.plan.gates == Gates(max_temperature_c=60, timeout_seconds=0)
    first, *others = record.launches
    assert [launch.valid for launch in record.launches] == [False, True, True]
    assert first.invalid_because == ("not started: after 0 s, vcgencmd is at 85.0 °C, over 60",)
    assert (first.error or {})["code"] == "gate"
    assert first.before is not None
    assert (first.before.temperatures_c or {})["vcgencmd"] == 85.0
    assert first.steady_count == 0
    assert [launch.before.temperatures_c for launch in others if launch.before] == [{"vcgencmd": 50.0}] * 2
    assert record.valid
    shown = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "results", "show", record.id],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "started at 60 °C at most" in shown.stdout, shown.stderr
    assert any("85.0 °C" in warning for warning in record.warnings)
    assert "85.0 °C" in done.stderr


def test_a_run_most_of_whose_gates_stayed_shut_is_not_valid(
    fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi(monkeypatch, tmp_path, hot_looks=1000)
    how = BRIEF.model_copy(update={"gates": Gates(max_temperature_c=60, timeout_seconds=0)})
    from device_runner import inventory

    store = Store(tmp_path / "runs")
    finished = bench([fast], inventory.resolve("local"), how, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    (record,) = finished.records
    assert not record.valid
    assert record.invalid_because == ("3 of 3 launches: not started: after 0 s, vcgencmd is at 85.0 °C, over 60",)


def test_a_launch_that_was_throttled_is_flagged(fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pi(monkeypatch, tmp_path, hot_looks=0, throttled="20002")
    from device_runner import inventory

    how, store = BRIEF.model_copy(update={"launches": 1}), Store(tmp_path / "runs")
    finished = bench([fast], inventory.resolve("local"), how, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    (launch,) = finished.records[0].launches
    # what was so before the launch already is in the context, and only what holds now is a flag
    assert [(found.flag, found.text) for found in launch.findings or () if found.flag == "throttled"] == [
        ("throttled", "the device throttled: frequency capped")
    ]
    assert launch.valid


def governors(there: Elsewhere) -> list[str]:
    return [there.read(GOVERNOR.format(cpu)) for cpu in range(2)]


PERFORMANCE = Preparation(governor="performance")


class Broken(Exception):
    pass


@pytest.mark.parametrize("ending", [Broken, KeyboardInterrupt])
def test_a_device_is_put_back_however_the_run_ends(made: Board, ending: type[BaseException]) -> None:
    with_governors(made)
    there = made.transport
    there.write(GOVERNOR.format(1), "powersave\n")

    def run() -> None:
        with preparing.prepared(there, made, PERFORMANCE, LINUX, pytest.fail):
            assert governors(there) == ["performance", "performance"]
            # on the disk, in case this host goes away now
            changes = journal.read(made)
            assert changes is not None
            assert [change.found for change in changes.changes] == ["schedutil", "powersave"]
            raise ending

    with pytest.raises(ending):
        run()
    assert governors(there) == ["schedutil", "powersave"]
    assert journal.read(made) is None


def test_a_governor_that_cannot_be_put_back_does_not_keep_the_others(made: Board) -> None:
    with_governors(made)
    said: list[str] = []
    with preparing.prepared(made.transport, made, PERFORMANCE, LINUX, said.append):
        made.transport.refuse = lambda argv: Completed(1, b"", b"gone") if argv[0] == "sh" and "cpu1/" in argv[4] else None
    assert governors(made.transport) == ["schedutil", "performance"]
    left = journal.read(made)
    assert left is not None
    assert [change.key for change in left.changes] == ["governor:cpu1"]
    assert "edgedeploy devices restore board" in said[0]


def test_what_is_as_wanted_already_is_not_written(made: Board) -> None:
    with_governors(made, "performance")
    made.transport.refuse = lambda argv: Completed(1, b"", b"no root") if argv[0] == "sh" else None
    with preparing.prepared(made.transport, made, PERFORMANCE, LINUX, pytest.fail):
        assert journal.read(made) is None


@pytest.mark.parametrize(
    ("exit_code", "says"), [(1, "needs root"), (0, "was set to performance, and the device has 'schedutil'")]
)
def test_a_change_that_is_refused_or_not_kept_ends_the_run_before_it_begins(made: Board, exit_code: int, says: str) -> None:
    with_governors(made)

    def refuse(argv: Sequence[str]) -> Completed | None:
        # no kernel of this machine refuses root, or forgets what it was told
        return Completed(exit_code, b"", b"Permission denied") if argv[0] == "sh" and "cpu1/" in argv[4] else None

    made.transport.refuse = refuse
    with pytest.raises(UserError, match=says), preparing.prepared(made.transport, made, PERFORMANCE, LINUX, lambda text: None):
        pytest.fail("began")
    assert governors(made.transport) == ["schedutil", "schedutil"]
    assert journal.read(made) is None


def test_what_cannot_be_put_back_is_said_and_not_forgotten(made: Board) -> None:
    with_governors(made)

    def gone(argv: Sequence[str]) -> Completed | None:
        raise TransientError("the cable was pulled")

    said: list[str] = []
    with preparing.prepared(made.transport, made, PERFORMANCE, LINUX, said.append):
        made.transport.refuse = gone
    assert said == [
        "board is not put back as it was found (the cable was pulled); do it with: edgedeploy devices restore board"
    ]
    made.transport.refuse = lambda argv: None
    # the next run that wants nothing puts it back first
    with preparing.prepared(made.transport, made, Preparation(), LINUX, said.append):
        assert governors(made.transport) == ["schedutil", "schedutil"]
    assert "governor:cpu0 to schedutil" in said[-1]
    assert journal.read(made) is None


CRASH = """
import os, signal, sys
from pathlib import Path
from device_runner.conditions import preparing
from device_runner.conditions.system import System
from edgedeploy.preparation import Preparation
from tests.device_runner.elsewhere import board
made = board(Path(sys.argv[1]))
with preparing.prepared(made.transport, made, Preparation(governor="performance"), System(), print):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(made: Board) -> None:
    with_governors(made)
    died = subprocess.run(
        [sys.executable, "-c", CRASH, str(made.transport.tree)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL
    assert governors(made.transport) == ["performance", "performance"]


def test_after_a_crash_of_this_host_the_device_is_restored_from_the_journal(made: Board) -> None:
    from device_runner.restoring import restore

    crash(made)
    assert restore(made) == ["governor:cpu1 to schedutil", "governor:cpu0 to schedutil"]
    assert governors(made.transport) == ["schedutil", "schedutil"]
    assert restore(made) == []


BENCH = """
import io, sys
from pathlib import Path
from device_runner.benching import bench
from device_runner.results.store import Store
from edgedeploy.preparation import Preparation
from edgedeploy.progress import StatusLine
from tests.device_runner.conftest import BRIEF
from tests.device_runner.elsewhere import board
root, bundle, runs = map(Path, sys.argv[1:])
how = BRIEF.model_copy(update={"launches": 50, "preparation": Preparation(governor="performance")})
bench([bundle], board(root), how, Store(runs), 0, {}, StatusLine(io.StringIO()), print)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_bench_that_is_stopped_puts_the_device_back(made: Board, fast: Path, tmp_path: Path, number: signal.Signals) -> None:
    with_governors(made)
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        [sys.executable, "-c", BENCH, str(made.transport.tree), str(fast), str(runs)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(runs.glob("*/run.partial.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    during = governors(made.transport)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in stderr
    assert during == ["performance", "performance"]
    assert governors(made.transport) == ["schedutil", "schedutil"]
    assert journal.read(made) is None
    # and the record says that it was measured so
    (partial,) = runs.glob("*/run.partial.json")
    record = json.loads(partial.read_text())
    assert record["plan"]["preparation"]["governor"] == "performance"
    assert record["launches"][0]["before"]["governors"] == {"cpu0": "performance", "cpu1": "performance"}


def test_a_run_that_goes_on_after_a_crash_keeps_what_was_set_and_still_puts_back_what_was_found(made: Board) -> None:
    crash(made)
    with preparing.prepared(made.transport, made, PERFORMANCE, LINUX, pytest.fail):
        assert governors(made.transport) == ["performance", "performance"]
    assert governors(made.transport) == ["schedutil", "schedutil"]


def test_a_journal_that_was_tampered_with_is_not_obeyed(made: Board) -> None:
    crash(made)
    path = journal.path_of(made)
    text = path.read_text()
    path.write_text(text.replace("governor:cpu1", "governor:cpu1/../../../../tmp/x"))
    with pytest.raises(UserError, match="nothing that edgedeploy changes"):
        preparing.restore(made.transport, made)
    for damaged in (text[:-20], text.replace("schedutil", "$(reboot)"), text.replace("ssh:board:22", "ssh:other:22")):
        path.write_text(damaged)
        with pytest.raises(UserError, match="look, then remove it"):
            preparing.restore(made.transport, made)
    assert governors(made.transport) == ["performance", "performance"]


#: Android's settings, kept in a directory: one file per name
SETTINGS = """case "$1" in
get) cat {0}/"$2.$3" 2>/dev/null || echo null;;
put) echo "$4" > {0}/"$2.$3";;
delete) rm -f {0}/"$2.$3";;
esac"""


@pytest.mark.parametrize("found", ["null", "0", "3"])
def test_a_phone_is_kept_awake_and_its_setting_is_put_back(
    made: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    kept = tmp_path / "settings"
    kept.mkdir()
    power = 'echo "$3" > ' + str(kept / "fixed")
    programs(monkeypatch, tmp_path / "bin", settings=SETTINGS.format(kept), cmd=power)
    value = kept / "global.stay_on_while_plugged_in"
    if found != "null":
        value.write_text(found + "\n")
    wanted = Preparation(stay_awake=True, fixed_performance=True)
    with preparing.prepared(made.transport, made, wanted, ANDROID, pytest.fail):
        assert (value.read_text().strip(), (kept / "fixed").read_text().strip()) == ("15", "true")
    assert (kept / "fixed").read_text().strip() == "false"
    assert (value.read_text().strip() if value.exists() else "null") == found


def test_a_phone_without_fixed_performance_mode_is_said(made: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(monkeypatch, tmp_path / "bin", cmd="echo Failed to set FIXED_PERFORMANCE mode")
    wanted = Preparation(fixed_performance=True)
    with (
        pytest.raises(UserError, match="no fixed-performance mode"),
        preparing.prepared(made.transport, made, wanted, ANDROID, lambda text: None),
    ):
        pytest.fail("began")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [(PERFORMANCE, "no cpufreq governor"), (Preparation(stay_awake=True), "for Android")],
)
def test_what_a_device_does_not_have_is_refused(made: Board, wanted: Preparation, says: str) -> None:
    with pytest.raises(UserError, match=says), preparing.prepared(made.transport, made, wanted, LINUX, pytest.fail):
        pytest.fail("began")


def test_a_knob_is_found_again_by_its_key() -> None:
    for key in ("governor:cpu0", "governor:cpu15", "stay-awake", "fixed-performance"):
        assert from_key(key).key == key
    with pytest.raises(UserError):
        from_key("governor:../../x")
