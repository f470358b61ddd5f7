"""A chain of matrix products as ONNX bundles: whole, and cut in two after any of them; what crosses is as wide as one says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgedeploy import bundle, metrics
from edgedeploy.artifact import Conformance, Manifest, Port, Recipe, Stage
from edgedeploy.signature import Signature, TensorSpec

CASES = 4


def _spec(name: str, width: int) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=(1, width))


def _write_stage(path: Path, names: Sequence[str], widths: Sequence[int], first: int) -> Path:
    """Products from each of the named tensors to the next; `first` is the number of the first one."""
    nodes, weights = [], []
    for place, (source, target) in enumerate(itertools.pairwise(names)):
        rng = np.random.default_rng(first + place)
        rows, columns = widths[place], widths[place + 1]
        weight = rng.standard_normal((rows, columns)).astype(np.float32) / np.float32(np.sqrt(rows))
        weights.append(numpy_helper.from_array(weight, f"w{first + place}"))
        nodes += [helper.make_node("MatMul", [source, f"w{first + place}"], [f"{target}_p"])]
        nodes += [helper.make_node("Relu", [f"{target}_p"], [target])]
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, widths[0]])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [1, widths[-1]])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def write_bundle(destination: Path, widths: Sequence[int], cut: int | None = None, *, subject: str = "chain") -> Path:
    """A sealed bundle of a chain from widths[0] to widths[-1] values; cut: after that many products, None: whole."""
    count = len(widths) - 1
    names = ["image", *(f"t{number}" for number in range(1, count)), "logits"]
    parts = [(0, count)] if cut is None else [(0, cut), (cut, count)]
    with bundle.writing(destination, replace=False) as directory:
        stages, data = [], np.random.default_rng(1).standard_normal((CASES, widths[0])).astype(np.float32)
        given = data
        for number, (begin, end) in enumerate(parts):
            file = f"stage{number}.onnx"
            model = _write_stage(directory / file, names[begin : end + 1], widths[begin : end + 1], begin)
            session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
            given = np.concatenate([session.run(None, {names[begin]: row[None]})[0] for row in given])
            source, target = _spec(names[begin], widths[begin]), _spec(names[end], widths[end])
            stages.append(
                Stage(
                    file=file, sha256=bundle.file_sha256(model), bytes=model.stat().st_size,
                    inputs=(Port(name=source.name, source=source.name, tensor=source),),
                    outputs=(Port(name=target.name, source=target.name, tensor=target),),
                )
            )  # fmt: skip
        bundle.write_array(directory / "golden/inputs", "image", data)
        bundle.write_array(directory / "golden/expected", "logits", given)
        bundle.write_array(directory / "golden/float", "logits", given)
        bundle.write_arrays_compressed(directory / "eval/inputs.npz", {"image": data})
        bundle.write_arrays_compressed(directory / "eval/labels.npz", {"labels": given.argmax(axis=1)})
        image, logits = _spec("image", widths[0]), _spec("logits", widths[-1])
        manifest = Manifest(
            subject=subject,
            signature=Signature(task="image-classification", inputs=(image,), outputs=(logits,)),
            recipe=Recipe(
                asked="identity" if cut is None else "partition", cut=None if cut is None else f"after {names[cut]}",
            ),
            runtime="onnx", backend="cpu", target_isa="any", stages=tuple(stages),
            cut_tensors=() if cut is None else (_spec(names[cut], widths[cut]),),
            accuracy=metrics.accuracy(np.ones(40, bool)),
            conformance=Conformance(atol=1e-4, rtol=1e-4, runtime_version=onnxruntime.__version__, isa="x86_64"),
            files=bundle.list_files(directory, {stage.file for stage in stages}),
        )  # fmt: skip
        bundle.seal(directory, manifest)
    return destination
