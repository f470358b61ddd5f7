"""The commands of docs/tiers.md as they stand there: tiers that are shares of this host, and a link that is shaped."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from device_runner.results.store import Store
from tests.device_runner.test_commands import edgedeploy
from tests.device_runner.tiers import chains

ROOT = Path(__file__).resolve().parents[3]
WIDTHS = (64, 4000, 20, 1000, 5)
SHORT = ("--launches", "1", "--min-count", "30", "--min-ms", "5", "--warmup-ms", "0")
CUTS = {"quarter": 1, "half": 2, "three-quarters": 3}
DEVICES = """
devices:
  pixel7: {transport: local, settings: {cpus: 0.5, memory_mb: 1500}}
  rpi5: {transport: local, settings: {cpus: 1, memory_mb: 3000}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Devices of the names in the docs, and a chain cut in three places, wide, narrow and in between, where they say."""
    root = tmp_path_factory.mktemp("advise")
    (root / "devices.yaml").write_text(DEVICES)
    for name, cut in CUTS.items():
        chains.write_bundle(root / "artifacts" / name, WIDTHS, cut)
    chains.write_bundle(root / "film-minilm/partition/onnx-cpu", WIDTHS, 2)
    return root


def documented(command: str) -> list[list[str]]:
    """The arguments of each `edgedeploy` line of the docs that begins with this command."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/tiers.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    found = [line[1:] for line in lines if line[:1] == ["edgedeploy"] and " ".join(line[1:]).startswith(command)]
    assert found, command
    return found


@pytest.mark.parametrize("arguments", documented("bench"), ids=" ".join)
def test_a_bench_over_two_tiers(place: Path, arguments: list[str]) -> None:
    where = [argument.replace("artifacts/film-minilm", "film-minilm") for argument in arguments]
    done = edgedeploy(*where, *SHORT, "--out", "tiers", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    record = Store(place / "tiers").read(Path(run["path"]).name)
    preset = "--preset" in arguments
    assert [device.tier for device in record.devices] == ["mobile", "edge"]
    assert [device.name for device in record.devices] == (["study-mobile", "study-edge"] if preset else ["pixel7", "rpi5"])
    assert [device.facts["share"].get("stands_for", "")[:9] for device in record.devices] == (
        ["the study"] * 2 if preset else [""] * 2
    )
    assert [device.facts["share"]["cpus"] > 0 for device in record.devices] == [True, True]
    assert record.split == 1
    assert record.path is not None
    assert record.path.shaped == ("200mbit by a delay line on this host" if preset else "")


def test_advice_predicts_every_cut_measures_three_and_says_whether_that_was_right(place: Path) -> None:
    (arguments,) = documented("partition advise")
    assert arguments[-2:] == ["--measure", "3"]
    done = edgedeploy(*arguments, "--link", "8mbit,1ms", *SHORT, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    cuts = [each["candidate"].rpartition(" ")[2] for each in document["candidates"]]
    # 16 kB take 16 ms at 8 Mbit/s, 4 kB 4 ms, 80 bytes nothing: no noise of this host reverses that
    assert cuts == ["t2", "t3", "t1"]
    for each in document["candidates"]:
        parts = [each[f"{part}_ms"] for part in ("near", "there", "far", "back")]
        assert sum(parts) == pytest.approx(each["total_ms"])
        assert min(parts) > 0
        # there and back take 2 ms at least
        assert each["measured_ms"] > 2
        record = Store(place / "runs").read(each["measured_run"])
        assert record.median_ms is not None
        assert each["measured_ms"] == record.median_ms.estimate
    assert document["link"]["rtt_ms"] > 2
    assert 0 < document["link"]["up_mbit_s"] < 9
    best = document["candidates"][0]["candidate"]
    assert (document["verdict"]["predicted_best"], document["verdict"]["measured_best"]) == (best, best)
    assert document["verdict"]["holds"] is True


def test_asked_again_it_measures_no_stage_anew_and_predicts_for_a_link_that_is_not_there(place: Path) -> None:
    # after the test above, or first: then the stages are measured now
    arguments = ("artifacts", "--tiers", "mobile=pixel7,edge=rpi5", *SHORT)
    edgedeploy("partition", "advise", *arguments, "--assume-link", "1gbit", "--json", cwd=place)
    before = sorted(path.name for path in (place / "runs").glob("*/run.json"))
    done = edgedeploy("partition", "advise", *arguments, "--assume-link", "8mbit,1ms", cwd=place)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (place / "runs").glob("*/run.json")) == before
    assert "cut after t2" in done.stdout.splitlines()[2]
    assert "assumed: 8mbit,1ms" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("artifacts",), "--preset study"),
        (("artifacts", "--preset", "study", "--assume-link", "fast"), "200mbit,2ms"),
        (("artifacts", "--preset", "study", "--assume-link", "1ms", "--measure", "3"), "--assume-link measures no link"),
        (("nowhere", "--preset", "study"), "no such bundle"),
        (("artifacts", "--preset", "study", "--direct", "here"), "numeric address"),
    ],
)
def test_what_cannot_be_is_a_sentence(place: Path, arguments: tuple[str, ...], why: str) -> None:
    done = edgedeploy("partition", "advise", *arguments, cwd=place)
    assert done.returncode == 2, done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr
