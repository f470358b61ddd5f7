"""The compiler's own C and C++ library, for a bundle that brings them along: for a device whose own is too old or another."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import UserError

_DOC = Path("/usr/share/doc")
_GLIBC, _GCC = "LGPL-2.1-or-later", "GPL-3.0-or-later WITH GCC-exception-3.1"
#: file -> SPDX, and the Debian package whose licence text it comes under ({}: "-arm64-cross" of a cross compiler)
_FILES = {
    "libc.so.6": (_GLIBC, "libc6{}"),
    "libm.so.6": (_GLIBC, "libc6{}"),
    "libdl.so.2": (_GLIBC, "libc6{}"),
    "librt.so.1": (_GLIBC, "libc6{}"),
    "libpthread.so.0": (_GLIBC, "libc6{}"),
    "libgcc_s.so.1": (_GCC, "libgcc-s1{}"),
    "libstdc++.so.6": (_GCC, "libstdc++6{}"),
}
_LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}


@dataclass(frozen=True)
class Taken:
    """One file that was put into a bundle."""

    path: str
    source: str
    licence: str


def loader(machine: str) -> str:
    """Where in the bundle the program is that starts the runner."""
    return f"lib/{_LOADERS[machine]}"


def put(compiler: str, machine: str, made: Path) -> list[Taken]:
    """Copy them into `made`/lib, with their licences where the system has them. Raises UserError when one is missing."""
    files = {_LOADERS[machine]: (_GLIBC, "libc6{}"), **_FILES}
    taken = []
    for name, (licence, package) in files.items():
        said = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, timeout=60, check=False)
        source = Path(said.stdout.strip())
        # a compiler that has not got it says the bare name again
        if not source.is_absolute() or not source.is_file():
            raise UserError(f"{compiler} has no {name} to put into a portable bundle; install its C and C++ libraries")
        (made / "lib").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.resolve(), made / "lib" / name)
        taken.append(Taken(f"lib/{name}", f"the C library of {Path(compiler).name}", licence))
        for suffix in ("-arm64-cross", ""):
            text = _DOC / package.format(suffix) / "copyright"
            kept = f"licenses/{package.format('')}/copyright"
            if text.is_file() and not (made / kept).exists():
                (made / kept).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(text, made / kept)
                taken.append(Taken(kept, "the system's own copy", licence))
    return taken
