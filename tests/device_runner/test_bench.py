"""`bench` on this host with the real runner, through the Python API."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from device_runner import benching, conformance, launches
from device_runner.benching import Finished
from device_runner.deadline import Deadline
from device_runner.results import summary, table
from device_runner.results.store import Store
from device_runner.session import Session
from edgedeploy import bundle
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import InternalError, UserError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Plan, RunRecord
from tests.device_runner import tiny
from tests.device_runner.conftest import BRIEF, Bench


def test_a_run_is_measured_checked_and_recorded_with_its_context(run_bench: Bench, store: Store, fast: Path) -> None:
    (record,) = run_bench(fast).records
    assert record.valid
    assert record.invalid_because == ()
    assert [launch.conforms for launch in record.launches] == [True, True, True]
    assert record.artifact.digest == bundle.read(fast).digest
    for launch in record.launches:
        assert launch.valid
        assert launch.steady_count >= 30
        assert launch.warmup_count >= 2
        assert launch.load_warm_ns
        assert launch.first_ns
        assert launch.peak_rss_kb
        assert launch.runtime_version
        assert launch.before is not None
        assert launch.before.load_1m is not None
        assert launch.after is not None
        assert launch.after.memory_available_kb is not None
    assert record.median_ms is not None
    assert record.median_ms.low is not None
    assert record.software["onnx"] == record.launches[0].runtime_version
    # what the record says of a launch is what its samples say, without those that were warm-up still
    for launch in record.launches:
        steady = [row[5] for row in store.samples(record.id) if row[0] == launch.index and row[1] == "steady"]
        assert len(steady) == launch.steady_count
        assert np.median(steady[launch.unsettled_count :]) == launch.steady_median_ns
    log = store.directory(record.id) / "log" / "0000.events.jsonl"
    assert '"event":"end"' in log.read_text()


def test_launches_are_interleaved_and_the_order_is_in_every_record(pair: tuple[Finished, Store]) -> None:
    finished, _ = pair
    a, b = (record.id for record in finished.records)
    order = [run for run, _ in finished.records[0].experiment.order]
    # the second block is the first one's mirror; the third is drawn anew
    assert order[:4] in ([a, b, b, a], [b, a, a, b])
    assert sorted(order[4:]) == [a, b]
    started = sorted((launch.started, record.id) for record in finished.records for launch in record.launches)
    assert [run for _, run in started] == order
    assert finished.records[0].experiment == finished.records[1].experiment


def test_int8_that_is_slower_than_float_is_said_with_its_reason(
    pair: tuple[Finished, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = summary.rows(pair[0].records)
    assert rows[0].speedup is None
    assert rows[1].speedup is not None
    assert rows[1].speedup.high is not None
    assert rows[1].speedup.high < 1
    assert "as long as identity in float: 100% of the MACs stayed in float" in rows[1].warnings[0]
    table.show(rows)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[bold]product[/bold] \\x1b[31mof two" in printed
    assert "3 launches, 1 thread, device local" in printed


def test_on_a_terminal_text_from_outside_is_text(
    pair: tuple[Finished, Store], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = summary.rows(pair[0].records)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    table.show(rows)
    printed = capsys.readouterr().out
    assert "[bold]product[/bold]" in printed
    assert "\x1b[31mfor it" not in printed


def test_a_target_that_is_not_this_device_is_said(run_bench: Bench, tmp_path: Path) -> None:
    (record,) = run_bench(tiny.write_bundle(tmp_path / "b", target_isa="aarch64")).records
    assert record.valid
    assert any("made for aarch64" in warning for warning in record.warnings)


def test_a_model_that_gives_other_outputs_is_not_valid_and_says_so(run_bench: Bench, tmp_path: Path, fast: Path) -> None:
    wrong, right = run_bench(tiny.write_bundle(tmp_path / "wrong", wrong=True), fast).records
    assert right.valid
    assert not wrong.valid
    assert wrong.median_ms is None
    assert "not what the host got at export" in wrong.invalid_because[0]
    assert [launch.conforms for launch in wrong.launches] == [False] * 3
    # kept, and flagged: nothing measured is thrown away
    assert all(launch.steady_count >= 30 for launch in wrong.launches)


def test_a_truncated_model_fails_once_and_the_others_are_measured(run_bench: Bench, tmp_path: Path, fast: Path) -> None:
    broken, whole = run_bench(tiny.write_bundle(tmp_path / "broken", truncate=True), fast).records
    assert whole.valid
    assert len(whole.launches) == 3
    assert not broken.valid
    # its own fault: another launch would be no better
    assert len(broken.launches) == 1
    assert broken.launches[0].error is not None
    assert broken.launches[0].error["code"] in launches.LASTING
    assert broken.launches[0].error["code"] in broken.invalid_because[0]


def test_a_bundle_whose_files_were_changed_is_refused_before_anything_is_measured(
    run_bench: Bench, store: Store, tmp_path: Path, fast: Path
) -> None:
    changed = tiny.write_bundle(tmp_path / "changed")
    with (changed / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match=r"model\.onnx"):
        run_bench(fast, changed)
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (Plan(affinity=(4095,)), "4095"),
        (Plan(affinity=()), "affinity"),
        (Plan(affinity=(0, 0)), "once"),
        (Plan(threads=1000), "1000"),
        (Plan(threads=2, affinity=(0,)), "--threads 2 on 1"),
    ],
)
def test_a_plan_that_means_nothing_here_is_refused(run_bench: Bench, store: Store, fast: Path, how: Plan, says: str) -> None:
    with pytest.raises(UserError, match=says):
        run_bench(fast, how=how)
    assert not store.root.exists()


def test_an_unknown_device_names_those_that_are_known(store: Store, fast: Path) -> None:
    with pytest.raises(UserError, match="local"):
        benching.bench([fast], "pixel", BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)


def test_a_bare_model_is_benched_as_it_is(run_bench: Bench, tmp_path: Path) -> None:
    model = tiny.write_onnx(tmp_path / "model.onnx", batch="N")
    (record,) = run_bench(model).records
    assert record.valid
    assert (record.artifact.kind, record.artifact.operator) == ("as-given", "as-given")
    assert record.artifact.digest == bundle.file_sha256(model)
    assert any("taken as 1" in note for note in record.artifact.warnings)
    assert {launch.conforms for launch in record.launches} == {None}


def test_a_bare_model_takes_the_shape_that_is_given(run_bench: Bench, tmp_path: Path) -> None:
    model = tiny.write_onnx(tmp_path / "model.onnx", batch="N")
    (record,) = run_bench(model, shapes={"image": (7, 16), "logits": (7, 5)}).records
    assert record.valid
    assert not any("taken as 1" in note for note in record.artifact.warnings)
    with pytest.raises(UserError, match="does not fit"):
        run_bench(model, shapes={"image": (7, 17)})
    with pytest.raises(UserError, match="'picture'"):
        run_bench(model, shapes={"picture": (7, 16)})


@pytest.mark.parametrize("name", ["image.tflite", "image.pte", "text.onnx", "text.tflite", "text.pte"])
def test_a_bare_model_of_each_runtime(run_bench: Bench, models: Path, name: str) -> None:
    (record,) = run_bench(models / name, how=BRIEF.model_copy(update={"launches": 1})).records
    assert record.valid, record.invalid_because
    assert record.median_ms is not None


def test_weights_beside_a_bare_model_go_with_it(run_bench: Bench, tmp_path: Path) -> None:
    model = tiny.write_onnx(tmp_path / "model.onnx")
    weights = tmp_path / "model.onnx.data"
    onnx.save(onnx.load(model), model, save_as_external_data=True, location=weights.name, size_threshold=0)
    (record,) = run_bench(model).records
    assert record.valid
    assert record.artifact.model_bytes == model.stat().st_size + weights.stat().st_size
    assert record.artifact.digest != bundle.file_sha256(model)
    weights.unlink()
    with pytest.raises(UserError, match=r"model\.onnx"):
        run_bench(model)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08" + b"\xff" * 100])
def test_a_file_that_is_no_model_is_refused_in_one_sentence(run_bench: Bench, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(UserError, match=r"model\.onnx"):
        run_bench(tmp_path / "model.onnx")
    (tmp_path / "notes.txt").write_bytes(data)
    with pytest.raises(UserError, match=r"notes\.txt"):
        run_bench(tmp_path / "notes.txt")


def test_content_decides_over_the_suffix(run_bench: Bench, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\x00" * 64)
    with pytest.raises(UserError, match="tflite"):
        run_bench(model)


def test_a_session_sends_a_model_only_once(session: Session, fast: Path) -> None:
    sent: Counter[bool] = Counter()
    push = session.transport.push

    def counted(*arguments: object, **options: object) -> bool:
        result = push(*arguments, **options)  # type: ignore[arg-type]
        sent[result] += 1
        return result

    session.transport.push = counted  # type: ignore[method-assign]
    model = fast / "model.onnx"
    session.put({"model": model})
    sent.clear()
    session.put({"model": model})
    assert sent == {False: 1}


def test_a_model_that_changed_since_it_was_read_is_not_put_under_its_digest(session: Session, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"as it was")
    known = file_sha256(model)
    model.write_bytes(b"as it is now")
    with pytest.raises(InternalError, match="changed while it was being benched"):
        session.put({"model.onnx": model}, {"model.onnx": known})
    assert session.transport.stat(f"store/{known}", Deadline.after(60)) is None
    model.write_bytes(b"as it was")
    assert session.put({"model.onnx": model}, {"model.onnx": known}) == {"model.onnx": f"store/{known}"}


def test_nothing_of_a_finished_experiment_is_left_on_the_device(run_bench: Bench, cache: Path, fast: Path) -> None:
    run_bench(fast)
    assert list((cache / "device" / "local" / "runs").iterdir()) == []


def test_resuming_what_is_finished_only_reads_it(pair: tuple[Finished, Store]) -> None:
    finished, store = pair
    before = (store.directory(finished.records[0].id) / "run.json").read_bytes()
    again = benching.resume(finished.id, store, StatusLine(io.StringIO()), lambda identifier: None)
    assert again == finished
    assert (store.directory(finished.records[0].id) / "run.json").read_bytes() == before


def test_resuming_measures_what_is_missing_and_leaves_what_is_there(pair: tuple[Finished, Store], tmp_path: Path) -> None:
    finished, original = pair
    shutil.copytree(original.root, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    kept, lost = (store.directory(record.id) for record in finished.records)
    shutil.rmtree(lost)
    before = (kept / "run.json").read_bytes()
    again = benching.resume(finished.id, store, StatusLine(io.StringIO()), lambda identifier: None)
    assert [record.valid for record in again.records] == [True, True]
    assert (kept / "run.json").read_bytes() == before
    positions = [[launch.position for launch in record.launches] for record in again.records]
    assert positions == [[launch.position for launch in record.launches] for record in finished.records]
    assert again.records[1].launches[0].started > finished.records[1].launches[-1].started


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("digest", "0" * 64, "is not what it was"),
        ("path", "/nowhere/at/all", "is gone"),
        ("run", "../../etc", "artifacts.0.run"),
        ("run", "another", "does not fit together"),
    ],
)
def test_an_experiment_that_is_not_what_it_was_does_not_go_on(
    pair: tuple[Finished, Store], tmp_path: Path, key: str, value: str, says: str
) -> None:
    finished, original = pair
    shutil.copytree(original.root, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    (store.directory(finished.records[0].id) / "run.json").unlink()
    file = store.experiment_file(finished.id)
    data = json.loads(file.read_text())
    data["artifacts"][0][key] = value
    file.write_text(json.dumps(data))
    with pytest.raises(UserError, match=re.escape(says)):
        benching.resume(finished.id, store, StatusLine(io.StringIO()), lambda identifier: None)


def test_resuming_nothing_says_so(store: Store) -> None:
    with pytest.raises(UserError, match="no experiment"):
        benching.resume("20260131-120000-abc123", store, StatusLine(io.StringIO()), lambda identifier: None)


def test_conformance_alone(fast: Path, tmp_path: Path) -> None:
    report = conformance.check(bundle.read(fast))
    assert (report.ok, report.cases) == (True, tiny.CASES)
    assert report.max_abs is not None
    assert report.max_abs < 1e-4
    wrong = conformance.check(bundle.read(tiny.write_bundle(tmp_path / "wrong", wrong=True)))
    assert not wrong.ok
    assert wrong.max_abs == pytest.approx(1, abs=1e-3)
    broken = conformance.check(bundle.read(tiny.write_bundle(tmp_path / "broken", truncate=True)))
    assert (broken.ok, broken.max_abs) == (False, None)
    assert "model" in broken.detail


def test_accuracy_on_the_device_is_of_the_bundles_samples(store: Store, fast: Path, tmp_path: Path) -> None:
    def run(path: Path) -> RunRecord:
        progress = StatusLine(io.StringIO())
        return benching.bench([path], "local", BRIEF, store, 0, {}, progress, lambda identifier: None, True).records[0]

    found = run(fast).device_accuracy
    assert found is not None
    assert (found.value, found.n) == (1.0, tiny.CASES)
    assert found.low < 1
    shifted = run(tiny.write_bundle(tmp_path / "shifted", labels_off=1)).device_accuracy
    assert shifted is not None
    assert shifted.value == 0


def test_the_json_of_a_row_is_json(pair: tuple[Finished, Store]) -> None:
    finished, store = pair
    found = [summary.as_json(row, store.place(row.record.id)) for row in summary.rows(finished.records)]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found[0]["speedup_over_identity"] is None
    assert set(found[1]["speedup_over_identity"]) >= {"estimate", "low", "high"}
    assert found[0]["median_ms"]["estimate"] > 0
