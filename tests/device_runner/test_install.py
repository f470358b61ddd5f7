"""Which runner a device gets, what it does not get, and a whole bench of an Android that is a directory here."""

from __future__ import annotations

import io
import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_runner import bundles, checking, fit, install, transports
from device_runner.benching import bench
from device_runner.bundles import elf
from device_runner.deadline import Deadline
from device_runner.inventory import Device
from device_runner.results.store import Store
from device_runner.session import open_session
from device_runner.transports.base import Completed, Target
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from tests.bench_hosts import bionic, contained, debian
from tests.device_runner import too_new
from tests.device_runner.conftest import BRIEF
from tests.device_runner.native.conftest import CACHE


def deadline() -> Deadline:
    return Deadline.after(60)


@pytest.fixture(scope="module")
def android(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    """An x86_64 Android: the stand-in for its C library, busybox for its toybox, and this host's kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        built = bundles.build("android-x86_64", CACHE / "runner" / "android-x86_64")
        root = bionic.build_root(tmp_path_factory.mktemp("android"), "x86_64")
    if not (cache / "runner" / built.root.name).exists():
        (cache / "runner" / built.root.name).symlink_to(built.root)
    busybox = root / "system/bin/busybox"
    shutil.copy2(debian.unpacked("busybox-static", "amd64") / "bin/busybox", busybox)
    for name in ("sh", "ls", "cat", "uname", "mkdir", "ln", "cp", "rm", "grep", "getconf"):
        if name != "getconf":
            (root / "system/bin" / name).symlink_to("busybox")
    storage = tmp_path_factory.mktemp("storage")
    contained.PREFIXES[str(storage)] = (
        *bionic.native(root, storage, tmp_path_factory.getbasetemp()), "/system/bin/busybox", "env", "PATH=/system/bin"
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(transports.KINDS, "contained", contained.__name__)
        yield Device("android", Target("contained", str(storage)), "mobile")


def test_an_android_gets_its_own(android: Device) -> None:
    with open_session(android) as session:
        assert install.abi(session.transport, deadline()) == "android-x86_64"
        assert session.hello["abi"] == "android-x86_64"
        assert session.hello["missing"] == {}
        assert session.runner.unfit == {}
        pushed = {path.name for path in (session.transport.root / "runners").glob("*/*/*")}  # type: ignore[attr-defined]
    assert {"edgebench", "libonnxruntime.so", "libtensorflowlite_jni.so", "libexecutorch_jni.so", "libfbjni.so"} <= pushed


def test_a_bench_of_it(android: Device, fast: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Push, launch, wait, fetch, compare: outputs as the host had them at export."""
    import device_runner.inventory as inventory

    monkeypatch.setattr(inventory, "resolve", lambda name, *more: android)
    store = Store(tmp_path / "runs")
    finished = bench([fast], "android", BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None)
    (record,) = finished.records
    assert record.valid, record.invalid_because
    assert [launch.conforms for launch in record.launches] == [True, True, True]
    assert record.devices[0].facts["abi"] == "android-x86_64"


def test_this_host_is_a_linux(tmp_path: Path) -> None:
    assert install.abi(LocalTransport(tmp_path), deadline()) == bundles.host_abi()
    host = fit.look(LocalTransport(tmp_path), deadline())
    assert host.page_bytes == os.sysconf("SC_PAGE_SIZE")
    assert host.glibc == tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))  # type: ignore[union-attr]
    assert fit.misfits(bundles.locate(bundles.host_abi()), host) == {}


class Saying(LocalTransport):
    """A device that answers some programs otherwise than this host would: one we have not got."""

    def __init__(self, root: Path, answers: dict[str, bytes]) -> None:
        super().__init__(root)
        self.answers = answers

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        if argv[0] in self.answers:
            return Completed(0, self.answers[argv[0]], b"")
        return super().run(argv, deadline)


