"""What goes wrong: cables, adbd, servers and keys. Each ends soon, says what it is, and the next call works again."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.retry import with_backoff
from device_runner.transports import adb
from device_runner.transports.adb import library_connection
from device_runner.transports.adb.devices import attached
from device_runner.transports.adb.server import Address, NoServer, Server
from device_runner.transports.adb.states import Absent, Unauthorized, failure
from device_runner.transports.adb.transport import AdbTransport
from device_runner.transports.base import Target
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts.adbd import AdbServer, Phone, free_port
from tests.bench_hosts.adbd import adb_server as running_server
from tests.bench_hosts.adbd import phone as running_phone
from tests.bench_hosts.fault_proxy import FaultProxy, between
from tests.device_runner.adb.conftest import Connect, plug_in, pull_out, serial_of, soon


@pytest.fixture
def big(tmp_path: Path) -> Path:
    file = tmp_path / "model"
    file.write_bytes(random.Random(0).randbytes(12 * 2**20))
    return file


def names(phone: Phone, device: AdbTransport) -> list[str]:
    """Every file below the device's work root."""
    root = phone.inside(device.path("x")).parent
    return [file.name for file in root.rglob("*") if file.is_file()]


def test_a_push_that_is_cut_leaves_nothing_under_the_name_and_the_next_one_is_whole(
    device: AdbTransport, cable: FaultProxy, phone: Phone, big: Path
) -> None:
    cable.plan("cut", 5 * 2**20)
    with pytest.raises(TransientError):
        device.push(big, "store/model", soon())
    assert cable.faults == 1
    assert "model" not in names(phone, device)
    assert with_backoff(lambda: device.push(big, "store/model", soon())) is True
    assert phone.inside(device.path("store/model")).read_bytes() == big.read_bytes()
    assert names(phone, device) == ["model"]


def test_a_pull_that_is_cut_leaves_no_file(
    device: AdbTransport, cable: FaultProxy, phone: Phone, big: Path, tmp_path: Path
) -> None:
    device.push(big, "model", soon())
    # whichever of the pulls it falls into
    threading.Timer(0.3, lambda: pull_out(cable)).start()
    there = phone.inside(device.path("model"))

    def pull_for_ever() -> None:
        while True:
            device.pull("model", tmp_path / "back", soon())
            (tmp_path / "back").unlink()

    with pytest.raises(TransientError):
        pull_for_ever()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith((".back", "back"))] == []
    plug_in(cable)
    with_backoff(lambda: device.pull("model", tmp_path / "back", soon()))
    assert (tmp_path / "back").read_bytes() == there.read_bytes()


def test_a_cable_that_is_out_is_transient_and_back_in_it_works(device: AdbTransport, cable: FaultProxy) -> None:
    pull_out(cable)
    with pytest.raises(TransientError):
        device.run(["true"], soon())
    plug_in(cable)
    assert with_backoff(lambda: device.run(["echo", "back"], soon())).text == "back\n"


def test_an_adbd_that_dies_during_a_command_is_transient_and_init_brings_it_back(device: AdbTransport, phone: Phone) -> None:
    killer = threading.Timer(0.5, phone.kill_adbd)
    killer.start()
    with pytest.raises(TransientError) as caught:
        device.run(["sleep", "605"], soon())
    # at once, not when the time is up
    assert not isinstance(caught.value, DeadlineExpired)
    assert with_backoff(lambda: device.run(["echo", "back"], soon())).text == "back\n"


def test_a_phone_that_restarts_is_found_again(device: AdbTransport, phone: Phone) -> None:
    phone.power_off()
    with pytest.raises(TransientError):
        device.run(["true"], soon())
    phone.boot()
    assert with_backoff(lambda: device.run(["echo", "back"], soon())).text == "back\n"


def test_a_phone_that_says_nothing_ends_with_the_deadline(connect: Connect, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "CONNECT_SEC", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TransientError):
        connect(f"127.0.0.1:{mute.getsockname()[1]}", way)


