"""Scripts called without an activated environment: they go on in .venv, and what is missing is a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: those that import the project
SCRIPTS = (
    "bench_again", "bench_app", "bench_cluster", "bench_distillation", "bench_export", "bench_lab", "bench_matrix",
    "bench_repeatability", "bench_runner", "bench_tiers", "bench_until",
    "build_apk", "build_runner", "build_wheel", "check_aarch64",
    "fuzz", "train_weights", "write_offers", "write_schemas",
)  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_goes_on_in_the_environment(tmp_path: Path, name: str) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "there: $@"\n')
    python.chmod(0o755)
    # -S and -I: without any package, as a system's Python is
    command = [sys.executable, "-S", "-I", str(tmp_path / "scripts" / name), "--flag", "value"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"there: {tmp_path / 'scripts' / name} --flag value\n", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench_runner", "nowhere"),
        ("check_aarch64", "nowhere"),
        ("fuzz", "nowhere"),
        ("bench_matrix", "nowhere"),
        ("bench_tiers", "nowhere"),
    ],
)
def test_a_missing_bundle_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    name, *rest = arguments
    command = [sys.executable, str(ROOT / "scripts" / name), *rest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
