"""The model definitions: the same numbers as the classes their weights were published for, and graphs that lower well."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from exporter.fetch import fetch
from exporter.subjects import efficientnet_lite, fashion_lite2, fashion_sources, minilm, minilm_sources, minilm_training
from exporter.subjects.efficientnet_lite import VARIANTS, EfficientNetLite, round_channels
from exporter.subjects.fashion_lite0 import STUDENT_STEPS
from exporter.subjects.fashion_training import CLASSES, start_from_published
from exporter.subjects.minilm import Config, MiniLM
from exporter.subjects.small_cnn import SmallCnn


def operators(model: nn.Module, *inputs: torch.Tensor) -> Counter[str]:
    program = torch.export.export(model.eval(), inputs)
    return Counter(str(node.target) for node in program.graph.nodes if node.op == "call_function")


def test_lite0_gives_the_published_models_answers() -> None:
    """The expected logits were computed once with the class of efficientnet_lite_pytorch 0.1.0 and these weights."""
    model = EfficientNetLite("lite0")
    published = torch.load(fetch(fashion_sources.LITE0_WEIGHTS), weights_only=True)
    model.load_state_dict(efficientnet_lite.rename_published(published))
    image = torch.sin(torch.arange(3 * 96 * 96).float() * 0.37).reshape(1, 3, 96, 96)
    with torch.no_grad():
        logits = model.eval()(image)[0]
    assert int(logits.argmax()) == 904
    expected = torch.tensor([-0.8774, 0.0845, -0.6080, -3.4204, 0.4963, 0.4759])
    assert torch.allclose(logits[:6], expected, atol=2e-3)


def test_minilm_gives_the_published_models_answers() -> None:
    """The expected mean was computed once with transformers' BertModel 5.23.0 and these weights."""
    model = MiniLM()
    renamed = minilm.rename_published(load_file(minilm_sources.base_weights()), 64, range(6))
    assert set(model.state_dict()) - set(renamed) == {"classifier.weight", "classifier.bias"}
    model.load_state_dict(renamed, strict=False)
    ids = (torch.arange(64) * 37 % 30000 + 1000).reshape(1, 64)
    present = torch.ones(1, 64)
    present[0, 40:] = 0
    with torch.no_grad():
        pooled = model.pool(model.eval().encode(ids, present), present)[0]
    assert torch.allclose(pooled[:6], torch.tensor([0.0263, 0.1164, -0.0286, 0.2351, -0.2959, -0.1555]), atol=2e-3)


def test_names_that_are_not_the_models_are_refused() -> None:
    with pytest.raises(KeyError, match="_se_reduce"):
        efficientnet_lite.rename_published({"_blocks.0._se_reduce.weight": torch.zeros(1)})
    with pytest.raises(KeyError):
        minilm.rename_published({}, 64, range(6))


def test_a_network_cut_short_has_the_published_weights_of_what_is_left() -> None:
    """Its stages are the whole network's first ones, so their output is the same; the classifier follows at once."""
    stages = fashion_lite2.STUDENT_STAGES
    whole, cut = EfficientNetLite("lite0", CLASSES), EfficientNetLite("lite0", CLASSES, stages)
    for model in (whole, cut):
        start_from_published(fashion_sources.LITE0_WEIGHTS, 0)(model.eval(), None)
    image = torch.sin(torch.arange(3 * 64 * 64).float()).reshape(1, 3, 64, 64)
    with torch.no_grad():
        features = cut.blocks(cut.stem(image))
        assert torch.equal(features, whole.blocks[: len(cut.blocks)](whole.stem(image)))
        assert torch.allclose(cut(image), cut.classifier(features.mean(dim=(2, 3))), atol=1e-5)
    assert "head.conv.weight" not in cut.state_dict()


def test_lite2_takes_the_published_weights_whole() -> None:
    published = efficientnet_lite.rename_published(torch.load(fetch(fashion_sources.LITE2_WEIGHTS), weights_only=True))
    EfficientNetLite("lite2").load_state_dict(published)


@pytest.mark.parametrize(
    ("variant", "millions"), [("lite0", 4.65), ("lite1", 5.42), ("lite2", 6.09), ("lite3", 8.20), ("lite4", 13.01)]
)
def test_every_variant_has_the_published_number_of_parameters(variant: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in EfficientNetLite(variant).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.01)
    assert set(VARIANTS) == {"lite0", "lite1", "lite2", "lite3", "lite4"}


def test_channels_are_rounded_to_eights_and_never_far_down() -> None:
    assert [round_channels(c, 1.1) for c in (16, 24, 40, 80, 112, 192)] == [16, 24, 48, 88, 120, 208]
    assert round_channels(10, 1.0) == 16


