"""The app, built and signed without Android's SDK."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_runner import bundles
from device_runner.app import apk, compiling, manifest, native, signing, sources, tools
from device_runner.cache import cache_root
from edgedeploy import __version__
from edgedeploy.errors import UserError

BUILD_COMMAND = "scripts/build_apk"


@dataclass(frozen=True)
class App:
    """A built app."""

    path: Path
    abi: str
    #: of sources, runner and way of building
    key: str


def default_path(abi: str) -> Path:
    """Where the app for `abi` is built to and looked for."""
    return cache_root() / "app" / f"edgedeploy-bench-{sources.android_name(abi)}.apk"


def find(abi: str) -> App:
    """The built app for a phone of `abi`. Raises UserError, naming the command that builds it."""
    path = default_path(abi)
    command = f"{BUILD_COMMAND} --abi {abi}"
    try:
        noted = json.loads(_note(path).read_bytes())
        key, digest = str(noted["key"]), noted["sources"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"the app for {abi} is not built; build it in a checkout with: {command}") from None
    if not path.is_file():
        raise UserError(f"the app for {abi} is gone; build it anew with: {command}")
    if sources.MAIN.is_dir() and digest != sources.digest(abi):
        raise UserError(f"the app for {abi} is not of this edgedeploy; build it anew with: {command}")
    return App(path, abi, key)


def build(abi: str, out: Path | None = None, *, release: bool = False, say: Callable[[str], None] = lambda _: None) -> App:
    """The app for phones of `abi`, at `out` (the cache by default). Does nothing when it is there and up to date.

    release: not debuggable, and so not for `bench --in-app`, which enters it by run-as.
    Raises UserError when a tool is missing, TransientError when one cannot be downloaded.
    """
    sources.require()
    path = (out or default_path(abi)).absolute()
    runner = bundles.build(abi, say=say)
    parts = (sources.digest(abi), runner.manifest.key, native.library(abi, say).read_bytes(), release)
    key = hashlib.sha256(repr(parts).encode()).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = _note(path)
        if path.is_file() and noted.is_file() and json.loads(noted.read_bytes()).get("key") == key:
            say(f"{path} is up to date")
            return App(path, abi, key)
        tool_root = tools.unpacked(say)
        say(f"building the app for {abi}")
        with tempfile.TemporaryDirectory(prefix=".apk-", dir=path.parent) as scratch:
            work = Path(scratch)
            entries = _linked(tool_root, work, release)
            entries["classes.dex"] = _dex(tool_root, work)
            entries |= _libraries(runner, abi, say)
            unsigned, signed = work / "unsigned.apk", work / "signed.apk"
            apk.write(unsigned, entries)
            signing.sign(unsigned, signed, tool_root, sources.MIN_SDK)
            os.replace(signed, path)
        noted.write_text(json.dumps({"key": key, "sources": sources.digest(abi)}) + "\n", "utf-8")
    return App(path, abi, key)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _linked(tool_root: Path, work: Path, release: bool) -> dict[str, bytes]:
    """The manifest and the resources, compiled; R.java is left in `work`/gen."""
    aapt2 = tool_root / "aapt2"
    manifest.for_aapt2(sources.MAIN / "AndroidManifest.xml", work / "AndroidManifest.xml")
    compiling.run([aapt2, "compile", "--dir", sources.MAIN / "res", "-o", work / "res.zip"], "aapt2 compile")
    command: list[str | Path] = [
        aapt2, "link", "-I", tool_root / "framework-res.apk", "--manifest", work / "AndroidManifest.xml",
        "--min-sdk-version", str(sources.MIN_SDK), "--target-sdk-version", str(sources.TARGET_SDK),
        "--version-code", str(sources.version_code()), "--version-name", __version__,
        "--java", work / "gen", "-o", work / "linked.apk", *([] if release else ["--debug-mode"]), work / "res.zip",
    ]  # fmt: skip
    compiling.run(command, "aapt2 link")
    with zipfile.ZipFile(work / "linked.apk") as linked:
        entries = {name: linked.read(name) for name in linked.namelist()}
    entries["AndroidManifest.xml"] = manifest.with_special_use(entries["AndroidManifest.xml"])
    return entries


def _dex(tool_root: Path, work: Path) -> bytes:
    compiling.javac(sources.java(sources.MAIN / "java", work / "gen"), work / "classes", boot=tool_root / "android.jar")
    compiling.dex(work / "classes", work / "classes.dex", tool_root / "dx.jar")
    return (work / "classes.dex").read_bytes()


def _libraries(runner: bundles.RunnerBundle, abi: str, say: Callable[[str], None]) -> dict[str, bytes]:
    """Our own library and the runtimes', where the installer unpacks them; versions and licences, where the app reads them."""
    into = f"lib/{sources.android_name(abi)}"
    found = {f"{into}/{native.NAME}": native.library(abi, say).read_bytes()}
    for file in runner.manifest.files:
        content = runner.root / file.path
        if file.path.endswith(".so"):
            found[f"{into}/{content.name}"] = content.read_bytes()
        elif file.path == "lib/versions.json" or file.path.startswith("licenses/"):
            found[f"assets/{file.path.removeprefix('lib/')}"] = content.read_bytes()
    return found
