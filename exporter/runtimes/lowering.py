"""What the lowerings of all runtimes have in common: examples, quiet conversions and how a failed one is told."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from edgedeploy import adapters
from edgedeploy.artifact import Port, Precision
from edgedeploy.errors import EdgedeployError, UserError
from exporter.runtimes.base import Runtime, Work
from exporter.runtimes.quiet import quiet

if TYPE_CHECKING:
    import torch

Feeds = dict[str, npt.NDArray[Any]]
Made = TypeVar("Made")


class Kept(Generic[Made]):
    """The last thing made for a work and a scheme: calibration methods are tried one after the other, and share it."""

    def __init__(self) -> None:
        self._kept: tuple[Work, str, Made] | None = None

    def get(self, work: Work, scheme: str, make: Callable[[], Made]) -> Made:
        """What was made for this very work object and scheme the last time, or what `make` gives now."""
        if self._kept is not None and self._kept[0] is work and self._kept[1] == scheme:
            return self._kept[2]
        self._kept = None  # not two at a time in memory
        made = make()
        self._kept = (work, scheme, made)
        return made


@contextlib.contextmanager
def converting(runtime: str, what: str) -> Iterator[None]:
    """Around calls into a converter: quiet, and its failure becomes a UserError with the first line of the cause."""
    try:
        with quiet():
            yield
    except (EdgedeployError, KeyboardInterrupt):
        raise
    except Exception as err:  # converters raise whatever they like
        raise UserError(f"{runtime} cannot {what}: {first_line(err)}") from err


def first_line(err: BaseException) -> str:
    """The first line of an exception that says something, at most 300 characters; its class where none does."""
    lines = (line.strip() for line in str(err).splitlines())
    return next((line for line in lines if line), type(err).__name__)[:300]


def torch_example(work: Work) -> tuple[torch.Tensor, ...]:
    """One example as torch tensors, in the signature's order."""
    import torch

    return tuple(torch.from_numpy(np.array(array)) for array in work.example().values())


def copied(runtime: str, work: Work, destination: Path) -> bool:
    """Whether the model is a given file, which is copied to `destination` then. Raises UserError for another runtime's."""
    given = work.given
    if given is None:
        return False
    if given.runtime != runtime:
        raise UserError(f"{runtime} cannot be reached from a {given.form} file")
    shutil.copyfile(given.path, destination)
    return True


def calibration_examples(work: Work) -> Iterator[Feeds]:
    """The calibration set one example (batch 1) at a time, telling progress. Raises UserError where there is none."""
    if work.calibration is None or not len(work.calibration):
        raise UserError("static int8 needs calibration examples, and the subject gives none")
    count = len(work.calibration)
    for index in range(count):
        if work.progress is not None:
            work.progress("calibrating int8 ranges", index, count)
        batch = work.calibration.batch(index, index + 1)
        yield {spec.name: batch[spec.name] for spec in work.signature.inputs}
    if work.progress is not None:
        work.progress("calibrating int8 ranges", count, count)


def fed(examples: Iterator[Feeds], inputs: Sequence[Port]) -> Iterator[Feeds]:
    """The examples as a model file takes them, by the ports' names, adapters applied."""
    for example in examples:
        yield {port.name: adapters.apply(example[port.source], port.adapters) for port in inputs}


def require_precision(runtime: Runtime, work: Work, precision: Precision) -> None:
    """Raise UserError, with the reason, unless `lower_to` can lower this family of models to this precision."""
    reason = runtime.refuses(work.family, precision)
    if reason is None and precision not in runtime.precisions:
        reason = f"lower_to has {', '.join(runtime.precisions)}"
    if reason is not None:
        raise UserError(f"{runtime.name}-{runtime.backend} has no {precision} for a {work.family} model: {reason}")


def require_outputs(runtime: str, work: Work, found: Sequence[Sequence[int]]) -> None:
    """Raise UserError unless the model gives what its signature says: that many outputs, of those shapes."""
    expected = [list(spec.shape) for spec in work.signature.outputs]
    if [list(shape) for shape in found] != expected:
        raise UserError(
            f"{runtime}: the model gives outputs of shapes {[list(s) for s in found]}, its signature says {expected}"
        )


@contextlib.contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """A path beside `destination` to write to; it takes its place when all went well, and is gone when not."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        yield partial
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def array_of(feeds: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    """The feed of this name, contiguous. Raises UserError where it is missing."""
    try:
        return np.ascontiguousarray(feeds[name])
    except KeyError:
        raise UserError(f"the model needs an input {name!r}; given: {', '.join(feeds) or 'none'}") from None
