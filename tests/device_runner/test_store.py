import json
import struct
from pathlib import Path

import numpy as np
import pytest

from device_runner.results import migrations
from device_runner.results.store import PARTIAL, RUN, SAMPLES, STREAM, Store
from device_runner.results.writer import RunWriter, next_index
from device_runner.samples import Samples
from edgedeploy.errors import UserError
from edgedeploy.record import ArtifactRef, Device, Experiment, Plan, RunRecord

ID = "20260131-120000-abc123.00"
HOSTILE = ["../x", "/etc", "a/b", "", ".", "..", ".hidden", "a\0b", "a\nb", "x" * 101, "experiments", "-rf"]


def record(run: str = ID) -> RunRecord:
    artifact = ArtifactRef(
        digest="0" * 64, kind="bundle", path="a", subject="s", operator="identity", runtime="onnx", backend="cpu",
        precision="fp32", target_isa="any", model_bytes=1,
    )  # fmt: skip
    experiment = Experiment(id=run.partition(".")[0], seed=0, runs=(run,), order=())
    return RunRecord(
        id=run, created="c", finished="f", artifact=artifact, devices=(Device(name="local", transport="local"),),
        plan=Plan(), experiment=experiment, launches=(), valid=True,
    )  # fmt: skip


def taken(warmup: int, steady: int, base: int = 1000) -> Samples:
    def column(count: int, start: int) -> np.ndarray:
        return np.stack([start + 10 * np.arange(count), 1 + np.arange(count)], axis=1).astype(np.int64)

    return Samples(column(warmup, base), column(steady, base + 10 * warmup))


def test_samples_survive_the_way_to_parquet_to_the_nanosecond(store: Store) -> None:
    writer = RunWriter(store, ID)
    first, second = taken(3, 10_000), taken(2, 5, base=2**53 + 1)
    writer.append(0, (900, 77), first)
    writer.append(1, None, second)
    writer.partial(record())
    writer.finish(record())
    rows = list(store.samples(ID))
    assert rows[0] == (0, "first", 0, 0, 900, 77, "")
    steady = [row for row in rows if row[0] == 0 and row[1] == "steady"]
    assert [row[3] for row in steady] == list(range(10_000))
    assert np.array_equal(np.array([row[4:6] for row in steady]), first.steady)
    assert [row[4] for row in rows if row[0] == 1] == [*second.warmup[:, 0].tolist(), *second.steady[:, 0].tolist()]
    assert store.query("SELECT run, count(*) FROM samples GROUP BY run").fetchall() == [(ID, 1 + 3 + 10_000 + 2 + 5)]


def test_a_finished_run_is_run_json_and_parquet_and_nothing_half(store: Store) -> None:
    writer = RunWriter(store, ID)
    writer.append(0, None, taken(1, 1))
    writer.finish(record())
    assert sorted(path.name for path in store.directory(ID).iterdir()) == ["log", RUN, SAMPLES]
    assert store.ids() == [ID]
    assert store.read(ID) == record()
    with pytest.raises(UserError, match="never written again"):
        RunWriter(store, ID)


def test_an_unfinished_run_is_no_run_and_says_how_to_go_on(store: Store) -> None:
    writer = RunWriter(store, ID)
    writer.append(0, None, taken(1, 1))
    writer.partial(record())
    assert store.ids() == []
    assert store.read_partial(ID) == record()
    with pytest.raises(UserError, match="--resume 20260131-120000-abc123"):
        store.read(ID)


def test_a_run_without_a_sample_still_becomes_parquet(store: Store) -> None:
    RunWriter(store, ID).finish(record())
    assert list(store.samples(ID)) == []
    assert store.query("SELECT count(*) FROM samples").fetchone() == (0,)


