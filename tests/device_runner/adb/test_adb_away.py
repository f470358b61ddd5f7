"""A phone that stops answering, or answering us, in the middle of a launch: the bench ends in time, and is gone on with."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import benching, launching, runner, session
from device_runner.benching import Finished
from device_runner.results.store import Store
from device_runner.transports.adb import library_connection
from device_runner.transports.base import NotAuthorised
from edgedeploy.errors import TransientError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Limits
from tests.bench_hosts.adbd import AdbServer, Phone, free_port
from tests.bench_hosts.adbd import phone as running_phone
from tests.bench_hosts.fault_proxy import FaultProxy, between
from tests.device_runner.adb.conftest import serial_of
from tests.device_runner.conftest import BRIEF
from tests.device_runner.ssh.conftest import eventually

_RUNS = "/data/local/tmp/edgedeploy/runs"
#: long enough for something to happen in the middle of it
LONG = BRIEF.model_copy(update={"steady": Limits(min_count=30, min_ms=1000), "max_seconds": 3.0})


@pytest.fixture
def environment(way: str, server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As test_adb_bench's, and little patience."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port if way == "server" else free_port()))
    if way == "library":
        (tmp_path / "programs").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setattr(launching, "PATIENCE_SEC", 1.0)
    monkeypatch.setattr(session, "GRACE_SEC", 1.0)
    for module in (runner, session):
        monkeypatch.setattr(module, "TRY_SEC", 1.0)
    monkeypatch.setattr(library_connection, "ACCEPT_SEC", 1.0)


def during_launch(phone: Phone, act: Callable[[], None]) -> threading.Thread:
    """Call `act` while the second launch samples."""

    def wait() -> None:
        def sampling() -> bool:
            return any('"warmup"' in events.read_text() for events in phone.inside(_RUNS).glob("*/1/events.jsonl"))

        assert eventually(sampling)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def run(store: Store, path: Path, cable: FaultProxy) -> Finished:
    status = StatusLine(io.StringIO())
    return benching.bench([path], f"adb:{serial_of(cable)}", LONG, store, 0, {}, status, lambda identifier: None)


def gone_on_with(store: Store, phone: Phone) -> None:
    """Resume: what was measured before is kept, the launch that went on by itself is fetched, nothing is left."""
    (identifier,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    before = store.read_partial(f"{identifier}.00")
    assert before is not None
    assert [launch.valid for launch in before.launches] == [True]
    (record,) = benching.resume(identifier, store, StatusLine(io.StringIO()), lambda identifier: None).records
    assert record.launches[0] == before.launches[0]
    assert [(launch.index, launch.position, launch.valid) for launch in record.launches] == [
        (0, 0, True), (1, 1, True), (2, 2, True),
    ]  # fmt: skip
    assert "the host had gone away" in record.launches[1].flags[0]
    assert list(phone.inside(_RUNS).glob("*/*")) == []
    assert not [line for line in phone.processes().values() if "edgebench" in line]


@pytest.mark.usefixtures("environment")
def test_a_phone_that_is_offline_ends_the_bench_and_costs_no_sample(
    phone: Phone, cable: FaultProxy, fast: Path, store: Store
) -> None:
    """adbd is there and does nothing: the connection stays open, and nobody answers."""
    freezing = during_launch(phone, phone.freeze_adbd)
    try:
        with pytest.raises(TransientError):
            run(store, fast, cable)
    finally:
        freezing.join()
        phone.thaw_adbd()
    gone_on_with(store, phone)


@pytest.fixture(scope="module")
def strict(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A phone that asks for a key, and can run what this host's runner needs."""
    elf = [*(runner / "bin").iterdir(), *(runner / "lib").iterdir()]
    with running_phone(tmp_path_factory.mktemp("strict") / "root", authorisation=True, guest_files=elf) as device:
        yield device


@pytest.mark.usefixtures("environment")
def test_a_key_that_is_revoked_in_the_middle_of_a_launch_costs_no_sample(
    strict: Phone, server: AdbServer, way: str, fast: Path, store: Store, tmp_path: Path
) -> None:
    """On the phone: 'Revoke USB debugging authorisations', which starts adbd anew."""
    key = (server.key if way == "server" else tmp_path / ".android/adbkey").with_suffix(".pub")

    def revoke() -> None:
        strict.revoke_keys()
        strict.kill_adbd()

    with between(strict.port) as cable:

        def accept() -> None:
            strict.accept(key)
            # the screen would tell adbd; here it looks at the keys when somebody comes
            cable.cut()
            assert eventually(lambda: "unauthorized" not in server.adb("devices"))

        # the key of the library's way is made when it first asks
        with pytest.raises(NotAuthorised):
            run(store, fast, cable)
        accept()
        revoking = during_launch(strict, revoke)
        with pytest.raises(NotAuthorised, match="Allow USB debugging"):
            run(store, fast, cable)
        revoking.join()
        accept()
        gone_on_with(store, strict)
