"""A target of the runner's CMake project, built in a directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from device_runner.bundles import sources
from device_runner.bundles.toolchain import Toolchain
from edgedeploy import __version__
from edgedeploy.errors import InternalError

_BUILD_SEC = 1200


def build(
    toolchain: Toolchain, build_dir: Path, target: str, settings: Sequence[str], what: str, say: Callable[[str], None]
) -> None:
    """Configure with `settings` besides the toolchain's, and build. Raises InternalError, naming `what` does not build."""
    configure = [
        toolchain.cmake, "-S", str(sources.NATIVE), "-B", str(build_dir),
        *(["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={toolchain.ninja}"] if toolchain.ninja else []),
        *toolchain.all_settings(say), "-DCMAKE_BUILD_TYPE=Release", f"-DEDGEBENCH_VERSION={__version__}", *settings,
    ]  # fmt: skip
    jobs = str(min(os.cpu_count() or 1, 8))
    # flags of the caller's environment would be in the program without being in the key
    environment = {name: value for name, value in os.environ.items() if name not in ("CXXFLAGS", "LDFLAGS", "CPPFLAGS")}
    # zig keeps what it made; a build of ours leaves nothing behind
    environment |= {f"ZIG_{kind}_CACHE_DIR": str(build_dir / "zig") for kind in ("GLOBAL", "LOCAL")}
    for command in (configure, [toolchain.cmake, "--build", str(build_dir), "--target", target, "--parallel", jobs]):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_BUILD_SEC, check=False)
        if done.returncode:
            raise InternalError(f"{what} does not build:\n{(done.stdout + done.stderr)[-6000:]}")
