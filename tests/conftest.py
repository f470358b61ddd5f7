"""What several parts of the tests stand on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# as the exporter does, for the tests that import ONNX Runtime themselves
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# what is tested is made, not taken from what an earlier test had made
os.environ["EDGEDEPLOY_CONVERSIONS_GB"] = "0"

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.export import Outcome


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Locks, journals and devices of the tests' own: a bench of whoever runs them is none of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_STATE", str(tmp_path_factory.mktemp("state")))
        patch.delenv("EDGEDEPLOY_DEVICES", raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    """identity, distilled, sptq and dsptq of the tiny subject on all three runtimes: where, and what was said of each."""
    from edgedeploy import isa
    from exporter import runtimes
    from exporter.export import export
    from exporter.options import Options
    from tests.exporter import tiny

    out = tmp_path_factory.mktemp("artifacts")
    every = [runtimes.get(name) for name in runtimes.names()]
    options = Options(target=isa.host_target(), calibration_samples=32)
    outcomes = export([tiny.subject], ["sptq"], every, out, options)
    # one calibration method is enough where choosing one is not what is looked at
    once = Options(target=isa.host_target(), calibration_samples=32, methods=("minmax",))
    more = export([tiny.subject], ["distilled", "dsptq"], every, out, once)
    return out, outcomes + [outcome for outcome in more if outcome.operator != "identity"]
