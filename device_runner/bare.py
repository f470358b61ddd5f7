"""A model file that is no bundle: benched as it is, fed with made-up inputs, said to be so in the record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from device_runner.workload import Feed, Part, Product, Workload
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import UserError
from edgedeploy.record import ArtifactRef
from edgedeploy.signature import DType, TensorSpec

if TYPE_CHECKING:
    from device_runner.session import Session

#: the backend a runtime is benched with when nobody says
DEFAULT_BACKEND = {"onnx": "cpu", "tflite": "xnnpack", "executorch": "xnnpack"}
_SUFFIXES = {".onnx": "onnx", ".tflite": "tflite", ".pte": "executorch"}
#: identifier of a flatbuffer, 4 bytes after its start
_IDENTIFIERS = {b"TFL3": "tflite", b"ET12": "executorch", b"eh00": "executorch"}
#: made-up inputs of a bare model stay below this, all together
_MAX_INPUT_BYTES = 2**30
#: to describe a model is to load it
_DESCRIBE_SEC = 300.0


def runtime_of(path: Path) -> str | None:
    """The runtime a model file is for, by its content where that says it (.tflite, .pte), else by its suffix."""
    with path.open("rb") as file:
        identifier = file.read(8)[4:8]
    return _IDENTIFIERS.get(identifier) or _SUFFIXES.get(path.suffix.lower())


def workload(path: Path, session: Session, shapes: Mapping[str, tuple[int, ...]], seed: int) -> Workload:
    """The workload of a bare model file. The device's runtime is asked what the model takes.

    shapes: of inputs and outputs whose shape the file leaves open, by name. Raises UserError for a
    file no runtime takes, and for a shape that does not fit.
    """
    from device_runner.deadline import Deadline
    from device_runner.experiment import new_id
    from device_runner.runner import RunnerRefused

    runtime = runtime_of(path)
    if runtime is None:
        raise UserError(f"{path}: not a model file (.onnx, .tflite or .pte), nor a bundle (a directory)")
    name = f"model{next(suffix for suffix, known in _SUFFIXES.items() if known == runtime)}"
    companions = _companions(path)
    directory = f"checks/{new_id()}"
    try:
        session.runner.require(runtime, [path])
        session.lay_out(directory, session.put({each.name: each for each in companions} | {name: path}))
        description = session.runner.describe(f"{directory}/{name}", runtime, Deadline.after(_DESCRIBE_SEC))
    except RunnerRefused as error:
        raise UserError(f"{path}: the {runtime} runtime does not take this file ({error})") from None
    finally:
        session.end(directory)
    notes = ["inputs are made up (seeded), so outputs and accuracy mean nothing"]
    inputs, outputs = (
        [_concrete(path, entry, shapes, notes) for entry in _entries(path, description, key)] for key in ("inputs", "outputs")
    )
    unknown = set(shapes) - {spec.name for spec in inputs + outputs}
    if unknown:
        names = ", ".join(repr(spec.name) for spec in inputs + outputs)
        raise UserError(f"{path}: --shape names {sorted(unknown)[0]!r}, the model has {names}")
    if sum(spec.nbytes for spec in inputs) > _MAX_INPUT_BYTES:
        raise UserError(f"{path}: its inputs would take over {_MAX_INPUT_BYTES} bytes; give smaller ones with --shape")
    return Workload(
        artifact=ArtifactRef(
            digest=digest(path), kind="as-given", path=str(path)[-500:], subject=path.name[-500:],
            operator="as-given", runtime=runtime, backend=DEFAULT_BACKEND[runtime], precision="as-given", target_isa="any",
            model_bytes=sum(each.stat().st_size for each in (path, *companions)), warnings=tuple(notes),
        ),
        parts=(
            Part(
                path, file_sha256(path), name, tuple(Feed(spec, _made_up(spec, seed)) for spec in inputs),
                tuple(Product(spec) for spec in outputs),
            ),
        ),
        companions=companions,
    )  # fmt: skip


def _companions(path: Path) -> tuple[Path, ...]:
    """Files that exporters write weights to beside the model's own: `x.onnx.data` (torch), `x.onnx_data` (optimum)."""
    beside = (path.with_name(path.name + end) for end in (".data", "_data"))
    return tuple(each for each in beside if each.is_file())


def digest(path: Path) -> str:
    """The file's sha256, or where there are companions the sha256 over all of theirs."""
    digests = [file_sha256(each) for each in (path, *_companions(path))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _entries(path: Path, description: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = description.get(key)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: the runtime names no {key} of this model")
    return entries


def _concrete(path: Path, entry: dict[str, Any], shapes: Mapping[str, tuple[int, ...]], notes: list[str]) -> TensorSpec:
    """The input, or output, with a shape that has no open dimension."""
    name, dtype, stated = str(entry.get("name", "")), entry.get("dtype"), entry.get("shape")
    if dtype not in get_args(DType):
        raise UserError(f"{path}: {name!r} is of {dtype}, which the runner has no use for")
    if not isinstance(stated, list) or not all(isinstance(dim, int) for dim in stated):
        raise UserError(f"{path}: {name!r} has no shape; bundle this model with `edgedeploy export`")
    shape = shapes.get(name)
    if shape is None:
        shape = tuple(dim if dim >= 0 else 1 for dim in stated)
        if -1 in stated:
            notes.append(f"{name!r}: open dimensions of {stated} were taken as 1; --shape {name}=... sets them")
    elif len(shape) != len(stated) or any(dim >= 0 and dim != given for dim, given in zip(stated, shape, strict=True)):
        raise UserError(f"{path}: --shape {name}={','.join(map(str, shape))} does not fit its shape {stated}")
    try:
        return TensorSpec(name=name, dtype=cast(DType, dtype), shape=shape)
    except ValidationError as error:
        raise UserError(f"{path}: {name!r} cannot be measured: {error.errors(include_url=False)[0]['msg']}") from None


def _made_up(spec: TensorSpec, seed: int) -> npt.NDArray[Any]:
    """One case [1, elements]: standard normal for floats, 0 or 1 for whole numbers (ids that every embedding has)."""
    name = int.from_bytes(hashlib.sha256(spec.name.encode()).digest()[:4], "little")
    rng = np.random.default_rng([seed, name])
    if spec.dtype.startswith("float"):
        return rng.standard_normal((1, spec.elements)).astype(spec.dtype)
    return rng.integers(0, 2, (1, spec.elements)).astype(spec.dtype)
