"""The delay line as the process that it is: every byte arrives, none sooner than it may, and an end or a cut is passed on."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from device_runner.tiers.shape import Shape, parse
from device_runner.tiers.shaping import relay

SOON = 30.0


class Listener:
    """A server of the test's: `accept` gives the far end of what a client just opened."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(SOON)
        self.port = int(self._socket.getsockname()[1])

    def accept(self) -> socket.socket:
        end, _ = self._socket.accept()
        end.settimeout(SOON)
        return end

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SOON)


def read(end: socket.socket, count: int) -> bytes:
    pieces = []
    while count:
        piece = end.recv(min(count, 2**16))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("link", ["500mbit,1ms", "20ms"])
def test_every_byte_both_ways_over_several_connections_at_once(server: Listener, link: str) -> None:
    with relay(server.port, parse(link)) as port:
        for _ in range(3):
            with connect(port) as near, server.accept() as far:
                there, back = os.urandom(700_001), os.urandom(500_003)
                senders = [
                    threading.Thread(target=near.sendall, args=(there,)), threading.Thread(target=far.sendall, args=(back,))
                ]  # fmt: skip
                for sender in senders:
                    sender.start()
                with ThreadPoolExecutor(1) as reader:
                    got = reader.submit(read, near, len(back))
                    assert read(far, len(there)) == there
                    assert got.result(SOON) == back
                for sender in senders:
                    sender.join(SOON)


@pytest.mark.parametrize(
    ("shape", "nbytes", "ms"), [(Shape(8, 0), 200_000, 200), (Shape(None, 30), 10, 60), (Shape(8, 20), 100_000, 140)]
)
def test_nothing_is_there_and_back_sooner_than_over_such_a_link(server: Listener, shape: Shape, nbytes: int, ms: float) -> None:
    with relay(server.port, shape) as port, connect(port) as near, server.accept() as far:
        begun = time.monotonic()
        near.sendall(bytes(nbytes))
        assert len(read(far, nbytes)) == nbytes
        far.sendall(b"!")
        assert read(near, 1) == b"!"
        assert time.monotonic() - begun >= ms / 1000


def test_connections_share_the_link(server: Listener) -> None:
    with relay(server.port, Shape(8)) as port, connect(port) as one, connect(port) as other:
        ends = [server.accept(), server.accept()]
        begun = time.monotonic()
        for near in (one, other):
            threading.Thread(target=near.sendall, args=(bytes(100_000),)).start()
        for far in ends:
            assert len(read(far, 100_000)) == 100_000
            far.close()
        assert time.monotonic() - begun >= 0.2


def test_a_sender_is_held_up_where_the_link_is_full(server: Listener) -> None:
    with relay(server.port, Shape(0.01)) as port, connect(port) as near, server.accept():
        near.settimeout(0.5)
        with pytest.raises(TimeoutError):
            near.sendall(bytes(100_000_000))


def test_the_end_of_one_way_is_passed_on_in_its_turn(server: Listener) -> None:
    with relay(server.port, parse("5ms")) as port, connect(port) as near, server.accept() as far:
        near.sendall(b"question")
        near.shutdown(socket.SHUT_WR)
        assert far.makefile("rb").read() == b"question"
        far.sendall(b"answer")
        far.close()
        assert near.makefile("rb").read() == b"answer"


def test_a_cut_is_passed_on(server: Listener) -> None:
    with relay(server.port, parse("5ms")) as port, connect(port) as near:
        far = server.accept()
        near.sendall(b"question")
        assert read(far, 8) == b"question"
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        far.close()
        # not an orderly end, which a reader could take for the whole answer
        with pytest.raises(ConnectionResetError):
            read(near, 100)


def test_where_nobody_listens_a_connection_ends_at_once_and_later_ones_are_led_on(server: Listener) -> None:
    nobody = Listener()
    nobody.close()
    with relay(nobody.port, parse("1ms")) as port, connect(port) as near, pytest.raises(ConnectionResetError):
        near.recv(1)


def test_it_ends_with_who_wanted_it(server: Listener) -> None:
    with relay(server.port, parse("1ms")) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        connect(port)


def test_a_cut_is_passed_on_although_the_other_side_does_not_read(server: Listener) -> None:
    with relay(server.port, parse("1gbit,1ms")) as port, connect(port) as near, ThreadPoolExecutor(1) as sender:
        far = server.accept()
        sent = sender.submit(far.sendall, bytes(50_000_000))
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        near.close()
        assert isinstance(sent.exception(SOON), ConnectionResetError | BrokenPipeError)
