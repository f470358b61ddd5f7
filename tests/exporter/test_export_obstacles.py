"""What stands where a bundle would go, and an export that is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgedeploy import isa
from exporter import runtimes
from exporter.export import export
from exporter.options import Options
from exporter.parallel import Job, _spread
from tests.exporter import tiny

ROOT = Path(__file__).parents[2]
OPTIONS = Options(isa.host_target(), 8, ("minmax",))


@pytest.mark.parametrize(("there", "says"), [("a file", "is a file"), ("an empty directory", "--force replaces it")])
def test_only_the_export_that_something_is_in_the_way_of_fails(tmp_path: Path, there: str, says: str) -> None:
    place = tmp_path / "tiny/partition/onnx-cpu"
    place.parent.mkdir(parents=True)
    if there == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
    identity, failed = export([tiny.subject], ["partition"], [runtimes.get("onnx")], tmp_path, OPTIONS)
    assert identity.error is None
    assert says in str(failed.error)
    assert failed.error is not None
    assert failed.error.exit_code == 2
    assert place.is_file() == (there == "a file")


def test_sigterm_ends_an_export_as_ctrl_c_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgedeploy", "export", "--op", "sptq", "--runtime", "onnx", "--json",
               "--subject", str(ROOT / "examples/my_model.py:subject"), "--out", str(tmp_path / "out")]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # as soon as there is something to clean up
    end = time.monotonic() + 120
    while not any((tmp_path / "scratch").glob("edgedeploy-*")) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not list((tmp_path / "scratch").glob("edgedeploy-*"))


def test_exports_of_different_subjects_begin_first() -> None:
    jobs = [Job(subject, runtime, ()) for subject in "ab" for runtime in "xyz"]
    assert [job.subject + job.runtime for job in _spread(jobs)] == ["ax", "bx", "ay", "by", "az", "bz"]
