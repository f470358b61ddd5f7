"""`bench` on a board over SSH with the real runner: whole, and with everything that happens to a cable and a board."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import benching, launching, session
from device_runner.benching import Finished
from device_runner.results.store import Store
from edgedeploy.cli import main
from edgedeploy.errors import TransientError, UserError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Limits, Plan
from tests.bench_hosts import fault_proxy, sshd
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd
from tests.device_runner import tiny, too_new
from tests.device_runner.adb.conftest import plug_in, pull_out
from tests.device_runner.conftest import BRIEF
from tests.device_runner.ssh.conftest import eventually
from tests.device_runner.test_launch_ends import processes_of

DEVICE = "ssh://board"
#: long enough for something to happen in the middle of it
LONG = BRIEF.model_copy(update={"steady": Limits(min_count=30, min_ms=1500), "max_seconds": 6.0})
TURNS = BRIEF.model_copy(update={"turn_ms": 2})
LONG_TURNS = TURNS.model_copy(update={"steady": Limits(min_count=30, min_ms=1000), "max_seconds": 8.0})


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[Sshd]:
    """One for all tests here, so that the runner is sent once."""
    with sshd.running(tmp_path_factory.mktemp("board")) as server:
        yield server


@pytest.fixture
def cable(board: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What leads to `ssh://board`, which is in the ~/.ssh/config of a home of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    with fault_proxy.between(board.port) as proxy:
        board.know(proxy.port)
        board.client_config(tmp_path / "me" / ".ssh" / "config", port=proxy.port)
        yield proxy


@pytest.fixture
def work(board: Sshd) -> Path:
    """The board's work directory, as this test finds it on the file system they share."""
    return board.home / ".cache" / "edgedeploy-device"


def run(store: Store, *paths: Path, how: Plan = BRIEF) -> Finished:
    return benching.bench(paths, DEVICE, how, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)


