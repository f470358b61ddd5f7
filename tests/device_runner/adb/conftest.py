"""A phone with Debian's real adbd, reached through a cable of ours, both ways: through a real adb server and by the library."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline
from device_runner.transports.adb.transport import AdbTransport
from device_runner.transports.base import Target
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.bench_hosts.adbd import adb_server as running_server
from tests.bench_hosts.adbd import phone as running_phone
from tests.bench_hosts.fault_proxy import FaultProxy, between

_NUMBERS = itertools.count()


def serial_of(cable: FaultProxy) -> str:
    """What the phone behind it is called by ADB."""
    return f"127.0.0.1:{cable.port}"


def pull_out(cable: FaultProxy) -> None:
    """Until `plug_in`: what is open is reset, what comes is hung up on."""
    cable.refuse()
    cable.cut()


def plug_in(cable: FaultProxy) -> None:
    cable.refuse(False)


def soon() -> Deadline:
    return Deadline.after(30)


@pytest.fixture(scope="session")
def phone(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """On for the whole session, with what this host's runner needs of the C library."""
    elf = [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()]
    with running_phone(tmp_path_factory.mktemp("phone") / "root", guest_files=elf) as device:
        yield device


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    with running_server(tmp_path_factory.mktemp("adb") / "home") as adb:
        yield adb


@pytest.fixture
def cable(phone: Phone) -> Iterator[FaultProxy]:
    with between(phone.port) as line:
        yield line


@pytest.fixture(params=["server", "library"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Connect = Callable[..., AdbTransport]


@pytest.fixture
def connect(server: AdbServer, tmp_path: Path) -> Iterator[Connect]:
    """`connect(serial, way)` with a work root of its own; closed afterwards."""
    opened: list[AdbTransport] = []

    def open_one(serial: str, way: str, work_root: str | None = None) -> AdbTransport:
        settings = {
            "server": server.address if way == "server" else "none",
            "work_root": work_root or f"/data/local/tmp/test-{next(_NUMBERS)}",
            "key_file": str(tmp_path / "keys" / "adbkey"),
        }
        transport = transports.connect(Target("adb", serial, settings))
        assert isinstance(transport, AdbTransport)
        opened.append(transport)
        return transport

    yield open_one
    for transport in opened:
        transport.close()


@pytest.fixture
def device(connect: Connect, cable: FaultProxy, way: str) -> AdbTransport:
    return connect(serial_of(cable), way)
