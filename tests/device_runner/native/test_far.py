"""A stage on the far side: the same numbers as here, and nothing that is sent can do harm."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.device_runner.native import far
from tests.device_runner.native.far import Client, Served
from tests.device_runner.native.identity import identity
from tests.device_runner.native.support import (
    Edgebench,
    Json,
    Ran,
    Started,
    base_plan,
    endless,
    image_plan,
    json_of,
    limits,
    output,
    read_samples,
    tensor,
    wait_for,
)  # fmt: skip
from tests.fuzz import mutate

SHAPE = [1, 2, 3]
QUANTIZE = {"op": "quantize", "to": "int8", "scale": 2.0, "zero_point": 1}
DEQUANTIZE = {"op": "dequantize", "scale": 2.0, "zero_point": 1}
X = (np.arange(24, dtype=np.float32).reshape(4, *SHAPE) - 9.3) * 1.7

Serve = Callable[..., Served]


@pytest.fixture
def serve(edgebench: Edgebench, tmp_path: Path) -> Iterator[Serve]:
    """Serves a plan in `tmp_path/far`; ended afterwards, and every event of it was well-formed."""
    started: list[Served] = []
    (tmp_path / "far").mkdir()

    def serving(plan: Json, *arguments: str, **more: Any) -> Served:
        started.append(Served(edgebench, tmp_path / "far", plan, *arguments, **more))
        return started[-1]

    yield serving
    for each in started:
        each.close()


@pytest.fixture
def near(tmp_path: Path) -> Path:
    directory = tmp_path / "near"
    (directory / "inputs").mkdir(parents=True)
    far.put_token(directory)
    return directory


def far_plan(directory: Path, **serve: Any) -> Json:
    """int8 comes, is made float, goes through the identity."""
    identity(directory / "b.onnx", "float32", SHAPE)
    return {
        "protocol": 1, "runtime": "onnx", "model": "b.onnx", "load_cold": False, "max_seconds": 60,
        "inputs": [{**tensor("x", "int8", SHAPE, DEQUANTIZE), "link": 0}], "outputs": [tensor("y", "float32", SHAPE)],
        "serve": {"stall_seconds": 5, **serve},
    }  # fmt: skip


def near_plan(directory: Path, far_fields: Json, **more: Any) -> Json:
    """float32 goes through the identity and is sent as int8."""
    identity(directory / "a.onnx", "float32", SHAPE)
    X.tofile(directory / "inputs/x.bin")
    first = [{**tensor("y", "int8", SHAPE, QUANTIZE), "write": False}]
    plan = base_plan("onnx", "a.onnx", [tensor("x", "float32", SHAPE, file="inputs/x.bin")], first, **more)
    last = {
        "far": far_fields, "inputs": [{**tensor("x", "int8", SHAPE), "from": [0, 0]}],
        "outputs": [tensor("y", "float32", SHAPE)],
    }  # fmt: skip
    return {**plan, "then": [last]}


def crossings(directory: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(warm-up, steady), [n, 3] each: near, round trip, far."""
    data = (directory / "crossings.bin").read_bytes()
    assert data[:8] == b"EDGX\x01\x00\x00\x00"
    warmup, steady = struct.unpack("<QQ", data[8:24])
    assert len(data) == 32 + 24 * (warmup + steady)
    records = np.frombuffer(data[32:], "<i8").reshape(-1, 3)
    parts = records[:warmup], records[warmup:]
    return tuple(part[: int((part[:, 1] > 0).sum())] for part in parts)  # type: ignore[return-value]


def test_two_processes_give_what_one_gives_byte_for_byte(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path
) -> None:
    served = serve(far_plan(tmp_path / "far"))
    ran = edgebench.run(near, near_plan(near, served.far())).done()
    whole = tmp_path / "whole"
    (whole / "inputs").mkdir(parents=True)
    local = near_plan(whole, {})
    identity(whole / "b.onnx", "float32", SHAPE)
    last = {**local["then"][0], "model": "b.onnx"}
    del last["far"]
    last["inputs"] = [{**tensor("x", "int8", SHAPE, DEQUANTIZE), "from": [0, 0]}]
    alone = edgebench.run(whole, {**local, "then": [last]}).done()
    assert output(ran, 0).tobytes() == output(alone, 0).tobytes()
    assert ran.names == ["hello", "load", "adapters", "far", "first", "warmup", "steady", "output", "rusage", "end"]
    # 24 bytes of head, a descriptor of 16 + 3 * 8, 6 bytes of int8
    assert ran["far"]["bytes_sent"] == 48 + 24 + 40 + 6
    assert ran["far"]["bytes_received"] == 48 + 24 + 40 + 24


