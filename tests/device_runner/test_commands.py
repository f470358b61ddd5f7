"""`edgedeploy bench` and `edgedeploy results` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_runner.benching import Finished
from device_runner.results.store import Store
from tests.device_runner import tiny

QUICK = ("--quick", "--min-ms", "20", "--warmup-ms", "1")


def edgedeploy(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgedeploy", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_bench_as_typed_measures_what_export_made(tmp_path: Path) -> None:
    tiny.write_bundle(tmp_path / "artifacts/tiny/identity/onnx-cpu")
    done = edgedeploy("bench", "--device", "local", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tiny identity" in done.stdout
    assert "[3/3]" in done.stderr
    listed = edgedeploy("results", "list", cwd=tmp_path)
    assert "tiny identity on onnx-cpu" in listed.stdout


def test_with_json_stdout_is_one_document_and_a_failed_run_is_exit_1(tmp_path: Path, fast: Path) -> None:
    wrong = tiny.write_bundle(tmp_path / "wrong", wrong=True)
    done = edgedeploy("bench", fast, wrong, *QUICK, "--launches", "1", "--json", "--out", tmp_path / "else", cwd=tmp_path)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    good, bad = document["runs"]
    assert (good["valid"], bad["valid"]) == (True, False)
    assert Path(good["path"], "run.json").is_file()
    assert good["path"].startswith(str(tmp_path / "else"))
    assert (good["median_ms"]["low"], good["median_ms"]["launches"]) == (None, 1)
    assert "host got at export" in bad["invalid_because"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bench",), "edgedeploy export"),
        (("bench", "gone.onnx"), "gone.onnx"),
        (("bench", "--device", "nowhere", "FAST"), "local"),
        (("bench", "--affinity", "4095", "FAST"), "4095"),
        (("bench", "--affinity", "x", "FAST"), "0,1"),
        (("bench", "--shape", "image", "FAST"), "NAME=1,3,224,224"),
        (("bench", "--shape", "image=1,16", "FAST"), "bare"),
        (("bench", "--resume", "../../etc"), "not the id"),
        (("bench", "--resume", "20260131-120000-abc123"), "no experiment"),
        (("bench", "--resume", "20260131-120000-abc123", "FAST"), "--resume"),
        (("results", "show", "../x"), "not the id"),
        (("results", "show", "nothing"), "results list"),
        (("results", "samples", "nothing"), "results list"),
        (("results", "path", "nothing"), "results list"),
    ],
)
def test_what_the_user_can_fix_is_one_sentence_and_exit_2(
    tmp_path: Path, fast: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = edgedeploy(*(fast if part == "FAST" else part for part in arguments), "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "user"
    assert says in json.loads(done.stdout)["error"]["message"]
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_results_of_a_run_and_of_its_experiment(pair: tuple[Finished, Store], tmp_path: Path) -> None:
    finished, store = pair
    first, second = (record.id for record in finished.records)
    shown = json.loads(edgedeploy("results", "show", finished.id, "--runs", store.root, "--json", cwd=tmp_path).stdout)
    assert [run["id"] for run in shown["runs"]] == [first, second]
    single = json.loads(edgedeploy("results", "show", second, "--out", store.root, "--json", cwd=tmp_path).stdout)
    # compared within its experiment, also when it is shown alone
    assert single["speedup_over_identity"] == shown["runs"][1]["speedup_over_identity"] is not None
    assert single["record"] == finished.records[1].model_dump(mode="json")
    text = edgedeploy("results", "show", second, "--out", store.root, cwd=tmp_path).stdout
    assert "cold load ms" in text
    assert "\x1b" not in text
    listed = json.loads(edgedeploy("results", "list", "--out", store.root, "--json", cwd=tmp_path).stdout)
    assert [run["id"] for run in listed["runs"]] == [first, second]
    path = edgedeploy("results", "path", first, "--out", store.root, cwd=tmp_path).stdout.strip()
    assert Path(path) == store.directory(first)


def test_samples_as_csv_and_as_json_are_the_same(pair: tuple[Finished, Store], tmp_path: Path) -> None:
    finished, store = pair
    run = finished.records[0].id
    csv = edgedeploy("results", "samples", run, "--csv", "--out", store.root, cwd=tmp_path).stdout.splitlines()
    document = json.loads(edgedeploy("results", "samples", run, "--json", "--out", store.root, cwd=tmp_path).stdout)
    assert csv[0].split(",") == document["columns"]
    assert [line.split(",") for line in csv[1:]] == [[str(cell) for cell in sample] for sample in document["samples"]]
    assert len(csv) > 3 * 30


def test_a_record_that_is_broken_does_not_hide_the_others(pair: tuple[Finished, Store], tmp_path: Path) -> None:
    finished, store = pair
    root = tmp_path / "runs"
    for record in finished.records:
        (root / record.id).mkdir(parents=True)
        (root / record.id / "run.json").write_bytes((store.directory(record.id) / "run.json").read_bytes())
    (root / finished.records[0].id / "run.json").write_text("{")
    done = edgedeploy("results", "list", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert [run["id"] for run in json.loads(done.stdout)["runs"]] == [finished.records[1].id]
    assert finished.records[0].id in done.stderr


@pytest.mark.parametrize(
    "arguments", [("bench",), *(("results", name) for name in ("list", "show", "samples", "path")), ("results",)]
)
def test_each_help_has_an_example_and_reads_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    script = (
        "import sys\n"
        "from edgedeploy.cli import main\n"
        "try:\n    main([*sys.argv[1:], '--help'])\n"
        "finally:\n"
        "    heavy = {'numpy', 'pydantic', 'duckdb', 'rich', 'scipy'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout
    assert f"edgedeploy {' '.join(arguments)}" in done.stdout