def test_a_phone_that_talks_nonsense_is_transient(connect: Connect, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "CONNECT_SEC", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            while True:
                try:
                    end, _ = listener.accept()
                except OSError:
                    return
                end.sendall(os.urandom(4096))
                end.close()

        threading.Thread(target=babble, daemon=True).start()
        with pytest.raises(TransientError):
            connect(f"127.0.0.1:{listener.getsockname()[1]}", way)
        listener.shutdown(socket.SHUT_RDWR)


def test_nothing_listens_where_the_phone_should_be(connect: Connect, way: str) -> None:
    with pytest.raises(TransientError, match="refuse"):
        connect(f"127.0.0.1:{free_port()}", way)


def test_no_such_device_says_what_is_attached(connect: Connect, device: AdbTransport, cable: FaultProxy, way: str) -> None:
    if way == "library":
        with pytest.raises((Absent, UserError), match=r"no such phone on USB|libusb"):
            connect("no-such-serial", way)
        return
    with pytest.raises(Absent, match=f"attached: .*{serial_of(cable)} \\(device\\)"):
        connect("no-such-serial", way)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A phone that asks for a key: the real adbd with the authorisation that Debian compiled off."""
    with running_phone(tmp_path_factory.mktemp("strict") / "root", authorisation=True) as device:
        yield device


def test_a_phone_that_has_not_accepted_us_says_what_to_do_until_it_has(
    strict: Phone, server: AdbServer, connect: Connect, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_connection, "ACCEPT_SEC", 1.0)
    with between(strict.port) as cable:
        with pytest.raises(Unauthorized, match="Allow USB debugging"):
            connect(serial_of(cable), way)
        if way == "server":
            states = {device.serial: device.state for device in attached(Server(Address.parse(server.address)))}
            assert states[serial_of(cable)] == "unauthorized"
        strict.accept((server.key if way == "server" else tmp_path / "keys/adbkey").with_suffix(".pub"))
        # the screen would tell adbd; here it looks at the keys when somebody comes
        pull_out(cable)
        plug_in(cable)
        assert with_backoff(lambda: connect(serial_of(cable), way), attempts=6).run(["echo", "hello"], soon()).text == "hello\n"


def test_attached_lists_what_adb_lists(server: AdbServer, connect: Connect, cable: FaultProxy) -> None:
    connect(serial_of(cable), "server")
    (mine,) = [device for device in attached(Server(Address.parse(server.address))) if device.serial == serial_of(cable)]
    assert mine[:4] == (serial_of(cable), "device", "Edge_Phone_7", "edgephone")
    assert f"transport_id:{mine.transport_id}" in server.adb("devices", "-l")


def test_a_server_that_went_away_is_started_again(phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with running_server(tmp_path) as stale, between(phone.port) as cable:
        device = transports.connect(Target("adb", serial_of(cable), {"server": stale.address}))
        try:
            stale.kill()
            assert with_backoff(lambda: device.run(["echo", "back"], soon())).text == "back\n"
        finally:
            device.close()
            subprocess.run(["adb", "-L", f"tcp:{stale.address}", "kill-server"], check=True, stderr=subprocess.DEVNULL)


def test_a_named_server_that_is_not_there_is_said_where_adb_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoServer, match="adb start-server"):
        transports.connect(Target("adb", "serial", {"server": f"localhost:{free_port()}"}))


def test_without_a_server_and_without_adb_it_is_the_library(
    monkeypatch: pytest.MonkeyPatch, phone: Phone, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    device = transports.connect(Target("adb", phone.serial, {"key_file": str(tmp_path / "adbkey")}))
    assert device.run(["uname"], soon()).text == "Linux\n"
    device.close()
    assert (tmp_path / "adbkey").exists()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OKAYzzzz", b""])
def test_something_else_on_the_servers_port(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            end, _ = listener.accept()
            end.recv(1000)
            end.sendall(answer)
            end.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(TransientError):
            Server(Address("127.0.0.1", listener.getsockname()[1])).version(soon())


def test_a_server_that_hangs_ends_with_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(DeadlineExpired):
        Server(Address("127.0.0.1", mute.getsockname()[1])).version(Deadline.after(0.5))


@pytest.mark.parametrize(
    ("reason", "kind", "says"),
    [
        ("device unauthorized. This adb server's $ADB_VENDOR_KEYS is not set", UserError, "accept"),
        ("insufficient permissions for device: user in plugdev group; are your udev rules wrong?", UserError, "plugdev"),
        ("device 'x' not found", TransientError, "not attached"),
        ("device offline", TransientError, "offline"),
        ("device still authorizing", TransientError, "authorizing"),
    ],
)
def test_each_state_says_what_it_is(reason: str, kind: type[Exception], says: str) -> None:
    error = failure("serial", reason)
    assert isinstance(error, kind)
    assert says in str(error)
