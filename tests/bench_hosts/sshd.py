"""A board over SSH that is there for a test: Debian's own sshd on a port of the loopback, with keys and a home of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from device_runner.transports.base import Target

INSTALL = "scripts/install_test_packages"
_START_SEC = 20.0


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(file: Path, kind: str = "ed25519") -> Path:
    """A key pair without a passphrase, new."""
    for path in (file, file.with_suffix(".pub")):
        path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file)], check=True)
    return file


class Sshd:
    """directory: for what it needs; `home` in it is the account's home. settings: more lines of its sshd_config.

    sftp: whether it has the SFTP subsystem. command: forced instead of what a client asks for. wrap: run in front of sshd.
    """

    def __init__(
        self, directory: Path, *, sftp: bool = True, settings: Sequence[str] = (), wrap: Sequence[str] = (), home: str = ""
    ) -> None:
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        assert program, f"no sshd: run {INSTALL}"
        self.program, self.directory, self._wrap = program, directory, list(wrap)
        self.user, self.port = getpass.getuser(), free_port()
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(directory / "host_key")
        self.client_key = make_key(directory / "client_key")
        self.known_hosts, self.authorized_keys = directory / "known_hosts", directory / "authorized_keys"
        self.authorize()
        self.know()
        self.config = directory / "sshd_config"
        self.log = directory / "sshd.log"
        self.config.write_text(
            "\n".join(
                [
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self.host_key}",
                    f"AuthorizedKeysFile {self.authorized_keys}",
                    f"PidFile {directory / 'sshd.pid'}",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "UsePAM no",
                    # pytest's directories are below /tmp
                    "StrictModes no",
                    "PermitRootLogin prohibit-password",
                    f"SetEnv HOME={home or self.home} OMP_NUM_THREADS=7",
                    "MaxStartups 100",
                    *(["Subsystem sftp internal-sftp"] if sftp else []),
                    *settings,
                    "",
                ]
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def authorize(self) -> None:
        """Let the client's key in."""
        shutil.copyfile(self.client_key.with_suffix(".pub"), self.authorized_keys)

    def revoke(self) -> None:
        """Let nobody in any more."""
        self.authorized_keys.write_text("")

    def know(self, *ports: int) -> None:
        """Have the client know the host key, at this port and at others that lead to it."""
        kind, key, *_ = self.host_key.with_suffix(".pub").read_text().split()
        self.known_hosts.write_text("".join(f"[127.0.0.1]:{port} {kind} {key}\n" for port in (self.port, *ports)))

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with self.log.open("ab") as log:
            command = [*self._wrap, self.program, "-D", "-e", "-f", str(self.config)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )  # fmt: skip
        until = time.monotonic() + _START_SEC
        while time.monotonic() < until:
            assert self._process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"sshd does not listen: {self.log.read_text()}")

    def stop(self) -> None:
        """End it and its connections; what was started through them and detached goes on."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """What is connected stays so, and nobody answers, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        for pid in [self._process.pid, *_servers_below(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def target(self, port: int | None = None, **settings: str) -> Target:
        """The device as a transport is given it."""
        given = {"identity_file": str(self.client_key), "known_hosts": str(self.known_hosts), "config": "none"} | settings
        return Target("ssh", f"{self.user}@127.0.0.1:{port or self.port}", {k: v for k, v in given.items() if v})

    def client_config(self, file: Path, name: str = "board", port: int | None = None, more: Sequence[str] = ()) -> Path:
        """A ~/.ssh/config in which the board has a name."""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [
            f"Host {name}", "HostName 127.0.0.1", f"Port {port or self.port}", f"User {self.user}",
            f"IdentityFile {self.client_key}", f"UserKnownHostsFile {self.known_hosts}", *more,
        ]  # fmt: skip
        with file.open("a") as out:
            out.write("\n  ".join(lines) + "\n")
        return file


def _servers_below(pid: int) -> list[int]:
    """The sshd processes below `pid`, however deep."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, tail = entry.read_text().rpartition(")")
        except OSError:
            continue
        child = int(entry.parent.name)
        names[child] = head.partition("(")[2]
        parents.setdefault(int(tail.split()[1]), []).append(child)
    found, todo = [], list(parents.get(pid, []))
    while todo:
        child = todo.pop()
        if names[child].startswith("sshd"):
            found.append(child)
        todo += parents.get(child, [])
    return found


@contextlib.contextmanager
def running(directory: Path, **how: object) -> Iterator[Sshd]:
    """An sshd, started; see `Sshd`."""
    directory.mkdir(parents=True, exist_ok=True)
    server = Sshd(directory, **how)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()
