"""`edgedeploy report` as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_runner.benching import Finished
from device_runner.results.report import limits
from device_runner.results.store import Store
from edgedeploy.record import RunRecord
from tests.device_runner.recorded import FIRST, STEADY, Invoke, accurate, invoked, keep, record
from tests.device_runner.report import stores
from tests.device_runner.report.chromium import Page

Drawn = tuple[Path, list[RunRecord]]


@pytest.fixture
def edgedeploy(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def test_what_was_really_measured(pair: tuple[Finished, Store], tmp_path: Path, edgedeploy: Invoke, browser: Page) -> None:
    """By the real runner: a page with its marks, from a record whose texts carry an escape code."""
    finished, store = pair
    file = tmp_path / "r.html"
    done = edgedeploy("report", "--runs", str(store.root), "--out", str(file), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["file"] == str(file)
    assert said["bytes"] == file.stat().st_size
    assert [run["run"] for run in said["subjects"][0]["runs"]] == [record.id for record in finished.records]
    browser.console.clear()
    browser.open(file)
    assert browser.console == []
    assert browser.evaluate("document.querySelectorAll('svg.scatter.wide a.mark').length") == 2
    assert browser.evaluate("document.querySelectorAll('svg.forest.wide a.mark').length") == 1
    assert browser.evaluate("document.querySelectorAll('svg.series.wide').length") == 2


def test_the_same_runs_give_the_same_page(drawn: Drawn, html: Path, tmp_path: Path, edgedeploy: Invoke) -> None:
    again = tmp_path / "again.html"
    assert edgedeploy("report", "--runs", str(drawn[0]), "--out", str(again)).returncode == 0
    assert again.read_bytes() == html.read_bytes()


def test_nothing_is_replaced_unasked(drawn: Drawn, tmp_path: Path, edgedeploy: Invoke) -> None:
    file = tmp_path / "kept.html"
    file.write_text("mine")
    done = edgedeploy("report", "--runs", str(drawn[0]), "--out", str(file))
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert file.read_text() == "mine"
    assert edgedeploy("report", "--runs", str(drawn[0]), "--out", str(file), "--force").returncode == 0
    assert file.read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.html"]


def test_markdown_goes_to_stdout_with_verdicts(drawn: Drawn, edgedeploy: Invoke) -> None:
    root, runs = drawn
    baseline = next(
        r for r in runs if (r.devices[0].name, r.artifact.runtime, r.artifact.operator) == ("phone", "onnx", "sptq")
    )
    done = edgedeploy("report", "--runs", str(root), "--format", "markdown", "--baseline", baseline.id)
    assert done.returncode == 0, done.stderr
    lines = {
        r.id: next(line for line in done.stdout.splitlines() if line.startswith("|") and f" {r.id} " in line) for r in runs
    }
    verdicts = {"dsptq": "faster", "identity": "slower"}
    for run in runs:
        where, artifact = run.devices[0].name, run.artifact
        if run.id == baseline.id:
            assert "| baseline |" in lines[run.id]
        elif where == "board":
            # another device's times say nothing about this one's
            assert "| not comparable |" in lines[run.id]
        elif artifact.runtime == "onnx" and artifact.operator in verdicts:
            assert f"| {verdicts[artifact.operator]} |" in lines[run.id]
    assert "were not measured alike" in done.stdout
    invalid = next(run for run in runs if not run.valid)
    assert "not valid" in lines[invalid.id]
    assert " ms [" not in lines[invalid.id]


def test_constraints_make_the_answer(drawn: Drawn, edgedeploy: Invoke) -> None:
    arguments = ("report", "--runs", str(drawn[0]), "--device", "phone", "--format", "markdown", "--json")
    one = json.loads(edgedeploy(*arguments, "--max-latency", "3ms", "--max-drop", "1").stdout)["subjects"][0]["answers"]
    assert len(one) == 1
    chosen = next(record for record in drawn[1] if record.id == one[0]["run"])
    assert (chosen.artifact.operator, chosen.artifact.runtime) == ("sptq", "tflite")
    assert one[0]["digest"] == chosen.artifact.digest
    none = json.loads(edgedeploy(*arguments, "--max-latency", "1us").stdout)["subjects"][0]["answers"]
    assert none[0]["run"] is None
    assert "by latency" in none[0]["why"][0]


def test_the_newest_experiments(tmp_path: Path, edgedeploy: Invoke) -> None:
    runs = [record(f"2026010{day}-120000-abc123.{number:02d}", STEADY) for day in (1, 2, 3) for number in (0, 1)]
    keep(tmp_path, *runs)
    arguments = ("report", "--runs", str(tmp_path), "--format", "markdown", "--json")
    for given, experiments in (((), 1), (("--last", "2"), 2), (("--last", "9"), 3)):
        said = json.loads(edgedeploy(*arguments, *given).stdout)
        assert said["experiments"] == [f"2026010{day}-120000-abc123" for day in (1, 2, 3)][-experiments:]
        assert len(said["subjects"][0]["runs"]) == 2 * experiments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "no run"),
        (("../up",), "not the id"),
        (("--subject", "nobody"), "no run is left"),
        (("--baseline", "nothing"), "no run"),
        (("a", "--last", "2"), "not both"),
        (("--last", "0"), "--last"),
        (("--max-latency", "nan"), "with its unit"),
    ],
)
def test_bad_input(drawn: Drawn, tmp_path: Path, edgedeploy: Invoke, arguments: tuple[str, ...], said: str) -> None:
    file = tmp_path / "x.html"
    done = edgedeploy("report", "--runs", str(drawn[0]), "--out", str(file), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not file.exists()


def test_an_empty_store(tmp_path: Path, edgedeploy: Invoke) -> None:
    done = edgedeploy("report", "--runs", str(tmp_path), "--out", str(tmp_path / "x.html"))
    assert done.returncode == 2
    assert "edgedeploy bench" in done.stderr


def test_a_run_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, edgedeploy: Invoke) -> None:
    runs = [record(f"20260101-120000-abc123.{number:02d}", STEADY) for number in range(2)]
    keep(tmp_path, *runs)
    (tmp_path / runs[0].id / "run.json").write_text("{")
    said = json.loads(edgedeploy("report", "--runs", str(tmp_path), "--format", "markdown", "--json").stdout)
    assert len(said["left_out"]) == 1
    assert runs[0].id in said["left_out"][0]
    assert "Left out" in said["markdown"]


def test_records_without_samples(tmp_path: Path, edgedeploy: Invoke, browser: Page) -> None:
    """An import brings medians and no samples: all is drawn but what would need them."""
    keep(tmp_path / "runs", record("20260101-120000-abc123.00", STEADY, accuracy=accurate(0.9)))
    (tmp_path / "runs/20260101-120000-abc123.00/samples.parquet").unlink()
    assert edgedeploy("report", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "r.html")).returncode == 0
    browser.open(tmp_path / "r.html")
    text = browser.evaluate("document.body.innerText")
    assert "have no samples in this store" in text
    assert browser.evaluate("document.querySelectorAll('svg.scatter.wide a.mark').length") == 1


def test_many_runs_stay_a_page(tmp_path: Path, edgedeploy: Invoke, browser: Page) -> None:
    """More than a figure draws, with more launches than the appendix lists: cut, said, and of a bounded size."""
    many = limits.MAX_DRAWN + 40
    medians = [[10.0 + number + 0.01 * launch for launch in range(60)] for number in range(many)]
    keep(
        tmp_path / "runs", *(record(f"20260101-120000-abc123.{n:04d}", medians[n], accuracy=accurate(0.9)) for n in range(many))
    )
    file = tmp_path / "r.html"
    done = edgedeploy("report", "--runs", str(tmp_path / "runs"), "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size < limits.MAX_BYTES
    browser.open(file)
    assert browser.evaluate("document.querySelectorAll('svg.scatter.wide a.mark').length") == limits.MAX_DRAWN
    assert browser.evaluate("document.querySelectorAll('#table0 tbody tr').length") == many
    assert browser.evaluate("document.querySelectorAll('#appendix tbody tr').length") <= limits.MAX_LISTED
    text = browser.evaluate("document.body.textContent")
    assert f"Of {many} runs the {limits.MAX_DRAWN} fastest are drawn" in text
    assert "more launches are not listed here" in text


def test_markdown_fits_in_a_comment(drawn: Drawn, edgedeploy: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("report", "--runs", str(drawn[0]), "--format", "markdown", "--baseline", drawn[1][0].id)
    whole = edgedeploy(*arguments).stdout
    most = whole.index("<details>") + 300
    monkeypatch.setattr("device_runner.results.report.pull_request._MAX_CHARACTERS", most)
    said = edgedeploy(*arguments).stdout
    assert most - 500 < len(said) < most + 200
    assert said.count("<details>") == said.count("</details>") == 1
    assert "more lines do not fit" in said


def test_too_many_runs_are_refused_before_they_are_read(
    tmp_path: Path, edgedeploy: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, *(record(f"20260101-120000-abc123.{number:02d}", STEADY) for number in range(3)))
    monkeypatch.setattr("device_runner.results.report.gather.MAX_RUNS", 2)
    done = edgedeploy("report", "--runs", str(tmp_path), "--format", "markdown")
    assert done.returncode == 2
    assert "3 runs, over the 2" in done.stderr


def test_of_the_store_only_the_list_of_what_is_named_is_written(drawn: Drawn, tmp_path: Path, edgedeploy: Invoke) -> None:
    def seen() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in drawn[0].rglob("*") if ".named" not in str(path)}

    before = seen()
    assert edgedeploy("report", "--runs", str(drawn[0]), "--out", str(tmp_path / "r.html")).returncode == 0
    assert seen() == before


def test_a_store_that_takes_no_list_is_reported_on_all_the_same(tmp_path: Path, edgedeploy: Invoke) -> None:
    keep(tmp_path / "runs", record(f"{FIRST}.00", STEADY))
    (tmp_path / "runs/.named").write_text("in the way")
    done = edgedeploy("report", f"{FIRST}.00", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "r.html"))
    assert (done.returncode, "`results prune` may remove them" in done.stderr) == (0, True)
    assert (tmp_path / "r.html").is_file()
    assert stores.EXPERIMENT in (tmp_path / "r.html").read_text()
