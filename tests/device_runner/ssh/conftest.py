"""An sshd as a board, a cable to it that can fail, and what the tests of the SSH transport look at them with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline
from device_runner.transports.base import Transport
from tests.bench_hosts import fault_proxy, sshd
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd

SOON = 60.0


def soon() -> Deadline:
    return Deadline.after(SOON)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Sshd]:
    with sshd.running(tmp_path / "board") as server:
        yield server


@pytest.fixture
def device(board: Sshd) -> Iterator[Transport]:
    transport = transports.connect(board.target())
    yield transport
    transport.close()


@pytest.fixture
def cable(board: Sshd) -> Iterator[FaultProxy]:
    with fault_proxy.between(board.port) as proxy:
        board.know(proxy.port)
        yield proxy


@pytest.fixture
def over_cable(board: Sshd, cable: FaultProxy) -> Iterator[Transport]:
    transport = transports.connect(board.target(cable.port))
    yield transport
    transport.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of 3 MiB that does not compress."""
    file = tmp_path / "source"
    file.write_bytes(os.urandom(3 * 2**20))
    return file


def below(device: Transport) -> list[str]:
    """Every file in the work directory."""
    root = Path(device.path("x")).parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def command_lines(text: str) -> list[int]:
    """The processes with `text` among their arguments, zombies not among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + SOON
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()