def test_lite0_exports_to_few_plain_operators() -> None:
    found = operators(EfficientNetLite("lite0", CLASSES), torch.zeros(1, 3, 64, 64))
    assert found["aten.conv2d.default"] == 49
    assert found["aten.pad.default"] == 5, "one for each stride, none for the symmetric convolutions"
    assert set(found) == {
        "aten.conv2d.default", "aten.batch_norm.default", "aten.hardtanh.default", "aten.pad.default", "aten.add.Tensor",
        "aten.adaptive_avg_pool2d.default", "aten.flatten.using_ints", "aten.dropout.default", "aten.linear.default",
    }  # fmt: skip


def test_the_small_cnn_exports_to_few_plain_operators() -> None:
    found = operators(SmallCnn(STUDENT_STEPS, CLASSES), torch.zeros(1, 3, 64, 64))
    assert set(found) == {
        "aten.conv2d.default", "aten.batch_norm.default", "aten.relu.default", "aten.adaptive_avg_pool2d.default",
        "aten.flatten.using_ints", "aten.linear.default",
    }  # fmt: skip


def test_minilm_exports_without_fused_attention_and_without_computed_indices() -> None:
    ids = torch.zeros(1, 64, dtype=torch.int64)
    found = operators(MiniLM(Config(layers=2)), ids, torch.ones_like(ids))
    assert found["aten.matmul.default"] == 4
    assert found["aten.softmax.int"] == 2
    assert not [
        name for name in found if "scaled_dot_product" in name or "arange" in name or "index" in name or "slice" in name
    ]


def test_the_last_of_the_layers_outputs_is_what_is_classified() -> None:
    torch.manual_seed(0)
    model = MiniLM(Config(layers=3)).eval()
    ids = torch.randint(1, 30_000, (2, 9))
    present = torch.ones(2, 9)
    with torch.no_grad():
        outputs = model.layer_outputs(ids, present)
        assert [tuple(output.shape) for output in outputs] == [(2, 9, 384)] * 3
        assert torch.equal(model.classify(outputs[-1], present), model(ids, present.long()))
        assert torch.equal(model.encode(ids, present), outputs[-1])


def test_a_student_takes_over_the_layers_that_are_named() -> None:
    teacher = MiniLM(Config(layers=6, classes=3))
    taken = minilm_training.taken_over(teacher.state_dict(), [0, 4])
    student = MiniLM(Config(layers=2, classes=3))
    student.load_state_dict(taken)
    assert torch.equal(student.layers[1].get_parameter("up.weight"), teacher.layers[4].get_parameter("up.weight"))
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)


def test_padding_does_not_change_an_answer() -> None:
    torch.manual_seed(0)
    model = MiniLM(Config(layers=2)).eval()
    ids = torch.randint(1, 30_000, (3, 20))
    mask = torch.ones_like(ids)
    padded = torch.cat([ids, torch.zeros(3, 44, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        short = model(ids, mask)
        long = model(padded, (padded != 0).long())
    assert torch.allclose(short, long, atol=1e-5)


def test_a_layer_with_narrower_heads_still_runs() -> None:
    """What pruning leaves behind: the widths of query, key, value and output change, the number of heads does not."""
    model = MiniLM(Config(layers=1)).eval()
    attention = model.layers[0].get_submodule("attention")
    for name in ("query", "key", "value"):
        setattr(attention, name, nn.Linear(384, 192))
    attention.output = nn.Linear(192, 384)
    ids = torch.ones(2, 64, dtype=torch.int64)
    assert model(ids, ids).shape == (2, 2)


def test_the_embeddings_are_frozen_and_nothing_else_is() -> None:
    model = MiniLM(Config(layers=1))
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["position", "word.weight"]


class _Silent(EfficientNetLite):
    """A teacher that must not be asked."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise AssertionError("asked")


def test_a_student_that_learns_from_the_labels_alone_is_the_same_whoever_its_teacher_is() -> None:
    teachers = [fashion_lite2.SUBJECT.model(False, None).model, _Silent("lite2", CLASSES)]
    usual = fashion_lite2.STUDENT_RECIPE
    alone = replace(usual, extra={**usual.extra, "alpha": 0.0})
    assert len({fashion_lite2.student_plan(teacher, alone, None).key() for teacher in teachers}) == 1
    assert len({fashion_lite2.student_plan(teacher, usual, None).key() for teacher in teachers}) == 2
    examples, _ = fashion_lite2.student_plan(teachers[1], alone, None).examples(None)
    assert examples == 55_000
    with pytest.raises(AssertionError, match="asked"):
        fashion_lite2.student_plan(teachers[1], usual, None).examples(None)
