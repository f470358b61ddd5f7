"""A C++ compiler for Android without its NDK: the parts of zig that compile, fetched by digest and kept unpacked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from device_runner.bundles import archives, fetch
from device_runner.bundles.pins import Package, load_tool
from device_runner.cache import cache_root

#: clang and lld, clang's own headers, the C++ library with its sources, musl's C headers; not zig's own library
_PARTS = ("include", "libcxx/include", "libcxx/src", "libc/include/generic-musl", "libc/include/any-linux-any")
_PER_MACHINE = ("libc/include/{}-linux-musl", "libc/include/{}-linux-any")
_MACHINES = ("x86_64", "aarch64")
_FILES = ("zig", "LICENSE", "lib/libcxx/LICENSE.TXT", "lib/std/std.zig")


def pinned(host_machine: str) -> Package:
    """The zig for a host of that machine. Raises UserError where there is none."""
    return load_tool("ziglang", host_machine)


def unpacked(package: Package, say: Callable[[str], None]) -> Path:
    """The directory with zig's program; about 220 MB, kept. Raises TransientError when it cannot be downloaded."""
    root = cache_root() / "tools" / f"zig-{package.version}-{package.sha256[:16]}"
    if (root / "zig").is_file():
        return root
    wheel = fetch.fetch(package, say)
    say(f"unpacking {package.package} {package.version}")
    root.parent.mkdir(parents=True, exist_ok=True)
    parts = [*_PARTS, *(part.format(machine) for part in _PER_MACHINE for machine in _MACHINES)]
    with tempfile.TemporaryDirectory(prefix=".zig-", dir=root.parent) as scratch:
        made = Path(scratch, "zig")
        archives.extract(
            wheel,
            {f"ziglang/{name}": made / name for name in _FILES},
            {f"ziglang/lib/{part}/": made / "lib" / part for part in parts},
        )
        (made / "zig").chmod(0o755)
        try:
            os.rename(made, root)
        except OSError:
            if not (root / "zig").is_file():  # else another build was first
                shutil.rmtree(root, ignore_errors=True)
                os.rename(made, root)
    return root
