"""Images in folders as the data of an image classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from edgedeploy.errors import UserError
from exporter.subjects import load
from exporter.subjects.disjoint import require_disjoint
from exporter.subjects.zoo.build import ends_of
from exporter.subjects.zoo.reference import parse
from exporter.subjects.zoo.vision_import import zoo_module

CLASSES = ("ant", "bee", "cat")


def folder_of(folder: Path, *, skip: str = "") -> Path:
    rng = np.random.default_rng(0)
    for split, n in (("calibration", 3), ("evaluation", 2)):
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
            for i in range(0 if name == skip else n):
                height, width = rng.integers(40, 90, 2)
                Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / split / name / f"{i}.png")
    return folder


def weights(tmp_path: Path, classes: int = 3) -> Path:
    save_file(zoo_module("timm").create_model("resnet18", num_classes=classes).state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize("name", ["timm:resnet18.a1_in1k", "timm:tf_efficientnetv2_b0.in1k", "torchvision:resnet50"])
def test_an_image_becomes_the_input_that_its_publisher_makes(tmp_path: Path, name: str) -> None:
    reference = parse(name, "random")
    ends = ends_of(reference)
    assert ends.pixels is not None
    if reference.zoo == "timm":
        timm = zoo_module("timm")
        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.get_pretrained_cfg(reference.name).to_dict(), use_test_size=True
        )
        transform = timm.data.create_transform(**config)
    else:
        transform = zoo_module("torchvision.models").get_model_weights(reference.name).DEFAULT.transforms()
    rng = np.random.default_rng(1)
    for shape in ((300, 411, 3), (411, 300, 3), (257, 256, 3)):
        # smooth: both resize the same way, and noise would tell a pixel of shift as well
        image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        image.save(tmp_path / "x.png")
        expected = transform(image).numpy()
        np.testing.assert_allclose(ends.pixels.prepare(tmp_path / "x.png", ends.size), expected, atol=0.02)


def test_folders_are_sets_with_classes_in_order(tmp_path: Path) -> None:
    subject = load(f"timm:resnet18:32@{weights(tmp_path)}", folder_of(tmp_path / "data", skip="bee"))
    assert subject.signature.metric == "top1"
    evaluation = subject.split("evaluation")
    assert evaluation.labels.tolist() == [0, 0, 2, 2]
    assert evaluation.batch(0, 3)["image"].shape == (3, 3, 32, 32)
    assert (len(subject.split("validation")), len(subject.split("calibration"))) == (3, 3)
    require_disjoint({name: subject.split(name) for name in ("train", "validation", "calibration", "evaluation")})


def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data")
    with pytest.raises(UserError, match="3 class folders and the model 4 classes"):
        load(f"timm:resnet18:32@{weights(tmp_path, 4)}", data)
    (tmp_path / "other" / "calibration").mkdir(parents=True)
    with pytest.raises(UserError, match="no folder evaluation"):
        load(f"timm:resnet18:32@{weights(tmp_path)}", tmp_path / "other")
    (data / "evaluation" / "ant" / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="no image that can be read"):
        load(f"timm:resnet18:32@{weights(tmp_path)}", data).split("evaluation").batch(0, 1)
