"""plan.yaml: errors that say which line to mend, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_runner.lab import plan_file
from device_runner.lab.expanding import expand
from edgedeploy.errors import UserError

GOOD = """
name: night
experiments:
  - artifacts: [one]
    devices: [local]
"""
DEVICES = """
devices:
  p1: {transport: ssh, address: "p1", labels: [lab-3], tier: mobile}
  p2: {transport: ssh, address: "p2", labels: [lab-3], tier: mobile}
  r1: {transport: ssh, address: "r1", tier: edge, threads: 2}
"""


def written(directory: Path, text: str) -> Path:
    file = directory / "plan.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 0, "name: is missing"),
        ("- a", 0, "begins with `name:`"),
        ("name: [", 0, "not YAML"),
        ("name: n\nexperiments: []", 2, "at least 1"),
        (GOOD.replace("night", "a/b"), 2, "letters, digits"),
        (GOOD.replace("    devices", "    device"), 4, "devices: is missing"),
        (GOOD + "    speed: 3", 6, "there is no such key; the keys are artifacts"),
        (GOOD + "    plan: {mode: fast}", 6, "quick"),
        (GOOD + "    plan: {launches: 0}", 6, "greater than or equal to 1"),
        (GOOD + "    plan: {launches: '5'}", 6, "valid integer"),
        (GOOD + "    plan: {lunches: 5}", 6, "the keys are mode"),
        (GOOD + "    plan: {streams: 2}", 6, "--streams is for --mode throughput"),
        (GOOD + "    plan: {mode: mlperf, min_count: 3}", 6, "demands"),
        (GOOD + "    plan: {limits: {max_temp: 3}}", 6, "the keys are max_temperature_c"),
        (GOOD + "    run_on: all", 6, "each"),
        (GOOD + "    on: any", 4, "YAML takes on"),
        (GOOD + "    devices: [x]", 6, "'devices' is there twice"),
        (GOOD.replace("[local]", "local"), 5, "give a list"),
        (GOOD + "priority: 5000", 6, "less than or equal to 1000"),
        (GOOD.replace("[local]", "&a [local]") + "    x: *a", 6, "aliases"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        plan_file.read(file)
    message = str(caught.value)
    assert said in message
    assert message.startswith(f"{file}:{line}: " if line else str(file))


def test_a_plan_of_megabytes_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a plan is smaller"):
        plan_file.read(written(tmp_path, GOOD + "#" * plan_file.MAX_BYTES))


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    file = tmp_path / "devices.yaml"
    file.write_text(DEVICES)
    return file


def expanded(tmp_path: Path, devices: Path, entry: str, top: str = "") -> list[tuple[str, tuple[str, ...], int]]:
    file = written(tmp_path, f"name: night\n{top}\nexperiments:\n  - {{{entry}}}\n")
    return [
        (job.label, job.pool, len(job.artifacts)) for job in expand(plan_file.read(file), tmp_path, devices)
    ]  # fmt: skip


@pytest.fixture
def models(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name in ("a", "b"):
        (tmp_path / "m" / f"{name}.onnx").write_bytes(name.encode())


@pytest.mark.usefixtures("models")
def test_each_device_has_the_experiment_or_any_of_them(tmp_path: Path, devices: Path) -> None:
    entry = "artifacts: ['m/*.onnx'], devices: ['label:lab-3', r1]"
    jobs = expanded(tmp_path, devices, entry)
    assert sorted(pool for _, pool, _ in jobs) == [("p1",), ("p2",), ("r1",)]
    assert {count for _, _, count in jobs} == {2}
    ((_, pool, count),) = expanded(tmp_path, devices, entry + ", run_on: any")
    assert (pool, count) == (("p1", "p2", "r1"), 2)
    assert len(expanded(tmp_path, devices, entry + ", run_on: any, repeats: 3, interleave: false")) == 6
    assert {pool for _, pool, _ in expanded(tmp_path, devices, "artifacts: [m/a.onnx], devices: ['tier:mobile', 'p*']")} == {
        ("p1",), ("p2",),
    }  # fmt: skip


@pytest.mark.usefixtures("models")
def test_the_same_work_has_the_same_key_and_other_work_another(tmp_path: Path, devices: Path) -> None:
    def keys(text: str) -> list[str]:
        return [job.key for job in expand(plan_file.read(written(tmp_path, text)), tmp_path, devices)]

    text = "name: night\nexperiments:\n  - {artifacts: [m/a.onnx], devices: [r1]}\n"
    assert keys(text) == keys(text.replace("night", "day").replace("[r1]", "['tier:edge']"))
    assert keys(text) == keys(text + "  - {artifacts: [./m/a.onnx], devices: [r1]}\n")
    before = keys(text)
    (tmp_path / "m" / "a.onnx").write_bytes(b"another")
    assert keys(text) != before
    assert keys(text) != keys(text.replace("[r1]", "[r1], plan: {launches: 7}"))


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("artifacts: [nothing.onnx], devices: [r1]", "nothing.onnx: no such bundle"),
        ("artifacts: ['*.pte'], devices: [r1]", "matches nothing"),
        ("artifacts: [m/a.onnx], devices: ['label:none']", "there is lab-3"),
        ("artifacts: [m/a.onnx], devices: ['tier:cloud']", "there is edge, mobile"),
        ("artifacts: [m/a.onnx], devices: [pixel99]", "pixel99"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(tmp_path: Path, devices: Path, entry: str, said: str) -> None:
    with pytest.raises(UserError, match=r"experiments\.0") as caught:
        expanded(tmp_path, devices, entry)
    assert said in str(caught.value)


@pytest.mark.usefixtures("models")
def test_runs_are_kept_in_a_directory(tmp_path: Path, devices: Path) -> None:
    plan = plan_file.read(written(tmp_path, GOOD + "out: s3://bucket/runs\n"))
    for out in (None, Path("s3://bucket/other")):
        with pytest.raises(UserError, match="results push uploads"):
            expand(plan, tmp_path, devices, out)
