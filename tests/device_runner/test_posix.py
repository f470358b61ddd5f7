"""The scripts that work on a device's files, by this machine's own sh. The boards of tests/device_runner/ssh run them too."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from device_runner.transports import posix
from device_runner.transports.base import Completed, Stat
from edgedeploy.errors import TransientError, UserError

DATA = b"a model"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return (tmp_path / "work").resolve()


def run(argv: list[str], path: str = os.environ["PATH"], stdin: bytes = b"") -> Completed:
    shell = shutil.which(argv[0], path=path)
    done = subprocess.run(
        argv, executable=shell, input=stdin, capture_output=True, env={"PATH": path, "HOME": "/nowhere"}, check=False
    )
    return Completed(done.returncode, done.stdout, done.stderr)


def tools(directory: Path, *names: str) -> str:
    """A PATH on which there are these tools alone."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, name
        (directory / name).symlink_to(found)
    return str(directory)


def test_what_a_push_that_was_cut_off_left_is_cleared_by_the_next(root: Path) -> None:
    root.mkdir()
    for name in (".model.1.part", ".model.2.part", ".models.part", "model.part"):
        (root / name).write_bytes(b"x")
    run(posix.prepare(str(root), "model", SHA256, len(DATA), "0600"))
    assert sorted(path.name for path in root.iterdir()) == [".models.part", "model.part"]


def test_what_came_another_way_is_put_in_its_place_when_it_is_whole(root: Path) -> None:
    root.mkdir()
    for name in (".model.a.part", ".model.old.part", ".models.part"):
        (root / name).write_bytes(DATA)
    (root / "model").symlink_to("/etc/passwd")
    assert run(posix.finish(str(root), "model", SHA256, "0700", ".model.a.part")).exit_code == 0
    assert sorted(path.name for path in root.iterdir()) == [".models.part", "model"]
    assert not (root / "model").is_symlink()
    assert ((root / "model").read_bytes(), (root / "model").stat().st_mode & 0o777) == (DATA, 0o700)

    (root / ".model.b.part").write_bytes(DATA[:-1])
    with pytest.raises(TransientError, match="arrived damaged"):
        posix.check(run(posix.finish(str(root), "model", SHA256, "0600", ".model.b.part")), "model")
    (root / "taken").mkdir()
    (root / ".taken.c.part").write_bytes(DATA)
    with pytest.raises(UserError, match="a directory of that name is in the way"):
        posix.check(run(posix.finish(str(root), "taken", SHA256, "0600", ".taken.c.part")), "taken")
    assert sorted(path.name for path in root.iterdir()) == [".models.part", "model", "taken"]
    assert (root / "model").read_bytes() == DATA


def test_openssl_does_where_there_is_no_sha256sum_and_neither_is_said(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    needed = ("sh", "mkdir", "cat", "mv", "chmod", "rm", "ls", "df", "sed")
    path = tools(tmp_path / "openssl", *needed, "openssl")
    assert run(posix.receive(str(root), "model", SHA256, "0600"), path, DATA).exit_code == 0
    assert run(posix.prepare(str(root), "model", SHA256, len(DATA), "0600"), path).text == "same\n"
    none = run(posix.prepare(str(root), "model", SHA256, len(DATA), "0600"), tools(tmp_path / "neither", *needed))
    with pytest.raises(UserError, match="neither sha256sum nor openssl"):
        posix.to_send(none, "model", len(DATA))


@pytest.mark.parametrize("box", ["busybox", "toybox"])
def test_the_tools_of_small_boards_and_of_phones_do(root: Path, tmp_path: Path, box: str) -> None:
    program = shutil.which(box)
    assert program, f"no {box}: run scripts/install_test_packages"
    bin_directory = tmp_path / box
    bin_directory.mkdir()
    for name in ("mkdir", "cat", "mv", "chmod", "rm", "ls", "df", "sed", "sha256sum"):
        (bin_directory / name).symlink_to(program)
    # toybox has no shell that is finished; Android's is mksh
    (bin_directory / "sh").symlink_to(program if box == "busybox" else "/bin/sh")
    path, at, data = str(bin_directory), (str(root), "a b/-m'x"), os.urandom(5_000_000)
    digest = hashlib.sha256(data).hexdigest()
    run(posix.make_root(str(root)), path)
    assert posix.to_send(run(posix.prepare(*at, digest, len(data), "0600"), path), at[1], len(data)) is True
    assert run(posix.receive(*at, digest, "0600"), path, data[:-1]).exit_code == posix.DAMAGED
    assert run(posix.receive(*at, digest, "0600"), path, data).exit_code == 0
    assert run(posix.prepare(*at, digest, len(data), "0600"), path).text == "same\n"
    assert posix.stat_of(run(posix.stat(*at), path), at[1]) == Stat("file", len(data))
    assert run(posix.fetch(*at), path).stdout == data
    (root / "link").symlink_to("/etc")
    assert run(posix.fetch(str(root), "link/passwd"), path).stdout == b""
    assert run(posix.remove(str(root), "a b"), path).exit_code == 0
    assert [entry.name for entry in root.iterdir()] == ["link"]


def test_a_work_root_that_is_gone_can_be_tried_again(root: Path) -> None:
    with pytest.raises(TransientError, match="work directory is gone"):
        posix.check(run(posix.fetch(str(root), "model")), "model")


@pytest.mark.parametrize("said", ["", "relative", "/", "/a\n/b", "/a//b", "/a=b", "/a\x1b[31m", "/a/../b/."])
def test_a_device_that_names_a_strange_work_root_is_refused(said: str) -> None:
    with pytest.raises(UserError, match="work_root"):
        posix.root_of(Completed(0, said.encode() + b"\n", b""))


@pytest.mark.parametrize("said", ["", "file", "file x", "file -1", "socket 3", "file 1" + "0" * 30])
def test_a_device_that_does_not_say_what_a_file_is(said: str) -> None:
    with pytest.raises(TransientError, match="does not say"):
        posix.stat_of(Completed(0, said.encode(), b""), "model")


def test_a_process_is_ended_only_when_it_is_the_one(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    started = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    for other in (started - 1, started + 2000, 0):
        run(posix.end(process.pid, other))
        assert process.poll() is None
    run(posix.end(process.pid, started))
    assert process.wait(10) == -9
    assert run(posix.end(process.pid, started)).exit_code == 0