def test_what_an_inference_is_made_of_adds_up(edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path) -> None:
    served = serve(far_plan(tmp_path / "far"))
    ran = edgebench.run(near, near_plan(near, served.far())).done()
    samples, parts = read_samples(near), crossings(near)
    for whole, made_of in zip((samples.warmup, samples.steady), parts, strict=True):
        assert len(whole) == len(made_of) > 0
        near_ns, round_trip, far_ns = made_of.T
        assert (near_ns > 0).all()
        assert (far_ns > 0).all()
        assert (far_ns < round_trip).all()
        assert (near_ns + round_trip <= whole[:, 1]).all()
    assert ran["first"]["near_ns"] + ran["first"]["round_trip_ns"] <= ran["first"]["elapsed_ns"]
    ended = served.end()
    assert ended.failed("cancelled")
    assert ended["client"]["what"] == "left"
    # the warm-up, the steady phase, the first and four cases of outputs, all in one process
    assert ended["client"]["requests"] == len(samples.warmup) + len(samples.steady) + 5
    assert ended["rusage"]["peak_rss_kb"] > 0


def test_a_whole_model_is_far_and_its_input_is_sent(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path, models: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    alone = edgebench.run(here, image_plan(here, models, "onnx")).done()
    local = image_plan(near, models, "onnx")
    (near / local["model"]).rename(tmp_path / "far" / local["model"])
    arriving = {key: value for key, value in local["inputs"][0].items() if key != "file"}
    served = serve(
        {
            "protocol": 1, "runtime": "onnx", "model": local["model"], "inputs": [{**arriving, "link": 0}],
            "outputs": local["outputs"], "serve": {},
        }
    )  # fmt: skip
    del local["model"]
    ran = edgebench.run(near, {**local, "far": served.far()}).done()
    assert output(ran, 0).tobytes() == output(alone, 0).tobytes()
    assert ran["load"]["load_warm_ns"] is None
    assert ran["load"]["load_cold_ns"] is None
    assert ran["hello"]["runtime_version"] is None
    assert next(event for event in served.events if event["event"] == "hello")["runtime_version"]
    assert next(event for event in served.events if event["event"] == "load")["load_warm_ns"] > 0


def test_one_far_side_serves_one_near_side_after_the_other(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path
) -> None:
    served = serve(far_plan(tmp_path / "far"))
    for _ in range(3):
        edgebench.run(near, near_plan(near, served.far())).done()
    assert [event["what"] for event in served.end().events if event["event"] == "client"] == ["joined", "left"] * 3


def test_detached_it_is_asked_after_and_ended_as_any_run(edgebench: Edgebench, tmp_path: Path) -> None:
    directory = tmp_path / "far"
    directory.mkdir()
    far.put_token(directory)
    (directory / "plan.json").write_text(json.dumps(far_plan(directory, token_file="token")))  # noqa: S106
    assert edgebench.call("--serve", directory / "plan.json", "--detach")["detached"]["pid"] > 1
    try:
        wait_for(lambda: any(e["event"] == "serving" for e in json_of(directory / "events.jsonl")), "serving")
        assert not (directory / "token").exists(), "the secret does not stay on the device"
        status = edgebench.call("--poll", directory)["status"]
        assert status["alive"] is True
        assert status["phase"] == "serving"
    finally:
        assert edgebench.call("--cancel", directory)["status"]["alive"] is False
    assert far.TOKEN not in (directory / "events.jsonl").read_text() + (directory / "stderr.txt").read_text()


def test_it_ends_by_itself_when_nobody_comes(serve: Serve, tmp_path: Path) -> None:
    ended = serve(far_plan(tmp_path / "far", idle_seconds=0.2)).finish()
    ended.done()


def test_a_client_that_is_silent_for_too_long_is_let_go_of(serve: Serve, tmp_path: Path) -> None:
    served = serve(far_plan(tmp_path / "far", idle_seconds=0.2))
    client = Client(served)
    assert client.receive()[0] == far.WELCOME
    assert "silent" in served.until("client", what="dropped")["reason"]
    assert client.receive() == (0, b"")
    served.finish().done()


def test_a_link_alone_is_measured(edgebench: Edgebench, serve: Serve, near: Path) -> None:
    served = serve({"protocol": 1, "runtime": "onnx", "serve": {}})
    asked = {"protocol": 1, "far": served.far(), "echoes": 20, "echo_bytes": 1000, "bytes": 300_000, "rounds": 2}
    (near / "link.json").write_text(json.dumps(asked))
    ran = edgebench.call("--link", near / "link.json")
    assert ran.code == 0, ran.events
    line = ran["link"]
    assert len(line["echo_ns"]) == 20
    assert min(line["echo_ns"]) > 0
    assert [each["bytes"] for each in line["up"] + line["down"]] == [300_000] * 4
    assert all(0 < each["far_ns"] <= each["elapsed_ns"] for each in line["up"])
    assert all(each["elapsed_ns"] > 0 for each in line["down"])


class TestHostileClients:
    """Whatever a client sends, it is told why or is let go of, and the next one is served."""

    @pytest.fixture
    def served(self, serve: Serve, tmp_path: Path) -> Iterator[Served]:
        served = serve(far_plan(tmp_path / "far", stall_seconds=0.5))
        yield served
        served.process.poll()
        assert served.process.returncode is None, served.events
        client = Client(served)
        assert client.receive()[0] == far.WELCOME
        client.send(far.INFER, far.tensors(7, ("int8", SHAPE, bytes(6))))
        kind, body = client.receive()
        assert kind == far.ANSWER
        assert struct.unpack("<Q", body[:8])[0] == 7
        assert np.array_equal(np.frombuffer(body[-24:], "<f4"), np.full(6, -2.0, np.float32))
        client.send(far.BYE)
        served.until("client", what="left", requests=1)

    @pytest.mark.parametrize("token", [far.TOKEN[:-1] + "X", far.TOKEN + "x", "x" * 16, "x" * 128])
    def test_a_wrong_token(self, served: Served, token: str) -> None:
        assert Client(served, token=token).refused() == "denied"

    def test_another_plan(self, served: Served) -> None:
        client = Client(served, hello=False)
        client.send(far.HELLO, client.session + far.TOKEN.encode(), digest=bytes(32))
        assert client.refused() == "denied"

    @pytest.mark.parametrize("length", [0, 31, 145, 2**32, 2**64 - 1])
    def test_a_hello_of_a_wrong_length(self, served: Served, length: int) -> None:
        client = Client(served, hello=False)
        client.send(far.HELLO, b"x" * min(length, 200), length=length)
        assert client.refused() == "denied"

    @pytest.mark.parametrize("kind", [0, far.INFER, far.SINK, far.ERROR, 13, 255, 65535])
    def test_a_first_frame_that_is_no_hello(self, served: Served, kind: int) -> None:
        client = Client(served, hello=False)
        client.send(kind, client.session + far.TOKEN.encode())
        assert client.refused() == "denied"

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3, b"\x16\x03\x01" + bytes(60), bytes(48)])
    def test_another_protocol(self, served: Served, data: bytes) -> None:
        client = Client(served, hello=False)
        client.socket.sendall(data)
        assert client.refused() == "denied"

    @pytest.mark.parametrize("sent", [0, 1, 47, 48, 60])
    def test_one_that_leaves_in_the_middle_of_its_hello(self, served: Served, sent: int) -> None:
        client = Client(served, hello=False)
        whole = far.HEADER.pack(b"EDGT", 1, far.HELLO, 16 + len(far.TOKEN), client.digest) + client.session + far.TOKEN.encode()
        client.socket.sendall(whole[:sent])
        client.close()

    @pytest.mark.parametrize(
        ("body", "length", "code"),
        [
            (b"", 0, "input_size"),
            (b"", 2**64 - 1, "input_size"),
            (far.tensors(1, ("int8", SHAPE, bytes(7))), None, "input_size"),
            (far.tensors(1, ("uint8", SHAPE, bytes(6))), None, "signature_mismatch"),
            (far.tensors(1, ("int8", [1, 3, 2], bytes(6))), None, "signature_mismatch"),
            (far.tensors(1, ("int8", [1, 2, 2**62], bytes(6))), None, "signature_mismatch"),
        ],
    )
    def test_a_request_that_is_not_of_the_plan(self, served: Served, body: bytes, length: int | None, code: str) -> None:
        client = Client(served)
        assert client.receive()[0] == far.WELCOME
        client.send(far.INFER, body, length=length)
        assert client.refused() == code

    @pytest.mark.parametrize(
        ("kind", "body", "length"),
        [
            (far.ECHO, b"", 65537),
            (far.SINK, b"", 2**30 + 1),
            (far.SINK, b"", 2**64 - 1),
            (far.SOURCE, b"", 0),
            (far.SOURCE, struct.pack("<Q", 2**64 - 1), None),
            (far.WELCOME, b"", None),
            (far.HELLO, bytes(40), None),
            (far.ANSWER, b"", None),
        ],
    )
    def test_a_frame_that_is_too_long_or_not_for_it(self, served: Served, kind: int, body: bytes, length: int | None) -> None:
        client = Client(served)
        assert client.receive()[0] == far.WELCOME
        client.send(kind, body, length=length)
        assert client.refused() == "plan_invalid"

    @pytest.mark.parametrize("seed", range(4))
    def test_conversations_that_are_damaged(self, served: Served, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            client = Client(served, hello=False)
            frames = [
                (far.HELLO, client.session + far.TOKEN.encode()), (far.ECHO, b"echo"), (far.SINK, bytes(1000)),
                (far.INFER, far.tensors(1, ("int8", SHAPE, bytes(6)))), (far.SOURCE, struct.pack("<Q", 1000)), (far.BYE, b""),
            ]  # fmt: skip
            whole = [far.HEADER.pack(b"EDGT", 1, kind, len(body), client.digest) + body for kind, body in frames]
            # half of them are let in, so that what comes after a hello is read
            kept = whole[0] if rng.random() < 0.5 else b""
            rest = b"".join(whole[1:] if kept else whole)
            with contextlib.suppress(ConnectionError), client.socket as sent:
                sent.sendall(kept + mutate.blob(rest, rng))
                sent.shutdown(socket.SHUT_WR)
                while sent.recv(65536):
                    pass

    def test_one_that_stalls_in_the_middle_of_a_request(self, served: Served) -> None:
        client = Client(served)
        assert client.receive()[0] == far.WELCOME
        client.send(far.INFER, far.tensors(1, ("int8", SHAPE, bytes(6)))[:-3], length=24 + 40 + 6)
        served.until("client", what="dropped")
        assert client.receive() == (0, b"")

    def test_one_that_does_not_read_its_answer(self, served: Served) -> None:
        client = Client(served)
        client.send(far.SOURCE, struct.pack("<Q", 2**30))
        served.until("client", what="dropped")
        client.close()


def test_a_second_client_is_told_that_the_first_is_served(serve: Serve, tmp_path: Path) -> None:
    served = serve(far_plan(tmp_path / "far"))
    first = Client(served)
    assert first.receive()[0] == far.WELCOME
    assert Client(served).refused() == "busy"
    first.send(far.ECHO, b"still here")
    assert first.receive() == (far.ECHOED, b"still here")


def test_a_second_client_waits_its_turn_and_a_third_is_one_too_many(serve: Serve, tmp_path: Path) -> None:
    served = serve(far_plan(tmp_path / "far", clients=2, more="queue"))
    first = Client(served)
    assert first.receive()[0] == far.WELCOME
    second = Client(served)
    # its hello is read before the third one's: whoever waits is known in the order they came
    wait_for(lambda: Client(served).refused() == "busy", "the third to be refused")
    first.send(far.BYE)
    assert second.receive()[0] == far.WELCOME


def test_who_comes_back_takes_the_place_of_its_dead_connection(serve: Serve, tmp_path: Path) -> None:
    served = serve(far_plan(tmp_path / "far"))
    first = Client(served)
    assert first.receive()[0] == far.WELCOME
    again = Client(served, session=first.session)
    assert again.receive()[0] == far.WELCOME
    assert first.receive() == (0, b"")


class Between:
    """A relay between the two that can be cut, as a link that drops."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._to, self._pids = port, []  # type: tuple[int, list[int]] | Any
        self.start()

    def start(self) -> None:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                self._relay()
            os._exit(0)
        self._pid = pid

    def _relay(self) -> None:
        import selectors

        while True:
            one, _ = self._listening.accept()
            other = socket.create_connection(("127.0.0.1", self._to))
            with selectors.DefaultSelector() as ready, one, other:
                for each in (one, other):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(one, selectors.EVENT_READ, other)
                ready.register(other, selectors.EVENT_READ, one)
                open_ = True
                while open_:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        open_ = open_ and bool(data)
                        key.data.sendall(data)

    def cut(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            self.cut()
        self._listening.close()


@pytest.fixture
def between() -> Iterator[Callable[[int], Between]]:
    made: list[Between] = []

    def relay(port: int) -> Between:
        made.append(Between(port))
        return made[-1]

    yield relay
    for each in made:
        each.close()


def _measured(directory: Path) -> int:
    return len(read_samples(directory).steady) if (directory / "samples.bin").exists() else 0


def _dropped(edgebench: Edgebench, served: Served, link: Between, near: Path, *, comes_back: bool) -> tuple[Ran, int]:
    """A launch whose link drops in its steady phase; with how many samples there were then."""
    fields = served.far(port=link.port, reconnect_seconds=20 if comes_back else 0.3)
    plan = endless(near_plan(near, fields))
    started = Started(edgebench, near, {**plan, "steady": limits(3000, 1_000_000, ms=3000)} if comes_back else plan)
    try:
        wait_for(lambda: started.until("warmup"), "the warm-up")
        wait_for(lambda: _measured(near) > 100, "samples")
        link.cut()
        before = _measured(near)
        if comes_back:
            link.start()
        return started.finish(), before
    finally:
        started.close()


def test_a_link_that_comes_back_is_a_gap_and_no_sample(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path, between: Callable[[int], Between]
) -> None:
    served = serve(far_plan(tmp_path / "far"))
    ran, before = _dropped(edgebench, served, between(served.port), near, comes_back=True)
    ran.done()
    gap = ran["gap"]
    assert gap["phase"] == "steady"
    assert gap["after"] == before
    assert gap["elapsed_ns"] > 0
    steady = read_samples(near).steady
    assert len(steady) == len(crossings(near)[1]) >= 3000
    assert steady[before - 1].sum() <= gap["start_ns"]
    assert gap["start_ns"] + gap["elapsed_ns"] <= steady[before][0], "no sample has the gap in it"
    assert ran["steady"]["elapsed_ns"] <= steady[-1].sum() - steady[0][0] - gap["elapsed_ns"] + 1_000_000


def test_a_link_that_stays_away_ends_the_launch_with_what_it_had(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path, between: Callable[[int], Between]
) -> None:
    served = serve(far_plan(tmp_path / "far"))
    ran, before = _dropped(edgebench, served, between(served.port), near, comes_back=False)
    assert ran.failed("link_lost")["phase"] == "steady"
    assert ran.code == 7
    assert len(read_samples(near).steady) == before > 100
    served.until("client", what="dropped")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"plan_sha256": "0" * 64}, "denied"),
        ({"port": 1, "connect_seconds": 0}, "link_lost"),
        ({"host": "localhost"}, "plan_invalid"),
        ({"plan_sha256": "0" * 63}, "plan_invalid"),
        ({"token_file": "../token"}, "plan_invalid"),
        ({"token_file": "open"}, "plan_invalid"),
        ({"token_file": "missing"}, "input_missing"),
        ({"token_file": "other"}, "denied"),
        ({"port": 0}, "plan_invalid"),
    ],
)
def test_a_near_side_that_cannot_be_let_in(
    edgebench: Edgebench, serve: Serve, near: Path, tmp_path: Path, change: Json, code: str
) -> None:
    served = serve(far_plan(tmp_path / "far"))
    (near / "open").write_text(f"{far.TOKEN}\n")
    (near / "open").chmod(0o644)
    (near / "other").write_text("another-token-altogether\n")
    (near / "other").chmod(0o600)
    edgebench.run(near, near_plan(near, served.far(**change))).failed(code)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [{**tensor("x", "int8", SHAPE), "link": 1}]},
        {"inputs": [{**tensor("x", "int8", SHAPE, file="x.bin"), "link": 0}]},
        {"inputs": [tensor("x", "int8", SHAPE, file="x.bin")]},
        {"serve": {"clients": 0}},
        {"serve": {"more": "all"}},
        {"serve": {"unknown": 1}},
        {"warmup": limits(1, 1)},
        {"streams": 2},
        {"serve": None},
        {"inputs": []},
    ],
)
def test_a_far_plan_that_is_wrong(edgebench: Edgebench, tmp_path: Path, change: Json) -> None:
    plan = {**far_plan(tmp_path), **change}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    ran = edgebench.call("--serve", tmp_path / "plan.json", input=f"{far.TOKEN}\n".encode())
    ran.failed("plan_invalid", "signature_mismatch")


@pytest.mark.parametrize("change", [{"streams": 2}, {"profile": True}, {"model": "a.onnx"}, {"serve": {}}])
def test_a_near_plan_that_is_wrong(edgebench: Edgebench, near: Path, change: Json) -> None:
    fields = {"host": "127.0.0.1", "port": 9, "plan_sha256": "0" * 64, "token_file": "token"}
    plan = near_plan(near, fields)
    if "model" in change:
        plan["then"][0]["model"] = "a.onnx"
    else:
        plan |= change
    edgebench.run(near, plan).failed("plan_invalid")


@pytest.mark.parametrize("token", ["", "short", "x" * 129, "with a space in it", "täken-with-umlauts"])
def test_a_token_that_is_none(edgebench: Edgebench, tmp_path: Path, token: str) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(far_plan(tmp_path)))
    edgebench.call("--serve", tmp_path / "plan.json", input=f"{token}\n".encode()).failed("plan_invalid")


class Liar:
    """A far side that says what it likes, once."""

    def __init__(self, digest: str, *frames: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._pid = os.fork()
        if self._pid == 0:
            with contextlib.suppress(BaseException):
                while True:
                    client, _ = self._listening.accept()
                    client.recv(1000)
                    for frame in frames:
                        client.sendall(frame)
                        client.recv(100_000)
            os._exit(0)

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._listening.close()


def _frame(kind: int, body: bytes, length: int | None = None, digest: str = "ab" * 32) -> bytes:
    return far.HEADER.pack(b"EDGT", 1, kind, len(body) if length is None else length, bytes.fromhex(digest)) + body


_WELCOME = struct.pack("<II", 1, 1) + far.descriptor("int8", SHAPE, 6) + far.descriptor("float32", SHAPE, 24)
_ANSWER = ("float32", SHAPE, bytes(24))


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(40)], "runtime_error"),
        ([_frame(far.WELCOME, b"", 2**62)], "runtime_error"),
        ([_frame(far.WELCOME, struct.pack("<II", 2**31, 1))], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME[:-1])], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME + b"x")], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME, digest="cd" * 32)], "denied"),
        ([_frame(far.WELCOME, struct.pack("<II", 0, 0))], "signature_mismatch"),
        ([_frame(far.WELCOME, struct.pack("<II", 1, 1) + 2 * far.descriptor("int8", SHAPE, 6))], "signature_mismatch"),
        ([_frame(far.WELCOME, struct.pack("<II", 1, 1) + 2 * far.descriptor("int8", [2**40, 2**40], 6))], "runtime_error"),
        ([_frame(far.ERROR, b"busy\n" + 1000 * b"x", 2**40)], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME), _frame(far.ANSWER, b"", 2**64 - 1)], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME), _frame(far.ANSWER, far.tensors(2, _ANSWER, nanoseconds=1))], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME), _frame(far.ANSWER, far.tensors(1, _ANSWER, nanoseconds=2**63))], "runtime_error"),
        ([_frame(far.WELCOME, _WELCOME), _frame(far.ERROR, b"\xff\xfe\n\x1b[31m")], "internal"),
    ],
)
def test_a_far_side_that_lies(edgebench: Edgebench, near: Path, frames: list[bytes], code: str) -> None:
    liar = Liar("ab" * 32, *frames)
    try:
        fields = {
            "host": "127.0.0.1", "port": liar.port, "plan_sha256": "ab" * 32, "token_file": "token", "connect_seconds": 1,
            "stall_seconds": 2,
        }  # fmt: skip
        edgebench.run(near, near_plan(near, fields)).failed(code)
    finally:
        liar.close()
