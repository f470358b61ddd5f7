"""The far side of a launch: started on its device, asked where it listens, and ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from device_runner.deadline import Deadline
from device_runner.runner import CALL_SEC, RunnerRefused, json_lines
from edgedeploy.errors import EdgedeployError, TransientError
from edgedeploy.record import Context, FarLaunch

if TYPE_CHECKING:
    from device_runner.session import Session, Staged
    from device_runner.tiers.path import Path

TOKEN = "token"  # noqa: S105 (a file's name)
EVENTS = "events.jsonl"
#: without a client for so long it ends by itself: its host is gone
IDLE_SEC = 180.0
#: how long one side waits for the other's next byte; a stage may take as long
STALL_SEC = 60.0
CONNECT_SEC, RECONNECT_SEC = 15.0, 20.0
_LOOKS_SEC = (0.02, 0.05, 0.1, 0.2, 0.5)
_MOST_EVENTS_BYTES = 4 * 2**20


class FarSide:
    """One served plan in `directory` of the far device. token: known to both sides, in files that only their user reads."""

    def __init__(self, session: Session, directory: str) -> None:
        self._session, self.directory = session, directory
        self.token = secrets.token_urlsafe(24)
        self.plan_sha256 = ""
        self.port = 0
        self._before: Context | None = None

    def start(self, staged: Staged, document: dict[str, Any], *, bind: str = "", load_sec: float) -> None:
        """Start it and wait until it listens. bind: where, "" for the loopback.

        Raises RunnerRefused where the plan or a model is refused, TransientError when it is not up after load_sec.
        """
        self._before = self._session.context()
        text = json.dumps({**document, "serve": {"token_file": TOKEN, "idle_seconds": IDLE_SEC, "stall_seconds": STALL_SEC}})
        self.plan_sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._session.lay_out_plan(self.directory, staged, text)
        self._session.write(self.directory, {TOKEN: f"{self.token}\n"})
        self._session.runner.serve(self.directory, Deadline.after(CALL_SEC), bind)
        deadline = Deadline.after(load_sec)
        looks = iter(_LOOKS_SEC)
        pause = 0.0
        while not self.port:
            if deadline.expired:
                raise TransientError(f"{self._session.name}: the far side was not up after {load_sec:g} s")
            pause = next(looks, pause)
            time.sleep(pause)
            for line in self._events():
                if line.get("event") == "error":
                    raise RunnerRefused({**line, "message": f"on {self._session.name}: {line.get('message', '')}"})
                port = line.get("port")
                if line.get("event") == "serving" and isinstance(port, int) and 0 < port < 65536:
                    self.port = port

    def fields(self, path: Path) -> dict[str, Any]:
        """What a near plan, or a link.json, says of it. The token is beside either, in the file `token`."""
        return {
            "host": path.host, "port": path.port, "plan_sha256": self.plan_sha256, "token_file": TOKEN,
            "connect_seconds": CONNECT_SEC, "reconnect_seconds": RECONNECT_SEC, "stall_seconds": STALL_SEC,
        }  # fmt: skip

    def end(self) -> tuple[FarLaunch, str]:
        """End it and remove what it left; what it was, for the launch's entry, and its events as they were."""
        after = None
        with contextlib.suppress(TransientError):
            after = self._session.context()
        with contextlib.suppress(EdgedeployError):
            self._session.cancel(self.directory)
        events: list[dict[str, Any]] = []
        text = ""
        with contextlib.suppress(TransientError):
            text = self._session.text(f"{self.directory}/{EVENTS}", _MOST_EVENTS_BYTES) or ""
            events = json_lines(text)
        with contextlib.suppress(TransientError):
            self._session.discard(self.directory)
        return _entry(events, self._before, after), text

    def _events(self) -> list[dict[str, Any]]:
        return json_lines(self._session.text(f"{self.directory}/{EVENTS}", _MOST_EVENTS_BYTES) or "")


def _entry(events: list[dict[str, Any]], before: Context | None, after: Context | None) -> FarLaunch:
    said = {str(line.get("event")): line for line in events}
    load, usage, error = (said.get(name, {}) for name in ("load", "rusage", "error"))
    failed = error if error and error.get("code") != "cancelled" else {}
    return FarLaunch(
        load_cold_ns=_whole(load.get("load_cold_ns")), load_warm_ns=_whole(load.get("load_warm_ns")),
        peak_rss_kb=_whole(usage.get("peak_rss_kb")),
        runtime_version=str(said.get("hello", {}).get("runtime_version") or "")[:500], before=before, after=after,
        error={key: str(failed[key])[:2000] for key in ("code", "phase", "message") if key in failed} or None,
    )  # fmt: skip


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
