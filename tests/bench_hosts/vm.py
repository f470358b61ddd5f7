"""A small virtual machine that emulates all of itself, for what this host's kernel does not have: USB, above all.

Debian's kernel, read out of its package, on this host's own files: they are the machine's root, read-only, below a layer that
is gone with it. It has no network. Commands come in through a shared directory. Needs qemu-system-x86 and no right of root.
"""

from __future__ import annotations

import gzip
import itertools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench_hosts import debian

#: of everything that is emulated, nothing is fast
BOOT_SEC = 180.0
_POLL_SEC = 0.05
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_MOUNTED = "trans=virtio,version=9p2000.L,msize=524288"

#: first program: the modules, then this host's files as its own, then the second
_INIT = f"""#!/busybox sh
/busybox mkdir -p /proc /sys /dev /lower /layer /root
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
while read -r module; do /busybox insmod "/modules/$module"; done < /modules/order
/busybox mount -t 9p -o {_MOUNTED},ro,cache=loose host /lower
/busybox mount -t tmpfs layer /layer
/busybox mkdir /layer/upper /layer/work
/busybox mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work overlay /root
/busybox mount -t proc proc /root/proc
/busybox mount -t sysfs sys /root/sys
/busybox mount -t devtmpfs dev /root/dev
/busybox mount -t tmpfs tmpfs /root/run
/busybox mkdir -p /root/run/shared /root/dev/shm /root/dev/pts
/busybox mount -t devpts devpts /root/dev/pts
/busybox mount -t 9p -o {_MOUNTED},cache=none shared /root/run/shared
/busybox ip link set lo up
exec /busybox switch_root /root /bin/sh /run/shared/loop
"""

#: each command is a file that appears whole; so does what it answers
_LOOP = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd /run/shared
: > up
while :; do
  for command in *.command; do
    [ -e "$command" ] || continue
    name="${command%.command}"
    mv "$command" "$name.taken"
    ( sh "$name.taken" > "$name.out" 2> "$name.err" < /dev/null; echo $? > "$name.part"; mv "$name.part" "$name.code" ) &
  done
  sleep 0.05
done
"""


class Done(NamedTuple):
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str


class Vm:
    """`shared` is a directory of this host that the machine has as /run/shared."""

    def __init__(self, shared: Path, *, memory_mb: int = 2048, cpus: int = 2) -> None:
        self.shared, self._memory_mb, self._cpus = shared, memory_mb, cpus
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._kernel = _kernel()

    def boot(self) -> None:
        self.shared.mkdir(parents=True, exist_ok=True)
        (self.shared / "loop").write_text(_LOOP)
        program = shutil.which("qemu-system-x86_64")
        assert program, "no qemu-system-x86_64: run scripts/install_test_packages"
        initial = self.shared / "initial.gz"
        initial.write_bytes(_initial(self._kernel))
        with (self.shared / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [
                    program, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(self._cpus), "-m", str(self._memory_mb),
                    "-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio", "-kernel", str(self._kernel.image),
                    "-initrd", str(initial), "-append", "console=ttyS0 quiet panic=-1", "-device", "virtio-rng-pci",
                    "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
                    "-virtfs", f"local,path={self.shared},mount_tag=shared,security_model=none",
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
            )  # fmt: skip
        end = time.monotonic() + BOOT_SEC
        while not (self.shared / "up").exists():
            said = (self.shared / "console").read_text("utf-8", "replace")[-3000:]
            assert self._process.poll() is None, f"the machine ended: {said}"
            assert time.monotonic() < end, f"the machine does not come up: {said}"
            time.sleep(_POLL_SEC)

    def start(self, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
        """Run a command as the machine's root, in /; what `wait` and `so_far` know it by."""
        name = f"{next(self._numbers):04d}"
        settings = [f"{key}={value}" for key, value in (environment or {}).items()]
        draft = self.shared / f"{name}.draft"
        draft.write_text(f"cd /\nexec {' '.join(map(_quoted, ['env', *settings, *map(str, argv)]))}\n")
        draft.rename(self.shared / f"{name}.command")
        return name

    def so_far(self, name: str) -> Done | None:
        """What a command has said and ended with; None while it runs."""
        code = self.shared / f"{name}.code"
        if not code.exists():
            assert self._process is not None, "the machine is off"
            assert self._process.poll() is None, "the machine is off"
            return None
        return Done(int(code.read_text()), self.said(name, "out"), self.said(name, "err"))

    def wait(self, name: str, deadline_sec: float = 300) -> Done:
        """Raises AssertionError when it takes longer."""
        end = time.monotonic() + deadline_sec
        while (done := self.so_far(name)) is None:
            assert time.monotonic() < end, f"takes longer than {deadline_sec:.0f} s: {self.said(name, 'err')}"
            time.sleep(_POLL_SEC)
        return done

    def run(self, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None, deadline_sec: float = 300) -> Done:
        """Run a command to its end. Raises AssertionError when it takes longer than the deadline."""
        return self.wait(self.start(argv, environment), deadline_sec)

    def said(self, name: str, suffix: str) -> str:
        """A command's "out" or "err" so far."""
        file = self.shared / f"{name}.{suffix}"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def modprobe(self, *names: str) -> None:
        """Put modules of the machine's kernel, and what they need, into it."""
        for path in _in_order(self._kernel, names):
            done = self.run([_busybox(), "insmod", path])
            assert done.exit_code == 0 or "File exists" in done.stderr, done.stderr

    def power_off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class _Kernel(NamedTuple):
    image: Path
    #: name -> file; in a name - and _ are one
    modules: dict[str, Path]


def _busybox() -> Path:
    return next(debian.unpacked("busybox-static", "amd64").glob("**/bin/busybox"))


def _kernel() -> _Kernel:
    listed = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Depends: (linux-image-\S+)", listed)
    assert found, f"apt knows no kernel: {listed}"
    files = debian.unpacked(found.group(1), "amd64")
    (image,) = files.glob("boot/vmlinuz-*")
    return _Kernel(image, {path.stem.replace("-", "_"): path for path in files.glob("lib/modules/*/kernel/**/*.ko")})


def _in_order(kernel: _Kernel, names: Sequence[str]) -> list[Path]:
    """The modules and all they depend on, those first."""
    order: list[Path] = []

    def add(name: str) -> None:
        path = kernel.modules[name.replace("-", "_")]
        if path in order:
            return
        needed = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for other in filter(None, (needed.group(1) if needed else b"").decode().split(",")):
            add(other)
        order.append(path)

    for name in names:
        add(name)
    return order


def _initial(kernel: _Kernel) -> bytes:
    """The first file system: busybox, the modules that lead to this host's files, and the first program."""
    modules = _in_order(kernel, _MODULES)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.copy2(_busybox(), root / "busybox")
        (root / "modules").mkdir()
        for path in modules:
            shutil.copy2(path, root / "modules" / path.name)
        (root / "modules/order").write_text("".join(f"{path.name}\n" for path in modules))
        (root / "init").write_text(_INIT)
        (root / "init").chmod(0o755)
        files = [str(path.relative_to(root)) for path in sorted(root.rglob("*"))]
        packed = subprocess.run(
            ["busybox", "cpio", "-o", "-H", "newc"], input="\n".join(files).encode(), cwd=root, capture_output=True, check=True
        )
    return gzip.compress(packed.stdout, 1)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
