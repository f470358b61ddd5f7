"""`edgedeploy devices` as typed; and what it says of boards and phones whose files and programs are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device_runner import bundles, checking, probing
from device_runner.conditions import journal
from device_runner.conditions.journal import Change
from device_runner.device_lock import locked
from device_runner.inventory import Device
from device_runner.inventory.discover import Phone
from device_runner.results.store import Store
from device_runner.transports.base import Completed, NotAuthorised, Target
from edgedeploy.errors import TransientError
from edgedeploy.gates import Gates
from tests.device_runner.elsewhere import Board, board, programs, with_governors

ROOT = Path(__file__).resolve().parents[2]
#: a phone that nobody has
GONE = "adb:edgedeploy-test-no-such-serial"
LOCAL = Device("local", Target("local"))


@pytest.fixture(autouse=True)
def _fresh_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # nobody listens there, and it is no place to start one: whoever runs the tests keeps his adb server, and his phones
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.2:9")


def devices(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return edgedeploy("devices", *arguments, cwd=cwd, **more)


def edgedeploy(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgedeploy", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=120, check=False)


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_device_is_added_shown_listed_checked_and_removed(tmp_path: Path) -> None:
    added = devices("add", "board2", "local", "--tier", "edge", "--cores", "0", "--max-load", "9999", cwd=tmp_path)
    assert (added.returncode, added.stdout) == (0, f"board2 added to {tmp_path}/home/.config/edgedeploy/devices.yaml\n")
    shown = document(devices("show", "board*", "--json", cwd=tmp_path))
    assert (shown["name"], shown["tier"], shown["cores"], shown["limits"]["max_load"]) == ("board2", "edge", [0], 9999)
    listed = document(devices("list", "--json", cwd=tmp_path))
    assert {device["name"]: device["state"] for device in listed["devices"]} == {"local": "reachable", "board2": "reachable"}
    checked = devices("check", "board2", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.endswith("board2 is usable\n")
    removed = devices("remove", "board2", "--json", cwd=tmp_path)
    assert document(removed)["device"] == "board2"
    again = devices("show", "board2", cwd=tmp_path)
    assert again.returncode == 2
    assert "no device 'board2'" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "local", "local"), "local is this host"),
        (("add", "../x", "local"), "letters, digits"),
        (("add", "x", "usb:3"), "adb:SERIAL"),
        (("add", "x", "ssh://-oProxyCommand=x"), "not an ssh address"),
        (("add", "x", "local", "--setting", "a"), "KEY=VALUE"),
        (("add", "x", "local", "--governor", "$(reboot)"), "prepare.governor"),
        (("add", "x", "local", "--label", "a b"), "labels"),
        (("add", "x", "local", "--cores", "1,1"), "once"),
        (("add", "x", "local", "--max-load", "nan"), "max-load"),
        (("remove", "x"), "nothing to remove"),
        (("check", "x"), "known: local"),
        (("show", "x", "--devices", "gone.yaml"), "gone.yaml"),
        (("restore", "x"), "known: local"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = devices(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("address", "code", "says"),
    [("192.168.1.30", "123456", "HOST:PORT"), ("192.168.1.30:37123", "12345", "six digits"), ("127.0.0.1:1", "123456", "adb")],
)
def test_pairing_that_cannot_be_is_a_sentence(tmp_path: Path, address: str, code: str, says: str) -> None:
    done = devices("pair", address, "--code", code, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_is_not_there_is_never_shown_as_alive(tmp_path: Path) -> None:
    assert devices("add", "gone", GONE, "--devices", "d.yaml", cwd=tmp_path).returncode == 0
    listed = document(devices("list", "--devices", "d.yaml", "--json", cwd=tmp_path))
    (gone,) = (device for device in listed["devices"] if device["name"] == "gone")
    assert gone["state"] == "unreachable"
    assert gone["detail"]
    unasked = document(devices("list", "--devices", "d.yaml", "--no-probe", "--json", cwd=tmp_path))
    assert {device["state"] for device in unasked["devices"]} == {"unknown"}
    checked = devices("check", "gone", "--devices", "d.yaml", cwd=tmp_path)
    assert checked.returncode == 1
    assert "NO  reachable" in checked.stdout
    assert "gone is not usable" in checked.stdout


def test_every_part_of_the_command_has_help_with_an_example(tmp_path: Path) -> None:
    for name in ("list", "add", "show", "check", "remove", "restore"):
        done = devices(name, "--help", cwd=tmp_path)
        assert f"edgedeploy devices {name}" in done.stdout


def test_a_shell_completes_names_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices:\n  board2: {transport: local}\n  rpi5: {transport: ssh, address: rpi5}\n")
    for words, cword, expected in (
        ("edgedeploy devices check b", "3", ["plain,board2"]),
        ("edgedeploy bench --device ", "3", ["plain,local", "plain,board2", "plain,rpi5"]),
    ):
        done = edgedeploy(cwd=tmp_path, _EDGEDEPLOY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=cword)
        assert done.stdout.split() == expected, done.stderr
    (tmp_path / "devices.yaml").write_text("devices: 3\n")
    done = edgedeploy(
        cwd=tmp_path, _EDGEDEPLOY_COMPLETE="bash_complete", COMP_WORDS="edgedeploy devices check b", COMP_CWORD="3"
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_bench_uses_what_the_inventory_says_where_nothing_else_is_said(tmp_path: Path, fast: Path) -> None:
    (tmp_path / "devices.yaml").write_text(
        "devices:\n  board2: {transport: local, tier: edge, cores: [0], limits: {max_load: 5000, timeout_seconds: 7}}\n"
    )
    done = edgedeploy(
        "bench", fast, "--device", "board2", "--quick", "--min-ms", "20", "--json", "--max-load", "9000", cwd=tmp_path
    )
    (run,) = document(done)["runs"]
    record = Store(tmp_path / "runs").read(Path(run["path"]).name)
    assert (record.devices[0].name, record.devices[0].tier) == ("board2", "edge")
    assert record.plan.affinity == (0,)
    assert record.plan.gates == Gates(max_load=9000, timeout_seconds=7)


def test_a_device_in_use_is_not_disturbed_and_not_usable(tmp_path: Path) -> None:
    with locked(LOCAL):
        listed = document(devices("list", "--json", cwd=tmp_path))
        checked = devices("check", "local", cwd=tmp_path)
    (local,) = listed["devices"]
    assert local["state"] == "unknown"
    assert f"in use by process {os.getpid()}" in local["detail"]
    assert checked.returncode == 1
    assert f"in use by process {os.getpid()}" in checked.stdout


def test_a_device_whose_runner_is_not_built_is_not_usable(tmp_path: Path) -> None:
    done = devices("check", "local", cwd=tmp_path, EDGEDEPLOY_CACHE=str(tmp_path / "empty"))
    assert done.returncode == 1
    assert f"edgedeploy bundles build --abi {bundles.host_abi()}" in done.stdout


def test_restore_as_typed_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(
        monkeypatch, tmp_path / "bin",
        settings=f'case "$1" in get) cat {tmp_path}/value;; put) echo "$4" > {tmp_path}/value;; esac',
    )  # fmt: skip
    (tmp_path / "value").write_text("15\n")
    journal.write(LOCAL, (Change(key="stay-awake", found="3", wanted="15"),))
    assert "edgedeploy devices restore local" in devices("check", "local", cwd=tmp_path).stdout
    done = devices("restore", "local", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "local: stay-awake to 3\n")
    assert (tmp_path / "value").read_text() == "3\n"
    assert document(devices("restore", "local", "--json", cwd=tmp_path)) == {"device": "local", "restored": []}


def lines(report: checking.Report) -> dict[str, str]:
    return {line.name: line.text for line in report.lines}


@pytest.fixture
def made(tmp_path: Path) -> Board:
    return board(tmp_path / "board")


def test_check_of_a_board(made: Board) -> None:
    with_governors(made, "ondemand", 4)
    for cpu in range(4):
        made.transport.write(f"devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", "1800000\n")
        made.transport.write(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", "600000\n")
    made.transport.write("class/thermal/thermal_zone0/type", "cpu-thermal\n")
    made.transport.write("class/thermal/thermal_zone0/temp", "48312\n")
    made.transport.write("/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n")
    made.transport.refuse = lambda argv: Completed(0, b"aarch64\n", b"") if argv[0] == "uname" else None
    said = lines(checking.check(made))
    assert said["ABI"] == "linux-aarch64"
    assert said["cores"] == "4 of 1800 MHz (now 600)"
    assert said["governor"] == "ondemand"
    assert said["temperature"] == "48.3 °C (thermal_zone0:cpu-thermal, the hottest)"
    assert said["battery"] == "none shown"
    made.transport.write("/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd atomics asimddp\n")
    report = checking.check(made)
    assert report.facts["features"] == ["dotprod", "lse"]


def test_check_of_an_abi_that_no_bundle_fits(made: Board) -> None:
    made.transport.refuse = lambda argv: Completed(0, b"riscv64\n", b"") if argv[0] == "uname" else None
    report = checking.check(made)
    assert not report.usable
    assert "linux-riscv64" in lines(report)["runner"]


def test_check_of_a_full_device_and_of_cores_it_does_not_have(made: Board) -> None:
    full = b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/block/dm 4 9999999 9999000 999 99% /data\n"
    made.transport.refuse = lambda argv: Completed(0, full, b"") if argv[0] == "df" else None
    report = checking.check(Board("board", made.target, cores=(0, 4000), transport=made.transport))
    assert not report.usable
    assert report.facts["free_bytes"] == 999 * 1024
    assert "make room" in lines(report)["space"]
    assert "name 4000, which are not" in lines(report)["CPUs for us"]


def test_check_says_that_a_launch_would_wait(made: Board) -> None:
    made.transport.write("class/thermal/thermal_zone0/temp", "70000\n")
    report = checking.check(Board("board", made.target, gates=Gates(max_temperature_c=45), transport=made.transport))
    assert report.usable
    assert "70.0 °C, over 45" in lines(report)["limits"]


def test_what_a_device_says_does_not_reach_the_terminal_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(monkeypatch, tmp_path / "bin", vcgencmd="""printf 'temp=50.0'"'"'C\\n\\033[31mred throttled=0x1\\n'""")
    hostile = "x\x1b]0;title\x07" * 50
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": {"a": {"transport": "adb", "address": "a\u202eb"}}}))
    for arguments in (("list", "--no-probe"), ("show", "a"), ("check", "local"), ("show", hostile)):
        done = devices(*arguments, cwd=tmp_path)
        assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("error", "state"),
    [(NotAuthorised("accept the key"), "unauthorised"), (TransientError("no route"), "unreachable")],
)
def test_the_state_of_a_device_that_does_not_let_us_in(error: Exception, state: str) -> None:
    class Shut(Device):
        def connect(self) -> Any:
            raise error

    assert probing.probe(Shut("shut", Target("ssh", "shut"))) == probing.Probe(state, str(error))  # type: ignore[arg-type]
    report = checking.check(Shut("shut", Target("ssh", "shut")))
    assert not report.usable
    assert str(error) in report.lines[0].text


def test_a_device_that_answers_but_runs_nothing_is_not_reachable(made: Board) -> None:
    made.transport.refuse = lambda argv: Completed(127, b"", b"echo: not found")
    assert probing.probe(made).state == "unreachable"
    made.transport.refuse = lambda argv: Completed(0, b"something else\n", b"")
    assert probing.probe(made).state == "unreachable"


@pytest.mark.parametrize(
    ("adb_says", "state"), [("unauthorized", "unauthorised"), ("offline", "unreachable"), ("no permissions", "unreachable")]
)
def test_what_adb_says_of_a_phone_is_believed_when_it_is_bad_news(adb_says: str, state: str) -> None:
    device = Device("R5CT", Target("adb", "R5CT"))
    assert probing.probe_all([device, LOCAL], [Phone("R5CT", adb_says)])[0].state == state


def test_a_device_that_hangs_does_not_hold_up_the_others(made: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    let_go = threading.Event()

    class Hangs(Device):
        def connect(self) -> Any:
            let_go.wait(60)
            raise TransientError("too late")

    monkeypatch.setattr(probing, "PROBE_SEC", 5.0)
    try:
        probes = probing.probe_all([Hangs("hangs", Target("ssh", "hangs")), made], [])
    finally:
        let_go.set()
    assert [probe.state for probe in probes] == ["unreachable", "reachable"]
