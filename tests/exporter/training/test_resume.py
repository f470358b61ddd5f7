"""A training run that is interrupted, damaged or repeated ends with the same weights, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgedeploy.errors import UserError
from exporter.training.loop import CHECKPOINT, Run, train
from exporter.training.obtain import MODEL_FILE, Shipped, obtain
from exporter.training.recipe import Recipe
from exporter.training.weights import state_digest
from tests.exporter.training import tiny_run

ROOT = Path(__file__).parents[3]


def command(seconds_per_step: float) -> list[str]:
    return [sys.executable, "-m", "tests.exporter.training.tiny_run", str(seconds_per_step)]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "EDGEDEPLOY_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def finish(cache: Path) -> tuple[list[str], str, str]:
    """Progress lines, origin and digest of a run to its end."""
    done = subprocess.run(command(0), cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=120, check=True)
    lines = done.stdout.splitlines()
    origin, _, digest = lines[-1].rpartition(" ")
    return lines[:-1], origin, digest


def interrupt(cache: Path, after: str) -> None:
    """Start a slow run and press Ctrl-C once it has printed `after`."""
    with subprocess.Popen(
        command(0.05), cwd=ROOT, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            if line.strip() == after:
                running.send_signal(signal.SIGINT)
                break
        running.communicate(timeout=60)
    assert running.returncode != 0


def checkpoints(cache: Path) -> list[Path]:
    return list(cache.rglob(CHECKPOINT))


def test_a_run_goes_on_after_ctrl_c_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    straight, interrupted = tmp_path / "straight", tmp_path / "interrupted"
    lines, origin, digest = finish(straight)
    # how long it will take is said before the first step, and not again by a run that goes on
    assert (lines[:2], lines[-1], origin) == (["0/50", "1/50"], "50/50", "trained now")

    interrupt(interrupted, "7/50")
    assert len(checkpoints(interrupted)) == 1
    interrupt(interrupted, "23/50")
    lines, origin, again = finish(interrupted)
    assert int(lines[0].split("/")[0]) >= 23, "it goes on where it was"
    assert (origin, again) == ("trained now", digest)
    assert checkpoints(interrupted) == []
    files = [next(cache.rglob(MODEL_FILE)).read_bytes() for cache in (straight, interrupted)]
    assert state_from(files[0]) == state_from(files[1])

    lines, origin, again = finish(interrupted)
    assert (lines, origin, again) == ([], "cache", digest), "a finished run is not repeated"


def state_from(file: bytes) -> dict[str, bytes]:
    from safetensors.torch import load

    return {name: tensor.numpy().tobytes() for name, tensor in load(file).items()}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Interrupted(Exception):
    pass


def until(step: int) -> object:
    """A progress that ends the run after this step."""

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        if done == step:
            raise Interrupted

    return progress


def test_retrain_passes_over_finished_weights_but_goes_on_with_its_own_run(cache: Path) -> None:
    plan, steps = tiny_run.plan(), []
    count = lambda what, done, total, note="": steps.append(done)  # noqa: E731
    digest = obtain(plan).digest
    assert obtain(plan).origin == "cache"
    with pytest.raises(Interrupted):
        obtain(plan, True, until(20), checkpoint_interval_s=0)  # type: ignore[arg-type]
    again = obtain(plan, True, count)
    assert (again.origin, again.digest, steps) == ("trained now", digest, list(range(21, 51)))
    assert obtain(plan, True, count).digest == digest
    assert steps[30:] == list(range(51)), "told how long it takes, then trained from the start"


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_checkpoint_costs_time_and_nothing_else(cache: Path, damage: str) -> None:
    clean = obtain(tiny_run.plan()).digest
    with pytest.raises(Interrupted):
        obtain(tiny_run.plan(), True, until(30), checkpoint_interval_s=0)  # type: ignore[arg-type]
    (checkpoint,) = checkpoints(cache)
    content = checkpoint.read_bytes()
    checkpoint.write_bytes({"cut": content[: len(content) // 2], "garbage": os.urandom(3000), "empty": b""}[damage])
    assert obtain(tiny_run.plan(), True).digest == clean


def test_a_checkpoint_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    plan = tiny_run.plan()
    examples, loss = plan.examples(None)
    recipe = Recipe(epochs=1, batch=8, lr=0.05)

    def trained(key: str, folder: str, stop: int | None = None) -> str:
        model = tiny_run.skeleton(None)
        progress = until(stop) if stop else None
        train(model, Run("tiny", key, recipe, examples, loss), tmp_path / folder, progress, 0)  # type: ignore[arg-type]
        return state_digest(model)

    with pytest.raises(Interrupted):
        trained("one key", "shared", stop=3)
    assert trained("another key", "shared") == trained("another key", "fresh")


def test_every_number_and_input_of_a_run_has_its_own_place_in_the_cache() -> None:
    plan = tiny_run.plan()
    keys = {plan.key(), tiny_run.plan(recipe=Recipe(epochs=10, batch=8, lr=0.05, seed=4)).key()}
    keys.add(tiny_run.plan(recipe=Recipe(epochs=10, batch=8, lr=0.05, seed=3, extra={"alpha": 0.5})).key())
    assert len(keys) == 3
    assert plan.key() == tiny_run.plan(0.5).key()


def test_too_few_examples_for_a_batch_are_an_error(tmp_path: Path) -> None:
    plan = tiny_run.plan()
    _, loss = plan.examples(None)
    with pytest.raises(ValueError, match="do not fill one batch"):
        train(tiny_run.skeleton(None), Run("tiny", "key", Recipe(epochs=1, batch=64, lr=0.1), 40, loss), tmp_path)


def test_shipped_weights_of_another_digest_are_refused_and_can_be_trained_anew(cache: Path) -> None:
    shipped = Shipped("not-there.safetensors", "0" * 64)
    with pytest.raises(UserError, match="--retrain"):
        obtain(tiny_run.plan(shipped=shipped))
    assert obtain(tiny_run.plan(shipped=shipped), retrain=True).origin == "trained now"


def test_a_cache_that_cannot_be_written_is_an_error_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="EDGEDEPLOY_CACHE"):
        obtain(tiny_run.plan())


def test_frozen_parameters_do_not_change_and_the_rest_does(cache: Path) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_run.skeleton(None).state_dict().items()}
    after = obtain(tiny_run.plan()).model.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"frozen.weight", "frozen.bias"}


def test_several_processes_that_want_the_same_train_it_once(tmp_path: Path) -> None:
    """As the runtimes of one subject do under `export -j`."""
    running = [
        subprocess.Popen(command(0.02), cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len({lines[-1].rpartition(" ")[2] for lines in said}) == 1
    assert sorted(lines[-1].rpartition(" ")[0] for lines in said) == ["cache", "cache", "trained now"]
