"""What stands in for Android's C library here: Debian's musl as /system/bin/linker64, and a shim for what it lacks.

It is not bionic: linker namespaces and the checks of Android's linker, SELinux, seccomp and the vendor's drivers are not
there. What it shows is that a program or library for Android starts, finds its symbols and computes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from device_runner.bundles import zig
from tests.bench_hosts import debian

SHIM = Path(__file__).with_name("bionic_shim.c")
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
#: everything of this host but its programs and libraries; the mounts end with the process
_ENTER = """
set -e
mount --make-rprivate /
for directory in proc sys dev "$2" "$3"; do mkdir -p "$1/$directory"; mount --rbind "/$directory" "$1/$directory"; done
root="$1"; shift 3
exec chroot "$root" "$@"
"""


def build_root(root: Path, machine: str) -> Path:
    """Fill `root` with what a program for Android on that machine is started by: a few small files."""
    musl = debian.unpacked("musl", _DEBIAN[machine])
    for directory in ("system/bin", "system/lib64", "system/etc"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (library,) = musl.glob("lib/*-linux-musl/libc.so")
    shutil.copy2(library, root / "system/bin/linker64")
    # where musl looks, from the place it was started at
    (root / f"system/etc/ld-musl-{machine}.path").write_text("/system/lib64\n")
    _compile(root / "system/lib64/liblog.so", machine)
    return root


def _compile(target: Path, machine: str) -> None:
    compiler = zig.unpacked(zig.pinned(os.uname().machine), lambda said: None) / "zig"
    scratch = target.parent / "shim.o"
    caches = {f"ZIG_{kind}_CACHE_DIR": str(target.parent / "zig") for kind in ("GLOBAL", "LOCAL")}
    environment = os.environ | caches
    flags = ["-O1", "-fPIC", "-fno-builtin", "-fno-sanitize=all", "-fno-stack-protector", "-Wall", "-Wextra", "-Werror"]
    compile_it = [compiler, "cc", "-c", "-target", f"{machine}-linux-musl", *flags, "-o", scratch, SHIM]
    link_it = [compiler, "ld.lld", "-shared", "-soname", target.name, "-o", target, scratch]
    for command in (compile_it, link_it):
        subprocess.run(command, env=environment, check=True)
    scratch.unlink()
    shutil.rmtree(target.parent / "zig", ignore_errors=True)


def native(root: Path, *shared: Path) -> tuple[str, ...]:
    """What to put before a command to run it in `root` on this machine's own CPU, with two directories at their places."""
    assert os.geteuid() == 0, "a root of its own needs root: run the tests as root"
    first, second = (str(path).lstrip("/") for path in shared)
    return ("unshare", "--mount", "sh", "-c", _ENTER, "sh", str(root), first, second)


def emulated(root: Path) -> tuple[str, ...]:
    """The same in emulation, as an ARM Neoverse N1: the emulator looks below `root` first."""
    emulator = shutil.which("qemu-aarch64")
    assert emulator, "no qemu-aarch64: run scripts/install_test_packages"
    return (emulator, "-cpu", "neoverse-n1", "-L", str(root))
