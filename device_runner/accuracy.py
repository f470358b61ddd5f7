"""Accuracy on the device itself: the labelled samples of a bundle (`eval/`) through the real runner, apart from any timing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from device_runner import untimed
from device_runner.plan import cases, from_bundle
from edgedeploy import metrics
from edgedeploy.bundle import BundleError
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from device_runner.session import Session
    from device_runner.workload import Workload
    from edgedeploy.artifact import Accuracy
    from edgedeploy.bundle import Bundle

INPUTS, LABELS = "eval/inputs.npz", "eval/labels.npz"
MAX_SECONDS = 1800.0


@dataclass(frozen=True)
class Evaluation:
    """Labelled samples: a workload whose cases are the samples, and the labels [n]. The first output has the classes."""

    workload: Workload
    labels: npt.NDArray[Any]
    classes: int


def evaluation(bundle: Bundle) -> Evaluation:
    """The labelled samples of a bundle whose files were checked. Raises UserError when it has none."""
    signature = bundle.manifest.signature
    if signature.metric != "top1" or INPUTS not in bundle.manifest.files or LABELS not in bundle.manifest.files:
        raise UserError(f"{bundle.path}: has no labelled samples, so --accuracy cannot be told")
    inputs, labels = bundle.npz(INPUTS), bundle.npz(LABELS).get("labels")
    timed, specs = from_bundle(bundle), {spec.name: spec for spec in signature.inputs}
    feeds = []
    for feed, port in zip(timed.feeds, bundle.manifest.stages[0].inputs, strict=True):
        if port.source not in inputs:
            raise BundleError(f"{bundle.path / INPUTS}: has no {port.source!r}")
        feeds.append(replace(feed, data=cases(bundle, inputs[port.source], specs[port.source])))
    if labels is None or labels.ndim != 1 or {len(feed.data) for feed in feeds} != {len(labels)}:
        raise BundleError(f"{bundle.path / LABELS}: has not one label per sample")
    primary = signature.outputs[0]
    if not primary.shape:
        raise BundleError(f"{bundle.path}: its first output {primary.name!r} is one number, not one per class")
    # the output with the classes alone is wanted, but the runner writes each; expected outputs are the golden ones'
    products = tuple(replace(product, expected=None) for product in timed.products)
    return Evaluation(replace(timed, feeds=tuple(feeds), products=products), labels, primary.shape[-1])


def measure(asked: Evaluation, session: Session) -> Accuracy:
    """Accuracy with its interval. Raises UserError when the model fails on the device."""
    measured, failure = untimed.run(asked.workload, session, MAX_SECONDS)
    if failure or measured is None or measured.outputs[0] is None:
        raise UserError(f"accuracy could not be measured: {failure or 'no output was written'}")
    logits = measured.outputs[0].reshape(len(asked.labels), -1)
    if logits.shape[1] != asked.classes:
        raise UserError(f"accuracy could not be measured: {logits.shape[1]} values per sample, {asked.classes} classes")
    return metrics.accuracy(metrics.top1(logits, asked.labels))
