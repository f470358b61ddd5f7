"""What bears on the samples of runs that are finished: as it was found when they were measured, or looked for now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from device_runner.results.duck import connect
from device_runner.results.store import Store
from device_runner.samples import Samples
from device_runner.validity import look
from edgedeploy.errors import UserError
from edgedeploy.record import Launch, RunRecord


def looked_at(store: Store, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records, those from before there were flags with what is found now. Nothing is written.

    One whose samples cannot be read stays as it is.
    """
    return [record if record.findings is not None else _or_as_it_is(store, record) for record in records]


def look_again(store: Store, record: RunRecord) -> RunRecord:
    """The record with what this edgedeploy finds; its medians stay what they are. Raises UserError for unreadable samples."""
    # imported rows are in the order of their file, and that need not be the order of their time
    ordered = record.artifact.kind != "imported"
    taken = _samples(store, record.id)
    launches = [
        _look(launch, taken[launch.index], ordered=ordered) if launch.index in taken else launch for launch in record.launches
    ]
    return record.model_copy(
        update={"launches": tuple(launches), "findings": look.at_run(launches, ordered=ordered)}
    )  # fmt: skip


def _or_as_it_is(store: Store, record: RunRecord) -> RunRecord:
    try:
        return look_again(store, record)
    except UserError:
        return record


def _look(launch: Launch, samples: Samples, *, ordered: bool) -> Launch:
    if not ordered:
        return launch.model_copy(update={"findings": look.at_samples(samples, ordered=False)[1]})
    found = look.at_launch(launch, samples, leaves_out=False)
    # its median was taken when it was measured: what was left out of it then is what it says
    return found.model_copy(update={"unsettled_count": launch.unsettled_count})


def _samples(store: Store, run: str) -> dict[int, Samples]:
    """The samples of each launch. Raises UserError when they are not there or not readable."""
    import duckdb

    (file,) = map(Path, store.sample_files([run]))
    if not file.is_file():
        raise UserError(f"{file}: missing")
    connection = connect()
    try:
        found = connection.execute(
            "SELECT launch, phase = 'steady' AS steady, start_ns, elapsed_ns, "
            "coalesce(try_cast(regexp_extract(flags, '^stream ([0-9]{1,4})', 1) AS SMALLINT), -1) AS stream "
            "FROM read_parquet(?) WHERE phase IN ('warmup', 'steady') AND launch IS NOT NULL AND start_ns IS NOT NULL "
            'AND elapsed_ns IS NOT NULL ORDER BY launch, start_ns, "index"',
            [str(file)],
        ).fetchnumpy()
    except duckdb.Error as error:
        raise UserError(f"{file}: not readable ({str(error).splitlines()[0]})") from None
    finally:
        connection.close()
    pairs = np.stack([found["start_ns"], found["elapsed_ns"]], axis=1).astype(np.int64)
    timed, streams = np.asarray(found["steady"], bool), np.asarray(found["stream"], np.int16)
    numbers, first = np.unique(np.asarray(found["launch"], np.int64), return_index=True)
    taken = {}
    for number, begin, end in zip(numbers.tolist(), first, [*first, len(pairs)][1:], strict=True):
        steady = timed[begin:end]
        of = streams[begin:end][steady]
        taken[number] = Samples(pairs[begin:end][~steady], pairs[begin:end][steady], of if (of >= 0).all() else of[:0])
    return taken
