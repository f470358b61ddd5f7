"""A run whose launches have something planted in them: what is in its record, its samples, and what every command says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from device_runner import samples
from device_runner.plans import MODES
from device_runner.results import checking, summary, table
from device_runner.results.store import RUN, Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from device_runner.validity import FLAGS, page
from edgedeploy.record import RunRecord
from tests.device_runner.conftest import BRIEF, Bench
from tests.device_runner.recorded import FIRST, Invoke, invoked, record
from tests.device_runner.validity.planted import quiet, stepped, taken

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def plant(monkeypatch: pytest.MonkeyPatch, planted: Samples) -> None:
    """What the runner measured is put in the place of its times: how long a real one takes to warm up nobody knows."""
    monkeypatch.setattr(samples, "read", lambda path: planted)


@pytest.fixture
def warmed(run_bench: Bench, store: Store, fast: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunRecord, Store]:
    plant(monkeypatch, taken(stepped(), quiet(5)))
    return run_bench(fast).records[0], store


def test_a_median_is_without_what_was_warm_up_still_and_every_sample_is_kept(warmed: tuple[RunRecord, Store]) -> None:
    run, store = warmed
    assert run.valid
    for launch in run.launches:
        assert abs(launch.unsettled_count - 150) <= 25
        assert launch.steady_count == 1000
        assert launch.steady_median_ns == pytest.approx(1e6, rel=0.003)
    steady = [sample for sample in store.samples(run.id) if sample[0] == 0 and sample[1] == "steady"]
    assert [sample[3] for sample in steady] == list(range(1000))
    assert {sample[6] for sample in steady[: run.launches[0].unsettled_count]} == {"warm-up"}
    assert {sample[6] for sample in steady[run.launches[0].unsettled_count :]} == {""}
    (row,) = summary.rows([run])
    (line,) = [line for line in table.footer([row]) if "warm-up" in line and line.startswith("warning")]
    assert "3 of 3 launches" in line
    assert "left out of its median (docs/flags/warm-up.md)" in line


def test_where_every_sample_is_to_count_it_is_only_said(
    run_bench: Bench, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    plant(monkeypatch, taken(stepped()))
    how = BRIEF.model_copy(update={"mode": "mlperf"})
    (run,) = run_bench(fast, how=how).records
    assert not MODES["mlperf"].leaves_out
    for launch in run.launches:
        assert "warm-up" in [finding.flag for finding in launch.findings or ()]
        assert launch.unsettled_count == 0
        assert launch.steady_median_ns is not None
        assert launch.steady_median_ns > 1.001e6


def test_every_command_says_it_and_names_the_page(
    warmed: tuple[RunRecord, Store], invoke: Invoke, tmp_path: Path
) -> None:  # fmt: skip
    run, store = warmed
    out = ("--out", str(store.root))
    shown = invoke("results", "show", run.id, *out)
    assert "docs/flags/warm-up.md" in shown.stdout
    assert re.search(r"valid \(warm-up", shown.stdout)
    document = json.loads(invoke("results", "show", run.id, *out, "--json").stdout)
    assert [(flag["launch"], flag["page"]) for flag in document["flags"] if flag["flag"] == "warm-up"] == [
        (at, "docs/flags/warm-up.md") for at in range(3)
    ]
    checked = invoke("results", "check", run.experiment.id, *out)
    assert checked.returncode == 1
    assert "warm-up: 3 of 3 launches" in checked.stdout
    assert json.loads(invoke("results", "check", run.id, *out, "--json").stdout)["runs"][0]["flags"]
    html = tmp_path / "page.html"
    assert invoke("report", run.id, "--runs", str(store.root), "--out", str(html)).returncode == 0
    assert "docs/flags/warm-up.md" in html.read_text("utf-8")
    text = invoke("report", run.id, "--runs", str(store.root), "--format", "markdown").stdout
    assert "3 of 3 launches" in text


def test_compare_says_it_of_either(run_bench: Bench, store: Store, fast: Path, slow: Path, invoke: Invoke,
                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    plant(monkeypatch, taken(stepped()))
    found = run_bench(fast, slow)
    said = invoke("compare", found.id, "--out", str(store.root)).stdout
    assert "warning: baseline: warm-up: 3 of 3 launches" in said
    assert "warning: candidate: warm-up: 3 of 3 launches" in said
    notes = json.loads(invoke("compare", found.id, "--out", str(store.root), "--json").stdout)["notes"]
    assert sum("docs/flags/warm-up.md" in note for note in notes) == 2


def old(root: Path) -> tuple[Store, RunRecord]:
    """A run of the schema before flags, in whose samples there is something."""
    store, run = Store(root), record(f"{FIRST}.00", [1.0] * 5)
    writer = RunWriter(store, run.id)
    for launch in run.launches:
        writer.append(launch.index, None, taken(stepped()))
    writer.finish(run)
    file = root / run.id / RUN
    data = json.loads(file.read_text("utf-8")) | {"schema_version": 2}
    del data["findings"]
    for launch in data["launches"]:
        del launch["findings"], launch["unsettled_count"]
    file.write_text(json.dumps(data))
    return store, store.read(run.id)


def test_a_run_from_before_there_were_flags_is_looked_at_and_never_written(tmp_path: Path, invoke: Invoke) -> None:
    store, run = old(tmp_path / "runs")
    assert run.findings is None
    before = {path: path.read_bytes() for path in sorted((tmp_path / "runs").rglob("*")) if path.is_file()}
    shown = invoke("results", "show", run.id, "--out", str(store.root))
    assert "warm-up: 5 of 5 launches" in shown.stdout
    # it was measured with them in its median
    assert "left out" not in shown.stdout
    assert invoke("results", "check", run.id, "--out", str(store.root)).returncode == 1
    (looked,) = checking.looked_at(store, [run])
    assert [launch.steady_median_ns for launch in looked.launches] == [launch.steady_median_ns for launch in run.launches]
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path for path in (tmp_path / "runs").rglob("*") if path.is_file()) == sorted(before)


def test_a_run_without_its_samples_is_shown_as_it_is(tmp_path: Path, invoke: Invoke) -> None:
    store, run = old(tmp_path / "runs")
    (tmp_path / "runs" / run.id / "samples.parquet").write_bytes(b"PAR1 no more")
    assert invoke("results", "show", run.id, "--out", str(store.root)).returncode == 0
    failed = invoke("results", "check", run.id, "--out", str(store.root))
    assert failed.returncode == 2
    assert "not readable" in failed.stderr


def test_imported_rows_are_in_nobodys_order(tmp_path: Path) -> None:
    store, run = old(tmp_path / "runs")
    imported = run.model_copy(update={"artifact": run.artifact.model_copy(update={"kind": "imported"})})
    for launch in checking.look_again(store, imported).launches:
        # a tenth and more that are slower are two speeds in whichever order; a warm-up is one by its place alone
        assert [finding.flag for finding in launch.findings or ()] == ["two-speeds"]


def test_samples_of_streams_are_told_apart_when_they_are_looked_at_again(tmp_path: Path) -> None:
    store, run = Store(tmp_path / "runs"), record(f"{FIRST}.00", [1.0])
    one = taken(stepped()).steady
    writer = RunWriter(store, run.id)
    flags = ("stream 0",) * 1000 + ("stream 1",) * 1000
    writer.append(0, None, Samples(one[:0], np.concatenate([one, one]), np.repeat(np.arange(2, dtype=np.int16), 1000), flags))
    writer.finish(run)
    (launch,) = checking.look_again(store, store.read(run.id)).launches
    assert "warm-up" not in [finding.flag for finding in launch.findings or ()]


def test_a_run_without_flags_says_so(tmp_path: Path, invoke: Invoke) -> None:
    store, run = Store(tmp_path / "runs"), record(f"{FIRST}.00", [1.0] * 3)
    writer = RunWriter(store, run.id)
    for launch in run.launches:
        writer.append(launch.index, None, taken(quiet(seed=launch.index)))
    writer.finish(run)
    checked = invoke("results", "check", run.id, "--out", str(store.root))
    assert checked.returncode == 0
    assert "no flags" in checked.stdout


def test_every_flag_has_its_page_and_every_page_its_flag() -> None:
    pages = {path.stem for path in (ROOT / "docs/flags").glob("*.md")}
    assert pages == {*FLAGS, "README"}
    index = (ROOT / "docs/flags/README.md").read_text("utf-8")
    for flag in FLAGS:
        text = (ROOT / page(flag)).read_text("utf-8")
        assert text.startswith(f"# {flag}\n")
        assert "**What it means" in text
        assert "**What to do.**" in text
        assert f"]({flag}.md)" in index
    for path in (ROOT / "docs/flags").glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
            assert (path.parent / link).is_file(), link