def resume(store: Store) -> Finished:
    (identifier,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    return benching.resume(identifier, store, StatusLine(io.StringIO()), lambda identifier: None)


def during_launch(work: Path, index: int, act: Callable[[Path], None]) -> threading.Thread:
    """Call `act` with the directory of launch `index` on the board, while it samples."""

    def wait() -> None:
        found: list[Path] = []

        def sampling() -> bool:
            found[:] = [path.parent for path in work.glob(f"runs/*/{index}/events.jsonl") if '"warmup"' in path.read_text()]
            return bool(found)

        assert eventually(sampling)
        act(found[0])

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_model_that_asks_for_too_much_is_refused_and_the_board_left_as_it_is(
    cable: FaultProxy, work: Path, store: Store, models: Path, tmp_path: Path
) -> None:
    asked = {
        r"opset 99 of ai\.onnx": too_new.onnx(tmp_path / "new.onnx", 99),
        r"the operator FULLY_CONNECTED in version 30": too_new.tflite(
            tmp_path / "new.tflite", models / "image.tflite", "FULLY_CONNECTED", 30
        ),
        r"the kernel aten::imbedding\.out": too_new.executorch(
            tmp_path / "new.pte", models / "text.pte", "aten::embedding", "aten::imbedding"
        ),
    }

    def there() -> list[Path]:
        return sorted(path for path in work.rglob("*") if not path.is_dir())

    before = there()
    for lacking, model in asked.items():
        with pytest.raises(UserError, match=lacking):
            run(store, models / "image.onnx", model)
    assert there() == before


def test_every_runtime_and_a_bundle_whose_outputs_are_the_hosts(
    cable: FaultProxy, work: Path, store: Store, fast: Path, models: Path
) -> None:
    bare = [models / f"image.{suffix}" for suffix in ("onnx", "tflite", "pte")]
    records = run(store, fast, *bare, how=BRIEF.model_copy(update={"launches": 2})).records
    assert [record.valid for record in records] == [True] * 4, [record.invalid_because for record in records]
    assert [launch.conforms for launch in records[0].launches] == [True, True]
    assert [record.artifact.runtime for record in records] == ["onnx", "onnx", "tflite", "executorch"]
    device = records[0].devices[0]
    assert (device.name, device.transport, device.facts["abi"]) == (DEVICE, "ssh", "linux-x86_64")
    assert records[0].launches[0].before is not None
    assert list((work / "runs").iterdir()) == []


def test_the_second_time_nothing_is_sent_that_is_there(cable: FaultProxy, work: Path, store: Store, fast: Path) -> None:
    run(store, fast)
    before = cable.sent
    # as a check leaves it whose host went away
    (work / "checks" / "20260131-120000-abc123").mkdir(parents=True)
    run(store, fast)
    assert list((work / "checks").iterdir()) == []
    assert cable.sent - before < 200_000
    assert (fast / "model.onnx").stat().st_size < 10_000 < before


def test_a_cable_pulled_in_the_middle_of_a_push(cable: FaultProxy, work: Path, store: Store, tmp_path: Path) -> None:
    run(store, tiny.write_bundle(tmp_path / "first"))
    before = set((work / "store").iterdir())
    large = tiny.write_bundle(tmp_path / "large", width=700)
    cable.plan("cut", 2**20, times=2)
    (record,) = run(store, large).records
    assert cable.faults == 2
    assert record.valid
    assert all(not launch.flags for launch in record.launches)
    new = set((work / "store").iterdir()) - before
    assert {path.name for path in new} == {sshd_digest(path) for path in new}
    assert not [path for path in (work / "store").iterdir() if path.name.startswith(".")]


def pull_for_a_second(cable: FaultProxy) -> None:
    pull_out(cable)
    time.sleep(1)
    plug_in(cable)


def sshd_digest(path: Path) -> str:
    return subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout.split()[0]


def test_a_cable_pulled_in_the_middle_of_a_launch_costs_nothing(
    cable: FaultProxy, work: Path, store: Store, fast: Path
) -> None:
    pulling = during_launch(work, 1, lambda directory: pull_for_a_second(cable))
    (record,) = run(store, fast, how=LONG).records
    pulling.join()
    assert cable.connections >= 2
    assert [(launch.index, launch.valid) for launch in record.launches] == [(0, True), (1, True), (2, True)]
    steady = [row for row in store.samples(record.id) if row[0] == 1 and row[1] == "steady"]
    assert len(steady) == record.launches[1].steady_count >= 30


def test_a_board_that_stays_away_ends_the_bench_in_time_and_leaves_it_to_be_resumed(
    cable: FaultProxy, work: Path, store: Store, fast: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launching, "PATIENCE_SEC", 2.0)
    monkeypatch.setattr(session, "GRACE_SEC", 1.0)
    monkeypatch.setattr("device_runner.retry.FIRST_PAUSE_SEC", 0.1)

    def pull(directory: Path) -> None:
        pull_out(cable)

    pulling = during_launch(work, 1, pull)
    options = ["--device", DEVICE, "--launches", "3", "--warmup-ms", "1", "--min-ms", "1500", "--max-seconds", "6", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(fast), *options, "--out", str(store.root)])
    pulling.join()
    assert ended.value.code == 1
    said = json.loads(capsys.readouterr().out)["error"]
    assert said["kind"] == "transient"
    (identifier,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    assert f"edgedeploy bench --resume {identifier} --out {store.root}" in said["message"]
    assert store.ids() == []
    partial = store.read_partial(f"{identifier}.00")
    assert partial is not None
    assert [launch.valid for launch in partial.launches] == [True]

    plug_in(cable)
    (record,) = resume(store).records
    assert record.launches[0] == partial.launches[0]
    assert [(launch.index, launch.position, launch.valid) for launch in record.launches] == [
        (0, 0, True), (1, 1, True), (2, 2, True),
    ]  # fmt: skip
    assert "the host had gone away" in record.launches[1].flags[0]
    assert record.launches[1].steady_count == len(
        [row for row in store.samples(record.id) if row[0] == 1 and row[1] == "steady"]
    )
    assert list((work / "runs").iterdir()) == []


def test_ctrl_c_while_the_board_is_away_loses_no_launch(cable: FaultProxy, work: Path, store: Store, fast: Path) -> None:
    def pull_and_stop(directory: Path) -> None:
        pull_out(cable)
        os.kill(os.getpid(), signal.SIGINT)

    stopping = during_launch(work, 1, pull_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(store, fast, how=LONG)
    stopping.join()
    plug_in(cable)
    (record,) = resume(store).records
    assert [(launch.index, launch.valid, bool(launch.flags)) for launch in record.launches] == [
        (0, True, False), (1, True, True), (2, True, False),
    ]  # fmt: skip


def test_a_board_that_restarts_in_the_middle_of_a_launch_keeps_what_was_sampled(
    cable: FaultProxy, board: Sshd, work: Path, store: Store, fast: Path
) -> None:
    def restart(directory: Path) -> None:
        board.stop()
        for pid in processes_of(directory):
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        board.start()

    restarting = during_launch(work, 1, restart)
    (record,) = run(store, fast, how=LONG).records
    restarting.join()
    assert [(launch.index, launch.valid) for launch in record.launches] == [(0, True), (1, False), (2, True)]
    assert record.valid
    assert any(row[0] == 1 for row in store.samples(record.id))


def test_a_restart_that_empties_the_work_directory_costs_one_launch(
    cable: FaultProxy, board: Sshd, work: Path, store: Store, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "GRACE_SEC", 1.0)

    def restart(directory: Path) -> None:
        board.stop()
        for pid in processes_of(directory):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(work)
        board.start()

    restarting = during_launch(work, 1, restart)
    (record,) = run(store, fast, how=LONG).records
    restarting.join()
    assert [(launch.index, launch.valid) for launch in record.launches] == [(0, True), (1, False), (2, True)]
    assert record.launches[1].error is not None
    assert record.launches[1].error["code"] == "transient"


def test_what_a_runner_never_prints_is_not_fetched(cable: FaultProxy, work: Path, store: Store, fast: Path) -> None:
    def fill(directory: Path) -> None:
        with (directory / "stderr.txt").open("r+b") as file:
            file.truncate(2**40)

    filling = during_launch(work, 1, fill)
    before = cable.received
    (record,) = run(store, fast, how=LONG).records
    filling.join()
    assert cable.received - before < 2**28
    assert [launch.valid for launch in record.launches] == [True, False, True]
    assert f"has {2**40} bytes on the device" in record.launches[1].invalid_because[0]


def test_a_key_that_is_revoked_in_the_middle_of_a_launch(
    cable: FaultProxy, board: Sshd, work: Path, store: Store, fast: Path
) -> None:
    def revoke(directory: Path) -> None:
        board.revoke()
        cable.cut()

    revoking = during_launch(work, 1, revoke)
    with pytest.raises(UserError, match="ssh-copy-id"):
        run(store, fast, how=LONG)
    revoking.join()
    board.authorize()
    (record,) = resume(store).records
    assert [launch.valid for launch in record.launches] == [True] * 3
    assert "the host had gone away" in record.launches[1].flags[0]


def test_a_board_that_does_not_say_what_it_is(cable: FaultProxy, board: Sshd, store: Store, fast: Path) -> None:
    program = board.home / "bin" / "uname"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\nprintf 'x86_64; touch hacked\\033[31m\\n'\n")
    program.chmod(0o755)
    (board.home / ".bashrc").write_text(f"PATH={program.parent}:$PATH\n")
    try:
        with pytest.raises(TransientError, match="which machine"):
            run(store, fast)
    finally:
        (board.home / ".bashrc").unlink()
    assert not store.root.exists()


def test_a_work_directory_without_programs_is_said(
    cable: FaultProxy, board: Sshd, store: Store, fast: Path, work: Path
) -> None:
    assert os.geteuid() == 0, "needs root, to mount its own work directory"
    subprocess.run(["mount", "--bind", str(work), str(work)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,noexec", str(work)], check=True)
        with pytest.raises(UserError, match="noexec"):
            run(store, fast)
    finally:
        subprocess.run(["umount", str(work)], check=True)


def test_every_runtime_in_turns_with_every_other(cable: FaultProxy, work: Path, store: Store, fast: Path, models: Path) -> None:
    bare = [models / f"image.{suffix}" for suffix in ("onnx", "tflite", "pte")]
    records = run(store, fast, *bare, how=TURNS).records
    assert [record.valid for record in records] == [True] * 4, [record.invalid_because for record in records]
    assert list((work / "runs").iterdir()) == []


def test_in_turns_a_cable_pulled_costs_nothing(cable: FaultProxy, work: Path, store: Store, fast: Path, slow: Path) -> None:
    pulling = during_launch(work, 1, lambda directory: pull_for_a_second(cable))
    records = run(store, fast, slow, how=LONG_TURNS).records
    pulling.join()
    assert cable.connections >= 2
    assert [[launch.valid for launch in record.launches] for record in records] == [[True] * 3] * 2


def test_in_turns_a_board_that_restarts_costs_that_block_only(
    cable: FaultProxy, board: Sshd, work: Path, store: Store, fast: Path, slow: Path
) -> None:
    def restart(directory: Path) -> None:
        board.stop()
        for launch in work.glob("runs/*/1"):
            for pid in processes_of(launch):
                os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        board.start()

    restarting = during_launch(work, 1, restart)
    records = run(store, fast, slow, how=LONG_TURNS).records
    restarting.join()
    assert [[launch.valid for launch in record.launches] for record in records] == [[True, False, True]] * 2
    assert list((work / "runs").iterdir()) == []


def test_in_turns_ctrl_c_ends_both_and_both_are_done_again(
    cable: FaultProxy, work: Path, store: Store, fast: Path, slow: Path
) -> None:
    stopping = during_launch(work, 1, lambda directory: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(store, fast, slow, how=LONG_TURNS)
    stopping.join()
    assert not any(processes_of(launch) for launch in work.glob("runs/*/1"))
    records = resume(store).records
    for record in records:
        assert [launch.position // 2 for launch in record.launches if launch.valid] == [0, 1, 2]
        assert record.valid
