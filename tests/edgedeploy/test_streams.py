"""stdout that cannot be written to, and streams that are closed: a sentence and exit 1, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[[], Path]


def shell(line: str, bundle: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", line.replace("edgedeploy", f'"{sys.executable}" -m edgedeploy').replace("BUNDLE", f'"{bundle}"')]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("edgedeploy show BUNDLE --json > /dev/full", "No space left on device"),
        ("edgedeploy show BUNDLE > /dev/full", "No space left on device"),
        ("edgedeploy --help > /dev/full", "No space left on device"),
        ("edgedeploy bench --help > /dev/full", "No space left on device"),
        ("edgedeploy show nowhere --json > /dev/full", "No space left on device"),
        ("edgedeploy completion bash > /dev/full", "No space left on device"),
        ("edgedeploy results list >&-", "stdout is closed"),
        ("edgedeploy show BUNDLE >&-", "stdout is closed"),
    ],
)
def test_stdout_that_takes_nothing(make_bundle: Make, tmp_path: Path, line: str, said: str) -> None:
    done = shell(line, make_bundle(), tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_closed_stderr_is_no_reason_to_fail(make_bundle: Make, tmp_path: Path) -> None:
    done = shell("edgedeploy show BUNDLE 2>&-", make_bundle(), tmp_path)
    assert done.returncode == 0
    assert "identity" in done.stdout
    assert shell("edgedeploy show nowhere 2>&-", tmp_path, tmp_path).returncode == 2
