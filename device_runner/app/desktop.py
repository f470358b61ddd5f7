"""The app without Android: its Java core and its library on this host's JVM, with this host's builds of the runtimes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from device_runner import bundles
from device_runner.app import compiling, native, sources, tools
from device_runner.cache import cache_root

CORE = sources.MAIN / "java/dev/edgedeploy/bench/core"
_MAIN = f"{sources.ID}.desktop.Desktop"
#: one thread of the collector and little memory: what watches is not to disturb what is measured
_JVM = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m")


def classes(say: Callable[[str], None] = lambda _: None) -> Path:
    """The directory of the compiled core and its desktop side, made when they changed. Raises UserError without a JDK."""
    sources.require()
    files = sources.java(CORE, sources.DESKTOP)
    digest = hashlib.sha256("".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files).encode()).hexdigest()
    made = cache_root() / "app" / "desktop" / digest[:16]
    if not made.is_dir():
        say("compiling the app's core for this host's JVM")
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".classes-", dir=made.parent) as scratch:
            compiling.javac(files, Path(scratch, "classes"))
            try:
                os.rename(Path(scratch, "classes"), made)
            except OSError:
                if not made.is_dir():  # else another build was first
                    raise
    return made


def command(
    directory: Path, *what: str, runner: bundles.RunnerBundle | None = None, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """What runs the plan of `directory`, or `hello`, or `describe MODEL RUNTIME`, with JSON Lines on stdout."""
    located = runner or bundles.build(bundles.host_abi(), say=say)
    library = native.library(located.manifest.abi, say)
    return [
        str(tools.jdk("java")), *_JVM, "-cp", str(classes(say)), _MAIN, str(library), str(located.lib_dir), str(directory),
        *(what or ("plan",)),
    ]  # fmt: skip
