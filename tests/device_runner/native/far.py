"""A far side of a plan, served on loopback, and a client of it that speaks the frames by hand."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.device_runner.native.support import PATIENCE_SEC, Edgebench, Json, Ran, sanitizer_report, write_plan

TOKEN = "correct-horse-battery-staple"  # noqa: S105 (of the tests alone)
HELLO, WELCOME, INFER, ANSWER, ECHO, ECHOED, SINK, SUNK, SOURCE, SOURCED, ERROR, BYE = range(1, 13)
HEADER = struct.Struct("<4sHHQ32s")
DTYPES = ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")


def put_token(directory: Path, mode: int = 0o600, text: str = TOKEN) -> None:
    file = directory / "token"
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, mode)
    os.fchmod(descriptor, mode)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


class Served:
    """`edgebench --serve` in the foreground, up to its `serving` line."""

    def __init__(self, edgebench: Edgebench, directory: Path, plan: Json, *arguments: str, token: str = TOKEN) -> None:
        self.directory, self.plan = directory, plan
        self.sha256 = hashlib.sha256(write_plan(directory, plan).read_bytes()).hexdigest()
        self.process = subprocess.Popen(
            edgebench.command("--serve", directory / "plan.json", *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        if "token_file" not in plan.get("serve", {}):
            self.process.stdin.write(f"{token}\n")
            self.process.stdin.flush()
        self.events: list[Json] = []
        self.port = int(self.until("serving")["port"])

    def until(self, event: str, **members: object) -> Json:
        """Read lines up to and including the first of `event` with these members."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            last = self.events[-1]
            if last["event"] == event and all(last[key] == value for key, value in members.items()):
                return last
        raise AssertionError(f"ended before {event} {members}: {self.events}, {self.process.stderr}")

    def far(self, **more: object) -> Json:
        """What a near side's plan says of it."""
        return {"host": "127.0.0.1", "port": self.port, "plan_sha256": self.sha256, "token_file": "token", **more}

    def end(self) -> Ran:
        """As the host ends it."""
        self.process.terminate()
        return self.finish()

    def finish(self) -> Ran:
        out, err = self.process.communicate(timeout=PATIENCE_SEC)
        self.events += [json.loads(line) for line in out.splitlines()]
        assert not sanitizer_report(err), err
        return Ran(self.process.returncode, self.events, err, self.directory)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Client:
    """The near side by hand, so that it may misbehave."""

    def __init__(self, served: Served, *, hello: bool = True, session: bytes = b"", token: str = TOKEN) -> None:
        self.digest = bytes.fromhex(served.sha256)
        self.socket = socket.create_connection(("127.0.0.1", served.port), PATIENCE_SEC)
        self.session = session or os.urandom(16)
        if hello:
            self.send(HELLO, self.session + token.encode())

    def send(self, kind: int, body: bytes = b"", *, length: int | None = None, digest: bytes | None = None) -> None:
        header = HEADER.pack(b"EDGT", 1, kind, len(body) if length is None else length, digest or self.digest)
        self.socket.sendall(header + body)

    def receive(self) -> tuple[int, bytes]:
        """The next frame; (0, b"") when the connection is closed."""
        header = self._exactly(HEADER.size)
        if not header:
            return 0, b""
        magic, version, kind, length, digest = HEADER.unpack(header)
        assert (magic, version, digest) == (b"EDGT", 1, self.digest)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                assert not data, f"cut short after {len(data)} of {count}"
                return b""
            data += piece
        return data

    def refused(self) -> str:
        """The code of an `error` frame, which must be the last one."""
        kind, body = self.receive()
        assert kind == ERROR, (kind, body)
        assert self.receive() == (0, b"")
        code, message = body.decode().split("\n", 1)
        assert message
        return code

    def close(self) -> None:
        self.socket.close()


def descriptor(dtype: str, shape: Sequence[int], count: int) -> bytes:
    return struct.pack("<BB6xQ", DTYPES.index(dtype), len(shape), count) + struct.pack(f"<{len(shape)}Q", *shape)


def tensors(sequence: int, *each: tuple[str, Sequence[int], bytes], nanoseconds: int = 0) -> bytes:
    """The body of an `infer` or an `answer`."""
    head = struct.pack("<QQII", sequence, nanoseconds, len(each), 0)
    return head + b"".join(descriptor(d, s, len(data)) for d, s, data in each) + b"".join(data for _, _, data in each)
