"""The runner's C++ as a library that Java calls, for an ABI."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from device_runner.app import sources, tools
from device_runner.bundles import sources as runner_sources
from device_runner.bundles.toolchain import find_toolchain
from device_runner.cache import cache_root
from edgedeploy import __version__
from edgedeploy.errors import InternalError

NAME = "libedgebench_jni.so"
_BUILD_SEC = 1200


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
        configure = [
            toolchain.cmake, "-S", str(runner_sources.NATIVE), "-B", scratch,
            *(["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={toolchain.ninja}"] if toolchain.ninja else []),
            *toolchain.all_settings(say), "-DCMAKE_BUILD_TYPE=Release", f"-DEDGEBENCH_VERSION={__version__}",
            f"-DEDGEBENCH_JNI={sources.JNI}", f"-DEDGEBENCH_JNI_INCLUDE={include}",
        ]  # fmt: skip
        jobs = str(min(os.cpu_count() or 1, 8))
        environment = {name: value for name, value in os.environ.items() if name not in ("CXXFLAGS", "LDFLAGS", "CPPFLAGS")}
        environment |= {f"ZIG_{kind}_CACHE_DIR": str(Path(scratch, "zig")) for kind in ("GLOBAL", "LOCAL")}
        for command in (configure, [toolchain.cmake, "--build", scratch, "--target", "edgebench_jni", "--parallel", jobs]):
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_BUILD_SEC, check=False)
            if done.returncode:
                raise InternalError(f"{NAME} does not build:\n{(done.stdout + done.stderr)[-6000:]}")
        os.replace(Path(scratch, NAME), made)
    return made
