"""The runner's C++ as a library that Java calls, for an ABI."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from device_runner.app import sources, tools
from device_runner.bundles import cmake
from device_runner.bundles import sources as runner_sources
from device_runner.bundles.toolchain import find_toolchain
from device_runner.cache import cache_root

NAME = "libedgebench_jni.so"


def library(abi: str, say: Callable[[str], None]) -> Path:
    """libedgebench_jni.so, built only when sources or compiler changed; kept in the cache.

    Raises UserError when a tool is missing, TransientError when the compiler for Android cannot be downloaded.
    """
    sources.require()
    toolchain = find_toolchain(abi)
    include = tools.jni_include()
    own = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(sources.JNI.iterdir()))
    key = hashlib.sha256(f"{runner_sources.sources_digest(abi)}\n{own}\n{toolchain.description}\n".encode()).hexdigest()
    made = cache_root() / "app" / "jni" / f"{abi}-{key[:16]}" / NAME
    if made.is_file():
        return made
    say(f"compiling {NAME} for {abi} with {toolchain.description}")
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jni-", dir=made.parent) as scratch:
        settings = (f"-DEDGEBENCH_JNI={sources.JNI}", f"-DEDGEBENCH_JNI_INCLUDE={include}")
        cmake.build(toolchain, Path(scratch), "edgebench_jni", settings, NAME, say)
        os.replace(Path(scratch, NAME), made)
    return made
