"""The cache on this host as a device, with its own tools and with those of boards and phones; and whole benches with it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from device_runner.benching import bench
from device_runner.deadline import Deadline
from device_runner.device_cache import DeviceCache, holdings
from device_runner.device_cache.cache import DEFAULT_LIMIT_BYTES, owner
from device_runner.device_cache.holdings import Holdings, Item, parse
from device_runner.inventory import Device
from device_runner.launch_directory import Evicted
from device_runner.results.store import Store
from device_runner.session import Session, open_session
from device_runner.transports.base import Completed, Target
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import TransientError
from edgedeploy.progress import StatusLine
from tests.device_runner import caching
from tests.device_runner.conftest import BRIEF
from tests.device_runner.test_devices_command import devices, document

TOOLS = ("cat", "cp", "date", "df", "grep", "ln", "ls", "mkdir", "mv", "rm", "rmdir", "sed", "sleep", "touch", "tr", "kill")
LOCAL = Device("local", Target("local"))


class Boxed(LocalTransport):
    """This host with another's shell and tools, and no others."""

    def __init__(self, root: Path, tools: Path) -> None:
        super().__init__(root)
        self.tools = tools

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        done = subprocess.run(
            argv,
            executable=self.tools / argv[0],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": str(self.tools)},
            timeout=60,
        )
        return Completed(done.returncode, done.stdout, done.stderr)


