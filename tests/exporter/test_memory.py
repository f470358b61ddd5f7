"""Exports side by side stay within the memory they are given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import memory
from tests.exporter.test_export_again import folder, run

__all__ = ["folder"]
HOLDS = "x = bytearray(300_000_000); x[::4096] = b'1' * len(x[::4096]); print('there', flush=True); input()"


def test_what_a_session_holds_is_all_of_its_processes() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = memory.held_gb([process.pid, 2**22 + 1])
        process.communicate("\n")
    assert 0.3 < held[process.pid] < 1
    assert held[2**22 + 1] == 0
    assert memory.held_gb([process.pid])[process.pid] == 0


def test_what_was_seen_is_kept_and_what_is_damaged_is_forgotten(tmp_path: Path) -> None:
    seen = memory.Seen(tmp_path / "memory.json")
    key, other = (memory.Seen.key("film", "onnx", operators) for operators in ("sptq", "qat"))
    assert seen.expected_gb(key) == memory.UNKNOWN_GB
    seen.note(key, 2.0)
    again = memory.Seen(seen.path)
    assert again.expected_gb(key) == pytest.approx(2.2)
    assert again.expected_gb(other) == memory.UNKNOWN_GB
    for content in ("", "[1]", '{"a": "b"}', json.dumps({key: -3}), json.dumps({key: True}), json.dumps({key: 1e9})):
        seen.path.write_text(content)
        assert memory.Seen(seen.path).expected_gb(key) == memory.UNKNOWN_GB


def test_a_limit_of_the_control_group_counts(tmp_path: Path) -> None:
    group = Path("/proc/self/cgroup").read_text().partition("::")[2].splitlines()[0].lstrip("/")
    inner = tmp_path / group
    inner.mkdir(parents=True, exist_ok=True)
    assert memory._of_the_cgroup(tmp_path) is None
    for name, content in (("max", "3000000000"), ("current", "2000000000"), ("stat", "anon 5\ninactive_file 500000000")):
        (inner / f"memory.{name}").write_text(content)
    assert memory._of_the_cgroup(tmp_path) == pytest.approx(1.5)
    (inner / "memory.max").write_text("max")
    assert memory._of_the_cgroup(tmp_path) is None


def test_exports_that_come_to_hold_too_much_are_stopped_and_done_after_each_other(folder: Path, tmp_path: Path) -> None:
    # as if they had been seen to need little, so that both are begun
    keys = [memory.Seen.key("again.pt2", runtime, "sptq") for runtime in ("onnx", "tflite")]
    (tmp_path / "memory.json").write_text(json.dumps(dict.fromkeys(keys, 0.2)))
    asked = ("-j", "2", "--memory-gb", "1", "--out", str(tmp_path / "out"))
    done = run(folder, *asked, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "GB: more than 1 GB together" in done.stderr
    assert {row["state"] for row in json.loads(done.stdout)["bundles"]} <= {"written", "kept"}
    # now it is known what they take, and none is begun to be stopped
    peaks = memory.Seen(tmp_path / "memory.json").peaks
    assert sum(peaks[key] for key in keys) * memory.MARGIN > 1
    again = run(folder, *asked, "--force", cache=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "more than 1 GB together" not in again.stderr
