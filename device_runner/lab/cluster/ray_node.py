"""Ray's processes on this host, started and ended by us: what they listen on, where their files are, how little they take."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from device_runner.lab.cluster import security
from device_runner.lab.cluster.home import Address, Home

#: says of a node that it is a lab host
RESOURCE = "edgedeploy_host"
#: calls are small; nothing large goes through Ray's store
_STORE_BYTES = 100_000_000
_STOP_SEC = 20.0
_MOST_LOG_BYTES = 2_000_000


class RayNode:
    """The head's node, or a host's. own: this host's address. name: this host's."""

    def __init__(self, home: Home, head: Address, own: str, name: str, *, is_head: bool, insecure: bool) -> None:
        security.check(head, has_tls=home.has_tls(), insecure=insecure)
        security.check(Address(own, head.port), has_tls=home.has_tls(), insecure=insecure)
        self._home, self._head, self._own, self._name, self._is_head = home, head, own, name, is_head
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. It may still be coming up, or fail, when this returns."""
        self.clear()
        self._home.tidy()
        where = ["--head", f"--port={self._head.port}", "--include-dashboard=false", "--no-monitor"]
        if not self._is_head:
            where = [f"--address={self._head}"]
        resources = {} if self._is_head else {RESOURCE: 1}
        command = [
            sys.executable, "-m", "device_runner.lab.cluster.launch", *where, "--block", f"--node-ip-address={self._own}",
            f"--node-name={self._name}", "--num-cpus=0", "--num-gpus=0", f"--object-store-memory={_STORE_BYTES}",
            f"--temp-dir={self._home.ray_directory()}", "--disable-usage-stats", "--include-log-monitor=false",
            f"--resources={json.dumps(resources)}",
        ]  # fmt: skip
        log = self._home.log
        if log.is_file() and log.stat().st_size > _MOST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            # a session of its own: Ctrl-C is for us, and we end it when the workers have stopped
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
                env=security.environment(self._home, self._head), cwd=self._home.root,
            )  # fmt: skip

    def clear(self) -> None:
        """End what is left of a node that was killed. Our lock on the home says that it is nobody's."""
        self._kill(self._left())

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def said(self) -> str:
        """The last line of what it said that tells of trouble, or the last line."""
        try:
            lines = [line.strip() for line in self._home.log.read_text(errors="replace")[-20_000:].splitlines() if line.strip()]
        except OSError:
            return ""
        telling = [line for line in lines if "Error" in line or "error" in line]
        return (telling or lines or [""])[-1][:500]

    def stop(self) -> None:
        """End it, and everything that it started."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SEC)
        self._kill(self._left())
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _kill(self, processes: list[int]) -> None:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left(self) -> list[int]:
        """The processes of its session, and those that name its directory."""
        ours = self._process.pid if self._process is not None else -1
        directory = os.fsencode(self._home.ray_directory()) + b"/session_"
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                if session == ours or directory in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found
