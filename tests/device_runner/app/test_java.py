"""The app's own JUnit tests of its core, as Gradle would run them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from device_runner.app import compiling, desktop, sources, tools

#: of the packages junit4 and libhamcrest-java
JARS = [Path("/usr/share/java", name) for name in ("junit4.jar", "hamcrest.jar")]


def test_the_core(tmp_path: Path) -> None:
    assert all(jar.exists() for jar in JARS), "no JUnit: run scripts/install_test_packages"
    core, tests = tmp_path / "core", tmp_path / "tests"
    compiling.javac(sources.java(desktop.CORE), core)
    files = sources.java(sources.TESTS)
    compiling.javac(files, tests, libraries=[core, *JARS])
    classes = [str(path.relative_to(sources.TESTS).with_suffix("")).replace("/", ".") for path in files if "Test" in path.name]
    path = ":".join(str(part) for part in (core, tests, *JARS))
    command = [tools.jdk("java"), "-cp", path, "org.junit.runner.JUnitCore", *classes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    counted = sum(len(re.findall(r"^    @Test$", file.read_text(), re.MULTILINE)) for file in files)
    assert f"OK ({counted} tests)" in done.stdout
