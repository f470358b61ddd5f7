"""Manifests with text and numbers that are meant to be printed: nothing reaches the terminal, nothing ends in a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedeploy import bundle, terminal
from edgedeploy.bundle import BundleError
from tests import sealing
from tests.edgedeploy.test_cli import run

Make = Callable[[], Path]
HOSTILE = "\x1b[31mred\x07\u202e"


@pytest.mark.parametrize("command", ["show", "verify", "bench"])
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_key_with_escape_codes(make_bundle: Make, tmp_path: Path, command: str, arguments: tuple[str, ...]) -> None:
    path = make_bundle()
    sealing.edit(path, lambda document: document.update({HOSTILE: 1}))
    done = run(command, path, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "\\x1b[31mred\\x07\\u202e" in done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)


def test_lines_stay_lines() -> None:
    assert terminal.clean_lines("one\ntwo\x1b\rthree") == "one\ntwo\\x1b\\rthree"


BIG = 10**400


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["stages"][0].update(bytes=BIG),
        lambda d: d["files"]["eval/labels.npz"].update(bytes=BIG),
        lambda d: d.update(macs=BIG, parameters=1),
        lambda d: d.update(macs=1, parameters=BIG),
        lambda d: d["stages"][0].update(
            coverage={"method": "", "macs": 1, "fast_share": 1, "int8_share": 0, "off_backend": {"Conv": BIG}}
        ),
        lambda d: d.update(accuracy={"metric": "top1", "value": 1, "low": 1, "high": 1, "n": BIG}),
        lambda d: d.update(conformance={"atol": 1e308, "rtol": 0, "runtime_version": "", "isa": ""}),
        lambda d: d.update(conformance={"atol": 0, "rtol": 1e308, "runtime_version": "", "isa": ""}),
        lambda d: d["stages"][0]["inputs"][0].update(adapters=[{"op": "dequantize", "scale": 1, "zero_point": BIG}]),
    ],
)
def test_numbers_past_all_reason_are_refused(make_bundle: Make, change: Callable[[Any], object]) -> None:
    path = make_bundle()
    sealing.edit(path, change)
    with pytest.raises(BundleError):
        bundle.read(path)
