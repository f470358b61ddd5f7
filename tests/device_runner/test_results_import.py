"""`edgedeploy results import`: a study of somebody else's, compared and recommended from; and files that mean harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.device_runner.recorded import FIRST, STEADY, Invoke, invoked, keep, record

STUDY = "Model,Op,Round,Seconds,Acc\n" + "".join(
    f"wrn,{operator},{launch},{base + 0.001 * launch + 0.0001 * sample},{accuracy}\n"
    for operator, base, accuracy in (("identity", 5.6, 82.5), ("dsptq", 2.1, 81.2), ("qat", 7.4, 81.4))
    for launch in range(5)
    for sample in range(3)
)
MAPPED = [
    *("--map", "Model=subject", "--map", "Op=operator", "--map", "Round=launch", "--map", "Seconds=latency_s"),
    *("--map", "Acc=accuracy_percent", "--set", "examples=50000", "--set", "tier=edge"),
]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.fixture
def taken(tmp_path: Path, invoke: Invoke) -> tuple[Path, dict[str, Any]]:
    """The study in a store, and what the import said."""
    (tmp_path / "study.csv").write_text(STUDY)
    done = invoke("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(tmp_path / "runs"), "--json")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs", json.loads(done.stdout)


def test_a_study_is_compared_and_recommended_from(taken: tuple[Path, dict[str, Any]], invoke: Invoke) -> None:
    runs, said = taken
    assert [run["launches"] for run in said["runs"]] == [5, 5, 5]
    ids = [run["id"] for run in said["runs"]]
    two = json.loads(invoke("compare", *ids[:2], "--out", str(runs), "--json").stdout)
    assert (two["verdict"], two["paired"]) == ("faster", False)
    assert two["ratio"]["estimate"] == pytest.approx(2.1 / 5.6, rel=0.01)
    three = json.loads(invoke("compare", said["experiment"], "--out", str(runs), "--json").stdout)
    assert all(pair["shown"] for pair in three["pairs"])
    best = invoke("recommend", said["experiment"], "--tier", "edge", "--max-latency", "3s", "--out", str(runs), "--json")
    choice = json.loads(best.stdout)["choice"]
    assert (choice["operator"], choice["accuracy"]["n"]) == ("dsptq", 50_000)
    shown = json.loads(invoke("results", "show", ids[0], "--out", str(runs), "--json").stdout)["record"]
    assert (shown["artifact"]["kind"], shown["software"]["imported_from"]) == ("imported", "study.csv")


def test_every_sample_is_kept(taken: tuple[Path, dict[str, Any]], invoke: Invoke) -> None:
    runs, said = taken
    kept = json.loads(invoke("results", "samples", said["runs"][0]["id"], "--out", str(runs), "--json").stdout)["samples"]
    assert [sample[5] for sample in kept][:4] == [5_600_000_000, 5_600_100_000, 5_600_200_000, 5_601_000_000]
    assert len(kept) == 15


def test_imported_and_measured_runs_are_not_mixed_unless_told(taken: tuple[Path, dict[str, Any]], invoke: Invoke) -> None:
    runs, said = taken
    keep(runs, record(f"{FIRST}.00", STEADY))
    (runs / "experiments" / f"{FIRST}.json").write_text(json.dumps({"artifacts": [{"run": f"{FIRST}.00"}]}))
    done = invoke("compare", said["runs"][0]["id"], f"{FIRST}.00", "--out", str(runs))
    assert done.returncode == 2
    assert "origin (" in done.stderr
    assert invoke("compare", said["runs"][0]["id"], f"{FIRST}.00", "--out", str(runs), "--despite", "all").returncode == 0
    # nor is the newest experiment ever an imported one
    best = invoke("recommend", "--out", str(runs), "--json")
    assert json.loads(best.stdout)["choice"]["run"] == f"{FIRST}.00"


def test_a_file_that_is_not_there_is_said_before_the_mapping_is_asked_for(tmp_path: Path, invoke: Invoke) -> None:
    done = invoke("results", "import", str(tmp_path / "nothing.csv"), "--out", str(tmp_path / "runs"))
    assert (done.returncode, "nothing.csv' does not exist" in done.stderr) == (2, True), done.stderr


def test_the_same_file_is_imported_once(taken: tuple[Path, dict[str, Any]], tmp_path: Path, invoke: Invoke) -> None:
    done = invoke("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(taken[0]))
    assert (done.returncode, "imported already" in done.stderr) == (2, True)


def test_an_import_that_was_killed_is_done_again_whole(
    taken: tuple[Path, dict[str, Any]], tmp_path: Path, invoke: Invoke
) -> None:
    runs, said = taken
    last = runs / said["runs"][2]["id"]
    (last / "run.json").unlink()
    (last / "samples.jsonl").write_text('{"launch":0,"phase":"steady"')
    assert invoke("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(runs)).returncode == 0
    kept = json.loads(invoke("results", "samples", last.name, "--out", str(runs), "--json").stdout)["samples"]
    assert len(kept) == 15


HEAD = "Model,Op,Round,Seconds,Acc\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the first line"),
        (HEAD.encode(), "no rows"),
        (b"Model,Model\n", "each once"),
        (f"{HEAD}a,b,0,fast,1\n".encode(), "line 2: latency_s 'fast'"),
        (f"{HEAD}a,b,0,nan,1\n".encode(), "not a number"),
        (f"{HEAD}a,b,0,-1,1\n".encode(), "not a time"),
        (f"{HEAD}a,b,0,1e300,1\n".encode(), "not a time"),
        (f"{HEAD}a,b,0,1,101\n".encode(), "out of range"),
        (f"{HEAD}a,b,0,1,1\na,b,0,1,2\n".encode(), "another accuracy"),
        (f"{HEAD}a,b,0,1\n".encode(), "4 cells"),
        (f"{HEAD},b,0,1,1\n".encode(), "no subject"),
        (f"{HEAD}{'a' * 201},b,0,1,1\n".encode(), "over 200 characters"),
        (f'{HEAD}"a'.encode(), "line 2"),
        (b"Other\n1\n", "no column"),
        (b"\xff\xfe", "not UTF-8"),
        ((HEAD + "".join(f"a,b,{at},1,1\n" for at in range(1001))).encode(), "over 1000 launches"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_a_sentence(content: bytes, said: str, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "study.csv").write_bytes(content)
    done = invoke("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(tmp_path / "runs"))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which column is subject"),
        (("--map", "a=b"), "FIELD one of"),
        (("--map", "subject"), "COLUMN=FIELD"),
        (("--map", "a=subject", "--map", "b=subject"), "given twice"),
        (("--map", "a=subject", "--set", "subject=x"), "by --map and by --set"),
        (("--set", "subject=x", "--set", "operator=y"), "the latency"),
        (("--set", "subject=x", "--set", "operator=y", "--map", "a=latency_s", "--map", "b=accuracy"), "examples=N"),
    ],
)
def test_a_mapping_that_says_too_little_or_too_much(
    arguments: tuple[str, ...], said: str, tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "study.csv").write_text(STUDY)
    done = invoke("results", "import", str(tmp_path / "study.csv"), *arguments, "--out", str(tmp_path / "runs"))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_hostile_strings_are_shown_not_obeyed(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "study.csv").write_text(f"{HEAD}\x1b[2J../../etc,=cmd|' /C calc'!A0,0,1,1\n")
    arguments = ("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(tmp_path / "runs"))
    done = invoke(*arguments)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "study.csv"]


def test_a_link_is_not_followed(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "study.csv").symlink_to("/dev/zero")
    done = invoke("results", "import", str(tmp_path / "study.csv"), *MAPPED, "--out", str(tmp_path / "runs"))
    assert done.returncode == 2
