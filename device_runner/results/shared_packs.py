"""Packs of samples (compaction.py) that one host made of a bucket's runs, for the others, who would fetch each run's file.

Derived and nothing else, as the packs on a disk are. A pack in the bucket is a Parquet file and, written after it, its list of
runs with what their files were: whoever takes it counts a run from it only while its file is still that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner.durable import write_whole
from edgedeploy.errors import EdgedeployError, UserError

if TYPE_CHECKING:
    from device_runner.results.store import Store

#: a pack with fewer runs that are not here yet is not fetched for them: they are fetched themselves
_MIN_GAIN = 100


def take(store: Store, folder: Path, stamps: dict[str, str], loose: Iterable[str]) -> bool:
    """Fetch the packs that have many of these runs into `folder`, the most useful first. Whether there was one."""
    wanted, taken = set(loose), False
    try:
        lists = _lists(store)
        while lists:
            name = max(lists, key=lambda each: len(_gain(lists[each], stamps, wanted)))
            about = lists.pop(name)
            gain = _gain(about, stamps, wanted)
            if len(gain) < _MIN_GAIN:
                break
            content = store.shared_pack(f"{name}.parquet")
            # another host has put a larger one in its place, or has been cut short
            if content is None or len(content) != about.get("bytes"):
                continue
            folder.mkdir(exist_ok=True)
            write_whole(folder / f"{name}.parquet", content)
            write_whole(folder / f"{name}.json", json.dumps(about).encode())
            wanted -= gain
            taken = True
    except (EdgedeployError, OSError):
        # the runs' own files are there
        return taken
    return taken


def give(store: Store, pack: Path) -> None:
    """Upload a pack, and remove those that have nothing that it has not. Who may only read does not."""
    try:
        runs = set(json.loads(pack.with_suffix(".json").read_bytes())["runs"])
        store.share_pack(pack)
        store.drop_packs([name for name, about in _lists(store).items() if name != pack.stem and set(about["runs"]) <= runs])
    except (EdgedeployError, OSError):
        return


def forget(store: Store) -> None:
    """Remove packs most of whose runs are gone."""
    finished = store.stamps()
    try:
        lists = _lists(store)
        store.drop_packs(
            [name for name, about in lists.items() if 2 * len(finished.keys() & about["runs"]) < len(about["runs"])]
        )
    except (EdgedeployError, OSError):
        return


def _lists(store: Store) -> dict[str, dict[str, Any]]:
    """Of each whole pack in the bucket, what it has; one whose list is damaged is none."""
    found = {}
    for name in store.shared_packs():
        try:
            about = json.loads(store.shared_pack(f"{name}.json") or b"")
        except (ValueError, RecursionError, UserError):
            continue
        if isinstance(about, dict) and isinstance(about.get("runs"), dict):
            found[name] = about
    return found


def _gain(about: dict[str, Any], stamps: dict[str, str], wanted: set[str]) -> set[str]:
    return {run for run, stamp in about["runs"].items() if run in wanted and stamps.get(run) == stamp}
