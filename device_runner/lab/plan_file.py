"""plan.yaml: which artifacts on which devices, how, and how urgent. docs/schemas/lab-plan.schema.json is made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from device_runner.strict_yaml import load, text_of, validated
from edgedeploy.errors import UserError
from edgedeploy.gates import Gates
from edgedeploy.limits import MAX_MEMORY_MB, MAX_PHASE_MS, MAX_SECONDS, MAX_STREAMS, MAX_THREADS
from edgedeploy.preparation import Preparation
from edgedeploy.record import Plan
from edgedeploy.signature import SafeName, Strict

#: thousands of entries; more is not a file that somebody wrote
MAX_BYTES = 1024 * 1024
#: a plan of more is split, so that a slip (a glob too wide) does not keep a lab busy for a year
MAX_JOBS = 100_000

Priority = Annotated[int, Field(ge=-1000, le=1000, strict=True)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Cpu = Annotated[int, Field(ge=0, le=4095, strict=True)]
Dim = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]


class How(Strict):
    """How each artifact is measured, in the words of `bench`; what is not said comes from the mode, and from devices.yaml."""

    mode: Literal["quick", "standard", "mlperf", "sustained", "throughput"] = "standard"
    launches: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    #: add launches until the median is known to so many percent either way; `launches` is then the most
    until_percent: Annotated[float, Field(ge=0.05, le=50)] | None = None
    #: with until_percent: begin no more launches after so much time on the device
    budget_sec: Annotated[float, Field(ge=1, le=MAX_SECONDS)] | None = None
    #: launches of a block side by side, in turns of a few milliseconds
    in_turns: Annotated[bool, Field(strict=True)] = False
    #: of mode throughput
    streams: Annotated[int, Field(ge=1, le=MAX_STREAMS, strict=True)] | None = None
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS, strict=True)] | None = None
    #: CPUs to pin to
    cores: Annotated[tuple[Cpu, ...], Field(min_length=1, max_length=4096)] | None = None
    warmup_count: Annotated[int, Field(ge=0, le=100_000, strict=True)] | None = None
    warmup_ms: Annotated[float, Field(ge=0, le=MAX_PHASE_MS)] | None = None
    min_count: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    min_ms: Annotated[float, Field(ge=0, le=MAX_PHASE_MS)] | None = None
    max_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS)] | None = None
    max_memory_mb: Annotated[int, Field(ge=16, le=MAX_MEMORY_MB, strict=True)] | None = None
    #: what must hold before each launch
    limits: Gates = Gates()
    #: what is set for a run, and put back after it
    prepare: Preparation = Preparation()

    @model_validator(mode="after")
    def _can_be(self) -> How:
        try:
            self.plan()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def numbers(self) -> dict[str, Any]:
        """What was said, by the names of bench's options."""
        apart = {"mode", "threads", "cores", "limits", "prepare", "until_percent"}
        said = {key: value for key, value in self.model_dump(exclude=apart).items() if value is not None}
        return said | ({"until": self.until_percent / 100} if self.until_percent is not None else {})

    def plan(self) -> Plan:
        """Without what a device says. Raises UserError for what does not go together."""
        from device_runner.plans.asked import planned

        return planned(self.mode, self.numbers())


class Entry(Strict):
    """Artifacts × devices. The artifacts are interleaved with each other on a device, as in one `bench`."""

    #: bundles, directories of bundles, model files, or globs of them; relative to the plan's file
    artifacts: Annotated[tuple[Words, ...], Field(min_length=1, max_length=10_000)]
    #: names, models or globs as `bench --device` takes them; label:NAME and tier:NAME for all that have it
    devices: Annotated[tuple[Words, ...], Field(min_length=1, max_length=10_000)]
    #: measured on each of the devices, or once, on whichever is free first
    run_on: Literal["each", "any"] = "each"
    plan: How = How()
    #: again and again, as experiments of their own
    repeats: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1
    #: false: each artifact is an experiment of its own, and is compared with none
    interleave: bool = True
    #: also over each bundle's labelled samples, on the device
    accuracy: bool = False
    #: in place of the plan's
    priority: Priority | None = None
    #: of bare model files
    shapes: dict[Words, Annotated[tuple[Dim, ...], Field(min_length=1, max_length=8)]] = {}


class LabPlan(Strict):
    """The whole file."""

    schema_version: Literal[1] = 1
    #: what the lab calls it; a file of the same name takes this one's place
    name: SafeName
    #: the higher, the sooner
    priority: Priority = 0
    #: where runs are kept, relative to the plan's file
    out: Words = "runs"
    #: of orders and made-up inputs
    seed: Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)] = 0
    #: for entries that have no `plan` of their own
    plan: How = How()
    experiments: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=10_000)]

    def how(self, entry: Entry) -> How:
        """How that entry is measured."""
        return entry.plan if "plan" in entry.model_fields_set else self.plan


def read(path: Path) -> LabPlan:
    """The plan at `path`. Raises UserError with the line that is wrong and what to do about it."""
    data, root = load(text_of(path, MAX_BYTES, "a plan"), path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: it begins with `name:` and `experiments:`; see docs/lab.md")
    return validated(LabPlan, data, root, path, _reason)


def _reason(error: Any, where: list[Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"there is no such key; the keys are {', '.join(_model(where).model_fields)}"
    if error["type"] == "invalid_key":
        return "is no key; YAML takes on, off, yes and no for true and false, and numbers for numbers"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in ("tuple_type", "list_type"):
        return "give a list: [one, another]"
    if error["type"] == "string_pattern_mismatch":
        return f"{message}; use letters, digits and _ . + - only"
    return message


def _model(where: list[Any]) -> Any:
    """The model that the last part of a path is a key of."""
    names = [part for part in where[:-1] if isinstance(part, str)]
    return {"limits": Gates, "prepare": Preparation, "plan": How, "experiments": Entry}.get(
        names[-1] if names else "", LabPlan
    )  # fmt: skip
