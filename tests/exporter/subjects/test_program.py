"""A user's own subject as a .pt2 and an .npz, and archives that try to run code when they are opened."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter.subjects import load
from exporter.subjects.base import Subject
from exporter.subjects.disjoint import KEEP_LAST, require_disjoint

CLASSES = 3
RNG = np.random.default_rng(4)


class Net(nn.Module):
    """image [b, 2, 8, 8], scale [b, 1] -> logits [b, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4, CLASSES)

    def forward(self, image: Tensor, scale: Tensor) -> Tensor:
        return self.out(self.norm(self.conv(image)).relu().mean((2, 3)) * scale)  # type: ignore[no-any-return]


def export(path: Path, batch: int | None) -> nn.Module:
    torch.manual_seed(0)
    net = Net().eval()
    example = (torch.randn(batch or 2, 2, 8, 8), torch.ones(batch or 2, 1))
    variable = None if batch else ({0: torch.export.Dim("b")}, {0: torch.export.Dim("b")})
    torch.export.save(torch.export.export(net, example, dynamic_shapes=variable), path)
    return net


def arrays(**sizes: int) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    for name, n in sizes.items():
        made[f"{name}_image"] = RNG.normal(size=(n, 2, 8, 8)).astype(np.float32)
        made[f"{name}_scale"] = np.ones((n, 1), np.float32)
        made[f"{name}_labels"] = RNG.integers(0, CLASSES, n)
    return made


@pytest.mark.parametrize("batch", [None, 1])
def test_a_program_and_its_data_are_a_subject(tmp_path: Path, batch: int | None) -> None:
    net = export(tmp_path / "mine.pt2", batch)
    np.savez(tmp_path / "data.npz", **arrays(calibration=20, evaluation=10))
    subject = load(str(tmp_path / "mine.pt2"), tmp_path / "data.npz")
    assert (subject.name, subject.student, subject.quantise) == ("mine", None, "convolutional")
    assert [(spec.name, spec.shape) for spec in subject.signature.inputs] == [("image", (1, 2, 8, 8)), ("scale", (1, 1))]
    assert subject.signature.outputs[0].shape == (1, CLASSES)
    made = subject.model(False, None)
    assert (made.origin, len(made.digest)) == ("given", 64)
    batch_of = subject.split("evaluation").batch(0, 7)
    inputs = [torch.from_numpy(batch_of[name]) for name in ("image", "scale")]
    with torch.no_grad():
        assert torch.allclose(made.model.eval()(*inputs), net(*inputs), atol=1e-6)
        again = torch.export.export(made.model, tuple(x[:1] for x in inputs))
        assert torch.allclose(again.module()(*(x[:1] for x in inputs)), net(*inputs)[:1], atol=1e-6)


def test_a_validation_set_is_cut_off_the_calibration_examples(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, arrays(calibration=21, evaluation=10))
    parts = {name: subject.split(name) for name in KEEP_LAST if name != "train"}
    require_disjoint(parts)
    assert {name: len(part) for name, part in parts.items()} == {"validation": 10, "calibration": 11, "evaluation": 10}
    with pytest.raises(UserError, match="no train examples"):
        subject.split("train")
    with pytest.raises(UserError, match="nothing to retrain"):
        subject.model(True, None)


def test_examples_that_are_in_two_sets_are_dropped_from_all_but_the_evaluation(tmp_path: Path) -> None:
    data = arrays(calibration=8, validation=6, evaluation=10)
    data["calibration_image"][3] = data["evaluation_image"][0]
    data["validation_image"][2] = data["evaluation_image"][1]
    subject = subject_of(tmp_path, data)
    assert [len(subject.split(name)) for name in ("calibration", "validation", "evaluation")] == [7, 5, 10]


def subject_of(folder: Path, data: dict[str, np.ndarray]) -> Subject:
    export(folder / "mine.pt2", None)
    np.savez(folder / "data.npz", **data)
    return load(str(folder / "mine.pt2"), folder / "data.npz")


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(key)


def changed(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update({key: change(data[key])})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without("evaluation_labels"), "no evaluation_labels"),
        (without("calibration_scale"), "no array calibration_scale"),
        (changed("evaluation_image", lambda a: a.astype(np.float64)), "float64"),
        (changed("evaluation_image", lambda a: a[:, :1]), "the program takes float32"),
        (changed("evaluation_image", lambda a: a[:-1]), "same number of examples"),
        (changed("evaluation_labels", lambda a: a + 7), "labels are 0..classes-1"),
        (changed("evaluation_labels", lambda a: np.array(["a"] * len(a), dtype=object)), "no .npz of plain arrays"),
        (changed("evaluation_labels", lambda a: a + 0.5), "must be integers"),
        (changed("evaluation_labels", lambda a: a[:, None]), "must be integers"),
        (changed("calibration_labels", lambda a: np.array(3)), "must be integers"),
        (changed("calibration_labels", lambda a: a.astype(str)), "must be integers"),
    ],
)
def test_data_that_does_not_fit_is_said_in_a_sentence(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], says: str
) -> None:
    data = arrays(calibration=8, evaluation=10)
    damage(data)
    with pytest.raises(UserError, match=says):
        subject_of(tmp_path, data)


