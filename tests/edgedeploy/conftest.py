"""A small bundle whose model file is not a model: enough for everything that never runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgedeploy import bundle
from edgedeploy.artifact import Claim, Manifest, Port, Recipe, Stage
from edgedeploy.signature import Signature, TensorSpec

IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, 2))
LOGITS = TensorSpec(name="logits", dtype="float32", shape=(1, 3))


def write_bundle(destination: Path, *, replace: bool = False, claim: str = "parity") -> str:
    """Write the small bundle and return its digest."""
    with bundle.writing(destination, replace=replace) as directory:
        (directory / "model.onnx").write_bytes(b"not a model")
        bundle.write_array(directory / "golden/inputs", "image", np.zeros((4, 2), np.float32))
        bundle.write_array(directory / "golden/expected", "logits", np.ones((4, 3), np.float32))
        bundle.write_arrays_compressed(directory / "eval/labels.npz", {"labels": np.arange(4)})
        manifest = Manifest(
            subject="tiny",
            signature=Signature(task="other", inputs=(IMAGE,), outputs=(LOGITS,), metric="none"),
            recipe=Recipe(asked="identity"),
            runtime="onnx",
            backend="cpu",
            target_isa="x86_64",
            stages=(
                Stage(
                    file="model.onnx",
                    sha256=bundle.file_sha256(directory / "model.onnx"),
                    bytes=11,
                    inputs=(Port(name="image", source="image", tensor=IMAGE),),
                    outputs=(Port(name="logits", source="logits", tensor=LOGITS),),
                ),
            ),
            claims=(Claim(name=claim, holds=True, detail="by construction"),),
            files=bundle.list_files(directory, {"model.onnx"}),
            created="2026-01-01T00:00:00+00:00",
        )
        return bundle.seal(directory, manifest)


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[[], Path]:
    """Writes the small bundle below tmp_path and gives its path."""

    def make() -> Path:
        write_bundle(tmp_path / "tiny")
        return tmp_path / "tiny"

    return make
