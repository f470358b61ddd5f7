"""The cache of a board behind the real sshd; and of one whose disk is full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.transports.base import Transport
from tests.bench_hosts.sshd import Sshd
from tests.device_runner import caching
from tests.device_runner.test_device_cache import PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_it_keeps_its_promises(device: Transport, tmp_path: Path, promise: Callable[..., None]) -> None:
    promise(device, tmp_path)


def test_two_hosts_at_once(device: Transport, board: Sshd, tmp_path: Path) -> None:
    other = transports.connect(board.target())
    try:
        caching.two_hosts_at_once(device, other, tmp_path, 3.0)
    finally:
        other.close()


@pytest.fixture
def small(board: Sshd) -> Iterator[Transport]:
    """A work root on a file system of 4 MB."""
    place = board.home / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    device = transports.connect(board.target(work_root=str(place / "work")))
    try:
        yield device
    finally:
        device.close()
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk(small: Transport, tmp_path: Path) -> None:
    caching.a_full_device_makes_room(small, tmp_path, 4)
