"""A cluster of hosts on this machine: a head and lab hosts, each a process with state, devices and Ray files of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from device_runner import bundles
from device_runner.lab.cluster import invitation
from device_runner.lab.cluster.home import Address, Home

#: a parent that ignores SIGINT hands that down, so it is set here
MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from edgedeploy.cli import main; main(sys.argv[1:])"
)


class Machine:
    """One host: what is called here runs as if on it. environment: beside what all of them have."""

    def __init__(self, root: Path, name: str, environment: Mapping[str, str]) -> None:
        self.root, self.name = root / name, name
        self.root.mkdir()
        self.output = self.root / "output"
        self.process: subprocess.Popen[bytes] | None = None
        devices = self.root / "devices.yaml"
        devices.write_text(f"devices:\n  local: {{transport: local, labels: [{name}]}}\n")
        # each host would build the runner again
        built = bundles.build(bundles.host_abi()).root
        shutil.copytree(built, self.root / "cache" / "runner" / built.name)
        self.environment = {
            **os.environ, "EDGEDEPLOY_STATE": str(self.root / "state"), "EDGEDEPLOY_CACHE": str(self.root / "cache"),
            "EDGEDEPLOY_LAB": str(self.root / "lab"), "EDGEDEPLOY_DEVICES": str(devices), **environment,
        }  # fmt: skip

    def start(self, *arguments: str | Path) -> None:
        """`edgedeploy lab ARGUMENTS`, in a session of its own."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "lab", *map(str, arguments)], env=self.environment, cwd=self.root,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def call(self, *arguments: str | Path, code: int = 0, before: str = "") -> str:
        """stdout and stderr of a command that ends with that exit code. before: Python that is run first."""
        done = subprocess.run(
            [sys.executable, "-c", before + MAIN, "lab", *map(str, arguments)], env=self.environment, cwd=self.root,
            timeout=240, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    def output_of(self, *arguments: str | Path) -> str:
        """stdout alone."""
        command = [sys.executable, "-c", MAIN, "lab", *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, cwd=self.root, timeout=240, stdout=subprocess.PIPE, text=True, check=True
        ).stdout  # fmt: skip

    def start_aside(self, *arguments: str | Path) -> None:
        """A command beside the one that makes this a host."""
        command = [sys.executable, "-c", MAIN, "lab", *map(str, arguments)]
        with (self.root / "aside").open("ab") as output:
            self.aside = subprocess.Popen(command, env=self.environment, cwd=self.root, stdout=output, stderr=output)

    def stop_aside(self) -> int:
        """Ctrl-C for it, and how it ended."""
        self.aside.send_signal(signal.SIGINT)
        return self.aside.wait(60)

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.is_file() else ""

    def processes(self) -> list[int]:
        """Everything that Ray and the lab run for this host: what has its state in its environment."""
        mark = os.fsencode(f"EDGEDEPLOY_STATE={self.root / 'state'}") + b"\0"
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0":
                    found.append(int(entry.name))
        return found

    def lose_power(self) -> None:
        """kill -9 of everything on it at once."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def kill_node(self) -> None:
        """kill -9 of Ray's own process of this host."""
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe").endswith("/raylet"):
                    os.kill(pid, signal.SIGKILL)

    def stop(self) -> int:
        """Ctrl-C, and how it ended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)


def listeners() -> list[tuple[int, str]]:
    """(process, address) of each TCP socket of this machine that listens, from the kernel's tables."""
    addresses: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                raw = bytes.fromhex(words[1].split(":")[0])
                # four bytes in the order of this machine each; the last four of an IPv6 address are what it wraps
                mapped = len(raw) == 4 or raw[:12] == bytes(8) + b"\xff\xff\0\0"
                addresses[words[9]] = ".".join(str(byte) for byte in reversed(raw[-4:])) if mapped else raw.hex()
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            if target.startswith("socket:[") and target[8:-1] in addresses:
                found.append((int(entry.parts[2]), addresses[target[8:-1]]))
    return found


def until(what: Callable[[], bool], shown: Callable[[], str], seconds: float = 300) -> None:
    """Wait until it is so. Raises AssertionError with what is shown."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(shown())
        time.sleep(0.05)


class Cluster:
    """head, and lab hosts by name. listen: the head's address; beyond 127.0.0.1 everything goes over TLS."""

    def __init__(self, root: Path, environment: Mapping[str, str], listen: str) -> None:
        with socket.socket() as free:
            # beyond 127.0.0.1 Ray listens on all addresses
            free.bind((listen if listen == "127.0.0.1" else "", 0))
            self.port = free.getsockname()[1]
        self.address = f"{listen}:{self.port}"
        self._root, self._environment, self._listen = root, environment, listen
        self.head = Machine(root, "head", environment)
        self.hosts: dict[str, Machine] = {}

    def start_head(self) -> None:
        self.head.start("head", "--port", str(self.port), "--listen", self._listen)
        token = self.head.root / "state/cluster/head/token"
        until(lambda: token.is_file() and (token.parent / "joined.json").is_file(), self.head.said)

    def join(self, name: str) -> Machine:
        """A new host, which joins as soon as the head is there."""
        machine = self.hosts[name] = Machine(self._root, name, self._environment)
        home = Home(self.head.root / "state/cluster/head")
        made = invitation.write(home, Address.parse(self.address), name, self._listen)
        (machine.root / f"{name}.join").write_text(made.model_dump_json())
        return machine

    def until_there(self, names: Sequence[str], times: int = 1) -> None:
        """Until the head has said so often that these hosts are there."""
        until(lambda: all(self.head.said().count(f"host {name} is there") >= times for name in names), self.said)

    def said(self) -> str:
        return "\n".join(f"--- {each.name}\n{each.said()}" for each in (self.head, *self.hosts.values()))


@contextmanager
def cluster(
    root: Path, names: Sequence[str], environment: Mapping[str, str] | None = None, listen: str = "127.0.0.1"
) -> Iterator[Cluster]:
    """A head and hosts that have joined; everything of theirs has ended afterwards."""
    made = Cluster(root, environment or {}, listen)
    try:
        made.start_head()
        for name in names:
            made.join(name)
        until(lambda: Address.parse(made.address).is_reached(1), made.said)
        for name, machine in made.hosts.items():
            machine.start("join", f"{name}.join")
        made.until_there(names)
        yield made
    finally:
        for machine in (*made.hosts.values(), made.head):
            machine.lose_power()
