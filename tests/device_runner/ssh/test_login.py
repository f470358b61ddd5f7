"""Who is let in where: host keys, our keys, jump hosts, settings, and accounts that are of no use."""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import DeadlineExpired
from device_runner.transports import ssh_link
from device_runner.transports.base import Completed, Target, Transport
from device_runner.transports.ssh import SshTransport
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts import sshd
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.ssh.conftest import eventually, soon


def test_an_unknown_host_key_is_refused_and_the_command_that_is_named_accepts_it(board: Sshd) -> None:
    board.known_hosts.unlink()
    with pytest.raises(UserError, match="is not known") as refused:
        transports.connect(board.target())
    text = str(refused.value)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(board.host_key)], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert fingerprint in text
    assert str(board.known_hosts) in text
    command = shlex.split(text.rpartition("with: ")[2])
    # what a person answers with "yes"
    subprocess.run([*command[:1], "-o", "StrictHostKeyChecking=accept-new", *command[1:]], check=True, capture_output=True)
    transports.connect(board.target()).close()


def test_a_new_host_key_is_accepted_once_when_that_is_the_policy(board: Sshd) -> None:
    board.known_hosts.unlink()
    transports.connect(board.target(host_key_policy="accept-new")).close()
    assert board.known_hosts.stat().st_mode & 0o777 == 0o600
    transports.connect(board.target()).close()
    board.stop()
    sshd.make_key(board.host_key)
    board.start()
    with pytest.raises(UserError, match="HOST KEY CHANGED"):
        transports.connect(board.target(host_key_policy="accept-new"))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_changed_host_key_is_refused_and_the_command_that_is_named_forgets_the_old_one(board: Sshd, kind: str) -> None:
    board.stop()
    sshd.make_key(board.host_key, kind)
    board.start()
    with pytest.raises(UserError, match="HOST KEY CHANGED") as refused:
        transports.connect(board.target())
    command = shlex.split(str(refused.value).rpartition(": ")[2])
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(UserError, match="is not known"):
        transports.connect(board.target())


def test_a_revoked_host_key_is_refused_under_every_policy(board: Sshd) -> None:
    entry = board.known_hosts.read_text()
    for known in (f"@revoked {entry}", f"{entry}@revoked {entry}"):
        board.known_hosts.write_text(known)
        with pytest.raises(UserError, match="revoked"):
            transports.connect(board.target(host_key_policy="accept-new"))


def test_a_config_that_turns_checking_off_does_not_turn_ours_off(board: Sshd, tmp_path: Path) -> None:
    config = board.client_config(tmp_path / "config", more=["StrictHostKeyChecking no"])
    config.write_text(config.read_text().replace(str(board.known_hosts), "none"))
    settings = {"config": str(config)}
    with pytest.raises(UserError, match="is not known"):
        transports.connect(Target("ssh", "board", settings))


def test_a_key_that_is_not_let_in_is_said_with_what_to_do(board: Sshd) -> None:
    board.revoke()
    with pytest.raises(UserError, match=rf"ssh-copy-id -p {board.port} {board.user}@127\.0\.0\.1"):
        transports.connect(board.target())


def test_a_key_revoked_while_connected_is_said_at_the_next_connection(
    board: Sshd, over_cable: Transport, cable: FaultProxy
) -> None:
    board.revoke()
    assert over_cable.run(["true"], soon()).exit_code == 0
    cable.cut()
    with pytest.raises((UserError, TransientError)):
        over_cable.run(["true"], soon())
    with pytest.raises(UserError, match="ssh-copy-id"):
        over_cable.run(["true"], soon())


def test_keys_come_from_an_agent(board: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    try:
        assert eventually(lambda: Path(address).exists())
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(UserError, match="ssh-add"):
            transports.connect(board.target(identity_file=""))
        subprocess.run(["ssh-add", "-q", str(board.client_key)], check=True)
        transports.connect(board.target(identity_file="")).close()
    finally:
        agent.kill()
        agent.wait()


def test_a_key_that_others_can_read_or_that_has_a_passphrase_is_said(board: Sshd) -> None:
    board.client_key.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        transports.connect(board.target())
    board.client_key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(board.client_key)], check=True)
    with pytest.raises(UserError, match="ssh-add"):
        transports.connect(board.target())


