"""A run store in an S3 bucket, which many hosts write and read.

`runs/<run>.json` is the record and the commit: written last, once, and only where it is not there yet. Records lie apart from
`samples/<run>.parquet` and `logs/<run>/`, so that a listing of `runs/` is the finished runs and nothing else, a thousand an
answer. A run is measured into a directory of this host (an ordinary store) and uploaded when it is finished: what a killed
process or a network that is away leaves there is uploaded by whatever touches it next. `index.json.z` is derived.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from device_runner.cache import cache_root
from device_runner.durable import write_whole
from device_runner.results.bucket import Bucket
from device_runner.results.store import EXPERIMENTS, MAX_RECORD_BYTES, RUN, SAMPLES, Store, as_json, parse, safe
from device_runner.state import state_root
from edgedeploy.errors import EdgedeployError, TransientError, UserError
from edgedeploy.record import RunRecord

_RUNS, _SAMPLES, _LOGS, _INDEX = "runs", "samples", "logs", "index.json.z"
_NAMED, _TAKEN, _PACKS = "named", "taken", "packs"
_MAX_SAMPLES_BYTES = 4 * 2**30


class ObjectStore(Store):
    """root: where runs are that are not uploaded yet. beside: the index, packs and what was fetched, which may be removed."""

    def __init__(self, url: str) -> None:
        self.bucket = Bucket(url)
        super().__init__(state_root() / "stores" / self.bucket.key)
        self.beside = cache_root() / "stores" / self.bucket.key
        self._stamps: dict[str, str] | None = None
        with contextlib.suppress(OSError):
            # where it cannot be made, everything is asked for each time
            self.beside.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __str__(self) -> str:
        return self.bucket.url

    def place(self, run: str) -> str:
        return f"{self.bucket.url}/{_RUNS}/{safe(run)}.json"

    def stamps(self) -> dict[str, str]:
        return self._listed(_RUNS, ".json")

    def files(self, name: str) -> dict[str, str]:
        if name == RUN:
            return self.stamps()
        assert name == SAMPLES, f"no {name} is kept of a run"
        if self._stamps is None:
            self._stamps = self._listed(_SAMPLES, ".parquet")
        return self._stamps

    def _listed(self, folder: str, ending: str) -> dict[str, str]:
        found = {}
        for name, size, tag in self.bucket.list(folder):
            run = name.removesuffix(ending)
            if run != name:
                with contextlib.suppress(UserError):
                    # an answer comes in the order of the keys, in which "a.json" and "a.00.json" are not in that of the ids
                    found[safe(run)] = f"{size}.{tag}"
        return dict(sorted(found.items()))

    def is_finished(self, run: str) -> bool:
        if super().is_finished(run):
            self.publish(run)
        return self.bucket.has(f"{_RUNS}/{safe(run)}.json")

    def read(self, run: str) -> RunRecord:
        name = f"{_RUNS}/{safe(run)}.json"
        content = self.bucket.get(name, MAX_RECORD_BYTES)
        if content is None:
            if super().is_finished(run):
                raise UserError(f"{run} is finished but not uploaded; do it with: edgedeploy results push --out {self}")
            raise self.absent(run)
        where = f"{self}/{name}"
        return parse(as_json(content, where), where, run)

    def read_all(self, runs: Sequence[str]) -> Iterator[RunRecord | UserError]:
        def one(run: str) -> RunRecord | UserError:
            try:
                return self.read(run)
            except UserError as error:
                return error

        return self.bucket.each(one, runs)

    def shared_index(self) -> bytes:
        content = self.bucket.get(_INDEX, MAX_RECORD_BYTES)
        try:
            return zlib.decompressobj().decompress(content or b"", MAX_RECORD_BYTES)
        except zlib.error:
            return b""

    def share_index(self, content: bytes) -> None:
        # who may only read cannot, and who comes next reads the records instead
        with contextlib.suppress(EdgedeployError):
            self.bucket.put(_INDEX, zlib.compress(content))

    def shared_packs(self) -> list[str]:
        return [name.removesuffix(".json") for name, _, _ in self.bucket.list(_PACKS) if name.endswith(".json")]

    def shared_pack(self, name: str) -> bytes | None:
        return self.bucket.get(f"{_PACKS}/{safe(name)}", _MAX_SAMPLES_BYTES)

    def share_pack(self, pack: Path) -> None:
        for file in (pack, pack.with_suffix(".json")):
            self.bucket.put(f"{_PACKS}/{file.name}", file)

    def drop_packs(self, names: Sequence[str]) -> None:
        # the lists first: without its list a pack is none
        for ending in ("json", "parquet"):
            self.bucket.delete([f"{_PACKS}/{safe(name)}.{ending}" for name in names])

    def has_experiment(self, experiment: str) -> bool:
        return self.bucket.has(f"{EXPERIMENTS}/{safe(experiment)}.json")

    def experiment(self, experiment: str) -> dict[str, Any]:
        name = f"{EXPERIMENTS}/{safe(experiment)}.json"
        content = self.bucket.get(name, MAX_RECORD_BYTES)
        if content is None:
            raise UserError(f"{self}: no experiment {experiment!r}")
        return as_json(content, f"{self}/{name}")

    def write_experiment(self, experiment: str, document: dict[str, Any]) -> None:
        # first of all: a bucket that cannot be written is found before anything is measured
        self.bucket.put(f"{EXPERIMENTS}/{safe(experiment)}.json", (json.dumps(document, indent=1) + "\n").encode())

    def sample_files(self, runs: Sequence[str]) -> list[str]:
        # one is fetched anew; of many, those that are here as they are there are not
        stamps = self.files(SAMPLES) if len(runs) > 1 else {}
        folder = self.beside / "fetched"
        folder.mkdir(parents=True, exist_ok=True)

        def fetched(run: str) -> str:
            name = f"{_SAMPLES}/{safe(run)}.parquet"
            target = folder / f"{run}.{stamps.get(run, 'one')}.parquet"
            if run in stamps and target.is_file():
                return str(target)
            content = self.bucket.get(name, _MAX_SAMPLES_BYTES)
            if content is None:
                raise UserError(f"{self}/{name}: missing")
            write_whole(target, content)
            return str(target)

        return list(self.bucket.each(fetched, runs))

    def publish(self, run: str) -> None:
        """Upload a run that is finished in `root`, and remove it there. Raises TransientError, saying how to go on."""
        directory = self.directory(run)
        try:
            self.upload(run, directory)
        except TransientError as error:
            raise TransientError(
                f"{run} is finished and kept in {directory}, but not uploaded ({error}). "
                f"Upload it with: edgedeploy results push --out {self}"
            ) from None
        shutil.rmtree(directory, ignore_errors=True)

    def upload(self, run: str, directory: Path) -> bool:
        """Upload a finished run from a directory. False where it is there already. Raises UserError where another one is."""
        record = (directory / RUN).read_bytes()
        # neither samples nor record ever replace another host's: who comes second with others is told
        samples = directory / SAMPLES
        if samples.is_file():
            self._create(f"{_SAMPLES}/{safe(run)}.parquet", samples.read_bytes(), run, directory)
        logs = directory / "log"
        for file in sorted(logs.iterdir()) if logs.is_dir() else []:
            if file.is_file() and not file.is_symlink():
                self.bucket.put(f"{_LOGS}/{run}/{file.name}", file)
        return self._create(f"{_RUNS}/{run}.json", record, run, directory)

    def _create(self, name: str, content: bytes, run: str, directory: Path) -> bool:
        if self.bucket.create(name, content):
            return True
        if self.bucket.get(name, _MAX_SAMPLES_BYTES) != content:
            raise UserError(
                f"{self}: another host has uploaded another {run}; the one in {directory} stays there (move it away)"
            )
        return False

    def pending(self) -> list[str]:
        """The runs that are finished here and not uploaded."""
        return Store(self.root).ids()

    def named(self) -> dict[str, dict[str, Any]]:
        keys = [name.removesuffix(".json") for name, _, _ in self.bucket.list(_NAMED)]

        def one(key: str) -> dict[str, Any]:
            name = f"{_NAMED}/{key}.json"
            return as_json(self.bucket.get(name, MAX_RECORD_BYTES) or b"{}", f"{self}/{name}")

        return dict(zip(keys, self.bucket.each(one, keys), strict=True))

    def write_named(self, key: str, document: dict[str, Any] | None) -> None:
        name = f"{_NAMED}/{safe(key)}.json"
        if document is None:
            self.bucket.delete([name])
        else:
            self.bucket.put(name, json.dumps(document, indent=1).encode())

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for folder in (_RUNS, _SAMPLES, _LOGS):
            for name, size, _ in self.bucket.list(folder):
                run = name.partition("/")[0].removesuffix(".json").removesuffix(".parquet")
                found[run] = found.get(run, 0) + size
        return found

    def take_away(self, run: str) -> None:
        # the record is the run: a copy of it says what to put back, or what is left to discard
        content = self.bucket.get(f"{_RUNS}/{safe(run)}.json", MAX_RECORD_BYTES)
        if content is None:
            raise UserError(f"{self}: {run} was removed meanwhile")
        self.bucket.put(f"{_TAKEN}/{run}.json", content)
        self.bucket.delete([f"{_RUNS}/{run}.json"])

    def taken_away(self) -> list[str]:
        return sorted(self._listed(_TAKEN, ".json"))

    def put_back(self, run: str) -> None:
        content = self.bucket.get(f"{_TAKEN}/{safe(run)}.json", MAX_RECORD_BYTES)
        if content is not None:
            self.bucket.create(f"{_RUNS}/{run}.json", content)
        self.bucket.delete([f"{_TAKEN}/{run}.json"])

    def discard(self, run: str) -> None:
        logs = [f"{_LOGS}/{safe(run)}/{name}" for name, _, _ in self.bucket.list(f"{_LOGS}/{run}")]
        # the copy last: while it is there, there is something to discard
        self.bucket.delete([f"{_RUNS}/{run}.json", f"{_SAMPLES}/{run}.parquet", *logs])
        self.bucket.delete([f"{_TAKEN}/{run}.json"])
        for fetched in (self.beside / "fetched").glob(f"{run}.*.parquet"):
            fetched.unlink(missing_ok=True)

    def remove_experiment(self, experiment: str) -> None:
        self.bucket.delete([f"{EXPERIMENTS}/{safe(experiment)}.json"])
        self.lock_file(experiment).unlink(missing_ok=True)

    def each(self, do: Callable[[str], Any], runs: Sequence[str]) -> None:
        for _ in self.bucket.each(do, runs):
            pass
