"""An experiment on disk: what was set out to do, written before the first launch, so that it can be gone on with."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from device_runner.order import Step, abba
from device_runner.passes import Pass
from device_runner.results.store import Store
from edgedeploy.artifact import Sha256
from edgedeploy.errors import UserError
from edgedeploy.record import Plan
from edgedeploy.signature import SafeName, Strict

SCHEMA_VERSION = 3


class Entry(Strict):
    """One artifact of an experiment and the run that measures it. `shapes`: what --shape said for a bare model."""

    run: SafeName
    path: str
    kind: Literal["bundle", "as-given"]
    digest: Sha256
    shapes: dict[str, tuple[int, ...]] = {}


class FarPart(Strict):
    """The other device of a part over two, how it runs what is its, and what the link is made to be: see `tiers.pair.Pair`."""

    device: str
    near_tier: str
    tier: str
    plan: Plan
    bundle: Literal["", "portable"] = ""
    #: as --link and --direct have it
    link: str = ""
    direct: str = ""


class Part(Strict):
    """What is measured on one device, and how: devices differ in threads, limits and what is set. far: with a second one."""

    device: str
    far: FarPart | None = None
    #: the kind of runner that was asked for, "" for the one that fits
    bundle: Literal["", "portable", "app"] = ""
    plan: Plan
    #: (block, run) in the order of starting; a launch's position is its place here
    order: tuple[tuple[int, SafeName], ...]

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(sorted({run for _, run in self.order}))


class ExperimentFile(Strict):
    """`experiments/<id>.json`. What is done is in the runs themselves, said once: a launch is done when its run has it."""

    schema_version: Annotated[int, Field(ge=3, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    id: SafeName
    created: str
    seed: int
    accuracy: bool = False
    #: besides the timed launches
    passes: tuple[Pass, ...] = ()
    #: of all devices; which runs are whose is in the parts
    artifacts: Annotated[tuple[Entry, ...], Field(min_length=1)]
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(entry.run for entry in self.artifacts)

    def entries(self, part: Part) -> tuple[Entry, ...]:
        """The artifacts of one device."""
        return tuple(entry for entry in self.artifacts if entry.run in part.runs)


def new_id() -> str:
    """An id that sorts by time and that no other host makes at the same moment."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def run_id(experiment: str, index: int) -> str:
    return f"{experiment}.{index:02d}"


def plan_order(artifacts: tuple[Entry, ...], launches: int, seed: int) -> tuple[Step, ...]:
    """Every position of the experiment."""
    return tuple(abba([entry.run for entry in artifacts], launches, seed))


def write(store: Store, experiment: ExperimentFile) -> None:
    """Write the experiment down. Raises UserError when the store cannot be written."""
    store.write_experiment(experiment.id, experiment.model_dump(mode="json"))


def read(store: Store, identifier: str) -> ExperimentFile:
    """An experiment. Raises UserError when there is none of that id, or when its file was tampered with."""
    if not store.has_experiment(identifier):
        raise UserError(f"{store}: no experiment {identifier!r}; is this the --out it was started with?")
    file = store.experiment_file(identifier)
    try:
        experiment = ExperimentFile.model_validate(_migrated(store.experiment(identifier)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    ordered = [run for part in experiment.parts for run in part.runs]
    if experiment.id != identifier or sorted(ordered) != sorted(experiment.runs):
        raise UserError(f"{file}: does not fit together")
    return experiment


def _migrated(data: dict[str, Any]) -> dict[str, Any]:
    """An experiment's file as this version writes it. Version 1 had one device, and said of it what a part says now; version 2
    had no part over two devices."""
    if data.get("schema_version") == 2:
        return {**data, "schema_version": SCHEMA_VERSION}
    if data.get("schema_version") != 1:
        return data
    moved = {key: data[key] for key in ("device", "bundle", "plan", "order") if key in data}
    kept = {key: value for key, value in data.items() if key not in moved}
    return {**kept, "schema_version": SCHEMA_VERSION, "parts": [moved]}


class BusyError(UserError):
    """Another process is at work on the experiment."""


@contextmanager
def locked(store: Store, identifier: str) -> Iterator[None]:
    """Only one process goes on with an experiment. Raises BusyError when another one does so now."""
    file = store.lock_file(identifier)
    file.parent.mkdir(parents=True, exist_ok=True)
    # a lock of the kernel's, not a file's presence: it goes with the process that held it, however that ended
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"experiment {identifier} is being run by another process") from None
        yield
    finally:
        os.close(descriptor)
