"""An object store that is there for a test: OpenStack Swift of Debian, on the loopback, spoken to by its S3 API.

One node, one copy of everything: a proxy with the S3 API in front of an account, a container and an object server.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

from tests.bench_hosts.sshd import INSTALL, free_port

KEY, SECRET = "edge:tester", "not-a-secret"
BUCKET = "lab"
_START_SEC = 120.0
_FILL = Path(__file__).with_name("swift_fill.py")
_KINDS = ("account", "container", "object")
#: what a request goes through, as Swift's own S3 documentation has it
_PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging memcache listing_formats s3api tempauth slo proxy-logging proxy-server"
)
#: filters whose section only says where they are
_PLAIN = ("catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "memcache", "listing_formats", "slo")


class Swift:
    """directory: where it keeps everything. `environment` is what a client needs to reach it."""

    def __init__(self, directory: Path) -> None:
        assert shutil.which("swift-proxy-server"), f"no swift: run {INSTALL}"
        self.directory = directory
        self._ports = {kind: free_port() for kind in ("proxy", *_KINDS)}
        self._processes: list[subprocess.Popen[bytes]] = []
        (directory / "devices/disk").mkdir(parents=True)
        for kind in _KINDS:
            self._ring(kind)
            self._write(kind, f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n")
        self._write("proxy", self._proxy())

    @property
    def port(self) -> int:
        return self._ports["proxy"]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        }  # fmt: skip

    def _write(self, kind: str, what: str) -> None:
        common = (
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {self._ports[kind]}\nworkers = 1\nswift_dir = {self.directory}\n"
            f"devices = {self.directory}/devices\nmount_check = false\nuser = {os.environ.get('USER', 'root')}\n"
            "fallocate_reserve = 0\nlog_level = WARNING\n"
        )
        (self.directory / f"{kind}.conf").write_text(common + what)

    def _proxy(self) -> str:
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n" for name in _PLAIN)
        account, user = KEY.split(":")
        return (
            f"[pipeline:main]\npipeline = {_PIPELINE}\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            "[filter:s3api]\nuse = egg:swift#s3api\ns3_acl = false\nlocation = us-east-1\n"
            f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_{account}_{user} = {SECRET} .admin\n{filters}"
        )

    def _ring(self, kind: str) -> None:
        builder = str(self.directory / f"{kind}.builder")
        place = f"r1z1-127.0.0.1:{self._ports[kind]}/disk"
        for arguments in (["create", "6", "1", "1"], ["add", place, "1"], ["rebalance"]):
            done = subprocess.run(["swift-ring-builder", builder, *arguments], capture_output=True, text=True, check=False)
            # 1 is a warning, as for a ring of one disk
            assert done.returncode <= 1, done.stdout + done.stderr

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            for kind in (*_KINDS, "proxy"):
                command = [f"swift-{kind}-server", str(self.directory / f"{kind}.conf")]
                self._processes.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
                )
        until = time.monotonic() + _START_SEC
        while time.monotonic() < until:
            assert all(each.poll() is None for each in self._processes), (self.directory / "log").read_text()
            # the proxy answers before the others do: it is up when a bucket can be made
            with contextlib.suppress(OSError):
                self._bucket()
                return
            time.sleep(0.2)
        raise AssertionError((self.directory / "log").read_text())

    def _bucket(self) -> None:
        date = formatdate(usegmt=True)
        signed = hmac.new(SECRET.encode(), f"PUT\n\n\n{date}\n/{BUCKET}".encode(), "sha1").digest()
        headers = {"Date": date, "Authorization": f"AWS {KEY}:{base64.b64encode(signed).decode()}"}
        made = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT", headers=headers)  # noqa: S310 - our own
        urllib.request.urlopen(made, timeout=30).close()  # noqa: S310

    def fill(self, lines: str) -> None:
        """Put many objects into the bucket without a request for each (see swift_fill.py, also for the lines)."""
        command = ["/usr/bin/python3", "-P", str(_FILL), str(self.directory), BUCKET, f"AUTH_{KEY.partition(':')[0]}"]
        subprocess.run(command, input=lines, text=True, check=True)

    def stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes = []


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Swift]:
    server = Swift(directory)
    try:
        # within: of four servers some may be up when one does not start
        server.start()
        yield server
    finally:
        server.stop()