def test_a_board_behind_a_jump_host(board: Sshd, tmp_path: Path) -> None:
    with sshd.running(tmp_path / "jump") as jump:
        # by the user's config: the jump host has a name of its own there
        config = jump.client_config(tmp_path / "config", "gate")
        board.client_config(config, "board", more=["ProxyJump gate"])
        by_config = Target("ssh", "board", {"config": str(config)})
        device = transports.connect(by_config)
        assert device.run(["echo", "through"], soon()).text == "through\n"
        device.close()
        # by a setting
        config.unlink()
        jump.client_config(config, "gate")
        both = tmp_path / "both"
        both.write_text(board.known_hosts.read_text() + jump.known_hosts.read_text())
        through = board.target(jump="gate", config=str(config), known_hosts=str(both))
        with pytest.raises(UserError, match=r"gate .*ssh-copy-id"):
            transports.connect(through)
        jump.authorized_keys.write_text(jump.authorized_keys.read_text() + board.authorized_keys.read_text())
        transports.connect(through).close()
        # the jump host's key is checked as the board's is
        both.write_text(board.known_hosts.read_text())
        with pytest.raises(UserError, match=r"gate: its host key .* is not known"):
            transports.connect(through)
        # what does not answer behind it can be tried again
        both.write_text(board.known_hosts.read_text() + jump.known_hosts.read_text())
        board.stop()
        with pytest.raises(TransientError, match="the jump host cannot reach it"):
            transports.connect(through)


def test_a_host_that_is_not_there(board: Sshd) -> None:
    board.stop()
    with pytest.raises(TransientError, match="cannot be reached"):
        transports.connect(board.target())
    with pytest.raises(UserError, match="no host of that name"):
        transports.connect(Target("ssh", "nobody.invalid", {"config": "none"}))


def test_a_port_that_says_nothing_is_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_link, "LOGIN_SEC", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeadlineExpired, match="logging in"):
        transports.connect(Target("ssh", f"127.0.0.1:{silent.getsockname()[1]}", {"config": "none"}))


def test_a_board_without_sftp_does_as_well(tmp_path: Path, source: Path) -> None:
    with sshd.running(tmp_path / "board", sftp=False) as board:
        device = transports.connect(board.target())
        assert device.push(source, "model", soon()) is True
        device.pull("model", tmp_path / "fetched", soon())
        assert (tmp_path / "fetched").read_bytes() == source.read_bytes()
        device.close()


def test_what_a_login_prints_is_not_taken_for_a_programs_output(board: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    (board.home / ".bashrc").write_text("echo Welcome to the board; echo and a warning >&2\n")
    device = transports.connect(board.target())
    assert device.run(["sh", "-c", "echo out; echo err >&2"], soon()) == Completed(0, b"out\n", b"err\n")
    device.close()
    # without an end, of its line or at all
    monkeypatch.setattr("device_runner.transports.ssh.LOGIN_SEC", 2.0)
    (board.home / ".bashrc").write_text("yes | tr -d '\\n'\n")
    with pytest.raises((UserError, TransientError)):
        transports.connect(board.target())


@pytest.mark.parametrize("forced", ["/bin/false", "internal-sftp", "echo This account is not available"])
def test_an_account_that_runs_no_programs_is_said(tmp_path: Path, forced: str) -> None:
    with (
        sshd.running(tmp_path / "board", settings=[f"ForceCommand {forced}"]) as board,
        pytest.raises(UserError, match="does not run programs"),
    ):
        transports.connect(board.target())


def test_the_work_root_can_be_chosen(board: Sshd, tmp_path: Path, source: Path) -> None:
    for given, there in ((str(tmp_path / "a b" / "work"), tmp_path / "a b" / "work"), ("~/other", board.home / "other")):
        device = transports.connect(board.target(work_root=given))
        assert device.path("x") == f"{there}/x"
        assert there.stat().st_mode & 0o777 == 0o700
        device.close()
    with pytest.raises(UserError, match="cannot be made"):
        transports.connect(board.target(work_root="/proc/nothing"))


@pytest.mark.parametrize(
    ("address", "settings", "says"),
    [
        ("board", {"prot": "22"}, "no setting 'prot'; there is port, user"),
        ("board", {"port": "0"}, "not a port"),
        ("board", {"port": "ssh"}, "not a port"),
        ("board:22", {"port": "23"}, "keep one"),
        ("pi@board", {"user": "root"}, "keep one"),
        ("board", {"user": "-oProxyCommand=id"}, "not a user name"),
        ("-oProxyCommand=id", {}, "not an SSH address"),
        ("a b", {}, "not an SSH address"),
        ("", {}, "not an SSH address"),
        ("pi@board:99999", {}, "not a port"),
        ("board", {"identity_file": "/no/such/key"}, "no such file"),
        ("board", {"config": "/no/such/config"}, "no such file"),
        ("board", {"jump": "a;b"}, "not an SSH address"),
        ("board", {"work_root": "relative"}, "work_root"),
        ("board", {"work_root": "/"}, "work_root"),
        ("board", {"work_root": "/a/../b"}, "work_root"),
        ("board", {"host_key_policy": "no"}, "strict .* accept-new"),
    ],
)
def test_settings_that_are_wrong_are_refused_before_anything_is_connected(
    address: str, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        transports.connect(Target("ssh", address, settings))


def test_closing_ends_the_connection_and_its_thread(board: Sshd) -> None:
    before = threading.active_count()
    device = transports.connect(board.target())
    assert threading.active_count() > before
    device.close()
    device.close()
    assert threading.active_count() == before
    with pytest.raises(TransientError, match="closed"):
        device.run(["true"], soon())
    assert isinstance(device, SshTransport)
