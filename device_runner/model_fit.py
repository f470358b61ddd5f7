"""Whether the runtimes that a device gets can run a model: told from its file, before anything is pushed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import bare, needs
from device_runner.offers import lacking
from edgedeploy import bundle
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.bundles import RunnerBundle

#: a runtime and a file for it
Model = tuple[str, Path]

#: of what is lacking, so many are named
_MOST_NAMED = 6
_WAYS_OUT = {
    "onnx": "save it for an older opset (onnx.version_converter)",
    "tflite": "convert it with an older converter",
    "executorch": "lower it anew for XNNPACK (edgedeploy export --runtime executorch)",
}
#: those whose library can be another
_REPLACEABLE = ("onnx", "tflite")


def models(path: Path) -> list[Model]:
    """What there is to run of a bundle or a model file; nothing of a file that is neither. Raises BundleError."""
    if path.is_dir():
        read = bundle.read(path)
        return [(read.manifest.runtime, read.file(stage.file)) for stage in read.manifest.stages]
    runtime = bare.runtime_of(path)
    return [(runtime, path)] if runtime else []


def lack(runner: RunnerBundle, runtime: str, model: Path) -> str:
    """What of the model `runtime` lacks on such a device, a sentence with a way out; "" when nothing that is known.

    Of a file that no reader makes sense of nothing is known: the runtime itself will say what is wrong with it.
    """
    offer = runner.manifest.offers.get(runtime)
    if offer is None:
        return ""
    try:
        missing = lacking(needs.of(model, runtime), offer)
    except (needs.Malformed, OSError):
        return ""
    if not missing:
        return ""
    named = ", ".join(missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    abi = runner.manifest.abi
    ways = [_WAYS_OUT[runtime], "take another runtime (edgedeploy export --runtime)"]
    if runtime in _REPLACEABLE:
        ways.append(f"build the runner with a newer library (edgedeploy bundles build --abi {abi} --from ARCHIVE)")
    return (
        f"{model}: {runtime} {runner.manifest.runtimes[runtime]} of {abi} has not got what this model needs: {named}{more}. "
        f"You can {', or '.join(ways)}"
    )


def require(runner: RunnerBundle, unfit: Mapping[str, str], wanted: Iterable[Model]) -> None:
    """Raise UserError, saying why, for the first that cannot be run with that runner. unfit: runtimes that are not there."""
    for runtime, model in wanted:
        refuse_runtime(runtime, unfit)
        text = lack(runner, runtime, model)
        if text:
            raise UserError(text)


def refuse_runtime(runtime: str, unfit: Mapping[str, str]) -> None:
    """Raise UserError for one of `unfit`."""
    if runtime in unfit:
        raise UserError(f"{runtime} cannot run on this device: {unfit[runtime]}")
