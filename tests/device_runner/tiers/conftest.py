"""Devices in pairs: this host in both roles, sshds as boards, an adbd as a phone, and a cable that can be pulled."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner.inventory import Device
from device_runner.results.store import Store
from device_runner.tiers import benching
from device_runner.tiers.pair import Pair, paired
from device_runner.tiers.shape import Shape
from device_runner.transports.base import Target
from edgedeploy.progress import StatusLine
from edgedeploy.record import Plan, RunRecord
from tests.bench_hosts import fault_proxy, sshd
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.conftest import BRIEF
from tests.device_runner.tiers import chains

LOCAL = Device("local", Target("local"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chains.write_bundle(tmp_path_factory.mktemp("chains") / "whole", [64, 32, 16, 8])


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same chain in two stages: 16 floats cross."""
    return chains.write_bundle(tmp_path_factory.mktemp("chains") / "cut", [64, 32, 16, 8], 2)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Sshd]:
    with sshd.running(tmp_path / "board") as server:
        yield server


@pytest.fixture
def cable(board: Sshd) -> Iterator[FaultProxy]:
    """Between this host and the board."""
    with fault_proxy.between(board.port) as proxy:
        board.know(proxy.port)
        yield proxy


def over(near: Device, far: Device, shape: Shape | None = None, direct: str | None = None) -> Pair:
    return paired({"mobile": near, "edge": far}, shape=shape, direct=direct)


Bench = Callable[..., list[RunRecord]]


@pytest.fixture
def run_over(store: Store) -> Bench:
    """`run_over(pair, path, path, how=...)`: the records."""

    def run(pair: Pair, *paths: Path, how: Plan = BRIEF, accuracy: bool = False) -> list[RunRecord]:
        plans = benching.Plans(how, how.model_copy(update={"threads": 1}))
        quiet = StatusLine(io.StringIO())
        return benching.bench(paths, pair, plans, store, 0, {}, quiet, lambda identifier: None, accuracy).records

    return run
