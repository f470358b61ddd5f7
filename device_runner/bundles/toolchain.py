"""The compiler and the build tools."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import UserError

#: the version is the one that scripts/setup takes
_INSTALL = "install what the build needs: pip install 'cmake==3.31.*' ninja"


@dataclass(frozen=True)
class Toolchain:
    """What a build needs."""

    compiler: str
    #: its own words, part of the key of a build
    description: str
    cmake: str
    ninja: str | None
    machine: str
    #: whether the programs it makes run here
    native: bool


def find_toolchain(machine: str) -> Toolchain:
    """The tools for a Linux of `machine`. Raises UserError, naming what to install, when one is missing."""
    here = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    native = machine == here and platform.system() == "Linux"
    if native:
        candidates = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
        install = "apt-get install g++ (Fedora: dnf install gcc-c++)"
    else:
        candidates = [f"{machine}-linux-gnu-g++"]
        install = f"apt-get install g++-{machine.replace('_', '-')}-linux-gnu"
    compiler = next((found for name in candidates if name and (found := shutil.which(name))), None)
    if compiler is None:
        raise UserError(f"no C++ compiler for linux-{machine}; install one: {install}")
    cmake = _tool("cmake")
    if cmake is None:
        raise UserError(f"cmake is missing; {_INSTALL}")
    if _tool("ninja") is None and _tool("make") is None:
        raise UserError(f"ninja is missing, and so is make; {_INSTALL}")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    description = version.splitlines()[0] if version else Path(compiler).name
    return Toolchain(compiler, description, cmake, _tool("ninja"), machine, native)


def _tool(name: str) -> str | None:
    # pip puts cmake and ninja beside this Python, which need not be on the path
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
