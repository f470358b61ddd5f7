"""Java sources as class files, and class files as Android's bytecode."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from device_runner.app import tools
from edgedeploy.errors import InternalError

_SEC = 600
_MAGIC = b"\xca\xfe\xba\xbe"
#: of class files that Java 7 and 8 write
_JAVA_7, _JAVA_8 = 51, 52


def run(command: Sequence[str | Path], what: str) -> str:
    """Run a tool of the build to its end; what it said. Raises InternalError: our sources are what is wrong."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SEC, check=False, stdin=subprocess.DEVNULL)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise InternalError(f"{what} failed:\n{said[-6000:]}")
    return said


def javac(sources: Sequence[Path], out: Path, *, boot: Path | None = None, libraries: Sequence[Path] = ()) -> None:
    """Compile at the level of Java 8, warnings being errors. boot: Android's classes, in place of the JDK's."""
    out.mkdir(parents=True, exist_ok=True)
    # of warnings these: exceptions are not stored, the level is an old one, Android deprecates what its older versions need,
    # and a cast is needed where it is compiled against another Android
    command: list[str | Path] = [tools.jdk(), "-Xlint:all,-serial,-options,-deprecation,-cast", "-Werror", "-encoding", "UTF-8"]
    command += ["-source", "8", "-target", "8", "-d", out]
    if boot is not None:
        command += ["-bootclasspath", boot]
    if libraries:
        command += ["-classpath", ":".join(str(library) for library in libraries)]
    run([*command, *sources], "javac")


def dex(classes: Path, out: Path, dx: Path) -> None:
    """Translate a directory of class files.

    dx knows them up to Java 7's: ours are marked as such, since nothing that Java 8 has added to their format is used, and dx
    refuses an instruction that it does not know.
    """
    marked = out.with_name(f"{out.name}.classes")
    shutil.copytree(classes, marked)
    for path in marked.rglob("*.class"):
        code = bytearray(path.read_bytes())
        if code[:4] != _MAGIC or int.from_bytes(code[6:8], "big") != _JAVA_8:
            raise InternalError(f"{path.name} is no class file of Java 8")
        code[6:8] = _JAVA_7.to_bytes(2, "big")
        path.write_bytes(code)
    run([tools.jdk("java"), "-cp", dx, "com.android.dx.command.Main", "--dex", f"--output={out}", marked], "dx")
