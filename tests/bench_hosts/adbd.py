"""Debian's real adbd and adb: a phone that is a chroot in namespaces of its own, and an adb server beside the user's.

Needs root, and the packages of scripts/install_test_packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench_hosts import android_root

_START_SEC = 20.0
#: not the environment's: a test may hide programs from the code under test
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: mounts live and die with the namespace: nothing to clean up, whatever ends the tests
_BOOT = """
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/dev"
for node in null zero urandom random; do : > "$1/dev/$node"; mount --bind "/dev/$node" "$1/dev/$node"; done
mkdir -p "$1/data/small"
mount -t tmpfs -o size=2m tmpfs "$1/data/small"
exec chroot "$1" /system/bin/init
"""
#: before that, in a user namespace: programs for aarch64 are given to the emulator, which is opened now and so needs no file in
#: the root. Of this namespace alone: the machine's own table stays as it is
_EMULATE = r"""
set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":edgedeploy-aarch64:M::$magic:$mask:$(command -v qemu-aarch64):F" > /proc/sys/fs/binfmt_misc/register
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + _START_SEC
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens at port {port} after {_START_SEC:.0f} s")


class Phone:
    """An Android-like device whose adbd listens at 127.0.0.1:`port`. /data/small is a disk of 2 MB."""

    def __init__(
        self, root: Path, *, machine: str = "x86_64", authorisation: bool = False, guest_files: Iterable[Path] = ()
    ) -> None:
        self.root, self.port, self.machine = root, free_port(), machine
        listening = {"service.adb.listen_addrs": f"tcp:{self.port}"}
        properties = android_root.PROPERTIES | listening
        android_root.build(root, properties=properties, machine=machine, guest_files=guest_files)
        if authorisation:
            android_root.require_authorisation(root)
        self._init: subprocess.Popen[bytes] | None = None

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def inside(self, path: str) -> Path:
        """Where a path of the phone is on this host."""
        return self.root / path.lstrip("/")

    def boot(self) -> None:
        emulated = self.machine != "x86_64"
        user = ["--user", "--map-root-user"] if emulated else []
        script = (_EMULATE if emulated else "") + _BOOT
        self._init = subprocess.Popen(
            ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script, "sh", self.root],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={"PATH": _PATH},
        )  # fmt: skip
        _wait_for_port(self.port)

    def power_off(self) -> None:
        """At once, with everything that runs on it; what is on its disk stays."""
        if self._init is not None:
            self._init.kill()
            self._init.wait()
            self._init = None

    def reboot(self) -> None:
        self.power_off()
        self.boot()

    def processes(self) -> dict[int, str]:
        """pid on this host -> command line, of everything whose root is the phone's."""
        found = {}
        for entry in Path("/proc").iterdir():
            # what ends while it is looked at is not there
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "root") == str(self.root.resolve()):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def _signal_adbd(self, number: signal.Signals) -> None:
        for pid, line in self.processes().items():
            if line.startswith("/system/bin/adbd"):
                os.kill(pid, number)

    def kill_adbd(self) -> None:
        """As a crash of it: init starts another one."""
        self._signal_adbd(signal.SIGKILL)

    def freeze_adbd(self) -> None:
        """What is connected stays so, and nobody answers, until `thaw_adbd`."""
        self._signal_adbd(signal.SIGSTOP)

    def thaw_adbd(self) -> None:
        self._signal_adbd(signal.SIGCONT)

    def revoke_keys(self) -> None:
        """What a person does in the developer options. adbd looks at it when somebody comes."""
        (self.root / "data/misc/adb/adb_keys").write_text("")

    def accept(self, public_key: Path) -> None:
        """What a person does on the screen."""
        with (self.root / "data/misc/adb/adb_keys").open("a") as keys:
            keys.write(public_key.read_text().strip() + "\n")


class AdbServer:
    """`adb`'s server on a port of its own, with a home of its own, so that no key and no device of the user's is touched."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        home.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    @property
    def key(self) -> Path:
        return self.home / ".android" / "adbkey"

    def start(self) -> None:
        environment = {"HOME": str(self.home), "PATH": _PATH, "ADB_MDNS": "0"}
        self._process = subprocess.Popen(
            ["adb", "-L", f"tcp:{self.address}", "server", "nodaemon"], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _wait_for_port(self.port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def adb(self, *arguments: str) -> str:
        """The output of the real `adb` program, asking this server."""
        done = subprocess.run(
            ["adb", "-L", f"tcp:{self.address}", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, env={"HOME": str(self.home), "PATH": _PATH},
        )  # fmt: skip
        return done.stdout + done.stderr


@contextlib.contextmanager
def phone(
    root: Path, *, machine: str = "x86_64", authorisation: bool = False, guest_files: Iterable[Path] = ()
) -> Iterator[Phone]:
    """A phone that is on; it is gone afterwards, its disk too. machine: "aarch64" is emulated, and no time means anything."""
    device = Phone(root, machine=machine, authorisation=authorisation, guest_files=guest_files)
    try:
        device.boot()
        yield device
    finally:
        device.power_off()
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[AdbServer]:
    server = AdbServer(home)
    try:
        server.start()
        yield server
    finally:
        server.kill()
