"""Accuracy on the device itself: the labelled samples of a bundle (`eval/`) through the real runner, apart from any timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_runner import untimed
from device_runner.plan import from_bundle
from device_runner.stages import cases
from edgedeploy import metrics
from edgedeploy.bundle import BundleError
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from device_runner.place import Place
    from device_runner.workload import Workload
    from edgedeploy.artifact import Accuracy
    from edgedeploy.bundle import Bundle

INPUTS, LABELS = "eval/inputs.npz", "eval/labels.npz"
MAX_SECONDS = 1800.0


@dataclass(frozen=True)
class Evaluation:
    """Labelled samples: a workload whose cases are the samples, the labels [n], and which output has the classes."""

    workload: Workload
    labels: npt.NDArray[Any]
    classes: int
    primary: int


def evaluation(bundle: Bundle) -> Evaluation:
    """The labelled samples of a bundle whose files were checked. Raises UserError when it has none."""
    signature = bundle.manifest.signature
    if signature.metric != "top1" or INPUTS not in bundle.manifest.files or LABELS not in bundle.manifest.files:
        raise UserError(f"{bundle.path}: has no labelled samples, so --accuracy cannot be told")
    inputs, labels = bundle.npz(INPUTS), bundle.npz(LABELS).get("labels")
    timed, specs = from_bundle(bundle), {spec.name: spec for spec in signature.inputs}
    data = {}
    for name in {feed.source for feed in timed.feeds}:
        if name not in inputs:
            raise BundleError(f"{bundle.path / INPUTS}: has no {name!r}")
        data[name] = cases(bundle, inputs[name], specs[name])
    if labels is None or labels.ndim != 1 or {len(array) for array in data.values()} != {len(labels)}:
        raise BundleError(f"{bundle.path / LABELS}: has not one label per sample")
    primary = signature.outputs[0]
    if not primary.shape:
        raise BundleError(f"{bundle.path}: its first output {primary.name!r} is one number, not one per class")
    places = [place for place, product in enumerate(timed.products) if product.source == primary.name]
    if not places:
        raise BundleError(f"{bundle.path}: no stage gives {primary.name!r}")
    return Evaluation(timed.fed(data), labels, primary.shape[-1], places[0])


def measure(asked: Evaluation, session: Place) -> Accuracy:
    """Accuracy with its interval. Raises UserError when the model fails on the device."""
    measured, failure = untimed.run(asked.workload, session, MAX_SECONDS)
    given = None if measured is None else measured.outputs[asked.primary]
    if failure or given is None:
        raise UserError(f"accuracy could not be measured: {failure or 'no output was written'}")
    logits = given.reshape(len(asked.labels), -1)
    if logits.shape[1] != asked.classes:
        raise UserError(f"accuracy could not be measured: {logits.shape[1]} values per sample, {asked.classes} classes")
    return metrics.accuracy(metrics.top1(logits, asked.labels))
