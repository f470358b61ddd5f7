"""The index beside the runs: never wrong, whatever becomes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from device_runner.results import index
from device_runner.results.store import RUN, Store
from edgedeploy.errors import UserError
from edgedeploy.record import Finding
from tests.device_runner.recorded import FIRST, SECOND, STEADY, invoked, keep, record

RUNS = [f"{FIRST}.00", f"{FIRST}.01", f"{SECOND}.00"]


@pytest.fixture
def kept(store: Store) -> Store:
    keep(store.root, *(record(run, STEADY) for run in RUNS))
    return store


def ids(store: Store) -> list[str]:
    return [entry.id for entry in index.entries(store)[0]]


def test_a_run_is_read_once(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = index.entries(kept)
    read: list[str] = []
    monkeypatch.setattr(Store, "read", lambda self, run: read.append(run))
    assert index.entries(kept) == first
    assert read == []


def test_a_record_that_changed_is_read_again(kept: Store) -> None:
    assert index.entries(kept)[0][0].operator == "identity"
    file = kept.directory(RUNS[0]) / RUN
    file.write_text(file.read_text().replace('"identity"', '"dsptq"'))
    assert index.entries(kept)[0][0].operator == "dsptq"


def test_what_is_gone_is_not_listed_and_what_comes_is(kept: Store) -> None:
    assert ids(kept) == RUNS
    shutil.rmtree(kept.directory(RUNS[1]))
    keep(kept.root, record(f"{SECOND}.01", STEADY))
    assert ids(kept) == [RUNS[0], RUNS[2], f"{SECOND}.01"]


def test_a_run_that_is_not_finished_is_not_listed(kept: Store) -> None:
    assert ids(kept) == RUNS
    (kept.directory(RUNS[0]) / RUN).rename(kept.directory(RUNS[0]) / "run.partial.json")
    assert ids(kept) == RUNS[1:]


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100, None])
def test_a_damaged_index_is_made_anew(damage: bytes | None, kept: Store) -> None:
    assert ids(kept) == RUNS
    file = kept.root / index.FILE
    file.write_bytes(file.read_bytes()[:5000] if damage is None else damage)
    assert ids(kept) == RUNS
    assert ids(kept) == RUNS
    assert len(index._load(file)) == len(RUNS)


def test_a_linked_index_is_left_alone(kept: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious"
    elsewhere.write_text("mine")
    (kept.root / index.FILE).symlink_to(elsewhere)
    assert ids(kept) == RUNS
    assert elsewhere.read_text() == "mine"


def test_a_broken_record_is_said_each_time(kept: Store) -> None:
    (kept.directory(RUNS[0]) / RUN).write_text("{")
    for _ in range(2):
        found, broken = index.entries(kept)
        assert [entry.id for entry in found] == RUNS[1:]
        assert "not readable as JSON" in broken[0]


def test_many_list_while_many_write(kept: Store) -> None:
    """Processes that finish runs and processes that list them, on one index: at the end all is listed, from the index."""
    program = (
        "import sys; from pathlib import Path\n"
        "from device_runner.results import index; from device_runner.results.store import Store\n"
        "from tests.device_runner.recorded import keep, record\n"
        "for at in range(5):\n"
        "    keep(Path(sys.argv[1]), record(f'20260201-000000-aaaaaa.{sys.argv[2]}{at}', [1.0, 1.1, 1.2]))\n"
        "    assert not index.entries(Store(Path(sys.argv[1])))[1]\n"
    )
    at_once = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(kept.root), str(number)], env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        for number in range(3)
    ]
    assert [process.wait(120) for process in at_once] == [0, 0, 0]
    assert len(ids(kept)) == len(RUNS) + 15
    assert len(index._load(kept.root / index.FILE)) == len(RUNS) + 15


def test_a_kill_in_the_middle_of_writing_loses_no_finished_run(kept: Store) -> None:
    """SIGKILL at whatever moment it falls: every run that is listed is whole, and every one said to be finished is listed."""
    program = (
        "import sys; from pathlib import Path; from tests.device_runner.recorded import keep, record\n"
        "for at in range(10_000):\n"
        "    run = f'20260202-000000-bbbbbb.{at:04d}'\n"
        "    keep(Path(sys.argv[1]), record(run, [1.0, 1.1, 1.2])); print(run, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(kept.root)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(4)]
    writer.kill()
    said += writer.stdout.read().split()
    writer.wait()
    listed = ids(kept)
    assert set(said) | set(RUNS) <= set(listed)
    for run in listed:
        json.loads((kept.directory(run) / RUN).read_text())
        assert kept.read(run).id == run
        assert list(kept.samples(run)) == []
    with pytest.raises(UserError, match="no run"):
        kept.read("20260202-000000-bbbbbb.9999")


def test_flags_are_listed_and_asked_for(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    found = Finding(flag="drift", text="slower by the minute")
    plain, flagged = record(RUNS[0], STEADY), record(RUNS[1], STEADY)
    first, second, *rest = flagged.launches
    # of a launch that is not valid nothing is said: no number counts it
    second = second.model_copy(update={"valid": False, "findings": (Finding(flag="outliers", text="x"),)})
    launches = (first.model_copy(update={"findings": (found,)}), second, *rest)
    flagged = flagged.model_copy(update={"launches": launches, "findings": (Finding(flag="two-speeds", text="x"),)})
    keep(store.root, plain, flagged)
    invoke = invoked(capsys)
    lines = invoke("results", "list", "--out", str(store)).stdout.splitlines()
    assert lines[0].endswith(" ms")
    assert lines[1].endswith(" ms (two-speeds, drift)")
    listed = json.loads(invoke("results", "list", "--out", str(store), "--json").stdout)["runs"]
    assert [each["flags"] for each in listed] == ["", "two-speeds, drift"]
    asked = invoke("results", "query", "SELECT id FROM runs WHERE flags LIKE '%drift%'", "--out", str(store))
    assert asked.stdout.split() == ["id", RUNS[1]]