@pytest.mark.parametrize(
    ("machine", "linkers", "abi"),
    [
        ("aarch64", "/system/bin/linker\n/system/bin/linker64\n", "android-arm64"),
        ("x86_64", "/system/bin/linker64\n", "android-x86_64"),
        ("aarch64", "", "linux-aarch64"),
        ("riscv64", "/system/bin/linker64\n", "android-riscv64"),
    ],
)
def test_which_abi(tmp_path: Path, machine: str, linkers: str, abi: str) -> None:
    device = Saying(tmp_path, {"uname": f"{machine}\n".encode(), "ls": linkers.encode()})
    assert install.abi(device, deadline()) == abi


def test_a_device_without_a_runner(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="32-bit programs only"):
        install.abi(Saying(tmp_path, {"uname": b"aarch64\n", "ls": b"/system/bin/linker\n"}), deadline())
    with pytest.raises(UserError, match=r"no bundle fits .*: it is linux-riscv64, and there are bundles for android-arm64"):
        install.runner(Saying(tmp_path, {"uname": b"riscv64\n", "ls": b""}), deadline())


def auxv(page: int) -> bytes:
    return struct.pack("<6Q", 33, 0x7FFF0000, 6, page, 0, 0)


def test_pages_of_16_kb(tmp_path: Path, cache: Path, android: Device) -> None:
    """TensorFlow Lite's library is laid out for 4 KB: it is not sent, asking for it is refused, the others are there."""
    answers = {"uname": b"x86_64\n", "ls": b"/system/bin/linker64\n", "cat": auxv(16384), "getconf": b""}
    device = Saying(tmp_path, answers)
    runner = install.runner(device, deadline())
    assert set(runner.unfit) == {"tflite"}
    with pytest.raises(UserError, match=r"tflite cannot run on this device.*pages of 4096 bytes.*pages of 16384"):
        runner.require("tflite")
    runner.require("onnx")
    names = {path.name for path in (tmp_path / "runners").glob("*/lib/*")}
    assert "libtensorflowlite_jni.so" not in names
    assert {"libonnxruntime.so", "libexecutorch_jni.so"} <= names


def test_an_old_c_library(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        UserError, match=r"the runner cannot run on this device: bin/edgebench .* needs glibc 2\.[0-9]+.* has 2\.2"
    ):
        install.runner(Saying(tmp_path, {"getconf": b"glibc 2.2\n"}), deadline())


@pytest.fixture
def boards(cache: Path) -> None:
    """The runners of boards, as a user has built them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        built = [bundles.build(abi, CACHE / "runner" / abi) for abi in ("linux-aarch64", "linux-aarch64-portable")]
    for bundle in built:
        if not (cache / "runner" / bundle.root.name).exists():
            (cache / "runner" / bundle.root.name).symlink_to(bundle.root)


@pytest.mark.parametrize(
    ("answers", "asked", "portable"),
    [
        ({"getconf": b"glibc 2.36\n"}, "", False),
        ({"getconf": b"glibc 2.28\n"}, "", True),  # Debian 10
        ({"getconf": b"glibc 2.36\n"}, "portable", True),
        ({"getconf": b"", "ls": b"/system/bin/linker64\n"}, "portable", True),
    ],
)
def test_a_bundle_with_its_own_c_library(
    boards: None, tmp_path: Path, answers: dict[str, bytes], asked: str, portable: bool
) -> None:
    device = Saying(tmp_path, {"uname": b"aarch64\n", "ls": b"", "cat": auxv(4096), **answers})
    runner = install.runner(device, deadline(), asked)
    assert runner.unfit == {}
    (root,) = (tmp_path / "runners").iterdir()
    assert root.name.startswith("linux-aarch64-portable-" if portable else "linux-aarch64-")
    assert root.name.startswith("linux-aarch64-portable-") == portable
    asked_of: list[Sequence[str]] = []

    def run(argv: Sequence[str], deadline: Deadline) -> Completed:
        asked_of.append(argv)
        return Completed(0, b'{"event":"hello"}\n', b"")

    device.run = run  # type: ignore[method-assign]
    runner.hello(deadline())
    loader = [str(root / "lib/ld-linux-aarch64.so.1"), "--library-path", str(root / "lib")]
    assert asked_of == [[*(loader if portable else []), str(root / "bin/edgebench"), "--hello"]]
    if portable:
        assert os.access(loader[0], os.X_OK)


def test_an_old_board_without_the_bundle_for_it(boards: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked for: the one that does not fit, and why, and the one that would, which is not built."""
    elsewhere = tmp_path / "cache/runner"
    elsewhere.mkdir(parents=True)
    (elsewhere / "linux-aarch64").symlink_to(CACHE / "runner/linux-aarch64")
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(elsewhere.parent))
    device = Saying(tmp_path / "board", {"uname": b"aarch64\n", "ls": b"", "cat": auxv(4096), "getconf": b"glibc 2.28\n"})
    with pytest.raises(
        UserError,
        match=r"no bundle fits this device: .* of linux-aarch64 .* needs glibc 2\.34, and this device has 2\.28; "
        "the native runner for linux-aarch64-portable is not built; build it with: edgedeploy bundles build --abi",
    ):
        install.runner(device, deadline())
    assert not list((tmp_path / "board").rglob("*")), "nothing was pushed"


