"""The compiler and the build tools."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_runner.bundles import sources, zig
from device_runner.bundles.pins import Package
from edgedeploy.errors import UserError

#: the version is the one that scripts/setup takes
_INSTALL = "install what the build needs: pip install 'cmake==3.31.*' ninja"
_ANDROID_ABI = {"aarch64": "arm64-v8a", "x86_64": "x86_64"}
#: the oldest Android (7.0) that the runner runs on
ANDROID_API = 24


@dataclass(frozen=True)
class Toolchain:
    """What a build needs."""

    #: the compiler's own words, part of the key of a build
    description: str
    cmake: str
    ninja: str | None
    #: what CMake is told of the compiler and of what it compiles for
    settings: tuple[str, ...]
    #: a compiler that is fetched when a build really takes place
    zig: Package | None = None
    #: of a Linux: the program itself
    compiler: str = ""
    #: where the programs are that a wheel brought: nothing is compiled then
    prebuilt: Path | None = None

    def all_settings(self, say: Callable[[str], None]) -> list[str]:
        """`settings`, with those of the fetched compiler. Raises TransientError when it cannot be downloaded."""
        fetched = [f"-DEDGEBENCH_ZIG={zig.unpacked(self.zig, say)}"] if self.zig is not None else []
        return [*self.settings, *fetched]


def find_toolchain(abi: str) -> Toolchain:
    """The tools for `abi`. Raises UserError, naming what to install, when one is missing."""
    cmake = _tool("cmake")
    system, name = abi.split("-")[:2]
    machine = {"arm64": "aarch64"}.get(name, name)
    if system == "android":
        (description, settings, package), compiler = _android(machine), ""
    else:
        (description, settings, compiler), package = _linux(machine), None
    if cmake is None:
        raise UserError(f"cmake is missing; {_INSTALL}")
    if _tool("ninja") is None and _tool("make") is None:
        raise UserError(f"ninja is missing, and so is make; {_INSTALL}")
    return Toolchain(description, cmake, _tool("ninja"), settings, package, compiler)


def _here() -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())


def _linux(machine: str) -> tuple[str, tuple[str, ...], str]:
    native = machine == _here() and platform.system() == "Linux"
    if native:
        candidates = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
        install = "apt-get install g++ (Fedora: dnf install gcc-c++)"
    else:
        candidates = [f"{machine}-linux-gnu-g++"]
        install = f"apt-get install g++-{machine.replace('_', '-')}-linux-gnu"
    compiler = next((found for name in candidates if name and (found := shutil.which(name))), None)
    if compiler is None:
        raise UserError(f"no C++ compiler for linux-{machine}; install one: {install}")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    description = version.splitlines()[0] if version else Path(compiler).name
    cross = () if native else ("-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={machine}")
    return description, (f"-DCMAKE_CXX_COMPILER={compiler}", *cross), compiler


def _android(machine: str) -> tuple[str, tuple[str, ...], Package | None]:
    stated = os.environ.get("ANDROID_NDK_HOME")
    if stated:
        file = Path(stated, "build/cmake/android.toolchain.cmake").absolute()
        if not file.is_file():
            raise UserError(f"ANDROID_NDK_HOME is {stated}, which is no NDK: there is no {file}; unset it to build without one")
        return (
            f"Android NDK {_ndk_version(Path(stated))}",
            (
                f"-DCMAKE_TOOLCHAIN_FILE={file}", f"-DANDROID_ABI={_ANDROID_ABI[machine]}",
                f"-DANDROID_PLATFORM=android-{ANDROID_API}", "-DANDROID_STL=c++_static",
                "-DANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES=ON",
            ),
            None,
        )  # fmt: skip
    if platform.system() != "Linux":
        raise UserError(
            f"this is {platform.system()}: a runner for Android is built on Linux, or with an NDK (ANDROID_NDK_HOME)"
        )
    package = zig.pinned(_here())
    settings = (f"-DCMAKE_TOOLCHAIN_FILE={sources.NATIVE / 'android/zig.cmake'}", f"-DEDGEBENCH_MACHINE={machine}")
    return f"zig {package.version}", settings, package


def _ndk_version(ndk: Path) -> str:
    try:
        found = re.search(r"Pkg\.Revision\s*=\s*(\S+)", (ndk / "source.properties").read_text("utf-8", "replace"))
    except OSError:
        found = None
    return found.group(1)[:40] if found else f"at {ndk}"


def _tool(name: str) -> str | None:
    # pip puts cmake and ninja beside this Python, which need not be on the path
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