@pytest.mark.parametrize("damage", ["an array alone", "deflated data", "not a zip"])
def test_a_damaged_data_file_is_said_in_a_sentence(tmp_path: Path, damage: str) -> None:
    export(tmp_path / "mine.pt2", None)
    path = tmp_path / "data.npz"
    if damage == "an array alone":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "deflated data":
        np.savez_compressed(path, **arrays(calibration=8, evaluation=10))
        content = bytearray(path.read_bytes())
        content[120:160] = b"\xff" * 40
        path.write_bytes(content)
    else:
        path.write_bytes(b"PK\x03\x04" + os.urandom(500))
    with pytest.raises(UserError, match=r"data.npz"):
        load(str(tmp_path / "mine.pt2"), path)


def test_a_file_name_that_cannot_be_a_subjects_becomes_one_that_can(tmp_path: Path) -> None:
    export(tmp_path / "my model (2).pt2", None)
    np.savez(tmp_path / "data.npz", **arrays(calibration=8, evaluation=10))
    assert load(str(tmp_path / "my model (2).pt2"), tmp_path / "data.npz").name == "my-model-2-"


def test_missing_files_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        load(str(tmp_path / "mine.pt2"))
    export(tmp_path / "mine.pt2", 1)
    with pytest.raises(UserError, match="--data"):
        load(str(tmp_path / "mine.pt2"))
    with pytest.raises(UserError, match="there is no file"):
        load(str(tmp_path / "mine.pt2"), tmp_path / "data.npz")


def test_a_program_for_larger_batches_only_is_refused(tmp_path: Path) -> None:
    export(tmp_path / "mine.pt2", 4)
    np.savez(tmp_path / "data.npz", **arrays(calibration=8, evaluation=10))
    with pytest.raises(UserError, match="a batch of 4"):
        load(str(tmp_path / "mine.pt2"), tmp_path / "data.npz")


class Trap:
    """Unpickling one makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def pickled_trap(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Trap(path), buffer)
    return buffer.getvalue()


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], extra: dict[str, bytes] | None = None) -> None:
    """The archive with members changed (None: left out) and added."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            new = change(name, content)
            if new is not None:
                archive.writestr(name, new)
        for name, content in (extra or {}).items():
            archive.writestr(f"mine/{name}", content)


def in_json(part: str, old: str, new: str) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(part):
            return content
        assert old in content.decode()
        json.loads(content.decode().replace(old, new))
        return content.decode().replace(old, new).encode()

    return change


def hostile(kind: str, path: Path, trap: Path) -> None:
    keep: Callable[[str, bytes], bytes] = lambda name, content: content  # noqa: E731
    if kind == "sample inputs":
        rewritten(path, lambda name, content: pickled_trap(trap) if "sample_inputs" in name else content)
    elif kind == "pickled weights":
        rewritten(path, in_json("model_weights_config.json", '"use_pickle": false', '"use_pickle": true'))
        rewritten(path, lambda name, content: pickled_trap(trap) if name.endswith("weight_0") else content)
    elif kind == "custom object":
        rewritten(path, keep, {"data/constants/custom_obj_0": pickled_trap(trap)})
    elif kind == "evaluated size":
        call = f"exec('import os; os.mkdir(\\\"{trap}\\\")')"
        rewritten(path, in_json("model.json", "Symbol('s", f"{call} or Symbol('s"))
    elif kind == "operator":
        rewritten(path, in_json("model.json", "torch.ops.aten.conv2d.default", "torch.ops.load_library"))
    elif kind == "second program":
        rewritten(path, keep, {"models/other.json": b"{}"})
    elif kind == "compiled code":
        rewritten(path, keep, {"data/aotinductor/model/x.so": b"\x7fELF"})
    elif kind == "old format":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("version", "8.8")
            archive.writestr("serialized_exported_program.json", "{}")
            for part in ("state_dict", "constants", "example_inputs"):
                archive.writestr(f"serialized_{part}.pt", pickled_trap(trap))
    elif kind == "pickle":
        path.write_bytes(pickled_trap(trap))
    elif kind == "nested for ever":
        rewritten(path, lambda name, content: b"[" * 200_000 if name.endswith("model.json") else content)
    elif kind == "encrypted":
        # the flag of an encrypted member, in the local header and in the directory
        content = bytearray(path.read_bytes())
        for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            start = 0
            while (start := content.find(mark, start)) >= 0:
                content[start + at] |= 1
                start += 4
        path.write_bytes(content)
    else:
        path.write_bytes(os.urandom(2000))


KINDS = [
    "sample inputs", "pickled weights", "custom object", "evaluated size", "operator", "second program", "compiled code",
    "old format", "pickle", "nested for ever", "encrypted", "noise",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_archive_is_refused_before_anything_of_it_runs(tmp_path: Path, kind: str) -> None:
    path, trap = tmp_path / "mine.pt2", tmp_path / "sprung"
    export(path, None)
    np.savez(tmp_path / "data.npz", **arrays(calibration=8, evaluation=10))
    hostile(kind, path, trap)
    with pytest.raises(UserError, match="not a program that can be opened safely"):
        load(str(path), tmp_path / "data.npz")
    assert not trap.exists()
