"""Whether an APK is what a phone installs and what we meant to build, and what is in it."""

from __future__ import annotations

import re
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_runner.app import apk, compiling, signing, sources
from device_runner.bundles import elf
from edgedeploy.errors import EdgedeployError

_DEX = re.compile(rb"dex\n0(35|37|38)\0")
_PAGE_BYTES = 16384
#: TensorFlow Lite's maker had not thought of pages of 16 KB yet; a phone that has them runs the others
_SMALL_PAGES = frozenset(("libtensorflowlite_jni.so",))
#: nothing that a person is asked about
PERMISSIONS = frozenset(
    f"android.permission.{name}" for name in ("FOREGROUND_SERVICE", "FOREGROUND_SERVICE_SPECIAL_USE", "WAKE_LOCK")
)
_MACHINES = {"android-arm64": "aarch64", "android-x86_64": "x86_64"}


@dataclass
class Found:
    """problems: a sentence each, empty for an app that is as it should be."""

    bytes: int
    #: name -> (bytes in the APK, bytes unpacked)
    entries: dict[str, tuple[int, int]]
    #: library -> the largest page it can be mapped in, in bytes
    pages: dict[str, int] = field(default_factory=dict)
    signature: str = ""
    badging: str = ""
    tree: str = ""
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "bytes": self.bytes,
            "entries": {name: {"bytes": packed, "unpacked_bytes": whole} for name, (packed, whole) in self.entries.items()},
            "page_bytes": self.pages, "problems": self.problems,
        }  # fmt: skip

    def text(self) -> str:
        """The parts, the largest first."""
        parts: dict[str, list[int]] = {}
        for name, (packed, whole) in self.entries.items():
            part = name if name.startswith("lib/") else name.split("/")[0]
            known = parts.setdefault(part, [0, 0])
            known[0] += packed
            known[1] += whole
        rows = sorted(parts.items(), key=lambda row: -row[1][0])
        lines = [f"{name:45} {packed / 1e6:8.3f} MB {whole / 1e6:8.3f} MB unpacked" for name, (packed, whole) in rows]
        return "\n".join([*lines, f"{'in all':45} {self.bytes / 1e6:8.3f} MB"])


def check(path: Path, tool_root: Path, abi: str) -> Found:
    """Look at all of it. Raises InternalError when a tool cannot read it at all."""
    with zipfile.ZipFile(path) as opened:
        entries = {info.filename: (info.compress_size, info.file_size) for info in opened.infolist()}
        found = Found(path.stat().st_size, entries)
        stored = [info.filename for info in opened.infolist() if info.compress_type == zipfile.ZIP_STORED]
        dexes = {name: opened.read(name)[:8] for name in entries if name.endswith(".dex")}
        _libraries(opened, found, abi)
    if list(dexes) != ["classes.dex"] or not _DEX.match(dexes["classes.dex"]):
        found.problems.append("classes.dex is not one that Android 7 runs")
    for name in apk.STORED:
        if name not in stored or apk.data_offset(path, name) % 4:
            found.problems.append(f"{name} is not stored at a multiple of 4 bytes, as Android 11 wants it")
    try:
        found.signature = signing.verified(path, tool_root)
    except EdgedeployError as error:
        found.problems.append(str(error))
    for scheme in ("v2", "v3"):
        if not re.search(rf"{scheme} scheme \(APK Signature Scheme {scheme}\): true", found.signature):
            found.problems.append(f"it is not signed by scheme {scheme}")
    found.badging = compiling.run([tool_root / "aapt2", "dump", "badging", path], "aapt2 dump")
    found.tree = compiling.run([tool_root / "aapt2", "dump", "xmltree", path, "--file", "AndroidManifest.xml"], "aapt2 dump")
    _manifest(found)
    return found


def _libraries(opened: zipfile.ZipFile, found: Found, abi: str) -> None:
    directory = f"lib/{sources.android_name(abi)}/"
    libraries = [name for name in found.entries if name.startswith("lib/")]
    if not libraries or not all(name.startswith(directory) and name.endswith(".so") for name in libraries):
        found.problems.append(f"lib/ holds other things than libraries of {directory}")
        return
    with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
        for name in libraries:
            file = Path(scratch, Path(name).name)
            file.write_bytes(opened.read(name))
            read = elf.read(file)
            found.pages[file.name] = read.page_bytes
            if read.machine != _MACHINES[abi]:
                found.problems.append(f"{name} is for {read.machine}")
            if (read.page_bytes >= _PAGE_BYTES) == (file.name in _SMALL_PAGES):
                found.problems.append(f"{name} is laid out for pages of {read.page_bytes >> 10} KB")


def _manifest(found: Found) -> None:
    expected = (f"package: name='{sources.ID}'", f"sdkVersion:'{sources.MIN_SDK}'", f"targetSdkVersion:'{sources.TARGET_SDK}'")
    lines = found.badging.splitlines()
    found.problems += [f"the manifest does not say {text}" for text in expected if not any(x.startswith(text) for x in lines)]
    asked = set(re.findall(r"^uses-permission: name='([^']*)'", found.badging, re.MULTILINE))
    if asked != PERMISSIONS:
        found.problems.append(f"it asks for {', '.join(sorted(asked ^ PERMISSIONS))} or does not")
    exported = exported_components(found.tree)
    if exported != {".BenchActivity": True, ".BenchService": False}:
        found.problems.append(f"its components are {exported}")
    if "foregroundServiceType(0x01010599)=0x40000000" not in found.tree:
        found.problems.append("its service is not of the type specialUse")


def exported_components(tree: str) -> dict[str, bool]:
    """Each component of a manifest, as aapt2 prints it, and whether other apps reach it."""
    found: dict[str, bool] = {}
    for block in re.split(r"^\s*E: ", tree, flags=re.MULTILINE):
        if re.match(r"(activity|service|receiver|provider|activity-alias) ", block):
            name = re.search(r':name\(0x01010003\)="([^"]*)"', block)
            exported = re.search(r":exported\(0x01010010\)=(true|false)", block)
            # what does not say may be reached, where it has an intent filter
            found[name.group(1) if name else "?"] = exported is None or exported.group(1) == "true"
    return found
