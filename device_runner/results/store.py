"""The run store: a directory of runs. (`object_store.ObjectStore` is one at a URL.)

`ROOT/<run>/run.json` is written last and whole: where it is, the run is finished. Until then there is `run.partial.json`
and the append-only `samples.jsonl`. `ROOT/experiments/<id>.json` holds what an experiment set out to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner.durable import sync_directory, write_whole
from device_runner.results.duck import connect
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    import duckdb

    # pydantic takes longer to import than 20,000 runs take to list
    from edgedeploy.record import RunRecord

RUN = "run.json"
PARTIAL = "run.partial.json"
STREAM = "samples.jsonl"
SAMPLES = "samples.parquet"
EXPERIMENTS = "experiments"
#: lists of runs that a file names, and runs that are being removed; neither is the id of a run
NAMED, TAKEN = ".named", ".taken"
MAX_RECORD_BYTES = 64 * 2**20
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


def safe(identifier: str) -> str:
    """`identifier` if it may become part of a path. Raises UserError for one that could lead out of the store."""
    if not _SAFE.fullmatch(identifier) or identifier == EXPERIMENTS:
        raise UserError(f"{identifier[:120]!r} is not the id of a run or an experiment")
    return identifier


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError naming the file when it is none, or too large."""
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise UserError(f"{path}: over {MAX_RECORD_BYTES} bytes, not one of ours")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    return as_json(content, str(path))


