"""Settings, addresses, keys, and what is pinned of adb-shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.transports.adb import keys, library_io, library_usb
from device_runner.transports.adb.pairing import pair
from device_runner.transports.adb.server import Address, Server
from device_runner.transports.adb.settings import DEFAULT_WORK_ROOT, Settings
from device_runner.transports.base import Target
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts.adbd import AdbServer, free_port


@pytest.mark.parametrize(
    ("name", "address"),
    [("adb:R5CT", "R5CT"), ("adb:10.0.0.2:5555", "10.0.0.2:5555"), ("adb://10.0.0.2:5555", "10.0.0.2:5555")],
)
def test_a_device_needs_no_entry(name: str, address: str) -> None:
    assert inventory.resolve(name).target == Target("adb", address)


def test_settings_have_defaults_that_adb_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS", "ANDROID_ADB_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.of(Target("adb", "R5CT"))
    assert settings == Settings("R5CT", Address("localhost", 5037), False, DEFAULT_WORK_ROOT, tmp_path / ".android/adbkey")
    assert Settings.of(Target("adb", "R5CT", {"server": "none"})).server is None
    named = Settings.of(Target("adb", "R5CT", {"server": "lab:5038"}))
    assert (named.server, named.server_named) == (Address("lab", 5038), True)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, Address("localhost", 5037)),
        ({"ANDROID_ADB_SERVER_PORT": "5038"}, Address("localhost", 5038)),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab"}, Address("lab", 5037)),
        ({"ADB_SERVER_SOCKET": "tcp:lab:5039", "ANDROID_ADB_SERVER_PORT": "1"}, Address("lab", 5039)),
        ({"ADB_SERVER_SOCKET": "tcp:5039"}, Address("localhost", 5039)),
    ],
)
def test_the_server_is_where_adb_would_look(environment: dict[str, str], address: Address) -> None:
    assert Address.from_environment(environment) == address


@pytest.mark.parametrize(
    "environment",
    [{"ADB_SERVER_SOCKET": "localfilesystem:/x"}, {"ANDROID_ADB_SERVER_PORT": "0"}, {"ANDROID_ADB_SERVER_PORT": "x"}],
)
def test_a_server_that_cannot_be_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UserError):
        Address.from_environment(environment)


@pytest.mark.parametrize(
    ("address", "settings"),
    [
        ("", {}), ("-s", {}), ("a b", {}), ("a\nb", {}), ("x" * 200, {}),
        ("s", {"sever": "none"}), ("s", {"server": "nowhere"}), ("s", {"server": "a:99999"}),
        ("s", {"work_root": "relative/path"}), ("s", {"work_root": "/data"}), ("s", {"work_root": "/data/../etc"}),
        ("s", {"work_root": "/data/a b"}), ("s", {"work_root": "/data/$(x)"}),
    ],
)  # fmt: skip
def test_what_a_target_may_not_say(address: str, settings: dict[str, str]) -> None:
    with pytest.raises(UserError):
        Settings.of(Target("adb", address, settings))


def test_a_key_is_made_for_this_user_alone_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "adbkey"
    public = keys.signer(path).GetPublicKey()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.with_suffix(".pub").read_text() == public + "\n"
    before = path.read_bytes()
    assert keys.signer(path).GetPublicKey() == public
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["adbkey", "adbkey.pub"]


def test_a_key_of_adbs_own_is_the_same_to_us(tmp_path: Path) -> None:
    subprocess.run(["adb", "keygen", tmp_path / "adbkey"], check=True, capture_output=True)
    theirs = (tmp_path / "adbkey.pub").read_text().split()[0]
    assert keys.signer(tmp_path / "adbkey").GetPublicKey().split()[0] == theirs


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_said_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "adbkey").write_bytes(content)
    with pytest.raises(UserError, match="no private key"):
        keys.signer(tmp_path / "adbkey")
    assert (tmp_path / "adbkey").read_bytes() == content


def test_what_is_private_in_adb_shell_is_there() -> None:
    """Fails when the pinned version is raised: read its sources, and what `library_io` says it uses, then change VERSION."""
    library_io.check_version()
    for name in (
        "connect",
        "_send",
        "_read_bytes_from_device",
        "_read_packet_from_device",
        "_read_expected_packet_from_device",
    ):
        assert callable(getattr(library_io._AdbIOManager, name))
    device = library_io.AdbDevice(library_io.BaseTransport.__new__(_Nothing))
    assert {"_io_manager", "_maxdata"} <= set(vars(device))


def test_what_the_library_has_for_usb_is_there() -> None:
    from adb_shell.transport.usb_transport import UsbTransport

    assert {"USB1_CTX", "find_adb", "connect"} <= {*vars(UsbTransport)}


@pytest.mark.parametrize(
    ("raised", "expected"), [("NoDevice", TransientError), ("IO", TransientError), ("Access", UserError), ("Busy", UserError)]
)  # fmt: skip
@pytest.mark.parametrize("step", ["find_adb", "connect"])
def test_what_libusb_says_of_a_phone_that_goes_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, raised: str, expected: type[Exception], step: str
) -> None:
    """A phone on USB is not to be had here, so libusb's word for each is made up."""
    import usb1
    from adb_shell.transport.usb_transport import UsbTransport

    def fails(*_: object) -> None:
        raise getattr(usb1, f"USBError{raised}")

    monkeypatch.setattr(UsbTransport, "find_adb", classmethod(lambda kind, *_: kind(None, None)))
    monkeypatch.setattr(UsbTransport, step, fails)
    with pytest.raises(expected):
        library_usb.transport("EDGE0001").connect(1.0)


class _Nothing(library_io.BaseTransport):  # type: ignore[misc]
    """adb-shell looks at the type only."""

    bulk_read = bulk_write = close = connect = None


def test_another_adb_shell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.5.0")
    with pytest.raises(UserError, match=r"adb-shell==0\.4\.4"):
        library_io.check_version()


@pytest.mark.parametrize("size", [0, 1, 1000, 2**20])
def test_the_checksum_is_the_librarys(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    ours, theirs = (kind(b"WRTE", 1, 2, data[:size]) for kind in (library_io.Message, library_io.AdbMessage))
    assert ours.pack() == theirs.pack()


def test_pairing_asks_the_real_server(server: AdbServer) -> None:
    # Debian's adbd has no pairing (it is Android's system server that does it): only how it fails is seen here
    asked = Server(Address.parse(server.address))
    with pytest.raises(TransientError, match="Failed"):
        pair(f"127.0.0.1:{free_port()}", "123456", asked)
    for address, code in (("127.0.0.1", "123456"), ("127.0.0.1:1", "12345"), ("127.0.0.1:1", "host:x")):
        with pytest.raises(UserError):
            pair(address, code, asked)
