"""The command line as a person or a script meets it: exit codes, one JSON document, sentences instead of tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.cli import COMMANDS

Make = Callable[[], Path]


def run(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgedeploy", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom edgedeploy.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'pydantic', 'torch', 'scipy', 'duckdb', 'rich', 'onnx'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout
    assert f"edgedeploy {name}" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "nonsense"),
        (["export", "--op", "magic"], "magic"),
        (["export", "--op", ""], "--op"),
        (["export", "--op", "identity+sptq"], "identity"),
        (["export", "--runtime", "caffe"], "caffe"),
        (["export", "--subject", "nobody"], "nobody"),
        (["export", "--subject", "missing.py:subject"], "missing.py"),
        (["export", "--target", "sparc"], "sparc"),
        (["export", "--calibration", "guess"], "guess"),
        (["export", "--calibration-samples", "0"], "calibration-samples"),
        (["show", "nowhere"], "nowhere"),
        (["verify", "nowhere"], "nowhere"),
        (["verify"], "BUNDLE"),
        (["bench", "nowhere"], "nowhere"),
        (["bench", "--device", "pixel99"], "pixel99"),
        (["bench"], "edgedeploy export"),
        (["results", "show", "nothing"], "nothing"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_2(args: list[str], said: str, tmp_path: Path) -> None:
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_json_errors_are_one_document(tmp_path: Path) -> None:
    done = run("show", "nowhere", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "user"


def test_show(make_bundle: Make) -> None:
    path = make_bundle()
    done = run("show", path)
    assert done.returncode == 0
    assert "identity" in done.stdout
    assert "holds: parity" in done.stdout
    document = json.loads(run("show", path, "--json").stdout)
    assert document["manifest"]["subject"] == "tiny"


def test_show_defuses_escape_codes(tmp_path: Path) -> None:
    from tests.edgedeploy.conftest import write_bundle

    write_bundle(tmp_path / "b", claim="\x1b[2Jgone \u202e reversed")
    done = run("show", tmp_path / "b")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "\\x1b[2Jgone" in done.stdout


def test_verify_without_running(make_bundle: Make) -> None:
    path = make_bundle()
    assert run("verify", "--no-run", path).returncode == 0
    (path / "model.onnx").write_bytes(b"not a modeL")
    done = run("verify", "--no-run", "--json", path)
    assert done.returncode == 2
    report = json.loads(done.stdout)["bundles"][0]
    assert not report["ok"]
    assert "model.onnx" in report["error"]


def test_a_closed_pipe_is_quiet(make_bundle: Make) -> None:
    path = make_bundle()
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m edgedeploy show "{path}" --json | true'],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_completion() -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert done.returncode == 0
        assert "_EDGEDEPLOY_COMPLETE" in done.stdout
        document = json.loads(run("completion", shell, "--json").stdout)
        assert document == {"shell": shell, "script": done.stdout[:-1]}
