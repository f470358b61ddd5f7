"""The packs of samples beside the runs: what SQL answers is what is in the runs, whatever becomes of the packs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from device_runner.results import compaction
from device_runner.results.store import RUN, SAMPLES, Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from edgedeploy.errors import UserError
from tests.device_runner.recorded import STEADY, record

RUNS = [f"20260131-120000-abc123.{at:02d}" for at in range(6)]


def write(store: Store, run: str, *elapsed_ns: int) -> None:
    writer = RunWriter(store, run)
    taken = np.array([(at, ns) for at, ns in enumerate(elapsed_ns)], dtype=np.int64).reshape(-1, 2)
    writer.append(0, None, Samples(np.empty((0, 2), dtype=np.int64), taken))
    writer.finish(record(run, STEADY))


def answer(store: Store) -> dict[str, int]:
    return dict(store.query("SELECT run, sum(elapsed_ns)::BIGINT FROM samples GROUP BY run").fetchall())


def packs(store: Store) -> list[list[str]]:
    found = sorted((store.root / compaction.FOLDER).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return [list(json.loads(file.read_text())["runs"]) for file in found]


@pytest.fixture
def filled(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(compaction, "MIN_LOOSE", 2)
    for at, run in enumerate(RUNS):
        write(store, run, 1, 10**at)
    return store


EXPECTED = {run: 1 + 10**at for at, run in enumerate(RUNS)}


def test_packed_samples_answer_as_the_files_do(filled: Store) -> None:
    columns = 'run, launch, phase, stage, "index", start_ns, elapsed_ns, flags'
    lines = f"SELECT {columns} FROM samples ORDER BY run, start_ns"  # noqa: S608
    before = [(run, *sample) for run in filled.ids() for sample in filled.samples(run)]
    assert filled.query(lines).fetchall() == before
    assert packs(filled) == [RUNS]
    # from the pack: the files themselves are not opened
    for run in RUNS:
        file = filled.directory(run) / SAMPLES
        times = file.stat()
        with file.open("r+b") as content:
            content.write(b"XXXX")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert filled.query(lines).fetchall() == before


def test_few_files_are_read_as_they_are(store: Store) -> None:
    write(store, RUNS[0], 5)
    assert answer(store) == {RUNS[0]: 5}
    assert not (store.root / compaction.FOLDER).exists()


def test_what_changed_comes_from_its_own_file(filled: Store) -> None:
    assert answer(filled) == EXPECTED
    shutil.rmtree(filled.directory(RUNS[0]))
    write(filled, RUNS[0], 7)
    assert answer(filled) == {**EXPECTED, RUNS[0]: 7}


def test_what_is_gone_or_not_finished_does_not_count(filled: Store) -> None:
    assert answer(filled) == EXPECTED
    shutil.rmtree(filled.directory(RUNS[1]))
    (filled.directory(RUNS[2]) / RUN).unlink()
    assert answer(filled) == {run: value for run, value in EXPECTED.items() if run not in RUNS[1:3]}


def test_small_packs_are_taken_into_the_next(filled: Store) -> None:
    assert answer(filled) == EXPECTED
    more = [f"20260301-120000-abc123.{at:02d}" for at in range(7)]
    for run in more[:2]:
        write(filled, run, 3)
    assert answer(filled) == {**EXPECTED, **dict.fromkeys(more[:2], 3)}
    assert packs(filled) == [RUNS, more[:2]]
    for run in more[2:]:
        write(filled, run, 3)
    assert answer(filled) == {**EXPECTED, **dict.fromkeys(more, 3)}
    assert packs(filled)[-1] == sorted(RUNS + more)
    # the old ones are left for a query that may be reading them, and go later
    assert len(packs(filled)) == 3
    for file in (filled.root / compaction.FOLDER).glob("*.json"):
        os.utime(file, (1, 1))
    assert answer(filled) == {**EXPECTED, **dict.fromkeys(more, 3)}
    assert packs(filled) == [sorted(RUNS + more)]
    assert len(list((filled.root / compaction.FOLDER).iterdir())) == 2


def test_two_packs_of_the_same_runs_count_each_once(filled: Store) -> None:
    assert answer(filled) == EXPECTED
    folder = filled.root / compaction.FOLDER
    (about,) = folder.glob("*.json")
    shutil.copy(about, folder / "other.json")
    shutil.copy(about.with_suffix(".parquet"), folder / "other.parquet")
    write(filled, "20260401-000000-abc123.00", 9)
    assert answer(filled) == {**EXPECTED, "20260401-000000-abc123.00": 9}


@pytest.mark.parametrize("damage", ["about", "cut", "gone", "version"])
def test_a_damaged_pack_is_done_without(damage: str, filled: Store) -> None:
    assert answer(filled) == EXPECTED
    (about,) = (filled.root / compaction.FOLDER).glob("*.json")
    pack = about.with_suffix(".parquet")
    if damage == "about":
        about.write_text("{")
    elif damage == "cut":
        pack.write_bytes(pack.read_bytes()[:-100])
    elif damage == "gone":
        pack.unlink()
    else:
        about.write_text(about.read_text().replace('"version": 1', '"version": 2'))
    assert answer(filled) == EXPECTED
    assert len(list((filled.root / compaction.FOLDER).glob("*.json"))) == 2


def test_a_broken_file_is_named_and_nothing_is_packed(filled: Store) -> None:
    (filled.directory(RUNS[3]) / SAMPLES).write_bytes(b"not parquet")
    with pytest.raises(UserError, match=rf"{RUNS[3]}"):
        answer(filled)
    assert not [file for file in (filled.root / compaction.FOLDER).iterdir() if file.suffix == ".json"]


def test_a_linked_folder_is_not_followed(filled: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (filled.root / compaction.FOLDER).symlink_to(elsewhere)
    assert answer(filled) == EXPECTED
    assert list(elsewhere.iterdir()) == []


def test_many_ask_while_many_write(filled: Store) -> None:
    """Processes that finish runs and ask, each packing what it finds: no answer misses a run or has one twice."""
    program = (
        "import sys; from pathlib import Path\n"
        "from device_runner.results import compaction; from device_runner.results.store import Store\n"
        "from tests.device_runner.test_compaction import answer, write\n"
        "compaction.MIN_LOOSE = 2; store = Store(Path(sys.argv[1]))\n"
        "for at in range(8):\n"
        "    run = f'20260201-000000-aaaaaa.{sys.argv[2]}{at}'; write(store, run, 3)\n"
        "    found = answer(store); assert found[run] == 3, found\n"
        "    assert set(found.values()) <= {3, 2, 11, 101, 1001, 10001, 100001}, found\n"
    )
    at_once = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(filled.root), str(number)], env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        for number in range(3)
    ]
    assert [process.wait(180) for process in at_once] == [0, 0, 0]
    assert answer(filled) == {**EXPECTED, **{f"20260201-000000-aaaaaa.{p}{at}": 3 for p in range(3) for at in range(8)}}
