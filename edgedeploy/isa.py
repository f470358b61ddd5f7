"""Instruction sets as targets: which int8 scheme is fast depends on them."""

from __future__ import annotations

import platform
from pathlib import Path

from edgedeploy.errors import UserError

#: `x86_64-vnni` has AVX512-VNNI or AVX-VNNI: u8 x s8 dot products that do not saturate
TARGETS = ("x86_64", "x86_64-vnni", "aarch64")


def host_target() -> str:
    """The target of the machine this runs on. Raises UserError for one that is none of TARGETS."""
    machine = platform.machine().lower()
    if machine in ("aarch64", "arm64"):
        return "aarch64"
    if machine in ("x86_64", "amd64"):
        try:
            flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        except OSError:  # macOS: no such file; the plain target is right, only not the fastest
            flags = ""
        words = next((line.split() for line in flags.splitlines() if line.startswith("flags")), [])
        return "x86_64-vnni" if "avx512_vnni" in words or "avx_vnni" in words else "x86_64"
    raise UserError(f"this host is a {machine}; say which device the artifact is for: --target {'|'.join(TARGETS)}")


def resolve(target: str | None) -> str:
    """`target` if it is one of TARGETS, this host's when it is None. Raises UserError naming the choices."""
    if target is None:
        return host_target()
    if target not in TARGETS:
        raise UserError(f"--target {target!r} is not known; choose one of {', '.join(TARGETS)}")
    return target
