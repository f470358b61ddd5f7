"""From a plan to jobs: artifacts found and digested, devices found by name or label, one job for each experiment."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from device_runner import artifacts, bare, inventory
from device_runner.lab.plan_file import MAX_JOBS, Entry, How, LabPlan
from device_runner.lab.queue import Wanted
from edgedeploy import bundle
from edgedeploy.errors import UserError
from edgedeploy.record import Plan

#: of a launch beside its phases: the start, the load, fetching what it left
_LAUNCH_SEC = 1.5
#: of an experiment: connecting, checking, pushing what is there already
_EXPERIMENT_SEC = 3.0
#: with `until`, as far as can be known before
_UNTIL_LAUNCHES = 15
_WILD = "*?["
#: also as a path has it, which makes one of two slashes
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class Here:
    """The devices of this host's inventory. file: which, where one was named."""

    def __init__(self, file: Path | None) -> None:
        self._file, self.labelled = file, inventory.listed(file)

    def resolve(self, said: str) -> str:
        return inventory.resolve(said, self._file).name


class Devices(Protocol):
    """What a plan's devices are looked for in. labelled: by name, those that have labels and tiers, or could have."""

    @property
    def labelled(self) -> Mapping[str, Labelled]: ...

    def resolve(self, said: str) -> str:
        """The name of the one device that a person calls so. Raises UserError where there is none, or several."""
        ...


class Labelled(Protocol):
    @property
    def tier(self) -> str: ...

    @property
    def labels(self) -> Sequence[str]: ...


def expand(
    plan: LabPlan, base: Path, devices: Path | None, out: Path | None = None, known: Devices | None = None
) -> list[Wanted]:  # fmt: skip
    """The jobs of a plan. base: what its paths are relative to. devices: the inventory's file, where one was named.

    known: in place of this host's devices. Raises UserError for an artifact or a device that is not there, and for runs that
    are to be kept at a URL.
    """
    kept = _kept(out or Path(plan.out), base if out is None else Path(), of_a_cluster=known is not None)
    known = known or Here(devices)
    digests: dict[Path, str] = {}
    jobs: dict[str, Wanted] = {}
    for index, entry in enumerate(plan.experiments):
        try:
            for job in _jobs(plan, entry, base, known, devices, kept, digests):
                # the same work twice in a plan is done once; `repeats` says that it is meant
                jobs.setdefault(job.key, job)
                if len(jobs) > MAX_JOBS:
                    raise UserError(f"over {MAX_JOBS} experiments; split the plan")
        except UserError as error:
            raise UserError(f"experiments.{index}: {error}") from None
    return list(jobs.values())


def _kept(out: Path, base: Path, *, of_a_cluster: bool) -> str:
    """Where runs are to be kept, absolute or a URL. base: what `out` is relative to."""
    if not _URL.match(str(out)):
        return str((base / out.expanduser()).resolve())
    if not of_a_cluster:
        raise UserError(f"out {str(out)[:200]}: a lab keeps its runs in a directory; edgedeploy results push uploads them")
    scheme, _, rest = str(out).partition(":")
    if scheme != "s3":
        raise UserError(f"out {str(out)[:200]}: a directory that all hosts have, or an S3 bucket (s3://BUCKET/FOLDER)")
    return f"{scheme}://{rest.lstrip('/')}"


def _jobs(
    plan: LabPlan, entry: Entry, base: Path, known: Devices, file: Path | None, out: str, digests: dict[Path, str]
) -> Iterator[Wanted]:  # fmt: skip
    paths = artifacts.find(_paths(entry.artifacts, base))
    for path in paths:
        if path not in digests:
            digests[path] = bundle.read(path).digest if path.is_dir() else bare.digest(path)
    names = sorted({name for said in entry.devices for name in _named(said, known)})
    how = plan.how(entry)
    for repeat in range(entry.repeats):
        for group in [paths] if entry.interleave else [[path] for path in paths]:
            for pool in [tuple(names)] if entry.run_on == "any" else [(name,) for name in names]:
                yield _job(plan, entry, how, group, pool, repeat, [digests[path] for path in group], file, out)


def _job(
    plan: LabPlan, entry: Entry, how: How, paths: Sequence[Path], pool: tuple[str, ...], repeat: int, digests: list[str],
    file: Path | None, out: str,
) -> Wanted:  # fmt: skip
    shapes = {name: list(shape) for name, shape in entry.shapes.items()}
    same: dict[str, Any] = {
        "artifacts": digests, "pool": pool, "repeat": repeat, "how": how.model_dump(mode="json"),
        "accuracy": entry.accuracy, "shapes": shapes, "seed": plan.seed,
    }  # fmt: skip
    work = {
        "paths": [str(path.resolve()) for path in paths], "how": how.model_dump(mode="json", exclude_unset=True),
        "accuracy": entry.accuracy, "shapes": shapes, "seed": plan.seed + repeat, "out": out,
        "devices": str(file.resolve()) if file is not None else None,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:32]
    return Wanted(
        key, _label(paths, how, repeat, entry.repeats), pool, plan.priority if entry.priority is None else entry.priority,
        estimate_sec(how.plan(), len(paths)), tuple(digests), work,
    )  # fmt: skip


def _label(paths: Sequence[Path], how: How, repeat: int, repeats: int) -> str:
    first = "/".join(paths[0].parts[-3:])
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{first}{more}, {how.mode}" + (f", {repeat + 1} of {repeats}" if repeats > 1 else "")


def estimate_sec(plan: Plan, count: int) -> float:
    """How long an experiment of `count` artifacts takes on a device, before anything is known of either."""
    launches = plan.launches if plan.until is None else min(plan.launches, _UNTIL_LAUNCHES)
    whole = count * launches * ((plan.warmup.min_ms + plan.steady.min_ms) / 1000 + _LAUNCH_SEC)
    if plan.budget_sec is not None:
        whole = min(whole, count * plan.budget_sec)
    return _EXPERIMENT_SEC + whole


def _paths(said: Sequence[str], base: Path) -> list[Path]:
    found = []
    for text in said:
        path = base / Path(text).expanduser()
        if path.exists() or not any(character in text for character in _WILD):
            found.append(path)
            continue
        matches = sorted(glob.glob(str(path), recursive=True))
        if not matches:
            raise UserError(f"{text}: matches nothing below {base}")
        found += map(Path, matches)
    return found


def _named(said: str, devices: Devices) -> list[str]:
    """The names of the devices that `said` stands for."""
    known = devices.labelled
    kind, separator, value = said.partition(":")
    if separator and kind in ("label", "tier"):
        found = [name for name, device in known.items() if value in (device.labels if kind == "label" else (device.tier,))]
        if not found:
            there = sorted({label for device in known.values() for label in device.labels} if kind == "label" else
                           {device.tier for device in known.values() if device.tier})  # fmt: skip
            raise UserError(f"no device in devices.yaml has the {kind} {value!r}; there is {', '.join(there) or 'none'}")
        return found
    if any(character in said for character in _WILD):
        found = [name for name in known if fnmatch.fnmatchcase(name, said)]
        if found:
            return found
    return [devices.resolve(said)]