@pytest.mark.parametrize(("libc", "portable"), [(b"glibc 2.36\n", False), (b"glibc 2.28\n", True)])
def test_check_names_the_runner_that_bench_would_take(boards: None, tmp_path: Path, libc: bytes, portable: bool) -> None:
    said = Saying(tmp_path, {"uname": b"aarch64\n", "ls": b"", "cat": auxv(4096), "getconf": libc})
    report = checking.Report(Device("board", Target("local")))
    checking._bundle(report, said)
    assert report.facts["bundle"]["abi"] == ("linux-aarch64-portable" if portable else "linux-aarch64")
    assert report.facts["bundle"]["unfit"] == {}
    (runner,) = (line.text for line in report.lines if line.name == "runner")
    assert ("its own C library" in runner) == portable
    assert not (tmp_path / "runners").exists(), "nothing is pushed"


def test_check_says_what_was_looked_for(tmp_path: Path) -> None:
    report = checking.Report(Device("board", Target("local")))
    checking._bundle(report, Saying(tmp_path, {"uname": b"riscv64\n", "ls": b""}))
    assert not report.usable
    (runner,) = (line.text for line in report.lines if line.name == "runner")
    assert "it is linux-riscv64, and there are bundles for android-arm64, android-x86_64, linux-aarch64" in runner


def test_check_says_which_artifacts_fit(tmp_path: Path, fast: Path) -> None:
    new = too_new.onnx(tmp_path / "new.onnx", 99)
    report = checking.Report(Device("host", Target("local")))
    checking._bundle(report, LocalTransport(tmp_path / "device"), [fast, new])
    assert [entry["fits"] for entry in report.facts["artifacts"]] == [True, False]
    assert not report.usable
    lines = {line.text: line.ok for line in report.lines if line.name == "artifact"}
    assert lines.pop(f"{fast} can be run here") is True
    ((text, ok),) = lines.items()
    assert "opset 99" in text
    assert ok is False
    assert any(line.name == "onnx" and "opset" in line.text for line in report.lines)
    assert not list((tmp_path / "device").rglob("*")), "nothing is pushed"


def test_check_says_which_runtime_does_not_run(tmp_path: Path) -> None:
    report = checking.Report(Device("host", Target("local")))
    old = Saying(tmp_path, {"getconf": b"glibc 2.27\n", "cat": auxv(4096)})
    checking._bundle(report, old)
    assert not report.usable, "the runner itself is built for a newer C library"
    assert any("needs glibc" in line.text for line in report.lines)


def test_a_kind_of_bundle_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is portable"):
        install.runner(LocalTransport(tmp_path), deadline(), "static")


@pytest.mark.parametrize("said", [b"", b"x", auxv(0), auxv(12345), b"\xff" * 64])
def test_a_page_size_that_is_none(said: bytes) -> None:
    assert fit.page_size(said) is None


def test_what_a_library_says(runner: Path) -> None:
    library = elf.read(runner / "lib/libonnxruntime.so.1")
    assert (library.machine, library.glibc) == (bundles.host_abi().removeprefix("linux-"), (2, 27)) or library.glibc == (2, 28)
    assert library.page_bytes >= 4096
