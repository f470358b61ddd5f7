"""A device's instruction set in the words that a bundle's target is written in."""

from __future__ import annotations

from typing import Any


def target_of(hello: dict[str, Any]) -> str | None:
    """One of `edgedeploy.isa.TARGETS`, from the runner's hello line; None when it does not say."""
    abi, cpu = str(hello.get("abi", "")), hello.get("cpu")
    sets = cpu.get("isa", []) if isinstance(cpu, dict) else []
    if "aarch64" in abi or "arm64" in abi:
        return "aarch64"
    if "x86_64" in abi:
        return "x86_64-vnni" if "avx512_vnni" in sets or "avx_vnni" in sets else "x86_64"
    return None


def mismatch(target: str, hello: dict[str, Any]) -> str | None:
    """The warning for an artifact made for `target` on this device; None when it is the right one."""
    there = target_of(hello)
    if there is None or target in ("any", there):
        return None
    return f"made for {target}, measured on {there}: another lowering may be faster here (edgedeploy export --target {there})"
