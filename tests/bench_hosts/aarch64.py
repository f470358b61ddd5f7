"""An aarch64 board in a directory: busybox and glibc of Debian's arm64, run by qemu-user through the kernel's binfmt_misc.

Every program in it is an aarch64 program, the shell included; only the kernel, /proc and /sys are this machine's. Needs root.
What is not shown: a board's own kernel, its CPU's speed, its clocks and temperatures.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.bench_hosts.sshd import INSTALL, Sshd, running

BUSYBOX = Path("/usr/local/lib/edgedeploy-tests/aarch64/busybox")
GLIBC = Path("/usr/aarch64-linux-gnu/lib")
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_NAME = "edgedeploy-aarch64"
_LIBRARIES = ("ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")
_CPP = ("libgcc_s.so.1", "libstdc++.so.6")
#: ELF, 64 bit, little-endian, an executable or a shared object, for machine 183
_MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# binfmt_misc gives an interpreter no arguments of its own, and a transport rightly leaves QEMU_CPU behind. Called with the
# program's path and then its argv (flag P), which busybox needs to have as it was: its first word is the applet
_INTERPRETER = """
#include <unistd.h>
int main(int argc, char **argv) {
  char *made[argc + 4];
  if (argc < 3) return 126;
  made[0] = "qemu-aarch64";
  made[1] = "-cpu";
  made[2] = "neoverse-n1";
  made[3] = "-0";
  made[4] = argv[2];
  made[5] = argv[1];
  for (int i = 3; i <= argc; ++i) made[i + 3] = argv[i];
  execv("/usr/bin/qemu-aarch64", made);
  return 126;
}
"""


def make_root(root: Path) -> Path:
    """Lay out the board's file system below `root`."""
    assert BUSYBOX.is_file(), f"no aarch64 busybox: run {INSTALL}"
    assert (GLIBC / "libc.so.6").is_file(), f"no aarch64 glibc: run {INSTALL}"
    emulator = shutil.which("qemu-aarch64")
    assert emulator, f"no qemu-aarch64: run {INSTALL}"
    for name in ("bin", "lib", "usr/bin", "proc", "sys", "dev", "tmp", "root", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    listed = subprocess.run([emulator, str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in listed:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for library in (*_LIBRARIES, *_CPP):
        shutil.copy(GLIBC / library, root / "lib" / library)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    # inside as well: the interpreter is found by the kernel, qemu by the interpreter
    shutil.copy(emulator, root / "usr" / "bin" / "qemu-aarch64")
    return root


@contextlib.contextmanager
def executable(directory: Path) -> Iterator[None]:
    """Inside, this kernel runs aarch64 programs, as a Neoverse N1, in every root that has /usr/bin/qemu-aarch64."""
    assert os.geteuid() == 0, "needs root, for binfmt_misc"
    source, interpreter = directory / "interpreter.c", directory / "interpreter"
    source.write_text(_INTERPRETER)
    subprocess.run(["gcc", "-static", "-O1", "-o", str(interpreter), str(source)], check=True)
    mounted = not (_BINFMT / "register").exists()
    if mounted:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], check=True)
    entry = _BINFMT / _NAME
    try:
        if entry.exists():
            entry.write_text("-1")
        # F: opened now, so that it need not be in the board's root
        rule = b":".join([b"", _NAME.encode(), b"M", b"", _MAGIC, _MASK, os.fsencode(interpreter), b"FP"])
        (_BINFMT / "register").write_bytes(rule)
        yield
    finally:
        if entry.exists():
            entry.write_text("-1")
        if mounted:
            subprocess.run(["umount", str(_BINFMT)], check=True)


@contextlib.contextmanager
def board(directory: Path) -> Iterator[tuple[Sshd, Path]]:
    """An sshd whose sessions are on the board, and the board's root."""
    root = make_root(directory / "root")
    # mounts of a namespace of its own go with it
    mounts = "; ".join(f"mount --rbind /{name} {root}/{name}" for name in ("proc", "sys", "dev"))
    wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{mounts}; exec "$@"', "sh"]
    enter = directory / "enter"
    enter.write_text(f'#!/bin/sh\nexec chroot {root} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    enter.chmod(0o755)
    settings = [f"ForceCommand {enter}"]
    with executable(directory), running(directory / "sshd", settings=settings, wrap=wrap, home="/root") as server:
        yield server, root
