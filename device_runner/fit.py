"""What a device can run of a bundle, known before anything is pushed."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.bundles import elf

if TYPE_CHECKING:
    from device_runner.bundles import RunnerBundle
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_PAGE_SIZE_ENTRY = 6
_ENTRY = struct.Struct("<QQ")


@dataclass(frozen=True)
class Host:
    """What a device's kernel and C library say; None for what they do not."""

    page_bytes: int | None = None
    glibc: tuple[int, int] | None = None


def look(transport: Transport, deadline: Deadline) -> Host:
    """Read it. Raises TransientError when the device does not answer."""
    # from what the kernel gives every process: not every phone and board has a getconf for it
    page = page_size(transport.run(["cat", "/proc/self/auxv"], deadline).stdout)
    said = transport.run(["getconf", "GNU_LIBC_VERSION"], deadline).text
    found = re.match(r"glibc ([0-9]{1,2})\.([0-9]{1,3})", said)
    return Host(page, (int(found.group(1)), int(found.group(2))) if found else None)


def page_size(auxv: bytes) -> int | None:
    """Bytes in a page, from /proc/self/auxv of a 64-bit device."""
    entries = dict(_ENTRY.iter_unpack(auxv[: len(auxv) // _ENTRY.size * _ENTRY.size]))
    size = entries.get(_PAGE_SIZE_ENTRY)
    return size if size in (4096, 16384, 65536) else None


def misfits(bundle: RunnerBundle, host: Host) -> dict[str, str]:
    """runtime -> why it cannot be on such a device, a sentence for a person; "" stands for the runner itself."""
    found: dict[str, str] = {}
    if bundle.manifest.loader is not None:
        host = Host(host.page_bytes)  # its own C library goes with it
    for file in bundle.manifest.files:
        if file.path.endswith(".so") or ".so." in file.path or file.path.startswith("bin/"):
            reason = _misfit(elf.read(bundle.root / file.path), host)
            if reason and file.runtime not in found:
                found[file.runtime] = f"{file.path} of {bundle.manifest.abi} ({file.package} {file.version}) {reason}"
    return found


def _misfit(library: elf.Elf, host: Host) -> str:
    if host.page_bytes is not None and library.page_bytes < host.page_bytes:
        return f"is laid out for pages of {library.page_bytes} bytes, and this device has pages of {host.page_bytes}"
    if library.glibc is not None and host.glibc is not None and library.glibc > host.glibc:
        there, wanted = (f"{major}.{minor}" for major, minor in (host.glibc, library.glibc))
        return f"needs glibc {wanted}, and this device has {there}"
    return ""
