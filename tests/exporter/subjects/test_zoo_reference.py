"""Models of the zoos as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.errors import UserError
from edgedeploy.signature import SAFE_NAME
from exporter.subjects import load
from exporter.subjects.zoo.reference import is_reference, parse


@pytest.mark.parametrize(
    ("text", "weights", "parts", "name"),
    [
        ("timm:resnet18", None, ("timm", "resnet18", None, "pretrained"), "timm-resnet18"),
        ("timm:resnet18:96", "random", ("timm", "resnet18", 96, "random"), "timm-resnet18-96-random"),
        ("timm:resnet50.tv2_in1k", "pretrained", ("timm", "resnet50.tv2_in1k", None, "pretrained"), "timm-resnet50.tv2_in1k"),
        ("hf:google/vit-base:64", "random", ("hf", "google/vit-base", 64, "random"), "hf-google-vit-base-64-random"),
    ],
)
def test_a_reference_is_taken_apart(text: str, weights: str | None, parts: tuple[object, ...], name: str) -> None:
    found = parse(text, weights)
    assert (found.zoo, found.name, found.size, found.weights) == parts
    assert found.subject_name == name


def test_weights_are_a_file_after_the_name_or_in_the_option(tmp_path: Path) -> None:
    file = tmp_path / "mine.v2.safetensors"
    file.touch()
    for found in (parse(f"timm:resnet18:96@{file}", None), parse("timm:resnet18:96", str(file))):
        assert (found.name, found.size, found.weights) == ("resnet18", 96, file)
        assert found.subject_name == "timm-resnet18-96-mine.v2"
    with pytest.raises(UserError, match="names its weights already"):
        parse(f"timm:resnet18@{file}", "random")


def test_a_folder_is_told_from_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my model").mkdir()
    (tmp_path / "my model" / "config.json").write_text("{}")
    found = parse("hf:./my model:64", None)
    assert found.folder == Path("./my model")
    assert found.size == 64
    import re

    assert re.fullmatch(SAFE_NAME, found.subject_name)
    assert parse("hf:org/name", None).folder is None


@pytest.mark.parametrize(
    ("text", "weights", "says"),
    [
        ("timm:", None, "names no model"),
        ("keras:resnet", None, "names no model"),
        ("timm:resnet18@", None, "no file after the @"),
        ("timm:resnet18@there.safetensors", None, "there is no file"),
        ("timm:resnet18", "weights.pth", "pickled weights are not read"),
        ("timm:resnet18:4", None, "8 to 8192"),
        ("timm:../../etc", None, "no name of a model"),
        ("hf:a/b/c", None, "no name of a model"),
        ("hf:./nowhere", None, "has no config.json"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, weights: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text, weights)


def test_only_the_zoos_are_references() -> None:
    assert is_reference("timm:x")
    assert not any(map(is_reference, ("timm", "model.py:subject", "film-minilm", "C:model.pt2")))


@pytest.mark.parametrize("option", [{"weights": "random"}, {"student": "timm:resnet18"}])
def test_options_of_the_zoos_are_refused_elsewhere(option: dict[str, str]) -> None:
    with pytest.raises(UserError, match="for models of the zoos"):
        load("film-minilm", **option)
