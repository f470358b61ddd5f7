"""What the cache on a device promises, whatever reaches it. Each takes a transport that is open, and a directory here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device_runner.deadline import Deadline
from device_runner.device_cache.cache import DeviceCache
from device_runner.device_cache.holdings import LEASE_SEC
from device_runner.transports.base import NoRoom, Transport
from edgedeploy.bundle import file_sha256

US, OTHER = "us-1", "other-2"
SIZE = 100_000


def soon() -> Deadline:
    return Deadline.after(60)


def put(cache: DeviceCache, here: Path, size: int = SIZE) -> str:
    """Push a file of its own content, used now; its name in the store."""
    source = here / "source"
    source.write_bytes(os.urandom(size))
    name = file_sha256(source)
    cache.use([name])
    cache.push(source, f"store/{name}", soon())
    return name


def age(device: Transport, path: str, days: int) -> None:
    """Make a file one that was used so long ago."""
    done = device.run(
        ["touch", "-t", time.strftime("%Y%m%d%H%M", time.gmtime(time.time() - 86400 * days)), device.path(path)], soon()
    )
    assert done.exit_code == 0, done.error_text


def stored(device: Transport) -> set[str]:
    return set(device.run(["ls", "-A", device.path("store")], soon()).text.split())


def what_was_used_last_stays(device: Transport, here: Path) -> None:
    cache = DeviceCache(device, US, 3 * SIZE)
    names = [put(cache, here) for _ in range(5)]
    for days, name in enumerate(names):
        age(device, f"store/{name}", 10 + days)
    # the oldest is used again, although it is not sent again
    cache.release()
    cache.use([names[4]])
    cache.release()
    assert cache.trim() == 2 * SIZE
    assert stored(device) == {names[4], names[0], names[1]}
    held = cache.holdings()
    assert (held.bytes, held.count) == (3 * SIZE, 3)
    assert cache.trim() == 0


def what_is_leased_stays(device: Transport, here: Path) -> None:
    """Of this session, and of another host; not of a host that was not heard of for a day, or has no clock to go by."""
    ours, theirs = DeviceCache(device, US, 0), DeviceCache(device, OTHER, 0)
    a, b = put(ours, here), put(theirs, here)
    assert ours.trim() == 0
    assert theirs.empty() == 0
    ours.release()
    assert theirs.trim() == SIZE
    assert stored(device) == {b}
    theirs.use([a])
    stamp = device.path(f"leases/{OTHER}/until.from")
    for said in (str(int(time.time()) - LEASE_SEC + 600), str(int(time.time()) - LEASE_SEC - 600)):
        assert stored(device) == {b}
        device.run(["sh", "-c", 'echo "$1" > "$2"', "sh", said, stamp], soon())
        freed = ours.trim()
    assert freed == SIZE
    assert stored(device) == set()
    assert device.stat(f"leases/{OTHER}", soon()) is None


def what_a_launch_needs_stays(device: Transport, here: Path) -> None:
    """One that runs or was left has links to its files, and its runner is that of a process."""
    cache = DeviceCache(device, US, 0)
    kept, gone = put(cache, here), put(cache, here)
    device.run(["mkdir", "-p", device.path("runs/r.00/0")], soon())
    device.run(["ln", device.path(f"store/{kept}"), device.path("runs/r.00/0/model")], soon())
    program = here / "program"
    program.write_text("#!/bin/sh\nsleep 607 &\nwait\n")
    for name in ("old-1", "now-2"):
        cache.use([name])
        for path in ("bin/edgebench", "lib/libx.so"):
            cache.push(program, f"runners/{name}/{path}", soon(), executable=True)
    with running(device, "runners/now-2/bin/edgebench"):
        cache.release()
        cache.trim()
        assert stored(device) == {kept}
        assert device.stat("runners/old-1", soon()) is None
        assert device.stat("runners/now-2/lib/libx.so", soon()) is not None
        assert gone not in stored(device)
    device.remove("runs/r.00", soon())
    cache.empty()
    assert stored(device) == set()
    assert device.stat("runners/now-2", soon()) is None


@contextmanager
def running(device: Transport, path: str) -> Iterator[None]:
    """A program of the device, detached as the runner is."""
    shell = device.run(["sh", "-c", 'sh "$1" >/dev/null 2>&1 </dev/null & echo $!', "sh", device.path(path)], soon())
    pid = int(shell.text)
    try:
        yield
    finally:
        device.run(["sh", "-c", 'kill -9 "$1"', "sh", str(pid)], soon())


def launches_that_are_forgotten(device: Transport, here: Path) -> None:
    """Those that do not run; their files can go then."""
    cache = DeviceCache(device, US, 0)
    for run in ("left.00", "runs.01"):
        name = put(cache, here)
        device.run(["mkdir", "-p", device.path(f"runs/{run}/0")], soon())
        device.run(["ln", device.path(f"store/{name}"), device.path(f"runs/{run}/0/model")], soon())
    cache.release()
    source = here / "plan"
    source.write_text("sleep 608 &\nwait\n")
    device.push(source, "runs/runs.01/0/plan", soon())
    with running(device, "runs/runs.01/0/plan"):
        assert cache.forget_launches() == ["left.00"]
        assert cache.empty() == SIZE
        assert device.stat("runs/runs.01/0/model", soon()) is not None
        assert len(stored(device)) == 1


def a_full_device_makes_room(device: Transport, here: Path, megabytes: float) -> None:
    """`device` has so little room: what is not in use goes for what is pushed, and what is in use stays."""
    cache = DeviceCache(device, US, 10**12)
    size = int(megabytes * 2**20 * 0.3)
    used, *unused = [put(cache, here, size) for _ in range(3)]
    cache.release()
    cache.use([used])
    new = put(cache, here, int(size * 1.5))
    assert {used, new} <= stored(device) < {used, new, *unused}
    with pytest.raises(NoRoom):
        put(cache, here, int(megabytes * 2**20))
    assert {used, new} <= stored(device)
    assert not [name for name in stored(device) if name.startswith(".")], "nothing of the failed one is left"
    # on a file system that is full no name can be made either, and still it is cleaned
    cache.release()
    assert cache.empty() > 0
    assert stored(device) == set()


def what_was_cut_off_goes(device: Transport, here: Path) -> None:
    cache = DeviceCache(device, US, 0)
    name = put(cache, here)
    for part in (f".{name}.1234.part", f".{'a' * 64}.99.part", f".{'b' * 64}.{US}.going", f".{'c' * 64}.{OTHER}.going"):
        device.run(["cp", device.path(f"store/{name}"), device.path(f"store/{part}")], soon())
    cache.trim()
    # what is pushed now, and what another host may yet put back, stay
    assert stored(device) == {name, f".{name}.1234.part", f".{'c' * 64}.{OTHER}.going"}


def two_hosts_at_once(first: Transport, second: Transport, here: Path, seconds: float) -> None:
    """One uses and sends while the other removes all that it can: what is in use is never gone."""
    stop, wrong, rounds = threading.Event(), list[str](), [0, 0]
    source = here / "model"
    source.write_bytes(os.urandom(2000))
    name = file_sha256(source)

    def use() -> None:
        cache = DeviceCache(first, US, 0)
        while not stop.is_set():
            cache.use([name])
            cache.push(source, f"store/{name}", soon())
            # it may be away from its name for as long as the other takes to see the lease, and then is back
            patience = Deadline.after(5)
            while first.stat(f"store/{name}", soon()) is None and not patience.expired:
                time.sleep(0.01)
            if patience.expired:
                wrong.append("gone while in use")
            cache.release()
            rounds[0] += 1

    def remove() -> None:
        cache = DeviceCache(second, OTHER, 0)
        while not stop.is_set():
            cache.empty()
            rounds[1] += 1

    threads = [threading.Thread(target=target) for target in (use, remove)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert min(rounds) > 1
