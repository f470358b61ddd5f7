"""The samples of many runs in few Parquet files, so that SQL over 20,000 runs does not open 20,000 files.

Derived and nothing else: each run's own `samples.parquet` is the truth, and `.samples/` can be thrown away at any time. A pack
is a Parquet file and, written after it, a list of the runs in it with what their files were (size, time, inode). A run counts
from a pack while its file is still that; from its own file otherwise. Packs are never changed, so that a query and a process
that packs do not meet; two processes that pack the same runs leave two packs, of which the second gives what the first lacks.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.durable import write_whole
from device_runner.results import shared_packs
from device_runner.results.store import SAMPLE_COLUMNS, SAMPLES, Store, load_json
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    import duckdb

FOLDER = ".samples"
_VERSION = 1
#: fewer files than this are read as they are
MIN_LOOSE = 200
#: a pack that nothing is taken from is kept this long for a query that may be reading it
_LINGER_SEC = 3600.0
_NAMES = ", ".join(f'"{column.split()[0]}"' for column in SAMPLE_COLUMNS.split(", "))


@dataclass(frozen=True)
class _Pack:
    """own: the runs that are taken from it. whole: whether those are all that are in it."""

    file: Path
    own: tuple[str, ...]
    whole: bool


def create_view(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """The view `samples` over every finished run of the store. Raises UserError for a file that cannot be read."""
    finished = store.stamps()
    stamps = {run: stamp for run, stamp in store.files(SAMPLES).items() if run in finished}
    packs = _packs(store, stamps)
    loose = _loose(stamps, packs)
    if len(loose) >= MIN_LOOSE and shared_packs.take(store, store.beside / FOLDER, stamps, loose):
        packs = _packs(store, stamps)
        loose = _loose(stamps, packs)
    if len(loose) >= MIN_LOOSE and (made := _pack(connection, store, stamps, packs, loose)) is not None:
        shared_packs.give(store, made)
        packs = _packs(store, stamps)
        loose = _loose(stamps, packs)
    _view(connection, packs, store.sample_files(loose))


def _loose(stamps: Iterable[str], packs: Iterable[_Pack]) -> list[str]:
    packed = {run for pack in packs for run in pack.own}
    return [run for run in stamps if run not in packed]


def _packs(store: Store, stamps: dict[str, str]) -> list[_Pack]:
    """The packs that something is taken from, the largest first; those that nothing is, for an hour, are removed."""
    listed: list[tuple[Path, dict[str, str]]] = []
    folder = store.beside / FOLDER
    if folder.is_symlink():
        return []
    for about in sorted(folder.glob("*.json")):
        file = about.with_suffix(".parquet")
        try:
            said = load_json(about)
            runs = said["runs"]
            # cut short by a full disk, or copied without it
            good = said["version"] == _VERSION and file.stat().st_size == said["bytes"] and isinstance(runs, dict)
        except (UserError, OSError, KeyError):
            good = False
        listed.append((file, runs if good else {}))
    listed.sort(key=lambda each: (-len(each[1]), each[0].name))
    packs: list[_Pack] = []
    taken: set[str] = set()
    for file, runs in listed:
        own = tuple(run for run, stamp in runs.items() if run not in taken and stamps.get(run) == stamp)
        taken.update(own)
        if own:
            packs.append(_Pack(file, own, len(own) == len(runs)))
        else:
            _drop(file)
    return packs


def _drop(file: Path) -> None:
    with contextlib.suppress(OSError):
        about = file.with_suffix(".json")
        if time.time() - about.stat().st_mtime > _LINGER_SEC:
            about.unlink(missing_ok=True)
            file.unlink(missing_ok=True)


def forget(store: Store, runs: Iterable[str]) -> None:
    """Remove the packs that have one of these runs, which are gone, in them; what else they have is packed again when it is
    asked for. One that was made within the hour may be being read, and is left to the next call."""
    gone = set(runs)
    for about in (store.beside / FOLDER).glob("*.json"):
        with contextlib.suppress(UserError, KeyError, TypeError):
            if gone & set(load_json(about)["runs"]):
                _drop(about.with_suffix(".parquet"))
    shared_packs.forget(store)


def _view(connection: duckdb.DuckDBPyConnection, packs: list[_Pack], loose: list[str]) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE no_samples ({SAMPLE_COLUMNS})")
    parts = [_read(connection, [str(pack.file) for pack in packs if pack.whole]), _read(connection, loose)]
    for at, pack in enumerate(pack for pack in packs if not pack.whole):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE own_{at} AS SELECT unnest(?) AS run", [list(pack.own)])
        part = _read(connection, [str(pack.file)])
        parts.append(part.filter(f"run IN (SELECT run FROM own_{at})") if part is not None else None)  # noqa: S608
    samples = connection.table("no_samples")
    for part in parts:
        samples = samples.union(part) if part is not None else samples
    samples.create_view("samples", replace=True)


def _read(connection: duckdb.DuckDBPyConnection, files: list[str]) -> duckdb.DuckDBPyRelation | None:
    import duckdb

    if not files:
        return None
    try:
        return connection.from_parquet(files, union_by_name=True).select(_NAMES)
    except duckdb.Error as error:
        raise UserError(f"samples cannot be read ({str(error).splitlines()[0]})") from None


def _pack(
    connection: duckdb.DuckDBPyConnection, store: Store, stamps: dict[str, str], packs: list[_Pack], loose: list[str]
) -> Path | None:  # fmt: skip
    """Put loose runs, and packs that are small beside them, into a new pack. None where that cannot be done."""
    import duckdb

    gathered = list(loose)
    for pack in reversed(packs):
        # so that there are few packs, and a run is packed again only a few times in its life
        if len(pack.own) > 2 * len(gathered):
            break
        gathered += pack.own
    folder, name = store.beside / FOLDER, secrets.token_hex(8)
    scratch = folder / f".{name}.part"
    runs = {run: stamps[run] for run in sorted(gathered)}
    if folder.is_symlink():
        return None
    try:
        folder.mkdir(exist_ok=True)
        # without union_by_name no file is opened twice; they are all alike, or the query says which is not
        read = connection.from_parquet(store.sample_files(list(runs))).select(_NAMES)
        read.write_parquet(str(scratch), compression="zstd")
        target = folder / f"{name}.parquet"
        scratch.rename(target)
        # a file that changed meanwhile is in the pack as it was before or after: its stamp here is the older one in both cases
        about = {"version": _VERSION, "bytes": target.stat().st_size, "runs": runs}
        write_whole(folder / f"{name}.json", json.dumps(about).encode())
    except (OSError, duckdb.Error):
        # a store that is not ours to write in, or a file that cannot be read: the query itself says so, if it is of one
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        return None
    return target
