"""Putting the runner and its libraries on a device: by content, so that only the first time costs anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from device_runner.bundles import locate
from device_runner.retry import with_backoff
from device_runner.runner import Runner
from edgedeploy.errors import TransientError

if TYPE_CHECKING:
    from device_runner.bundles import RunnerBundle
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def abi(transport: Transport, deadline: Deadline) -> str:
    """What the device's programs are built for: linux-x86_64, linux-aarch64."""
    machine = transport.run(["uname", "-m"], deadline).text.strip()
    if not re.fullmatch(r"[A-Za-z0-9_]{1,20}", machine):
        raise TransientError("the device does not say which machine it is (uname -m)")
    return f"linux-{machine}"


def runner(transport: Transport, deadline: Deadline) -> Runner:
    """The runner for the device's ABI, pushed. Raises UserError when none was built for it."""
    bundle = locate(with_backoff(lambda: abi(transport, deadline)))
    root = f"runners/{bundle.manifest.abi}-{bundle.manifest.key[:16]}"
    for file in bundle.manifest.files:
        if file.path.startswith(("bin/", "lib/")):
            _push(transport, bundle, file.path, root, deadline)
    return Runner(transport, f"{root}/bin/edgebench")


def _push(transport: Transport, bundle: RunnerBundle, path: str, root: str, deadline: Deadline) -> None:
    executable = path.startswith("bin/")
    with_backoff(lambda: transport.push(bundle.root / path, f"{root}/{path}", deadline, executable=executable))
