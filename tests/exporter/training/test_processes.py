"""Two processes on this CPU, really launched, train what one does; files are written, and things said, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from safetensors.torch import load_file

from edgedeploy.commands.export import command
from edgedeploy.errors import UserError
from exporter.training import lock, processes
from exporter.training.loop import CHECKPOINT, Run, train
from exporter.training.obtain import MODEL_FILE
from exporter.training.processes import Processes
from exporter.training.weights import read_metadata
from tests.exporter.training import tiny_run

ROOT = Path(__file__).parents[3]
#: "multi_gpu" is Accelerate's word for several processes of one machine; ACCELERATE_USE_CPU keeps them off its GPUs
ACCELERATE = (
    "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no", "--main_process_port", "0", "--module",
)  # fmt: skip
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--module")
TINY_RUN = "tests.exporter.training.tiny_run"


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "EDGEDEPLOY_CACHE": str(cache), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}


def start(cache: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment(cache), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def said(cache: Path, *command: str, code: int = 0) -> str:
    """What it prints on stdout; it must end, with this code."""
    with start(cache, *command) as running:
        try:
            out, err = running.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            running.terminate()  # a launcher ends what it launched
            raise
    assert running.returncode == code, err
    return out


def finish(cache: Path, *command: str) -> tuple[list[str], str]:
    """Progress lines and digest of a training run."""
    lines = said(cache, *command).splitlines()
    origin, _, digest = lines[-1].rpartition(" ")
    assert origin == "trained now"
    return lines[:-1], digest


def interrupt(cache: Path, after: str, *command: str) -> None:
    """Press Ctrl-C once the run has printed `after`."""
    with start(cache, *command) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.strip() == after:
                running.send_signal(signal.SIGINT)
                break
        running.communicate(timeout=120)
    assert running.returncode != 0


def weight_file(cache: Path) -> Path:
    (file,) = cache.rglob(MODEL_FILE)
    return file


def assert_same_within_rounding(one: Path, two: Path) -> None:
    """The two runs' weights. They are kept in float16, where what rounds the other way differs by 2^-11 of itself."""
    first, second = load_file(weight_file(one)), load_file(weight_file(two))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        gap = (tensor.float() - second[name].float()).abs().max()
        assert gap <= 1e-3 * tensor.float().abs().max(), name


def test_two_processes_train_what_one_does_and_write_it_once(tmp_path: Path) -> None:
    one, two, handed_over = tmp_path / "one", tmp_path / "two", tmp_path / "handed over"
    finish(one, TINY_RUN, "0", "alike")
    lines, _ = finish(two, *ACCELERATE, TINY_RUN, "0", "alike")
    assert lines == [f"{step}/50" for step in range(51)], "one of the two speaks, first of how long it takes"
    assert_same_within_rounding(one, two)
    assert [file for file in two.rglob("*") if file.is_file() and file.name != lock.FILE] == [weight_file(two)]
    assert [read_metadata(weight_file(cache)).get("processes") for cache in (one, two)] == [None, 2]

    interrupt(handed_over, "20/50", TINY_RUN, "0.05", "alike")
    lines, _ = finish(handed_over, *TORCHRUN, TINY_RUN, "0", "alike")
    assert int(lines[0].split("/")[0]) >= 20, "two go on where one was"
    assert_same_within_rounding(one, handed_over)


def test_an_interrupted_run_of_two_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    straight, interrupted = tmp_path / "straight", tmp_path / "interrupted"
    _, digest = finish(straight, *TORCHRUN, TINY_RUN, "0")
    interrupt(interrupted, "7/50", *TORCHRUN, TINY_RUN, "0.05")
    assert len(list(interrupted.rglob(CHECKPOINT))) == 1
    lines, again = finish(interrupted, *TORCHRUN, TINY_RUN, "0")
    assert int(lines[0].split("/")[0]) > 7, "it goes on where it was"
    assert again == digest
    assert not list(interrupted.rglob(CHECKPOINT))


def test_all_have_the_same_model_and_one_that_fails_ends_all(tmp_path: Path) -> None:
    run = "tests.exporter.training.processes_run"
    assert said(tmp_path, *TORCHRUN, run, str(tmp_path / "well")) == "2 agree\n"
    assert said(tmp_path, *TORCHRUN, run, str(tmp_path / "ill"), "fail", code=1) == ""


def test_an_export_under_a_launcher_trains_together_and_writes_its_bundles_once(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    export = [
        "edgedeploy", "export", "--op", "distilled", "--subject", "tests/exporter/training/taught.py:subject",
        "--runtime", "onnx", "--out", str(out), "--json",
    ]  # fmt: skip
    rows = json.loads(said(cache, *TORCHRUN, *export))["bundles"]
    assert [(row["operator"], row["state"]) for row in rows] == [("identity", "written"), ("distilled", "written")]
    assert read_metadata(weight_file(cache))["processes"] == 2
    assert len(list(out.rglob("manifest.json"))) == 2
    # the same command alone takes what they trained, and with it what they wrote
    rows = json.loads(said(cache, *export))["bundles"]
    assert [row["state"] for row in rows] == ["kept", "kept"]


def test_exports_side_by_side_are_not_for_launched_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_current", Processes(2))
    with pytest.raises(click.UsageError, match="leave -j out"):
        command.main(["--runtime", "all", "-j", "2"], standalone_mode=False)


def test_no_launcher_is_one_process_whose_tensors_are_left_alone() -> None:
    x, _ = tiny_run.data()
    alone = processes.current()
    assert not processes.launched()
    assert (alone.count, alone.main, alone.weight(8)) == (1, True, 1)
    assert alone.mine(x)[0] is x


@pytest.mark.parametrize(("count", "rows"), [(2, 8), (3, 8), (8, 8), (1, 5)])
def test_every_row_is_in_one_share(count: int, rows: int) -> None:
    shares = [Processes(count, rank).share(rows) for rank in range(count)]
    assert [row for share in shares for row in range(rows)[share]] == list(range(rows))
    sizes = [len(range(rows)[share]) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sum(Processes(count, rank).weight(rows) for rank in range(count)) == pytest.approx(count)


def test_more_processes_than_examples_in_a_batch_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = tiny_run.plan()
    examples, loss = plan.examples(None)
    monkeypatch.setattr(processes, "_current", Processes(9))
    with pytest.raises(UserError, match="9 processes cannot share batches of 8"):
        train(plan.skeleton(None), Run("tiny", "key", plan.recipe, examples, loss), tmp_path)
