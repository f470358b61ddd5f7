"""`results query`: somebody's SQL over the samples and the runs, and nothing else of this host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_runner.results.store import Store
from tests.device_runner.recorded import FIRST, Invoke, invoked
from tests.device_runner.test_compaction import write


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.fixture
def out(store: Store) -> list[str]:
    write(store, f"{FIRST}.00", 10, 20)
    write(store, f"{FIRST}.01", 5)
    return ["--out", str(store.root)]


def test_samples_and_runs_can_be_joined(invoke: Invoke, out: list[str]) -> None:
    wanted = "runs.id, device, threads, valid, sum(elapsed_ns) AS ns"
    sql = f"SELECT {wanted} FROM samples JOIN runs ON run = id GROUP BY ALL ORDER BY 1"  # noqa: S608
    done = invoke("results", "query", sql, *out)
    assert done.stdout.splitlines() == [
        "id,device,threads,valid,ns", f"{FIRST}.00,local,1,True,30", f"{FIRST}.01,local,1,True,5",
    ]  # fmt: skip
    told = json.loads(invoke("results", "query", sql, "--json", *out).stdout)
    assert told["columns"] == ["id", "device", "threads", "valid", "ns"]
    assert told["rows"][1] == [f"{FIRST}.01", "local", 1, True, 5]


def test_an_empty_store_answers(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("results", "query", "SELECT count(*) AS n FROM samples, runs", "--out", str(tmp_path / "none"))
    assert done.stdout == "n\n0\n"


@pytest.mark.parametrize(
    "sql",
    [
        "selec", "", "SELECT 1; SELECT 2", "DROP VIEW samples", "COPY (SELECT 1) TO '{0}/runs/x.csv'", "SET threads = 1",
        "SELECT * FROM read_csv('{0}/secret.csv')", "SELECT * FROM '{0}/secret.csv'", "SELECT * FROM read_text('/etc/passwd')",
        "ATTACH '{0}/x.db'", "INSTALL httpfs", "SELECT * FROM glob('{0}/*')", "SELECT * FROM nothing", "SELECT getenv('HOME')",
    ],
)  # fmt: skip
def test_what_is_none_of_its_business_is_refused(sql: str, invoke: Invoke, out: list[str], tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    invoke("results", "list", *out)
    before = sorted(tmp_path.rglob("*"))
    done = invoke("results", "query", sql.format(tmp_path), *out)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_names_of_others_are_shown_and_not_obeyed(invoke: Invoke, out: list[str]) -> None:
    done = invoke("results", "query", "SELECT chr(27) || '[31mred' AS x", *out)
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mred" in done.stdout
