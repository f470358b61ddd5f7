"""Models of the zoos: random ones, local files and folders, and what every runtime is handed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgedeploy.errors import UserError
from exporter.subjects import load
from exporter.subjects.base import Subject, Weights
from exporter.subjects.disjoint import require_disjoint
from exporter.subjects.zoo.vision_import import zoo_module

#: small shapes of families whose masks, positions and token types differ
TEXTS = {
    "bert": {"type_vocab_size": 2},
    "roberta": {"type_vocab_size": 1, "max_position_embeddings": 66, "pad_token_id": 1},
    "distilbert": {},
    "mpnet": {"max_position_embeddings": 66},
    "deberta-v2": {"type_vocab_size": 0, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
}
VOCABULARY = 200


def text_folder(folder: Path, kind: str, classes: int = 3, vocabulary: int = VOCABULARY, **save: Any) -> nn.Module:
    """A small random classifier of this kind, saved as transformers does it."""
    transformers = zoo_module("transformers")
    width = {"dim": 32, "n_heads": 2, "n_layers": 2, "hidden_dim": 64} if kind == "distilbert" else {
        "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 64,
    }  # fmt: skip
    config = transformers.AutoConfig.for_model(kind, vocab_size=vocabulary, num_labels=classes, **width, **TEXTS[kind])
    torch.manual_seed(1)
    model: nn.Module = transformers.AutoModelForSequenceClassification.from_config(config)
    # larger than fresh weights: at their 0.02 attention looks at everything alike and a wrong mask hardly shows
    for parameter in model.parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.3)
    model.eval().save_pretrained(folder, **save)
    return model


def text_data(file: Path, length: int, classes: int, *, types: bool, vocabulary: int = VOCABULARY) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for name, n in (("calibration", 8), ("evaluation", 6)):
        ids = rng.integers(2, vocabulary, (n, length))
        mask = (np.arange(length)[None] < rng.integers(4, length + 1, n)[:, None]).astype(np.int64)
        arrays |= {f"{name}_input_ids": np.where(mask == 1, ids, 1), f"{name}_attention_mask": mask}
        arrays[f"{name}_labels"] = rng.integers(0, classes, n)
        if types:
            arrays[f"{name}_token_type_ids"] = (np.arange(length)[None] > 5).astype(np.int64) * np.ones((n, 1), np.int64)
    np.savez(file, **arrays)
    return file


def image_data(file: Path, size: int, classes: int) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, n in (("calibration", 6), ("evaluation", 5)):
        arrays[f"{name}_image"] = rng.normal(size=(n, 3, size, size)).astype(np.float32)
        arrays[f"{name}_labels"] = rng.integers(0, classes, n)
    np.savez(file, **arrays)
    return file


def weights_of(subject: Subject) -> Weights:
    return subject.model(False, None)


def run(subject: Subject, split: str = "evaluation") -> torch.Tensor:
    given = subject.split(split)  # type: ignore[arg-type]
    batch = given.batch(0, len(given))
    with torch.no_grad():
        logits: torch.Tensor = weights_of(subject).model(*(torch.from_numpy(batch[i.name]) for i in subject.signature.inputs))
    return logits


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_a_folder_answers_as_transformers_does_with_padding(tmp_path: Path, kind: str) -> None:
    model = text_folder(tmp_path / kind, kind)
    types = kind == "bert"
    subject = load(f"hf:{tmp_path / kind}:24", text_data(tmp_path / "data.npz", 24, 3, types=types))
    assert [spec.name for spec in subject.signature.inputs] == ["input_ids", "attention_mask", "token_type_ids"][: 2 + types]
    assert subject.signature.metric == "top1"
    assert subject.quantise == "transformer"
    assert weights_of(subject).origin == "given"
    given = subject.split("evaluation")
    batch = {name: torch.from_numpy(array) for name, array in given.batch(0, len(given)).items()}
    with torch.no_grad():
        expected = model(**batch).logits
    assert float((expected.max(0).values - expected.min(0).values).min()) > 1e-2  # the inputs matter
    torch.testing.assert_close(run(subject), expected, rtol=1e-4, atol=1e-4)


def test_padding_changes_nothing(tmp_path: Path) -> None:
    text_folder(tmp_path / "roberta", "roberta")
    data = text_data(tmp_path / "data.npz", 24, 3, types=False)
    subject = load(f"hf:{tmp_path / 'roberta'}:24", data)
    batch = subject.split("evaluation").batch(0, 6)
    ids, mask = (torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask"))
    model = weights_of(subject).model
    with torch.no_grad():
        torch.testing.assert_close(model(torch.where(mask == 1, ids, 9), mask), model(ids, mask), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(model(torch.where(mask == 1, 9, ids), mask), model(ids, mask), rtol=1e-2, atol=1e-2)


def test_a_model_that_reads_from_left_to_right_is_not_handed_a_two_way_mask(tmp_path: Path) -> None:
    transformers = zoo_module("transformers")
    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, pad_token_id=0, num_labels=3)
    torch.manual_seed(0)
    model = transformers.GPT2ForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "gpt2")
    data = text_data(tmp_path / "data.npz", 16, 3, types=False)
    subject = load(f"hf:{tmp_path / 'gpt2'}:16", data)
    batch = subject.split("evaluation").batch(0, 6)
    with torch.no_grad():
        expected = model(**{name: torch.from_numpy(array) for name, array in batch.items()}).logits
    torch.testing.assert_close(run(subject), expected, rtol=1e-4, atol=1e-4)


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = load("timm:mobilenetv3_small_050:32", weights="random")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = load("timm:mobilenetv3_small_050:32", weights="random")
    assert weights_of(first).digest == weights_of(again).digest
    assert weights_of(first).origin == "random"
    assert first.signature.metric == "none"
    assert first.signature.preprocessing.startswith("synthetic")
    assert first.name.endswith("-random")
    splits = {name: first.split(name) for name in ("train", "validation", "calibration", "evaluation")}  # type: ignore[arg-type]
    require_disjoint(splits)  # type: ignore[arg-type]
    assert splits["evaluation"].digest() == again.split("evaluation").digest()
    assert len(splits["train"]) == 0


@pytest.mark.parametrize("name", ["timm:resnet18:64", "torchvision:resnet18:64", "timm:efficientnet_b0:64"])
def test_a_random_model_computes_in_every_block(name: str) -> None:
    subject = load(name, weights="random")
    model = weights_of(subject).model
    spread: dict[str, float] = {}
    for label, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, given, out, label=label: spread.update({label: float(out.std())}))
        elif isinstance(module, nn.BatchNorm2d):
            assert bool(module.weight.any()), label
    logits = run(subject)
    assert 1e-3 < min(spread.values()) < max(spread.values()) < 1e3
    assert float(logits.std(0).max()) > 1e-3  # other inputs, other logits


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18"])
def test_a_file_of_weights_with_its_own_classes(tmp_path: Path, name: str) -> None:
    zoo, _, kind = name.partition(":")
    torch.manual_seed(3)
    made = (
        zoo_module("timm").create_model(kind, num_classes=7)
        if zoo == "timm"
        else zoo_module("torchvision.models").get_model(kind, num_classes=7)
    ).eval()
    save_file(made.state_dict(), tmp_path / "mine.safetensors")
    data = image_data(tmp_path / "data.npz", 32, 7)
    subject = load(f"{name}:32@{tmp_path / 'mine.safetensors'}", data)
    assert subject.signature.outputs[0].shape == (1, 7)
    assert weights_of(subject).origin == "given"
    given = torch.from_numpy(subject.split("evaluation").batch(0, 5)["image"])
    with torch.no_grad():
        torch.testing.assert_close(run(subject), made(given))
    other = {**load_file(tmp_path / "mine.safetensors")}
    other["layer1.0.conv1.weight"] = torch.zeros(1, 64, 3, 3)
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="are not those of"):
        load(f"{name}:32", data, weights=str(tmp_path / "other.safetensors"))


def test_real_data_does_not_make_random_weights_measured(tmp_path: Path) -> None:
    data = image_data(tmp_path / "data.npz", 32, 1000)
    subject = load("timm:resnet18:32", data, weights="random")
    assert subject.signature.metric == "none"
    with np.load(data) as file:
        np.testing.assert_array_equal(subject.split("evaluation").batch(0, 5)["image"], file["evaluation_image"])


def test_the_students_of_the_study_have_their_models_signature() -> None:
    subject = load("bert-base", weights="random")
    assert subject.name == "bert-base-random"
    assert [spec.shape for spec in subject.signature.inputs] == [(1, 128)] * 3
    teacher = weights_of(subject)
    assert sum(p.numel() for p in teacher.model.parameters()) == 109_483_778  # BERT-base with two classes
    assert subject.student is not None
    student = subject.student.distilled(teacher.model, retrain=False, progress=None)
    assert sum(p.numel() for p in student.model.parameters()) == 28_764_674
    assert student.recipe["distillation"].startswith("none: random weights")
    assert student.origin == "random"
    with pytest.raises(UserError, match="nothing to retrain"):
        subject.student.distilled(teacher.model, retrain=True, progress=None)


def test_a_student_that_knows_no_token_types_has_none_in_the_signature() -> None:
    subject = load("hf:prajjwal1/bert-tiny:16", weights="random", student="hf:distilbert-base-uncased")
    assert [spec.name for spec in subject.signature.inputs] == ["input_ids", "attention_mask"]
    assert run(subject).shape == (16, 2)


def test_pretrained_students_must_share_the_vocabulary(tmp_path: Path) -> None:
    text_folder(tmp_path / "a", "bert")
    text_folder(tmp_path / "b", "bert", vocabulary=150)
    with pytest.raises(UserError, match="vocabulary"):
        load(f"hf:{tmp_path / 'a'}:16", student=f"hf:{tmp_path / 'b'}")


def edit_config(folder: Path, **change: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    folder, sprung = tmp_path / "bert", tmp_path / "sprung"
    text_folder(folder, "bert")
    (folder / "mine.py").write_text(f"open({str(sprung)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    data = text_data(tmp_path / "data.npz", 16, 3, types=True)
    remote = {"AutoConfig": "mine.Config", "AutoModelForSequenceClassification": "mine.Model"}
    edit_config(folder, auto_map=remote)
    assert run(load(f"hf:{folder}:16", data)).shape == (6, 3)  # the library's own class
    edit_config(folder, auto_map=remote, model_type="mine")
    with pytest.raises(UserError, match="cannot be used"):
        load(f"hf:{folder}:16", data)
    assert not sprung.exists()


def test_pickled_weights_in_a_folder_are_not_read(tmp_path: Path) -> None:
    model = text_folder(tmp_path / "bert", "bert")
    (tmp_path / "bert" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "bert" / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be used"):
        load(f"hf:{tmp_path / 'bert'}:16", text_data(tmp_path / "data.npz", 16, 3, types=True))


def test_weights_without_a_classifier_are_refused(tmp_path: Path) -> None:
    model: Any = text_folder(tmp_path / "bert", "bert")
    model.bert.save_pretrained(tmp_path / "bert")
    with pytest.raises(UserError, match="answer at random"):
        load(f"hf:{tmp_path / 'bert'}:16", text_data(tmp_path / "data.npz", 16, 3, types=True))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("timm:resnet17", {}, "timm has no model"),
        ("torchvision:resnet17", {}, "torchvision has no image classifier"),
        ("torchvision:resnet18", {}, "publishes the weights of resnet18 as a pickle"),
        ("hf:bert-base-uncased:600", {"weights": "random"}, "at most 512 tokens"),
        ("timm:inception_v3:16", {"weights": "random"}, "does not run at size 16"),
        ("timm:resnet18:32", {"weights": "random", "student": "hf:prajjwal1/bert-tiny"}, "must be the same"),
        ("timm:resnet18:32", {"weights": "random", "student": "timm:resnet34:64"}, "leave the size out"),
    ],
)
def test_what_cannot_be_had_is_said_in_a_sentence(name: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load(name, **options)


def test_data_beyond_the_model_is_said_in_a_sentence(tmp_path: Path) -> None:
    text_folder(tmp_path / "bert", "bert")
    with pytest.raises(UserError, match="below 200"):
        load(f"hf:{tmp_path / 'bert'}:16", text_data(tmp_path / "ids.npz", 16, 3, types=True, vocabulary=900))
    with pytest.raises(UserError, match="the model knows"):
        load(f"hf:{tmp_path / 'bert'}:16", text_data(tmp_path / "labels.npz", 16, 9, types=True))
