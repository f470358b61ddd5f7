"""The cache of a phone with the real adbd, mksh and toybox, both ways; and of one whose disk is full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device_runner.transports.adb.transport import AdbTransport
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.device_runner import caching
from tests.device_runner.adb.conftest import Connect, serial_of, soon
from tests.device_runner.test_device_cache import PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_it_keeps_its_promises(device: AdbTransport, tmp_path: Path, promise: Callable[..., None]) -> None:
    promise(device, tmp_path)


def test_two_hosts_at_once(device: AdbTransport, connect: Connect, cable: FaultProxy, way: str, tmp_path: Path) -> None:
    root = device.path("x").rpartition("/")[0]
    caching.two_hosts_at_once(device, connect(serial_of(cable), way, root), tmp_path, 3.0)


def test_a_full_disk(connect: Connect, cable: FaultProxy, way: str, tmp_path: Path) -> None:
    device = connect(serial_of(cable), way, "/data/small/cache")
    caching.a_full_device_makes_room(device, tmp_path, 2)
    device.run(["rm", "-rf", "/data/small/cache"], soon())