def test_no_progress_bar_is_drawn_on_stdout(store: Store) -> None:
    assert store.query("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)


def test_an_empty_store_can_be_queried(store: Store) -> None:
    assert store.query("SELECT count(*) FROM samples").fetchone() == (0,)


def test_a_line_torn_by_a_power_loss_is_dropped_and_what_is_before_it_stays(store: Store) -> None:
    writer = RunWriter(store, ID)
    writer.append(0, None, taken(0, 3))
    stream = store.directory(ID) / STREAM
    whole = stream.read_bytes()
    stream.write_bytes(whole + whole[: len(whole) // 2])
    again = RunWriter(store, ID)
    assert stream.read_bytes() == whole
    again.append(1, None, taken(0, 2))
    again.finish(record())
    assert [row[0] for row in store.samples(ID)] == [0, 0, 0, 1, 1]


def test_samples_of_a_launch_never_recorded_are_not_mixed_with_the_next(store: Store) -> None:
    writer = RunWriter(store, ID)
    writer.append(4, None, taken(0, 1))
    assert next_index(RunWriter(store, ID), ()) == 5


@pytest.mark.parametrize("identifier", HOSTILE)
def test_hostile_ids_never_become_paths(store: Store, identifier: str) -> None:
    store.root.mkdir(parents=True)
    for call in (store.directory, store.read, store.experiment_file, store.read_partial, store.runs_of):
        with pytest.raises(UserError):
            call(identifier)
    with pytest.raises(UserError):
        RunWriter(store, identifier)


def test_a_hostile_experiment_names_no_run_outside(store: Store) -> None:
    (store.root / "experiments").mkdir(parents=True)
    store.experiment_file("e").write_text(json.dumps({"artifacts": [{"run": "../../etc"}]}))
    with pytest.raises(UserError):
        store.runs_of("e")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": "1"}', "\xff", "[" * 100_000, '{"a": NaN}']
)
def test_a_broken_record_is_named_in_one_sentence(store: Store, text: str) -> None:
    store.directory(ID).mkdir(parents=True)
    (store.directory(ID) / RUN).write_text(text, "latin-1")
    with pytest.raises(UserError, match=r"run\.json"):
        store.read(ID)


def test_a_record_under_another_runs_name_is_refused(store: Store) -> None:
    RunWriter(store, ID).finish(record())
    (store.root / ID).rename(store.root / "other")
    with pytest.raises(UserError, match="is the record of"):
        store.read("other")


def test_a_newer_schema_asks_for_an_update(store: Store) -> None:
    store.directory(ID).mkdir(parents=True)
    data = record().model_dump(mode="json") | {"schema_version": 99, "something": "new"}
    (store.directory(ID) / RUN).write_text(json.dumps(data))
    with pytest.raises(UserError, match="update edgedeploy"):
        store.read(ID)


def test_a_record_of_before_there_were_two_devices_is_read(store: Store) -> None:
    data = record().model_dump(mode="json") | {"schema_version": 3}
    for key in ("split", "path", "near_ms", "round_trip_ms", "far_ms", "link_ms"):
        del data[key]
    for launch in data["launches"]:
        for key in ("crossing", "far", "link_before", "link_after"):
            del launch[key]
    store.directory(ID).mkdir(parents=True)
    (store.directory(ID) / RUN).write_text(json.dumps(data))
    read = store.read(ID)
    assert (read.schema_version, read.split, read.place) == (4, None, read.devices[0].name)


def test_an_older_schema_is_brought_up_step_by_step_and_the_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", 3)
    monkeypatch.setitem(migrations.MIGRATIONS, 1, lambda data: {**data, "b": data["a"] + 1})
    monkeypatch.setitem(migrations.MIGRATIONS, 2, lambda data: {**data, "c": data["b"] + 1})
    old = {"schema_version": 1, "a": 1}
    assert migrations.migrate(old, "x") == {"schema_version": 3, "a": 1, "b": 2, "c": 3}
    assert old == {"schema_version": 1, "a": 1}
    monkeypatch.delitem(migrations.MIGRATIONS, 2)
    with pytest.raises(UserError, match="older"):
        migrations.migrate(old, "x")


def test_parquet_that_is_none_is_named(store: Store) -> None:
    RunWriter(store, ID).finish(record())
    (store.directory(ID) / SAMPLES).write_bytes(struct.pack("<Q", 1) * 9)
    with pytest.raises(UserError, match=r"samples\.parquet"):
        list(store.samples(ID))


def test_the_partial_record_is_replaced_whole(store: Store) -> None:
    writer = RunWriter(store, ID)
    for _ in range(3):
        writer.partial(record())
    assert [path.name for path in store.directory(ID).iterdir() if path.is_file()] == [PARTIAL]
    assert Path(store.directory(ID) / PARTIAL).stat().st_mode & 0o777 == 0o644
