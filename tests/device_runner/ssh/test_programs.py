"""Programs and ports of a board over SSH: Debian's own sshd, and a cable that fails when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.retry import with_backoff
from device_runner.transports import ssh_command
from device_runner.transports.base import Completed, Transport
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts import sshd
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.device_runner.ssh.conftest import command_lines, eventually, soon


def test_arguments_reach_the_program_as_they_are(device: Transport) -> None:
    odd = ["a b", "$HOME", ";rm -rf /", "it's", "", "*", "back\\slash", "`id`", "two\nlines", "-n", "ü\x1b[31m", '"', "$(id)"]
    done = device.run(["printf", "[%s]", *odd], soon())
    assert (done.exit_code, done.stdout.decode()) == (0, "".join(f"[{word}]" for word in odd))


def test_exit_code_and_both_streams_come_back(device: Transport) -> None:
    assert device.run(["sh", "-c", "echo out; echo err >&2; exit 3"], soon()) == Completed(3, b"out\n", b"err\n")


def test_a_signal_is_128_and_its_number(device: Transport) -> None:
    assert device.run(["sh", "-c", "kill -9 $$"], soon()).exit_code == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_127(device: Transport) -> None:
    assert device.run(["/no/such/program"], soon()).exit_code == 127


def test_stdin_is_empty(device: Transport) -> None:
    assert device.run(["cat"], soon()) == Completed(0, b"", b"")


def test_what_a_login_sets_does_not_reach_a_program(device: Transport) -> None:
    # the test's sshd sets OMP_NUM_THREADS, as a board's /etc/environment may
    names = {line.partition("=")[0] for line in device.run(["env"], soon()).text.splitlines()}
    assert names == {"HOME", "USER", "PATH", "LC_ALL"}


def test_past_its_deadline_a_program_is_ended_on_the_device_with_its_children(device: Transport) -> None:
    with pytest.raises(DeadlineExpired):
        device.run(["sh", "-c", "sleep 86411 & sleep 86412"], Deadline.after(1))
    assert command_lines("86411") == command_lines("86412") == []
    # and the connection is as good as before
    assert device.run(["echo", "on"], soon()).text == "on\n"


def test_a_program_whose_connection_stalled_is_ended_by_the_next_one(
    over_cable: Transport, cable: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_command, "GRACE_SEC", 0.5)
    threading.Timer(1, cable.stall).start()
    with pytest.raises(DeadlineExpired):
        over_cable.run(["sleep", "86413"], Deadline.after(2))
    assert command_lines("86413")
    cable.flow()
    assert over_cable.run(["true"], soon()).exit_code == 0
    assert command_lines("86413") == []
    assert cable.connections == 2


def test_output_without_end_is_cut_off_and_its_program_ended(device: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_command, "MAX_OUTPUT_BYTES", 2**20)
    for stream in ("1", "2"):
        with pytest.raises(TransientError, match="without end"):
            device.run(["sh", "-c", f"exec yes 86414 >&{stream}"], soon())
    assert eventually(lambda: command_lines("86414") == [])
    assert device.run(["true"], soon()).exit_code == 0


def test_stream_gives_lines_as_they_come_and_closing_ends_the_program(device: Transport) -> None:
    lines = device.stream(["sh", "-c", "echo one; echo two; exec sleep 86415"], soon())
    assert [next(lines), next(lines)] == [b"one", b"two"]
    lines.close()  # type: ignore[attr-defined]
    assert command_lines("86415") == []


def test_stream_gives_a_last_line_without_an_end(device: Transport) -> None:
    assert list(device.stream(["printf", "a\n\nb"], soon())) == [b"a", b"", b"b"]


def test_stream_is_bounded_in_time_and_in_its_lines(device: Transport) -> None:
    lines = device.stream(["sh", "-c", "echo one; sleep 86416"], Deadline.after(2))
    assert next(lines) == b"one"
    with pytest.raises(DeadlineExpired):
        next(lines)
    assert command_lines("86416") == []
    with pytest.raises(TransientError, match="without end"):
        list(device.stream(["sh", "-c", "yes | tr -d '\\n'"], soon()))
    with pytest.raises(UserError, match="not found"):
        list(device.stream(["/no/such/program"], soon()))


def test_ctrl_c_while_a_program_runs_ends_it(device: Transport) -> None:
    threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        device.run(["sleep", "86417"], soon())
    assert command_lines("86417") == []
    assert device.run(["true"], soon()).exit_code == 0


def echo_server() -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            peer, _ = listener.accept()
            peer.sendall(peer.recv(100).upper())
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def asked(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.sendall(b"hello")
        return peer.recv(100)


def test_ports_lead_both_ways_and_do_so_again_after_the_cable_was_pulled(over_cable: Transport, cable: FaultProxy) -> None:
    server = echo_server()
    here, there = over_cable.forward(server, soon()), over_cable.reverse(server, soon())
    assert server not in (here, there)
    assert asked(here) == asked(there) == b"HELLO"
    cable.cut()
    assert eventually(lambda: with_backoff(lambda: over_cable.run(["true"], soon())).exit_code == 0)
    assert asked(here) == asked(there) == b"HELLO"


def test_a_board_that_leads_no_ports_on_is_named(tmp_path: Path) -> None:
    with sshd.running(tmp_path / "board", settings=["AllowTcpForwarding no"]) as board:
        device = transports.connect(board.target())
        with pytest.raises(UserError, match="AllowTcpForwarding"):
            device.reverse(1234, soon())
        device.close()
