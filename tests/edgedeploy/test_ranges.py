"""Numbers on the command line: finite, and no more than the runner would take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgedeploy import limits
from tests.edgedeploy.test_cli import run

PLAN_CPP = Path(__file__).resolve().parents[2] / "device_runner/native/src/plan.cpp"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["bench", option, value] for option in ("--min-ms", "--warmup-ms", "--max-seconds") for value in ("nan", "inf")),
        ["bench", "--max-seconds", "1e9"],
        ["bench", "--max-memory-mb", "100000000"],
        ["bench", "--warmup-ms", "1e12"],
        ["bench", "--min-ms", "1e12"],
        ["bench", "--threads", "257"],
        ["verify", "b", "--max-seconds", "nan"],
        ["verify", "b", "--max-seconds", "inf"],
        ["verify", "b", "--max-seconds", "1e9"],
        ["export", "-j", "2", "--memory-gb", "nan"],
        ["export", "--memory-gb", "inf"],
        ["export", "--max-drop", "nan"],
        ["export", "--op", "partition", "--pair", "nan", "nan", "nan", "nan"],
        ["export", "--op", "partition", "--pair", "1", "1", "1e-300", "0"],
        ["export", "--op", "partition", "--pair", "1", "1", "1", "inf"],
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert next(word for word in arguments if word.startswith("--") and word != "--op") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_limits_are_the_runners() -> None:
    source = PLAN_CPP.read_text()

    def number(pattern: str) -> str:
        found = re.search(pattern, source)
        assert found, pattern
        return found[1]

    assert float(number(r'"max_seconds", [\d.]+, (\d+),')) == limits.MAX_SECONDS
    assert number(r'"max_memory_mb", (1u << \d+),') == f"1u << {limits.MAX_MEMORY_MB.bit_length() - 1}"
    assert float(number(r'"min_ms", (\d+),')) == limits.MAX_PHASE_MS
    assert int(number(r'"threads", 1, (\d+),')) == limits.MAX_THREADS
