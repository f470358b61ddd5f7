"""The app on a phone, for as long as it is used: installed, entered, and removed again where it was we who brought it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import bundles, install, model_fit
from device_runner.app import build
from device_runner.app.runner import AppRunner
from device_runner.app.sources import ID
from device_runner.app.transport import HANDOVER, WORK, AppTransport, as_app, no_entry
from device_runner.conditions import files
from device_runner.deadline import Deadline
from device_runner.retry import with_backoff
from edgedeploy import __version__
from edgedeploy.errors import EdgedeployError, UserError

if TYPE_CHECKING:
    from device_runner.model_fit import Model
    from device_runner.transports.base import Transport

INSTALL_SEC = 600.0
_CALL_SEC = 60.0
#: in the app's directory: the key of the build that is there, and that it was we who brought it
_KEY, _BROUGHT = "app.key", "app.brought"
_PUT = 'mkdir -p "$1" && cd "$1" && printf "%s" "$2" > "$3"'
_INSTALL = 'cat "$1" | pm install -t -r -S "$2"'
_HINTS = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": f"another {ID}, signed by another key, is installed: remove it on the phone",
    "INSTALL_FAILED_USER_RESTRICTED": "the phone does not allow it: turn on 'Install via USB' in its developer options",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "the phone is full",
    "INSTALL_FAILED_OLDER_SDK": "Android 7 or newer is needed",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the app was built for another kind of phone",
    "INSTALL_FAILED_VERIFICATION_FAILURE": "its own check refused it: turn off 'Verify apps over USB' in its developer options",
}


@contextmanager
def entered(transport: Transport, wanted: Iterable[Model] = ()) -> Iterator[tuple[AppTransport, AppRunner]]:
    """Inside, the app is installed. Afterwards it is gone, unless it was there before, or holds launches to be fetched.

    wanted: models that are to run in it. Raises UserError for what is no phone, for an app that is not built, for a model that
    its runtimes cannot run, and where the phone refuses the app.
    """
    deadline = Deadline.after(INSTALL_SEC)
    there = with_backoff(lambda: install.abi(transport, deadline))
    if not there.startswith("android-"):
        raise UserError("--in-app is for Android phones; this device has no apps")
    app = build.find(there)
    # what the app was built with; where only the app was brought to this host, the runtime itself refuses what it cannot run
    built = bundles.find(there)
    if built is not None:
        model_fit.require(built, {}, wanted)
    installed = is_installed(transport, deadline)
    try:
        ensure(transport, app, installed, deadline)
        inside = AppTransport(transport, deadline)
    except EdgedeployError:
        with contextlib.suppress(EdgedeployError):
            _undo(transport, installed)
        raise
    try:
        yield inside, AppRunner(inside, {"app": ID, "version": __version__, "build": app.key[:16]}, built)
    finally:
        # whatever ended it, a device that is out of reach included: what cannot be removed now is removed by who resumes
        with contextlib.suppress(EdgedeployError):
            leave(inside)


def is_installed(transport: Transport, deadline: Deadline) -> bool:
    """Whether the phone has an app of ours, of whatever build."""
    return transport.run(["pm", "path", ID], deadline).text.startswith("package:")


def ensure(transport: Transport, app: build.App, installed: bool, deadline: Deadline, *, to_stay: bool = False) -> None:
    """Have this very app there. to_stay: a person is to use it, so that nobody removes it as his own.

    Raises UserError, saying what to do, where the phone refuses it.
    """
    if installed and transport.run(as_app("cat", f"{WORK}/{_KEY}"), deadline).text == app.key:
        if to_stay:
            transport.run(as_app("rm", "-f", f"{WORK}/{_BROUGHT}"), deadline)
        return
    install_app(transport, app, deadline)
    notes = {_KEY: app.key, **({} if installed or to_stay else {_BROUGHT: app.key})}
    for name, text in notes.items():
        done = transport.run(as_app("sh", "-c", _PUT, "sh", WORK, text, name), deadline)
        if done.exit_code:
            raise no_entry(done)


def _undo(transport: Transport, installed: bool) -> None:
    """After an app that did not come about: as it was."""
    deadline = Deadline.after(_CALL_SEC)
    transport.remove(HANDOVER, deadline)
    if not installed:
        transport.run(["pm", "uninstall", ID], deadline)


def install_app(transport: Transport, app: build.App, deadline: Deadline) -> None:
    """Raises UserError, saying what to do, where the phone refuses it."""
    name = f"{HANDOVER}/{app.key[:16]}.apk"
    try:
        with_backoff(lambda: transport.push(app.path, name, deadline))
        argv = ["sh", "-c", _INSTALL, "sh", transport.path(name), str(Path(app.path).stat().st_size)]
        done = transport.run(argv, deadline)
    finally:
        with contextlib.suppress(EdgedeployError):
            transport.remove(name, Deadline.after(_CALL_SEC))
    said = (done.text + done.error_text).strip()
    if "Success" not in said:
        code = next(iter(re.findall(r"INSTALL_[A-Z_]{3,60}", said)), "")
        raise UserError(f"the phone does not take the app: {_HINTS.get(code) or said[-300:] or 'it gave no reason'}")


def leave(inside: AppTransport) -> None:
    """Remove what we brought: the app, or what we put into one that was there. Launches that wait to be fetched stay."""
    deadline = Deadline.after(_CALL_SEC)
    runs = files.entries(inside, inside.path("runs"), deadline)
    if any(files.entries(inside, inside.path(f"runs/{run}"), deadline) for run in runs):
        return
    inside.inner.remove(HANDOVER, deadline)
    inside.inner.remove("am", deadline)
    if inside.stat(_BROUGHT, deadline) is not None:
        uninstall(inside.inner, deadline)
        return
    for name in ("store", "leases", "runs", "checks", "questions"):
        inside.remove(name, deadline)


def uninstall(transport: Transport, deadline: Deadline) -> None:
    """Raises UserError where the phone does not do it."""
    done = transport.run(["pm", "uninstall", ID], deadline)
    if "Success" not in done.text:
        raise UserError(f"the app was not removed from the phone: {(done.text + done.error_text).strip()[-300:]}")
