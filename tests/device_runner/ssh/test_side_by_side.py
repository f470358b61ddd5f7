"""`bench --device A --device B`: two boards over SSH, and this host, in one command; one of them fails, or all are stopped."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_runner import inventory, side_by_side
from device_runner.inventory import Device
from device_runner.results.store import Store
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Limits, Plan
from tests.bench_hosts import sshd
from tests.bench_hosts.sshd import Sshd
from tests.device_runner import tiny
from tests.device_runner.conftest import BRIEF
from tests.device_runner.ssh.conftest import eventually
from tests.device_runner.test_interrupt import MAIN

QUICK = ("--quick", "--min-ms", "20", "--warmup-ms", "1")


def on_a_kernel_of_its_own(directory: Path) -> list[str]:
    """What is put before a board's sshd so that it looks like another machine than this host."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "boot_id").write_text(f"{uuid.uuid4()}\n")
    bind = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-c", bind, str(directory / "boot_id")]


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[dict[str, Sshd]]:
    root = tmp_path_factory.mktemp("boards")
    with (
        sshd.running(root / "one", wrap=on_a_kernel_of_its_own(root / "one")) as one,
        sshd.running(root / "two", wrap=on_a_kernel_of_its_own(root / "two")) as two,
    ):
        yield {"one": one, "two": two}