@pytest.fixture(params=["this", "busybox", "toybox"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> LocalTransport:
    if request.param == "this":
        return LocalTransport(tmp_path / "de vice[1].*")
    program = shutil.which(request.param)
    assert program, f"no {request.param}: run scripts/install_test_packages"
    tools = tmp_path / "tools"
    tools.mkdir()
    # Debian's toybox has no tr, as older phones have none
    for name in set(TOOLS) - ({"tr"} if request.param == "toybox" else set()):
        (tools / name).symlink_to(program)
    # Android's is mksh, with 32 bits to reckon in
    (tools / "sh").symlink_to(program if request.param == "busybox" else "/bin/mksh-static")
    return Boxed(tmp_path / "device", tools)


PROMISES: list[Callable[..., None]] = [
    caching.what_was_used_last_stays, caching.what_is_leased_stays, caching.what_a_launch_needs_stays,
    caching.launches_that_are_forgotten, caching.what_was_cut_off_goes,
]  # fmt: skip


@pytest.mark.parametrize("promise", PROMISES)
def test_it_keeps_its_promises(device: LocalTransport, tmp_path: Path, promise: Callable[..., None]) -> None:
    promise(device, tmp_path)


def test_two_hosts_at_once(device: LocalTransport, tmp_path: Path) -> None:
    caching.two_hosts_at_once(device, device, tmp_path, 2.0)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk(small: Path, tmp_path: Path) -> None:
    caching.a_full_device_makes_room(LocalTransport(small / "device"), tmp_path, 4)


def test_thousands_of_files_are_too_many_whatever_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "MOST_FILES", 8000)
    device = LocalTransport(tmp_path / "device")
    (tmp_path / "device/store").mkdir()
    for number in range(8100):
        (tmp_path / "device/store" / f"{number:064x}").touch()
        os.utime(tmp_path / "device/store" / f"{number:064x}", (number, number))
    DeviceCache(device, caching.US, 10**9).trim()
    left = sorted(caching.stored(device))
    assert (len(left), left[0]) == (8000, f"{100:064x}")


def test_a_limit_is_kept_to_by_a_whole_bench(cache: Path, fast: Path, store: Store) -> None:
    """Nothing at all may stay: it is sent, used, and gone afterwards, and the runs are none the worse."""
    place = cache / "device/local"
    done = bench(
        [fast], replace(LOCAL, cache_limit_mb=0), BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None
    )
    assert done.records[0].valid
    assert list((place / "store").iterdir()) == []
    assert list((place / "runners").iterdir()) == []
    assert list((place / "leases").iterdir()) == []


def test_what_another_host_removed_is_staged_again(
    cache: Path, fast: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that slept for days: its lease is gone, and so are its files. No launch is lost by it."""
    start, evicted = Session.start, []

    def slept(session: Session, directory: str, *more: object) -> None:
        if not evicted:
            session.cache.release()
            DeviceCache(session.transport, caching.OTHER, 0).trim()
        try:
            start(session, directory, *more)  # type: ignore[arg-type]
        except Evicted as error:
            evicted.append(error)
            raise

    monkeypatch.setattr(Session, "start", slept)
    done = bench([fast], LOCAL, BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    assert len(evicted) == 1
    assert [launch.valid for launch in done.records[0].launches] == [True] * BRIEF.launches


def test_a_session_that_fails_ends_its_lease_and_a_device_that_went_away_keeps_it(cache: Path) -> None:
    leases = cache / "device/local/leases"
    with open_session(LOCAL):
        assert [path.name for path in leases.iterdir()] == [owner(LOCAL.target)]
    with pytest.raises(ValueError, match="ours"), open_session(LOCAL):
        raise ValueError("ours")
    assert list(leases.iterdir()) == []
    with pytest.raises(TransientError), open_session(LOCAL):
        raise TransientError("gone")
    assert [path.name for path in leases.iterdir()] == [owner(LOCAL.target)]
    with open_session(LOCAL):
        pass
    assert list(leases.iterdir()) == []


def test_check_says_what_it_holds_and_clean_empties_it(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"EDGEDEPLOY_CACHE": str(tmp_path / "cache"), "EDGEDEPLOY_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}
    monkeypatch.setenv("EDGEDEPLOY_STATE", own["EDGEDEPLOY_STATE"])
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/runner").symlink_to(cache / "runner")
    device = LocalTransport(tmp_path / "cache/device/local")
    held = caching.put(DeviceCache(device, owner(LOCAL.target)), tmp_path, 3_000_000)
    kept = caching.put(DeviceCache(device, "another-host"), tmp_path, 2_000_000)
    assert devices("add", "small", "local", "--cache-limit-mb", "1", cwd=tmp_path, **own).returncode == 0
    shown = document(devices("show", "small", "--json", cwd=tmp_path, **own))
    assert shown["cache_limit_mb"] == 1
    checked = document(devices("check", "small", "--json", cwd=tmp_path, **own))
    assert checked["cache"] == {"bytes": 5_000_000, "files": 2, "limit_bytes": 1_000_000}
    assert "5 of 1 MB" in devices("check", "small", cwd=tmp_path, **own).stdout
    cleaned = devices("clean", "small", cwd=tmp_path, **own)
    assert cleaned.stdout == "small: 3.0 MB freed; 2.0 MB are in use and stay\n", cleaned.stderr
    assert caching.stored(device) == {kept}
    assert held not in caching.stored(device)
    again = document(devices("clean", "small", "--launches", "--json", cwd=tmp_path, **own))
    assert again == {"device": "small", "freed_bytes": 0, "left_bytes": 2_000_000, "runs": []}


def test_the_default_goes_by_the_devices_room(tmp_path: Path) -> None:
    cache = DeviceCache(LocalTransport(tmp_path), caching.US)
    held = Holdings([Item("x", bytes=10**9)])
    assert cache.limit_bytes(held, 3 * 10**9) == 10**9
    assert cache.limit_bytes(held, 10**12) == cache.limit_bytes(held, None) == DEFAULT_LIMIT_BYTES
    assert DeviceCache(LocalTransport(tmp_path), caching.US, 5).limit_bytes(held, 0) == 5


def test_another_user_of_this_host_and_another_device_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for state in ("a", "b", "a"):
        monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path / state))
        names |= {owner(LOCAL.target), owner(Target("adb", "x"))}
    assert len(names) == 4


@pytest.mark.parametrize(
    "said",
    [
        "", "now", "now x", "lease", "lease a b c d", "uses /etc/passwd", "uses leases/../x", "-", "- - - - - -",
        "-rw 1 0 0 5 Jan 1 00:00 /etc/passwd", f"-rw 1 0 0 5 Jan 1 00:00 ../{'a' * 64}", "-rw 1 0 0 5 d t runners/../../etc/x",
        f"-rw x 0 0 5 Jan 1 00:00 store/{'a' * 64}", "-rw 1 0 0 5 d t runners/a/b/c/d", "-rw 1 0 0 5 d t runners/-rf/b/c",
        "drwx 1 0 0 5 d t runners/a/bin/x", "-rw 1 0 0 ٣ d t runners/a/bin/x",
    ],
)  # fmt: skip
def test_a_device_that_says_anything_names_nothing_to_remove(said: str) -> None:
    held = parse(said, caching.US)
    assert (held.items, held.debris, held.to_remove(10**9, 0)) == ([], [], [])


def test_a_planted_link_leads_no_removal_out(tmp_path: Path) -> None:
    device = LocalTransport(tmp_path / "device")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ("a" * 64)).write_bytes(b"x")
    (tmp_path / "device/store").symlink_to(outside)
    with pytest.raises(TransientError):
        DeviceCache(device, caching.US, 0).empty()
    assert (outside / ("a" * 64)).exists()
