"""Old runs out of a store, an experiment at a time: its runs are each other's baseline, so it goes whole or stays.

Never gone: what a report or a comparison names (named.py), what is not finished, what has no readable time. Its runs are
first taken away, each in one step after which nobody sees it; then the names are looked at again, and all are put back if one
was named meanwhile; then the experiment's file goes, and after that what was taken. A crash before that file went is undone by
the next prune, one after it is completed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from device_runner.experiment import BusyError, locked
from device_runner.results import compaction, index, named
from device_runner.results.store import Store
from edgedeploy.errors import UserError

DAY_SEC = 86400.0
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Group:
    """The finished runs of one experiment. created: of the newest, seconds since 1970; None where one's cannot be read."""

    experiment: str
    runs: tuple[str, ...]
    size_bytes: int
    created: float | None


@dataclass(frozen=True)
class Chosen:
    """What goes, the oldest first; what would go but for the reason it is under. left_bytes: of the runs that stay.
    broken: what is wrong with records that cannot be read, which stay."""

    gone: tuple[Group, ...]
    named: tuple[Group, ...]
    unfinished: tuple[Group, ...]
    undated: tuple[Group, ...]
    left_bytes: int
    broken: tuple[str, ...] = field(default=())


def choose(store: Store, older_than_sec: float | None, keep_bytes: float | None) -> Chosen:
    """What goes: whatever is older, and of the rest the oldest until no more than `keep_bytes` are left."""
    entries, broken = index.entries(store)
    groups = _groups(store, entries)
    keep = named.runs(store)
    left = sum(group.size_bytes for group in groups)
    before = None if older_than_sec is None else time.time() - older_than_sec
    found: dict[str, list[Group]] = {"gone": [], "named": [], "unfinished": [], "undated": []}
    for group in groups:
        if group.created is None:
            found["undated"].append(group)
            continue
        old = before is not None and group.created < before
        if not old and (keep_bytes is None or left <= keep_bytes):
            continue
        kind = "named" if keep & set(group.runs) else "unfinished" if _unfinished(store, group) else "gone"
        found[kind].append(group)
        if kind == "gone":
            left -= group.size_bytes
    return Chosen(**{kind: tuple(members) for kind, members in found.items()}, left_bytes=left, broken=tuple(broken))


def _groups(store: Store, entries: Sequence[index.Entry]) -> list[Group]:
    """The oldest first; those without a time before all."""
    sizes = store.sizes()
    by_experiment: dict[str, list[index.Entry]] = {}
    for entry in entries:
        by_experiment.setdefault(entry.experiment, []).append(entry)
    groups = []
    for experiment, members in by_experiment.items():
        times = [_seconds(entry.created) for entry in members]
        known = [each for each in times if each is not None]
        created = max(known) if len(known) == len(times) else None
        runs = tuple(entry.id for entry in members)
        groups.append(Group(experiment, runs, sum(sizes.get(run, 0) for run in runs), created))
    return sorted(groups, key=lambda group: (group.created or 0.0, group.experiment))


def _seconds(instant: str) -> float | None:
    try:
        read = datetime.fromisoformat(instant)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _unfinished(store: Store, group: Group) -> bool:
    """Whether the experiment has a run that is not finished: it may be going on here or elsewhere, and can be gone on with."""
    try:
        planned = store.experiment(group.experiment).get("artifacts")
    except UserError:
        # imported by hand, or what a prune that was interrupted has left: there is nothing to go on with
        return store.has_experiment(group.experiment)
    if not isinstance(planned, list):
        return True
    return not {str(each.get("run")) if isinstance(each, dict) else "" for each in planned} <= set(group.runs)


def carry_out(store: Store, chosen: Chosen, say: Progress) -> list[str]:
    """Remove what was chosen; the runs that are gone. What is named or begun again since stays."""
    finish(store)
    gone: list[str] = []
    for number, group in enumerate(chosen.gone):
        say("pruning", number, len(chosen.gone))
        gone += _remove(store, group)
    compaction.forget(store, gone)
    return gone


def _remove(store: Store, group: Group) -> list[str]:
    try:
        with locked(store, group.experiment):
            if _unfinished(store, group):
                return []
            store.each(store.take_away, group.runs)
            if named.runs(store) & set(group.runs):
                store.each(store.put_back, group.runs)
                return []
            # from here on there is no way back
            store.remove_experiment(group.experiment)
            store.each(store.discard, group.runs)
    except BusyError:
        return []
    return list(group.runs)


def finish(store: Store) -> None:
    """Undo what a prune that was interrupted had begun to take away; discard what it had taken for good."""
    left = store.taken_away()
    if not left:
        return
    keep = {_experiment_of(run) for run in named.runs(store)}
    for experiment in sorted({_experiment_of(run) for run in left}):
        runs = [run for run in left if _experiment_of(run) == experiment]
        with contextlib.suppress(BusyError), locked(store, experiment):
            undone = experiment in keep or store.has_experiment(experiment)
            store.each(store.put_back if undone else store.discard, runs)
            if not undone:
                store.remove_experiment(experiment)


def _experiment_of(run: str) -> str:
    # a run's id is its experiment's and a number
    return run.rpartition(".")[0] or run
