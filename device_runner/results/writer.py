"""Writing one run: each launch is on disk before the next one starts, and `run.json` comes last."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from device_runner.durable import sync_directory, write_whole
from device_runner.results.duck import connect
from device_runner.results.store import PARTIAL, RUN, SAMPLES, STREAM, Store
from device_runner.samples import runs_of
from edgedeploy.errors import InternalError, UserError
from edgedeploy.record import Launch, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from device_runner.samples import Ns, Samples

#: samples on one line of the stream: a line is small enough to read, and there are not a million of them
_BATCH = 4096


class RunWriter:
    """The only writer of one run. Who makes it holds the lock of the run's experiment (see `experiment.locked`)."""

    def __init__(self, store: Store, run: str, stage: int | None = 0) -> None:
        """stage: what the samples are of; None for all stages of the artifact together."""
        self.directory = store.directory(run)
        self.run, self._stage, self._store = run, stage, store
        if store.is_finished(run):
            raise UserError(f"{run} is finished; a finished run is never written again")
        self.log = self.directory / "log"
        self.log.mkdir(parents=True, exist_ok=True)
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        # a line without its end was being written when the power went: it is no measurement, and nothing may follow it
        stream = self.directory / STREAM
        if not stream.exists():
            return
        data = stream.read_bytes()
        if data and not data.endswith(b"\n"):
            with stream.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)

    def clear_stream(self) -> None:
        """Forget the samples of a run that is not finished and is not to be gone on with."""
        (self.directory / STREAM).unlink(missing_ok=True)

    def streamed_launches(self) -> set[int]:
        """The launches that have samples in the stream, recorded or not."""
        stream = self.directory / STREAM
        if not stream.exists():
            return set()
        with stream.open("r", encoding="utf-8") as lines:
            return {int(json.loads(line)["launch"]) for line in lines}

    def append(self, launch: int, first: tuple[int, int] | None, samples: Samples, crossings: Ns | None = None) -> None:
        """Add a launch's samples to the stream, synced. `first`: (start_ns, elapsed_ns) of the first inference. crossings: of
        a launch over two devices, [n, 3]: near, round trip and far of each steady sample."""
        lines: list[str] = []
        if first is not None:
            lines.append(self._line(launch, "first", 0, [first[0]], [first[1]]))
        for phase, taken in (("warmup", samples.warmup), ("steady", samples.steady)):
            flags = samples.flags if phase == "steady" else ()
            for at, end, flag in runs_of(flags, len(taken), _BATCH):
                batch = taken[at:end]
                lines.append(self._line(launch, phase, at, batch[:, 0].tolist(), batch[:, 1].tolist(), flag))
        lines += self._crossings(launch, crossings) if crossings is not None else []
        with (self.directory / STREAM).open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def _crossings(self, launch: int, crossings: Ns) -> Iterator[str]:
        # durations without an instant: what the far side took is by a clock that nothing here is set by
        for phase, column in zip(("near", "round_trip", "far"), crossings.T, strict=True):
            for at in range(0, len(column), _BATCH):
                batch = column[at : at + _BATCH].tolist()
                yield self._line(launch, phase, at, [None] * len(batch), batch)

    def _line(
        self, launch: int, phase: str, index: int, start_ns: Sequence[int | None], elapsed_ns: list[int], flags: str = ""
    ) -> str:  # fmt: skip
        entry: dict[str, Any] = {"launch": launch, "phase": phase, "stage": self._stage, "index": index, "flags": flags}
        return json.dumps(entry | {"start_ns": start_ns, "elapsed_ns": elapsed_ns}, separators=(",", ":")) + "\n"

    def keep_log(self, launch: int, name: str, text: str) -> None:
        """Keep what the runner said, for whoever has to find out."""
        if text:
            (self.log / f"{launch:04d}.{name}").write_text(text, "utf-8", errors="replace")

    def partial(self, record: RunRecord) -> None:
        """Write down how far the run is."""
        write_whole(self.directory / PARTIAL, _dump(record))

    def finish(self, record: RunRecord) -> None:
        """Turn the stream into Parquet and commit the run."""
        self._to_parquet()
        sync_directory(self.directory)
        write_whole(self.directory / RUN, _dump(record))
        for name in (PARTIAL, STREAM):
            (self.directory / name).unlink(missing_ok=True)
        self._store.publish(self.run)

    def _to_parquet(self) -> None:
        import duckdb

        stream, target = self.directory / STREAM, self.directory / SAMPLES
        scratch = target.with_name(f".{SAMPLES}.part")
        stream.touch()
        connection = connect()
        try:
            columns = "launch: 'INTEGER', phase: 'VARCHAR', stage: 'INTEGER', index: 'BIGINT', flags: 'VARCHAR', "
            columns += "start_ns: 'BIGINT[]', elapsed_ns: 'BIGINT[]'"
            connection.execute(
                "CREATE TEMP TABLE batches AS SELECT * FROM "  # noqa: S608
                f"read_json(?, format = 'newline_delimited', maximum_object_size = 16777216, columns = {{{columns}}})",
                [str(stream)],
            )
            connection.execute(
                "CREATE TEMP TABLE samples AS SELECT ? AS run, launch, phase, stage, index + step AS index, start_ns, "
                "elapsed_ns, flags FROM (SELECT launch, phase, stage, index, flags, unnest(range(len(start_ns))) AS step, "
                "unnest(start_ns) AS start_ns, unnest(elapsed_ns) AS elapsed_ns FROM batches)",
                [self.run],
            )
            ordered = connection.table("samples").order("launch, start_ns NULLS LAST, phase, index")
            ordered.write_parquet(str(scratch), compression="zstd")
        except duckdb.Error as error:
            raise InternalError(f"{stream}: could not be turned into Parquet ({error})") from error
        finally:
            connection.close()
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        scratch.rename(target)


def _dump(record: RunRecord) -> bytes:
    return (json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode()


def next_index(writer: RunWriter, launches: tuple[Launch, ...]) -> int:
    """The index of the next launch: past every one that was recorded, and past every one that only has samples."""
    return max([launch.index for launch in launches] + list(writer.streamed_launches()), default=-1) + 1
