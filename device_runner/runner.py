"""edgebench on a device: its calls as docs/runner-protocol.md has them, over any transport."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_runner import model_fit
from device_runner.retry import with_backoff
from edgedeploy.errors import EdgedeployError, InternalError, TransientError, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from device_runner.bundles import RunnerBundle
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: a device that answers is expected to do so within this
CALL_SEC = 30.0
#: of a call that is tried again, each try
TRY_SEC = 10.0
#: exit codes, as shells have them, of a program that may not be run, and of one that is not there or whose loader is not
NOT_STARTED = (126, 127)


class RunnerRefused(EdgedeployError):
    """The runner answered a call with an `error` line: it is about the model or the plan, not about the device."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.error = error
        super().__init__(f"{error.get('code', 'error')}: {error.get('message', '')}")


@dataclass(frozen=True)
class Status:
    """How far a detached run is."""

    alive: bool
    phase: str = ""
    warmup_samples: int = 0
    steady_samples: int = 0


def json_lines(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a stream of lines; a line cut short by a death, or anything else that is none, is left out."""
    found: list[dict[str, Any]] = []
    # not splitlines: JSON lets U+2028 and its like stand in a string
    for line in text.split("\n"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


class Runner:
    """The runner that was installed as `binary`, a path below the transport's work root.

    facts: what a record is to say of it besides. unfit: the runtimes that are not there because the device cannot run them, and
    why. loader: the program that starts it, in the directory of its libraries, where it brings its own C library. built: the
    bundle that it is of, where that is known.
    """

    def __init__(
        self, transport: Transport, binary: str, unfit: Mapping[str, str] | None = None, loader: str | None = None,
        built: RunnerBundle | None = None,
    ) -> None:  # fmt: skip
        self.facts: Mapping[str, Any] = {}
        self.built = built
        self._transport, self._path = transport, binary
        self.unfit = dict(unfit or {})
        self._command = [transport.path(binary)]
        if loader is not None:
            libraries = transport.path(loader.rpartition("/")[0])
            self._command = [transport.path(loader), "--library-path", libraries, *self._command]

    def _call(self, arguments: Sequence[str], event: str, deadline: Deadline) -> dict[str, Any]:
        completed = self._transport.run([*self._command, *arguments], deadline)
        for line in json_lines(completed.text)[::-1]:
            if line.get("event") == event:
                return line
            if line.get("event") == "error":
                raise RunnerRefused(line)
        # no line at all: the program could not run there, and another try would end alike
        detail = completed.error_text or f"exit code {completed.exit_code}"
        if completed.exit_code in NOT_STARTED:
            if self._transport.stat(self._path, deadline) is None:
                raise TransientError("the runner is gone from the device; was it restarted?")
            raise UserError(
                f"the runner cannot be started on the device: {detail}. Either its work directory is on a file system without "
                "programs (noexec; choose another work_root), or its C library is missing or not glibc"
            )
        raise InternalError(f"edgebench {arguments[0]} did not answer: {detail}")

    def require(self, runtime: str, files: Iterable[Path] = ()) -> None:
        """Raise UserError, saying why, for a runtime that the device cannot run, and for a model file that its cannot."""
        model_fit.refuse_runtime(runtime, self.unfit)
        if self.built is not None:
            model_fit.require(self.built, self.unfit, [(runtime, file) for file in files])

    def hello(self, deadline: Deadline) -> dict[str, Any]:
        """Build, ABI, CPU, and the versions of the runtimes that are there."""
        return self._call(["--hello"], "hello", deadline)

    def describe(self, model: str, runtime: str, deadline: Deadline) -> dict[str, Any]:
        """Inputs and outputs of a model file on the device. Raises RunnerRefused when the runtime does."""
        return self._call(["--describe", self._transport.path(model), "--runtime", runtime], "describe", deadline)

    def start(self, directory: str, deadline: Deadline) -> None:
        """Start the plan in `directory`, which was just laid out, detached. Raises RunnerRefused when the plan is wrong."""
        self._start(directory, ["--plan", self._transport.path(f"{directory}/plan.json")], deadline)

    def start_together(self, directories: Sequence[str], deadline: Deadline) -> None:
        """Start the plans in several directories, detached, to take turns. Raises RunnerRefused when one of them is wrong."""
        first, *others = (self._transport.path(f"{directory}/plan.json") for directory in directories)
        beside = [word for path in others for word in ("--beside", path)]
        self._start(directories[0], ["--plan", first, *beside], deadline)

    def serve(self, directory: str, deadline: Deadline, bind: str = "") -> None:
        """Start the far side whose plan is in `directory`, detached; its `serving` event is in its events once it is up.

        bind: a numeric address to listen on, "" for the loopback. Raises RunnerRefused when the plan is wrong.
        """
        asked = ["--serve", self._transport.path(f"{directory}/plan.json")]
        self._start(directory, [*asked, "--bind", bind] if bind else asked, deadline)

    def _start(self, directory: str, arguments: Sequence[str], deadline: Deadline) -> None:
        tried = False

        def attempt() -> None:
            nonlocal tried
            # a try whose answer was lost has started it all the same, and it must not run twice
            if tried and self._transport.stat(f"{directory}/runner.pid", deadline) is not None:
                return
            tried = True
            self._call([*arguments, "--detach"], "detached", deadline.sooner(TRY_SEC))

        with_backoff(attempt)

    def link(self, directory: str, deadline: Deadline) -> dict[str, Any]:
        """The link that `link.json` in `directory` is about, measured: the `link` line. Raises RunnerRefused."""
        return self._call(["--link", self._transport.path(f"{directory}/link.json")], "link", deadline)

    def status(self, directory: str, deadline: Deadline) -> Status:
        """How far the run in `directory` is. Raises TransientError when the device does not answer."""
        arguments = ["--poll", self._transport.path(directory)]
        try:
            line = with_backoff(lambda: self._call(arguments, "status", deadline.sooner(TRY_SEC)))
        except RunnerRefused:
            return Status(alive=False)
        counts = [line.get(key) for key in ("warmup_samples", "steady_samples")]
        warmup, steady = (count if isinstance(count, int) else 0 for count in counts)
        return Status(line.get("alive") is True, str(line.get("phase", ""))[:50], warmup, steady)

    def cancel(self, directory: str, deadline: Deadline) -> None:
        """End the run in `directory`; fine when it has ended."""
        completed = self._transport.run([*self._command, "--cancel", self._transport.path(directory)], deadline)
        if completed.exit_code == 127:
            raise TransientError(f"the runner is gone from the device: {completed.error_text}")
