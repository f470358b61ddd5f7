"""Whether a subject can be trained further at all. Light, so that it can be asked before any work."""

from __future__ import annotations

from edgedeploy.errors import UserError
from exporter.subjects.base import Subject


def require_trainable(subject: Subject, what: str) -> None:
    """Raise UserError unless the subject has labelled classes to train on."""
    if subject.signature.metric != "top1":
        raise UserError(
            f"subject {subject.name} cannot be {what}: that trains on labelled classes, and its signature has no metric "
            'top1; use an operator that does not train (--op sptq), or give it metric="top1" and labels'
        )
    if not len(subject.split("train")) or not len(subject.split("validation")):
        raise UserError(
            f"subject {subject.name} cannot be {what}: that trains, and its train or validation set is empty; give it "
            "both (in a data file: train_<input>, train_labels, validation_<input>, validation_labels), or use an "
            "operator that does not train (--op sptq)"
        )