@pytest.fixture
def home(boards: dict[str, Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ~/.ssh/config has the boards: `one`, `two`, `again` (one, by another name) and `gone`, where nobody is."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    config = tmp_path / "me" / ".ssh" / "config"
    for name, board in boards.items():
        board.client_config(config, name)
    boards["one"].client_config(config, "again")
    boards["one"].client_config(config, "gone", port=sshd.free_port())
    return tmp_path


def bench(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgedeploy", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=180, check=False)


def devices_of(document: dict[str, Any]) -> list[str]:
    return [run["device"] for run in document["runs"]]


def test_two_boards_are_one_experiment(home: Path, fast: Path, slow: Path) -> None:
    done = bench(home, fast, slow, *QUICK, "--device", "ssh://one", "--device", "ssh://two", "--seed", "7", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert "failed" not in document
    assert devices_of(document) == ["ssh://one"] * 2 + ["ssh://two"] * 2, done.stderr
    # they are machines of their own: neither waited for the other
    assert "waits for" not in done.stderr
    assert "ssh://one: [1/6]" in done.stderr
    assert "ssh://two: [6/6]" in done.stderr
    store = Store(home / "runs")
    records = [store.read(run["id"]) for run in document["runs"]]
    # an order for each device, of its own runs
    for of_one in (records[:2], records[2:]):
        ids = {record.id for record in of_one}
        assert {run for run, _ in of_one[0].experiment.order} == ids
        assert len(of_one[0].experiment.order) == 6
        assert (of_one[0].experiment.id, of_one[0].experiment.seed) == (document["experiment"], 7)
    shown = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "results", "show", document["experiment"]],
        cwd=home, capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, second = (shown.stdout.index(f"device ssh://{name}\n") for name in ("one", "two"))
    assert first < second
    assert "tiny sptq" in shown.stdout[first:second]
    chosen = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "recommend", document["experiment"], "--json"],
        cwd=home, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(chosen.stdout)["choice"]["device"] in ("ssh://one", "ssh://two")


def test_a_machine_by_two_names_and_this_host_take_turns(home: Path, fast: Path) -> None:
    several = ("--device", "local", "--device", "ssh://one", "--device", "ssh://again")
    done = bench(home, fast, *QUICK, *several, "--json")
    assert done.returncode == 0, done.stderr
    waited = [line for line in done.stderr.splitlines() if "waits for" in line]
    assert any("which is the same machine" in line for line in waited), done.stderr
    assert any(line.startswith("local: waits for") for line in waited), done.stderr
    store = Store(home / "runs")
    records = {run["device"]: store.read(run["id"]) for run in json.loads(done.stdout)["runs"]}
    assert list(records) == ["local", "ssh://one", "ssh://again"]
    # this host was measured when nothing else was any more
    first = records.pop("local").launches[0].started
    assert all(record.launches[-1].started < first for record in records.values())


def test_a_board_that_is_not_there_does_not_stop_the_others_and_is_done_later(home: Path, fast: Path, boards: Any) -> None:
    done = bench(home, fast, *QUICK, "--device", "ssh://gone", "--device", "ssh://two", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert devices_of(document) == ["ssh://two"]
    (failed,) = document["failed"]
    assert (failed["device"], failed["kind"]) == ("ssh://gone", "transient")
    assert document["resume"] == f"edgedeploy bench --resume {document['experiment']}"
    kept = (home / "runs" / document["runs"][0]["id"] / "run.json").read_bytes()
    # it comes back, at the address it had
    (home / "me/.ssh/config").unlink()
    boards["one"].client_config(home / "me/.ssh/config", "gone")
    more = bench(home, "--resume", document["experiment"], "--json")
    assert more.returncode == 0, more.stderr
    assert devices_of(json.loads(more.stdout)) == ["ssh://gone", "ssh://two"]
    assert (home / "runs" / document["runs"][0]["id"] / "run.json").read_bytes() == kept


def test_when_no_device_is_there_nothing_is_written(home: Path, fast: Path) -> None:
    done = bench(home, fast, *QUICK, "--device", "ssh://one", "--device", "ssh://two", "--affinity", "4095")
    assert done.returncode == 2
    assert "ssh://one: --affinity" in done.stderr
    assert "ssh://two: --affinity" in done.stderr
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "local", "--device", "local"), "local: the same device twice"),
        (("--device", "ssh://one", "--device", "ssh://me@ONE:22"), "ssh://one and ssh://me@ONE:22: the same device twice"),
        (("--device", "ssh://one", "--device", "nowhere"), "no device 'nowhere'"),
    ],
)
def test_what_cannot_be_is_said_before_anything(home: Path, fast: Path, arguments: tuple[str, ...], said: str) -> None:
    done = bench(home, fast, *QUICK, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (home / "runs").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_all_end_their_launches_and_go_on(
    home: Path, fast: Path, boards: dict[str, Sshd], number: signal.Signals
) -> None:
    arguments = ["--launches", "3", "--warmup-count", "1", "--warmup-ms", "0", "--min-ms", "1500"]
    arguments += ["--device", "ssh://one", "--device", "ssh://two", "--json"]
    command = [sys.executable, "-c", MAIN, "bench", str(fast), *arguments]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    works = [board.home / ".cache" / "edgedeploy-device" for board in boards.values()]

    def sampling() -> bool:
        return process.poll() is not None or all(
            any('"warmup"' in events.read_text() for events in work.glob("runs/*/*/events.jsonl")) for work in works
        )

    try:
        assert eventually(sampling)
        assert process.poll() is None, process.communicate()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    document = json.loads(stdout)
    # ended there, and nothing of it is left but what is resumed
    assert all(list(work.glob("runs/*/*")) == [] for work in works)
    resumed = bench(home, "--resume", document["experiment"], "--device", "ssh://two", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert devices_of(json.loads(resumed.stdout)) == ["ssh://two"]
    resumed = bench(home, "--resume", document["experiment"], "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert devices_of(json.loads(resumed.stdout)) == ["ssh://one", "ssh://two"]
    launches = [run["launches"] for run in json.loads(resumed.stdout)["runs"]]
    assert launches == [3, 3]


def test_a_process_that_is_killed_is_its_devices_failure(home: Path, fast: Path) -> None:
    killed: list[str] = []

    class Killing(StatusLine):
        """Kills the process that measures on `two` once it has begun."""

        def line(self, text: str) -> None:
            import multiprocessing

            if text.startswith("ssh://two: [1/") and not killed:
                (child,) = (child for child in multiprocessing.active_children() if child.name == "edgedeploy ssh://two")
                child.kill()
                killed.append(text)

    how: Plan = BRIEF.model_copy(update={"steady": Limits(min_count=30, min_ms=300)})
    wanted: list[tuple[Device, Plan]] = [(inventory.resolve(name), how) for name in ("ssh://one", "ssh://two")]
    store = Store(home / "runs")
    finished = side_by_side.bench([fast], wanted, store, 0, {}, Killing(io.StringIO()), lambda identifier: None)
    assert [record.devices[0].name for record in finished.records] == ["ssh://one"]
    (failure,) = finished.failures
    assert failure.device == "ssh://two"
    assert "ended (exit code -9)" in str(failure.error)


def test_going_on_with_a_device_that_is_not_in_it_is_refused(home: Path, tmp_path: Path) -> None:
    bundle = tiny.write_bundle(tmp_path / "b")
    document = json.loads(bench(home, bundle, *QUICK, "--device", "ssh://one", "--json").stdout)
    done = bench(home, "--resume", document["experiment"], "--device", "local")
    assert done.returncode == 2
    assert "is not on local; it is on ssh://one" in done.stderr
    with pytest.raises(UserError, match="same device twice"):
        side_by_side.refuse_twice([inventory.resolve("local"), inventory.resolve("local")])
