"""Bundles: atomic, content-addressed, and refused when a single byte is not what it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy import bundle
from edgedeploy.artifact import canonical_digest
from edgedeploy.bundle import BundleError
from edgedeploy.errors import UserError
from tests.edgedeploy.conftest import write_bundle

Make = Callable[[], Path]


def check(path: Path) -> None:
    bundle.check_files(bundle.read(path))


def test_round_trip(make_bundle: Make) -> None:
    path = make_bundle()
    read = bundle.read(path)
    bundle.check_files(read)
    assert read.manifest.subject == "tiny"
    assert read.arrays("golden/inputs")["image"].shape == (4, 2)
    assert read.npz("eval/labels.npz")["labels"].tolist() == [0, 1, 2, 3]
    assert read.digest in (path / "bundle.sha256").read_text()


def test_the_digest_leaves_out_times_only(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a")
    second = write_bundle(tmp_path / "b")
    other = write_bundle(tmp_path / "c", claim="another claim")
    assert first == second != other
    manifest = bundle.read(tmp_path / "a").manifest
    assert manifest.model_copy(update={"created": "later"}).digest() == first
    assert manifest.model_copy(update={"seed": 1}).digest() != first


def test_every_flipped_byte_is_found(make_bundle: Make) -> None:
    path = make_bundle()
    files = sorted(found for found in path.rglob("*") if found.is_file())
    assert {file.name for file in files} >= {"manifest.json", "bundle.sha256", "model.onnx", "image.npy"}
    for file in files:
        original = file.read_bytes()
        # every byte of the small files, a spread of the large ones
        for at in sorted({*range(0, len(original), max(1, len(original) // 97)), len(original) - 1}):
            changed = bytearray(original)
            changed[at] ^= 0x01
            file.write_bytes(changed)
            with pytest.raises(BundleError):
                check(path)
        file.write_bytes(original)
    check(path)


@pytest.mark.parametrize("name", ["manifest.json", "bundle.sha256", "model.onnx", "golden/inputs/image.npy"])
def test_a_missing_file_is_named(make_bundle: Make, name: str) -> None:
    path = make_bundle()
    (path / name).unlink()
    with pytest.raises(BundleError, match=Path(name).name.split(".")[0]):
        check(path)


def test_a_file_that_is_not_listed_is_refused(make_bundle: Make) -> None:
    path = make_bundle()
    (path / "extra.so").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"extra\.so"):
        check(path)


def test_a_link_out_of_the_bundle_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    path = make_bundle()
    (tmp_path / "outside").write_bytes((path / "model.onnx").read_bytes())
    (path / "model.onnx").unlink()
    os.symlink(tmp_path / "outside", path / "model.onnx")
    with pytest.raises(BundleError, match="leads out"):
        check(path)


def edit(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    data = json.loads((path / "manifest.json").read_text())
    change(data)
    (path / "manifest.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema_version=99), "newer"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d.pop("subject"), "subject"),
        (lambda d: d.update(subject="../up"), "subject"),
        (lambda d: d["stages"][0].update(file="../../etc/passwd"), "file"),
        (lambda d: d["stages"][0].update(file="/etc/passwd"), "file"),
        (lambda d: d["stages"][0].update(bytes=-1), "bytes"),
        (lambda d: d["stages"][0]["inputs"][0]["tensor"].update(shape=[0]), "shape"),
        (lambda d: d.update(stages=[]), "stages"),
        (lambda d: d["stages"].append(d["stages"][0]), "same file"),
        (lambda d: d["signature"]["inputs"][0].update(name="a/b"), "a/b"),
        (lambda d: d["recipe"].update(parameters={"x": float("nan")}), "canonical|JSON|match"),
    ],
)
def test_a_malformed_manifest_is_one_sentence(make_bundle: Make, change: Callable[..., None], said: str) -> None:
    path = make_bundle()
    edit(path, change)
    with pytest.raises(BundleError, match=said) as caught:
        bundle.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000])
def test_what_is_not_a_manifest_is_refused(make_bundle: Make, content: bytes) -> None:
    path = make_bundle()
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError):
        bundle.read(path)


def test_arrays_are_never_unpickled(make_bundle: Make) -> None:
    import pickle

    path = make_bundle()
    read = bundle.read(path)
    (path / "golden/inputs/image.npy").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BundleError, match=r"image\.npy"):
        read.arrays("golden/inputs")
    (path / "eval/labels.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(BundleError, match=r"labels\.npz"):
        read.npz("eval/labels.npz")


def test_nothing_is_overwritten_unasked(make_bundle: Make) -> None:
    path = make_bundle()
    before = bundle.read(path).digest
    with pytest.raises(UserError, match="--force"):
        write_bundle(path, claim="new")
    assert bundle.read(path).digest == before
    assert write_bundle(path, claim="new", replace=True) == bundle.read(path).digest != before
    assert [found.name for found in path.parent.iterdir()] == ["tiny"]


def test_a_failure_while_writing_leaves_nothing_and_keeps_the_old(make_bundle: Make) -> None:
    path = make_bundle()
    before = bundle.read(path).digest

    def fails_half_way() -> None:
        with bundle.writing(path, replace=True) as directory:
            (directory / "half").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_half_way()
    assert bundle.read(path).digest == before
    assert [found.name for found in path.parent.iterdir()] == ["tiny"]


def test_a_manifest_from_before_a_field_was_there_keeps_its_identity(make_bundle: Make) -> None:
    path = make_bundle()
    document = json.loads((path / "manifest.json").read_text())
    del document["cut_tensors"]  # as a version of edgedeploy wrote it that had no such field
    (path / "manifest.json").write_text(json.dumps(document))
    digest = canonical_digest(document)
    assert digest not in (path / "bundle.sha256").read_text()
    with pytest.raises(BundleError, match="does not match"):
        bundle.read(path)
    own = bundle.file_sha256(path / "manifest.json")
    (path / "bundle.sha256").write_text(f"{digest}  bundle\n{own}  manifest.json\n")
    assert bundle.read(path).digest == digest
