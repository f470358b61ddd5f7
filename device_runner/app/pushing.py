"""Plans for the app's screen: put into an app that is there to stay, and the app removed again."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import device_lock, install, plan
from device_runner.app import build
from device_runner.app.entering import INSTALL_SEC, ensure, is_installed, uninstall
from device_runner.app.transport import HANDOVER, AppTransport
from device_runner.deadline import Deadline
from device_runner.retry import with_backoff
from edgedeploy import bundle
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.inventory import Device
    from edgedeploy.record import Plan


def push(device: Device, path: Path, how: Plan) -> str:
    """Put a bundle under a plan into the app, installed where it is not; the name it has on the screen.

    Raises UserError for what is no bundle, for a device without apps, and where the phone refuses the app.
    """
    read = bundle.read(path)
    bundle.check_files(read)
    work = plan.from_bundle(read)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", work.artifact.label).lstrip("-.")[:80] + f"-{read.digest[:8]}"
    with device_lock.locked(device, None), tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
        plan.lay_out(work, Path(scratch, "plan"), plan.document(work, how, outputs=False, load_cold=False))
        transport = with_backoff(device.connect)
        try:
            deadline = Deadline.after(INSTALL_SEC)
            there = with_backoff(lambda: install.abi(transport, deadline))
            if not there.startswith("android-"):
                raise UserError("this device has no apps: it is no Android phone")
            ensure(transport, build.find(there), is_installed(transport, deadline), deadline, to_stay=True)
            inside = AppTransport(transport, deadline)
            for file in sorted(found for found in Path(scratch, "plan").rglob("*") if found.is_file()):
                target = f"plans/{name}/{file.relative_to(Path(scratch, 'plan'))}"
                with_backoff(lambda f=file, t=target: inside.push(f, t, deadline))  # type: ignore[misc]
            transport.remove(HANDOVER, deadline)
        finally:
            transport.close()
    return name


def remove(device: Device) -> bool:
    """Remove the app with all that is in it; False where there was none. Raises UserError where the phone does not do it."""
    with device_lock.locked(device, None):
        transport = with_backoff(device.connect)
        try:
            deadline = Deadline.after(INSTALL_SEC)
            if not is_installed(transport, deadline):
                return False
            uninstall(transport, deadline)
            return True
        finally:
            transport.close()
