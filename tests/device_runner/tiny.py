"""Tiny real models and bundles: a matrix product with a softmax, as ONNX, so that a launch takes milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgedeploy import bundle, metrics
from edgedeploy.artifact import Conformance, Coverage, HeavyOp, Manifest, Port, Recipe, Stage
from edgedeploy.signature import Signature, TensorSpec

CASES = 4
WIDTH, CLASSES = 16, 5
IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, WIDTH))
LOGITS = TensorSpec(name="logits", dtype="float32", shape=(1, CLASSES))


def write_onnx(path: Path, *, seed: int = 0, layers: int = 1, width: int = WIDTH, batch: int | str = 1) -> Path:
    """`layers` square products and one to the classes. More layers or a larger width is slower."""
    rng = np.random.default_rng(seed)
    nodes, weights, at = [], [], "image"
    for layer in range(layers + 1):
        columns = CLASSES if layer == layers else width
        weight = rng.standard_normal((width, columns)).astype(np.float32) / np.float32(np.sqrt(width))
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        product = "logits" if layer == layers else f"p{layer}"
        nodes.append(helper.make_node("MatMul", [at, f"w{layer}"], [product]))
        if layer < layers:
            nodes.append(helper.make_node("Relu", [product], [f"r{layer}"]))
        at = f"r{layer}"
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def outputs(model: Path, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What ONNX Runtime's own Python API says, [cases, classes]."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": row[None]})[0] for row in inputs])


def _coverage(kind: str) -> Coverage:
    """Of a model whose only heavy operator, of this kind, stayed in float."""
    heavy = (HeavyOp(name="gemm", kind=kind, macs=100, compute="fp32", fast=True),)
    return Coverage(method="by construction", macs=100, fast_share=1.0, int8_share=0.0, heavy=heavy)


def write_bundle(
    destination: Path, *, operator: str = "identity", transforms: tuple[str, ...] = (), precision: Any = "fp32",
    target_isa: str = "any", subject: str = "tiny", layers: int = 1, width: int = WIDTH, wrong: bool = False,
    truncate: bool = False, labels_off: int = 0, left_float: str = "", seed: int = 0,
) -> Path:  # fmt: skip
    """A sealed bundle. wrong: its expected outputs are not what its model gives. truncate: half a model, honestly digested."""
    image = IMAGE.model_copy(update={"shape": (1, width)})
    with bundle.writing(destination, replace=False) as directory:
        model = write_onnx(directory / "model.onnx", seed=seed, layers=layers, width=width)
        inputs = np.random.default_rng(1).standard_normal((CASES, width)).astype(np.float32)
        expected = outputs(model, inputs)
        labels = (expected.argmax(axis=1) + labels_off) % CLASSES
        if wrong:
            expected = expected + 1
        if truncate:
            model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
        bundle.write_array(directory / "golden/inputs", "image", inputs)
        bundle.write_array(directory / "golden/expected", "logits", expected)
        bundle.write_array(directory / "golden/float", "logits", expected)
        bundle.write_arrays_compressed(directory / "eval/inputs.npz", {"image": inputs})
        bundle.write_arrays_compressed(directory / "eval/labels.npz", {"labels": labels})
        stage = Stage(
            file="model.onnx", sha256=bundle.file_sha256(model), bytes=model.stat().st_size,
            inputs=(Port(name="image", source="image", tensor=image),),
            outputs=(Port(name="logits", source="logits", tensor=LOGITS),),
            coverage=_coverage(left_float) if left_float else None,
        )  # fmt: skip
        manifest = Manifest(
            subject=subject,
            signature=Signature(task="image-classification", inputs=(image,), outputs=(LOGITS,)),
            recipe=Recipe(asked=operator, transforms=transforms, precision=precision),
            runtime="onnx", backend="cpu", target_isa=target_isa, stages=(stage,),
            accuracy=metrics.accuracy(np.ones(40, bool)),
            conformance=Conformance(atol=1e-4, rtol=1e-4, runtime_version=onnxruntime.__version__, isa="x86_64"),
            files=bundle.list_files(directory, {"model.onnx"}),
        )  # fmt: skip
        bundle.seal(directory, manifest)
    return destination
