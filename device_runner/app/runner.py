"""The runner inside the app, called as the one on a shell is: `am instrument` in the place of a program of ours.

What it prints goes into a file of the shell's, so that a cable that is pulled costs nothing; each look reads on where the last
one ended. In the app the same lines are in events.jsonl.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device_runner.app import instrument
from device_runner.app.sources import ID
from device_runner.retry import with_backoff
from device_runner.runner import Runner, RunnerRefused, Status
from edgedeploy.errors import InternalError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.app.transport import AppTransport
    from device_runner.bundles import RunnerBundle
    from device_runner.deadline import Deadline

COMPONENT = f"{ID}/.BenchInstrumentation"
#: below the shell's work root, by the name of the run's directory
_SAID = "am"
_QUESTIONS = "questions"
#: of one look
_MOST_BYTES = 2**20
#: for the app to end a worker and say so
_CANCEL_SEC = 4.0
_LOOK_SEC = 0.2
_START = """
mkdir -p "$1" && cd "$1" || exit 84
shift; rm -f pid out
setsid sh -c 'echo $$ > pid; "$@" > out 2>&1; echo "INSTRUMENTATION_CODE: left $?" >> out' sh "$@" </dev/null >/dev/null 2>&1 &
n=0; while [ ! -s pid ] && [ "$n" -lt 100 ]; do n=$((n + 1)); sleep 0.05; done
[ -s pid ]
"""
# first whether it lives, then what it said: one that ends in between is then told to be alive once more
_LOOK = """
cd "$1" 2>/dev/null || exit 82
alive=no; read -r pid < pid && grep -q instrument "/proc/$pid/cmdline" 2>/dev/null && alive=yes
echo "$alive"; tail -c "+$2" out 2>/dev/null | head -c "$3"
"""
_END = 'cd "$1" 2>/dev/null || exit 0; read -r pid < pid && grep -q instrument "/proc/$pid/cmdline" && kill -9 -- "-$pid"; :'
_APPEND = 'printf "%s\\n" "$2" >> "$1"'
_ABSENT = 82


@dataclass
class _Watched:
    """A run as far as it was looked at."""

    offset: int = 0
    said: instrument.Said = field(default_factory=instrument.Said)


class AppRunner(Runner):
    """See Runner. `facts` goes into the record of the device."""

    def __init__(self, transport: AppTransport, facts: Mapping[str, Any], built: RunnerBundle | None = None) -> None:
        self._app, self._shell = transport, transport.inner
        self.unfit: dict[str, str] = {}
        self.built = built
        self.facts = {"in_app": dict(facts)}
        self._watched: dict[str, _Watched] = {}

    def hello(self, deadline: Deadline) -> dict[str, Any]:
        line = self._ask("hello", deadline, command="hello")
        missing = line.get("missing")
        self.unfit = {str(name): str(why)[:500] for name, why in missing.items()} if isinstance(missing, dict) else {}
        return line

    def describe(self, model: str, runtime: str, deadline: Deadline) -> dict[str, Any]:
        return self._ask("describe", deadline, command="describe", model=model, runtime=runtime)

    def _ask(self, event: str, deadline: Deadline, **extras: str) -> dict[str, Any]:
        argv = instrument.argv(COMPONENT, **extras, directory=f"{_QUESTIONS}/{event}")
        done = with_backoff(lambda: self._shell.run(argv, deadline))
        said = instrument.Said()
        said.add(done.text + "\n")
        for line in list(said.events)[::-1]:
            if line["event"] == event:
                return line
            if line["event"] == "error":
                raise RunnerRefused(line)
        why = said.reason or done.error_text or done.text.strip()[-300:] or f"exit code {done.exit_code}"
        if "INSTRUMENTATION_FAILED" in done.text + done.error_text or "Unable to find instrumentation" in why:
            raise UserError(f"the app cannot be started on the phone: {why}")
        raise InternalError(f"the app did not answer {event}: {why}")

    def start(self, directory: str, deadline: Deadline) -> None:
        self._watched.pop(directory, None)
        # from here on it is a launch that was started, whoever looks: the app's own lock is in the same file
        made = self._app.run(["touch", self._app.path(f"{directory}/runner.pid")], deadline)
        argv = instrument.argv(COMPONENT, directory=directory)
        done = self._shell.run(["sh", "-c", _START, "sh", self._place(directory), *argv], deadline)
        if made.exit_code or done.exit_code:
            raise TransientError(f"the app was not started: {made.error_text or done.error_text}")

    def _place(self, directory: str) -> str:
        return self._shell.path(f"{_SAID}/{directory}")

    def status(self, directory: str, deadline: Deadline) -> Status:
        watched = self._watched.setdefault(directory, _Watched())
        argv = ["sh", "-c", _LOOK, "sh", self._place(directory), str(watched.offset + 1), str(_MOST_BYTES)]
        done = with_backoff(lambda: self._shell.run(argv, deadline))
        if done.exit_code == _ABSENT:
            return Status(alive=False)
        first, _, text = done.stdout.partition(b"\n")
        watched.offset += len(text)
        watched.said.add(text.decode("utf-8", "replace"))
        alive = (first == b"yes" and not watched.said.ended) or len(text) == _MOST_BYTES
        if not alive:
            self._say_how_it_ended(directory, watched.said, deadline)
        return Status(alive, watched.said.phase, watched.said.warmup_samples, watched.said.steady_samples)

    def _say_how_it_ended(self, directory: str, said: instrument.Said, deadline: Deadline) -> None:
        """An app that was killed could not: the last line is an `end` or an `error` all the same."""
        if said.last.get("event") in ("end", "error"):
            return
        cancelled = self._app.stat(f"{directory}/cancel", deadline) is not None
        message = said.reason or "the app ended without saying how"
        error = {
            "event": "error", "code": "cancelled" if cancelled else "worker_died", "phase": said.phase,
            "message": "cancelled" if cancelled else message,
        }  # fmt: skip
        said.events.append(error)
        path = self._app.path(f"{directory}/events.jsonl")
        self._app.run(["sh", "-c", _APPEND, "sh", path, json.dumps(error)], deadline)

    def cancel(self, directory: str, deadline: Deadline) -> None:
        if self._app.stat(directory, deadline) is None or not self.status(directory, deadline).alive:
            return
        self._app.run(["touch", self._app.path(f"{directory}/cancel")], deadline)
        until = time.monotonic() + _CANCEL_SEC
        while time.monotonic() < until:
            time.sleep(_LOOK_SEC)
            if not self.status(directory, deadline).alive:
                return
        self._shell.run(["am", "force-stop", ID], deadline)
        self._shell.run(["sh", "-c", _END, "sh", self._place(directory)], deadline)
        self.status(directory, deadline)