def as_json(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object. Raises UserError naming `where` it was read when it is none."""
    try:
        data = json.loads(content.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not readable as JSON ({error})") from None
    if not isinstance(data, dict):
        raise UserError(f"{where}: not a JSON object")
    return data


def parse(data: dict[str, Any], where: str, run: str) -> RunRecord:
    """The record of `run`, of whatever version. Raises UserError naming `where` it was read."""
    from pydantic import ValidationError

    from device_runner.results.migrations import migrate
    from edgedeploy.record import RunRecord

    try:
        record = RunRecord.model_validate(migrate(data, where))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {at}: {first['msg']}") from None
    if record.id != run:
        raise UserError(f"{where}: is the record of {record.id}, not of {run}")
    return record


class Store:
    """A store that is only read; a `results.writer.RunWriter` writes one run of it.

    root: where runs are written. beside: where what is derived from them is kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = self.beside = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def place(self, run: str) -> str:
        """Where a finished run is, as people are told."""
        return f"{self.root}/{safe(run)}"

    def directory(self, run: str) -> Path:
        """Where a run is. Raises UserError for an id that is none."""
        return self.root / safe(run)

    def experiment_file(self, experiment: str) -> Path:
        return self.root / EXPERIMENTS / f"{safe(experiment)}.json"

    def lock_file(self, experiment: str) -> Path:
        """What whoever works on an experiment on this host holds."""
        return self.root / EXPERIMENTS / f".{safe(experiment)}.lock"

    def stamps(self) -> dict[str, str]:
        """The finished runs, the oldest first (ids begin with the time), each with what changes when its record does."""
        return self.files(RUN)

    def files(self, name: str) -> dict[str, str]:
        """The runs that have a file of this name, the oldest first, each with that file's size, time and inode."""
        try:
            root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        try:
            found = {}
            # strings beneath a descriptor, not Path objects: of 20,000 runs those alone would take a second
            for run in sorted(os.listdir(root)):
                if _SAFE.fullmatch(run):
                    try:
                        status = os.stat(f"{run}/{name}", dir_fd=root)
                    except OSError:
                        continue
                    found[run] = f"{status.st_size}.{status.st_mtime_ns}.{status.st_ino}"
            return found
        finally:
            os.close(root)

    def is_finished(self, run: str) -> bool:
        return (self.directory(run) / RUN).is_file()

    def publish(self, run: str) -> None:
        """Called when a run was finished in `root`: here that is all there is to do."""

    def shared_index(self) -> bytes:
        """The index as another host gave it to `share_index`; empty here, where all hosts see the same index."""
        return b""

    def share_index(self, content: bytes) -> None:
        """Give other hosts the index."""

    def shared_packs(self) -> list[str]:
        """Names of the packs (results.shared_packs) that other hosts gave; none here, where all hosts see the same."""
        return []

    def shared_pack(self, name: str) -> bytes | None:
        """One of the two files of a pack; None where there is none."""
        return None

    def share_pack(self, pack: Path) -> None:
        """Give other hosts a pack: its Parquet file, and then its list, which lies beside it."""

    def drop_packs(self, names: Sequence[str]) -> None:
        """Remove packs that were given."""

    def has_experiment(self, experiment: str) -> bool:
        return self.experiment_file(experiment).is_file()

    def experiment(self, experiment: str) -> dict[str, Any]:
        """What an experiment set out to do. Raises UserError where it is not there or not readable."""
        return load_json(self.experiment_file(experiment))

    def write_experiment(self, experiment: str, document: dict[str, Any]) -> None:
        """Raises UserError when the store cannot be written."""
        file = self.experiment_file(experiment)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{self.root}: not a directory to keep runs in; give another --out") from None
        write_whole(file, (json.dumps(document, indent=1) + "\n").encode())

    def ids(self) -> list[str]:
        """The finished runs, the oldest first."""
        return list(self.stamps())

    def runs_of(self, experiment: str) -> list[str]:
        """The finished runs of an experiment, in its order."""
        planned = self.experiment(experiment).get("artifacts")
        if not isinstance(planned, list) or not all(isinstance(entry, dict) for entry in planned):
            raise UserError(f"{self}/{EXPERIMENTS}/{experiment}.json: lists no artifacts, not an experiment")
        named = [safe(str(entry.get("run"))) for entry in planned]
        return [run for run in named if self.is_finished(run)]

    def runs_named(self, names: Sequence[str]) -> list[str]:
        """The runs that are named, and those of experiments that are, each once. Raises UserError for one without any."""
        ids: list[str] = []
        for name in names:
            found = self.runs_of(name) if self.has_experiment(name) else [name]
            if not found:
                raise UserError(f"{name} has no finished run; go on with: edgedeploy bench --resume {name}")
            ids += found
        return list(dict.fromkeys(ids))

    def read(self, run: str) -> RunRecord:
        """A finished run. Raises UserError, saying how to go on, for one that is not finished or not there."""
        directory = self.directory(run)
        if (directory / RUN).is_file():
            return parse(load_json(directory / RUN), str(directory / RUN), run)
        raise self.absent(run)

    def absent(self, run: str) -> UserError:
        """Why there is no such run, and how to go on."""
        begun = self.read_partial(run)
        if begun is not None:
            return UserError(f"{run} is not finished; go on with: edgedeploy bench --resume {begun.experiment.id}")
        return UserError(f"{self}: no run {run!r}; `edgedeploy results list` shows those there are")

    def read_all(self, runs: Sequence[str]) -> Iterator[RunRecord | UserError]:
        """Each of the runs as `read` would give it, or what is wrong with it."""
        for run in runs:
            try:
                yield self.read(run)
            except UserError as error:
                yield error

    def read_partial(self, run: str) -> RunRecord | None:
        """A run that is not finished as far as it got; None when it never got anywhere."""
        file = self.directory(run) / PARTIAL
        return parse(load_json(file), str(file), run) if file.is_file() else None

    def named(self) -> dict[str, dict[str, Any]]:
        """The lists of `results.named`, by key. Raises UserError for one that cannot be read."""
        return {file.stem: load_json(file) for file in sorted((self.root / NAMED).glob("*.json"))}

    def write_named(self, key: str, document: dict[str, Any] | None) -> None:
        """Write a list, or remove it. Raises OSError when the store cannot be written."""
        file = self.root / NAMED / f"{safe(key)}.json"
        if document is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(exist_ok=True)
        write_whole(file, json.dumps(document, indent=1).encode())

    def sizes(self) -> dict[str, int]:
        """Bytes of each finished run with all that belongs to it."""
        return {run: _bytes_in(f"{self.root}/{run}") for run in self.stamps()}

    def take_away(self, run: str) -> None:
        """Make a finished run one that nobody sees, in one step. `put_back` and `discard` are the ways on from there."""
        if (self.root / TAKEN).is_symlink():
            raise UserError(f"{self.root / TAKEN} is a link, which leads out of the store; remove it")
        (self.root / TAKEN).mkdir(exist_ok=True)
        os.rename(self.directory(run), self.root / TAKEN / safe(run))
        sync_directory(self.root)

    def taken_away(self) -> list[str]:
        """The runs that are neither put back nor discarded yet."""
        if not (self.root / TAKEN).is_dir() or (self.root / TAKEN).is_symlink():
            return []
        return sorted(name for name in os.listdir(self.root / TAKEN) if _SAFE.fullmatch(name))

    def put_back(self, run: str) -> None:
        os.rename(self.root / TAKEN / safe(run), self.directory(run))

    def discard(self, run: str) -> None:
        """Remove what was taken away, for good; where a link stands in a run's place, the link."""
        taken = self.root / TAKEN / safe(run)
        if taken.is_symlink():
            taken.unlink()
        else:
            shutil.rmtree(taken)

    def remove_experiment(self, experiment: str) -> None:
        self.experiment_file(experiment).unlink(missing_ok=True)
        self.lock_file(experiment).unlink(missing_ok=True)

    def each(self, do: Callable[[str], Any], runs: Sequence[str]) -> None:
        """`do` of each run."""
        for run in runs:
            do(run)

    def query(self, sql: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run SQL over the view `samples`: run, launch, phase, stage, index, start_ns, elapsed_ns, flags.

        Raises UserError for samples that cannot be read.
        """
        from device_runner.results import compaction

        connection = connect()
        compaction.create_view(connection, self)
        return connection.execute(sql, parameters or [])

    def sample_files(self, runs: Sequence[str]) -> list[str]:
        """Of each run the Parquet file of its samples, on this host."""
        return [f"{self.root}/{safe(run)}/{SAMPLES}" for run in runs]

    def samples(self, run: str) -> Iterator[tuple[Any, ...]]:
        """(launch, phase, stage, index, start_ns, elapsed_ns, flags) of a finished run, in the order they were taken.

        `stage` is None where a sample is of all stages of the artifact together. Of a run over two devices, what each steady
        sample was made of is in the phases near, round_trip and far, after the others: durations, whose start_ns is None.
        """
        import duckdb

        self.read(run)
        (file,) = self.sample_files([run])
        if not os.path.isfile(file):
            raise UserError(f"{file}: missing")
        connection = connect()
        try:
            columns = 'launch, phase, stage, "index", start_ns, elapsed_ns, flags'
            found = connection.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY launch, start_ns NULLS LAST", [file])  # noqa: S608
        except duckdb.Error as error:
            raise UserError(f"{file}: not readable ({str(error).splitlines()[0]})") from None
        # what can go wrong has gone wrong by now, before anybody has printed half of an answer
        return iter(lambda: found.fetchone(), None)


def _bytes_in(directory: str) -> int:
    """Of all plain files beneath it. One that goes meanwhile counts for nothing."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                total += _bytes_in(entry.path)
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


#: of samples.parquet
SAMPLE_COLUMNS = (
    "run VARCHAR, launch INTEGER, phase VARCHAR, stage INTEGER, index BIGINT, start_ns BIGINT, elapsed_ns BIGINT, flags VARCHAR"
)
