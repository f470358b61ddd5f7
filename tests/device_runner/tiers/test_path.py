"""The way between two devices over the real daemons: an adbd, sshds and this host, in every direction that there is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.tiers.path import Route
from device_runner.tiers.shape import Shape
from device_runner.transports.base import Target, Transport
from edgedeploy.errors import UserError
from tests.bench_hosts import fault_proxy, sshd
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.bench_hosts.adbd import adb_server as running_server
from tests.bench_hosts.adbd import phone as running_phone
from tests.bench_hosts.sshd import Sshd


@pytest.fixture(scope="module")
def phone(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    elf = [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()]
    with running_phone(tmp_path_factory.mktemp("phone") / "root", guest_files=elf) as device:
        yield device


@pytest.fixture(scope="module")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    with running_server(tmp_path_factory.mktemp("adb") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Sshd]]:
    directory = tmp_path_factory.mktemp("boards")
    with sshd.running(directory / "one") as one, sshd.running(directory / "other") as other:
        yield one, other


Open = Callable[[str], Transport]


@pytest.fixture
def device(phone: Phone, adb: AdbServer, boards: tuple[Sshd, Sshd], tmp_path: Path) -> Iterator[Open]:
    """`device("ssh")`, "other ssh", "adb", "adb without a server", "local"."""
    keys = {"key_file": str(tmp_path / "adbkey")}
    targets = {
        "ssh": boards[0].target(),
        "other ssh": boards[1].target(),
        "adb": Target("adb", phone.serial, {"server": adb.address, **keys}),
        "adb without a server": Target("adb", phone.serial, {"server": "none", **keys}),
        "local": Target("local"),
    }
    with contextlib.ExitStack() as opened:
        yield lambda name: opened.enter_context(contextlib.closing(transports.connect(targets[name])))


@pytest.fixture
def far_port() -> Iterator[int]:
    """Of a server that gives back what it is sent, in capitals. All devices have this host's network."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                end, _ = listener.accept()
                threading.Thread(target=answer, args=(end,), daemon=True).start()

    def answer(end: socket.socket) -> None:
        with end, contextlib.suppress(OSError):
            while piece := end.recv(2**16):
                end.sendall(piece.upper())

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


def asked(port: int, data: bytes = b"hello") -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as end:
        end.sendall(data)
        end.settimeout(10)
        got = b""
        while len(got) < len(data) and (piece := end.recv(2**16)):
            got += piece
        return got


FORWARD, REVERSE = "adb forward", "adb reverse"
TUNNEL, BACK = "an SSH tunnel from this host", "an SSH tunnel to this host"


@pytest.mark.parametrize(
    ("near", "far", "hops"),
    [
        ("ssh", "other ssh", (BACK, TUNNEL)),
        ("adb", "ssh", (REVERSE, TUNNEL)),
        ("ssh", "adb", (BACK, FORWARD)),
        ("ssh", "adb without a server", (BACK, FORWARD)),
        ("adb", "local", (REVERSE,)),
        ("local", "ssh", (TUNNEL,)),
        ("local", "local", ("the loopback",)),
    ],
)
def test_a_way_through_this_host(device: Open, far_port: int, near: str, far: str, hops: tuple[str, ...]) -> None:
    with Route(device(near), device(far)) as route:
        path = route.open(far_port)
        assert path.hops == hops
        assert path.kind == ("same device" if near == far == "local" else "through the host")
        assert path.shaped == ""
        assert asked(path.port) == b"HELLO"
        large = b"abcdefgh" * 200_000
        assert asked(path.port, large) == large.upper()
    if path.port != far_port:
        with pytest.raises(ConnectionRefusedError):
            asked(path.port)


def test_a_shaped_way_says_so(device: Open, far_port: int) -> None:
    with Route(device("ssh"), device("local"), shape=Shape(100, 3)) as route:
        path = route.open(far_port)
        assert path.shaped == "100mbit,3ms by a delay line on this host"
        assert path.hops == (BACK, "a delay line on this host (100mbit,3ms)")
        assert asked(path.port) == b"HELLO"


def test_a_way_that_broke_is_led_anew_to_the_same_port(
    device: Open, boards: tuple[Sshd, Sshd], far_port: int
) -> None:  # fmt: skip
    with fault_proxy.between(boards[0].port) as cable:
        boards[0].know(cable.port)
        near = transports.connect(boards[0].target(cable.port))
        with contextlib.closing(near), Route(near, device("other ssh"), shape=Shape(None, 1)) as route:
            assert asked(route.open(far_port).port) == b"HELLO"
            cable.cut()
            assert asked(route.renew().port) == b"HELLO"


def test_a_way_that_was_never_open_cannot_be_renewed(device: Open) -> None:
    with Route(device("local"), device("local")) as route, pytest.raises(UserError, match="no way was opened"):
        route.renew()


def test_a_phone_without_an_adb_server_cannot_be_the_near_one(device: Open, far_port: int) -> None:
    with Route(device("adb without a server"), device("ssh")) as route, pytest.raises(UserError, match="needs an adb server"):
        route.open(far_port)


def test_a_direct_way_has_no_part_of_this_host_and_cannot_be_shaped(device: Open, far_port: int) -> None:
    near, far = device("ssh"), device("other ssh")
    with Route(near, far, direct_host="127.0.0.1") as route:
        path = route.open(far_port)
    assert (path.host, path.port, path.kind) == ("127.0.0.1", far_port, "direct")
    with pytest.raises(UserError, match="leave out --direct or --link"):
        Route(near, far, direct_host="127.0.0.1", shape=Shape(1))
