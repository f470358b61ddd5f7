"""Finished runs from this host into a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from device_runner.results import index
from device_runner.results.object_store import ObjectStore
from device_runner.results.opening import open_store
from device_runner.results.store import EXPERIMENTS, Store, load_json
from edgedeploy.errors import UserError


@dataclass(frozen=True)
class Pushed:
    uploaded: list[str]
    there: list[str]


def push(url: str, directory: str | None) -> Pushed:
    """Upload the finished runs and the experiments of a store in a directory; without one, what this host still has for that
    bucket, which is then removed here. Raises UserError for an URL that is none."""
    target = open_store(url)
    if not isinstance(target, ObjectStore):
        raise UserError(f"{url}: runs are uploaded to an S3 bucket: --out s3://BUCKET/FOLDER")
    if directory is None:
        waiting = target.pending()
        for run in waiting:
            target.publish(run)
        return Pushed(waiting, [])
    source = Store(Path(directory))
    there = set(target.ids())
    missing = [run for run in source.ids() if run not in there]
    for file in sorted((source.root / EXPERIMENTS).glob("*.json")):
        if not target.has_experiment(file.stem):
            target.write_experiment(file.stem, load_json(file))

    def one(run: str) -> bool:
        # read first: what is not a record of ours is not passed on
        source.read(run)
        return target.upload(run, source.directory(run))

    new = [run for run, uploaded in zip(missing, target.bucket.each(one, missing), strict=True) if uploaded]
    if len(new) > index.SHARED_FROM:
        _share_index(source, target, new)
    return Pushed(new, [run for run in source.ids() if run not in new])


def _share_index(source: Store, target: ObjectStore, runs: list[str]) -> None:
    """What is known of many new runs here, for the first host that lists the bucket: it would read every record."""
    here = {entry.id: entry for entry in index.entries(source)[0]}
    stamps = target.stamps()
    index.give(target, {run: (stamps[run], here[run]) for run in runs if run in stamps and run in here})
