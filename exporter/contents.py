"""What a bundle holds beside its model files: golden inputs and outputs, and labelled samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy import bundle
from exporter.prepare import Prepared
from exporter.verify import Outputs

#: labelled samples shipped in a bundle, so that a device's accuracy can be measured without the exporter
EVAL_SAMPLES = 1024


def write_golden(
    directory: Path, prepared: Prepared, float_outputs: Mapping[str, npt.NDArray[Any]], outputs: Outputs, golden: int
) -> None:
    """The first `golden` evaluation examples, what the artifact says of them and what its float model says."""
    batch = prepared.splits["evaluation"].batch(0, golden)
    for spec in prepared.subject.signature.inputs:
        bundle.write_array(directory / "golden/inputs", spec.name, batch[spec.name])
    for name, array in outputs.items():
        bundle.write_array(directory / "golden/expected", name, array[:golden])
        bundle.write_array(directory / "golden/float", name, float_outputs[name][:golden])


def write_eval(directory: Path, prepared: Prepared, outputs: Outputs, right: npt.NDArray[np.bool_] | None) -> None:
    """Labelled samples, and which of the whole evaluation set the artifact got right; nothing where there is no metric."""
    if right is None:
        return
    evaluation = prepared.splits["evaluation"]
    # spread over the whole set, so that a set sorted by class is covered too
    index = np.unique(np.linspace(0, len(evaluation) - 1, min(EVAL_SAMPLES, len(evaluation))).round().astype(np.int64))
    some = evaluation.take(index)
    bundle.write_arrays_compressed(directory / "eval/inputs.npz", some.batch(0, len(some)))
    bundle.write_arrays_compressed(directory / "eval/labels.npz", {"labels": some.labels, "index": index})
    predictions = outputs[prepared.primary].argmax(1).astype(np.int64)
    bundle.write_arrays_compressed(directory / "eval/host.npz", {"predictions": predictions, "right": right})
