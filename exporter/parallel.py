"""Independent exports side by side, each subject and runtime in a process of its own, as many as memory allows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgedeploy.errors import ClaimError, EdgedeployError, InternalError, TransientError, UserError
from edgedeploy.interrupt import held
from exporter import memory
from exporter.outcome import Outcome, Refused

POLL_SEC = 0.2
#: how often the memory that jobs hold is looked at
LOOK_SEC = 1.0
#: a child that was told to stop has this long
STOP_SEC = 20.0
_KINDS: dict[str, type[EdgedeployError]] = {
    "refused": Refused, "user": UserError, "claim": ClaimError, "transient": TransientError, "internal": InternalError,
}  # fmt: skip


def kind_of(error: EdgedeployError) -> str:
    """The error's kind as a row of the JSON document names it."""
    return next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "internal")


@dataclass(frozen=True)
class Job:
    """One subject on one runtime. arguments: of `edgedeploy export`, without --json; operators: as asked for."""

    subject: str
    runtime: str
    arguments: tuple[str, ...]
    operators: str = ""

    @property
    def kind(self) -> str:
        """What it is remembered by."""
        return memory.Seen.key(self.subject, self.runtime, self.operators)


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[str]
    reader: threading.Thread
    output: list[str]
    held_gb: float = 0.0
    peak_gb: float = 0.0


def side_by_side(
    jobs: Sequence[Job], at_once: int, memory_gb: float, say: Callable[[str], None], *, quiet: bool
) -> list[Outcome]:
    """Run the jobs, at most `at_once` and no more than fit into `memory_gb`, and give the outcomes of all in the jobs' order.

    A job is expected to need what one like it was seen to hold, and waits while that is not there. One always runs. When
    those that run together come to hold more than `memory_gb`, the last one begun is stopped and done again later: what it
    finished is kept. Ctrl-C stops all of them, and the same command goes on from there.
    """
    seen = memory.Seen()
    expected = {job: seen.expected_gb(job.kind) for job in jobs}
    waiting = _spread(jobs)
    running: list[_Running] = []
    done: dict[Job, list[Outcome]] = {}
    stopped: dict[Job, float] = {}
    looked = 0.0
    try:
        while waiting or running:
            while waiting and len(running) < at_once and _fits(expected, running, waiting[0], memory_gb):
                # a child started by the time that Ctrl-C takes effect is one that is known, and stopped with the others
                with held():
                    running.append(_start(waiting.pop(0), say, quiet=quiet))
            time.sleep(POLL_SEC)
            if time.monotonic() - looked >= LOOK_SEC:
                looked = time.monotonic()
                _look(running)
                if len(running) > 1 and sum(each.held_gb for each in running) > memory_gb:
                    last = running.pop()
                    _stop([last])
                    expected[last.job] = max(expected[last.job], memory.MARGIN * last.peak_gb)
                    # it may have finished all but its end: the next try then finds everything there and shows no peak
                    seen.note(last.job.kind, max(last.peak_gb, seen.peaks.get(last.job.kind, 0.0)))
                    stopped[last.job] = max(last.peak_gb, stopped.get(last.job, 0.0))
                    waiting.insert(0, last.job)
                    say(
                        f"[{last.job.subject} {last.job.runtime}] stopped at {last.held_gb:.1f} GB: more than {memory_gb:g} GB "
                        "together; it goes on when there is room"
                    )
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                each.reader.join()
                done[each.job] = _outcomes(each)
                # one that found everything there says nothing of what making it takes
                if any(outcome.state == "written" for outcome in done[each.job]):
                    seen.note(each.job.kind, max(each.peak_gb, stopped.get(each.job, 0.0)))
    except BaseException:
        _stop(running)
        raise
    return [outcome for job in jobs for outcome in done[job]]


def _fits(expected: Mapping[Job, float], running: Sequence[_Running], job: Job, memory_gb: float) -> bool:
    """Whether there is memory for another: what the running ones have yet to take is taken already."""
    if not running:
        return True
    to_come = sum(max(0.0, expected[each.job] - each.held_gb) for each in running)
    planned = sum(max(expected[each.job], each.held_gb) for each in running) + expected[job]
    return planned <= memory_gb and memory.available_gb() - to_come >= expected[job]


def _look(running: Sequence[_Running]) -> None:
    """Note what each holds now, in all its processes, and the highest of it."""
    found = memory.held_gb([each.process.pid for each in running])
    for each in running:
        each.held_gb = found[each.process.pid]
        each.peak_gb = max(each.peak_gb, each.held_gb)


def _spread(jobs: Sequence[Job]) -> list[Job]:
    """In the order to begin them: those of different subjects first, since two of one subject wait for its training."""
    seen: Counter[str] = Counter()
    places = []
    for job in jobs:
        places.append(seen[job.subject])
        seen[job.subject] += 1
    return [job for _, job in sorted(zip(places, jobs, strict=True), key=lambda each: each[0])]


def _start(job: Job, say: Callable[[str], None], *, quiet: bool) -> _Running:
    command = [sys.executable, "-m", "edgedeploy", "export", *job.arguments, "--json"]
    # threads that spin while they wait take the processor from the other jobs
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    output: list[str] = []
    assert process.stdout is not None  # both were asked for
    assert process.stderr is not None
    out = threading.Thread(target=lambda stream: output.append(stream.read()), args=(process.stdout,), daemon=True)
    out.start()

    def tell(stream: IO[str]) -> None:
        for line in stream:
            if not quiet:
                say(f"[{job.subject} {job.runtime}] {line.rstrip()}")
        out.join()

    reader = threading.Thread(target=tell, args=(process.stderr,), daemon=True)
    reader.start()
    return _Running(job, process, reader, output)


def _outcomes(ended: _Running) -> list[Outcome]:
    job = ended.job
    try:
        document: dict[str, Any] = json.loads(ended.output[0] if ended.output else "")
    except ValueError:
        code = ended.process.returncode
        why = f"ended by signal {-code}; with too little memory the system does that, try a smaller -j" if code < 0 else (
            f"ended with exit code {code} and no result"
        )  # fmt: skip
        return [_failed(job, TransientError(f"the export of {job.subject} on {job.runtime} {why}"))]
    if "error" in document:
        kind = _KINDS.get(document["error"]["kind"], InternalError)
        return [_failed(job, kind(document["error"]["message"]))]
    return [_outcome(row) for row in document["bundles"]]


def _outcome(row: dict[str, Any]) -> Outcome:
    error = _KINDS[row["error_kind"]](row["error"]) if row["error"] is not None else None
    names = (row["subject"], row["operator"], row["runtime"], row["backend"])
    return Outcome(*names, Path(row["path"]), row["state"], row["digest"], error)


def _failed(job: Job, error: EdgedeployError) -> Outcome:
    return Outcome(job.subject, "all", job.runtime, "", Path(), "failed", error=error)


def _stop(running: Sequence[_Running]) -> None:
    """Ctrl-C for every child, so that what it finished is kept; killed when it takes too long."""
    for each in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGINT)
    end = time.monotonic() + STOP_SEC
    for each in running:
        try:
            each.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
