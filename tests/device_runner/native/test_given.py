"""A maker's own archive in place of a pinned package, and bundles that are no longer what was built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from device_runner import bundles
from device_runner.bundles import given, prebuilt
from device_runner.bundles.pins import load_pins
from edgedeploy.errors import UserError
from tests.device_runner.native.support import Edgebench, expected, image_plan, output

LIBRARY = "lib/libonnxruntime.so.1"


def command(*arguments: str, cache: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "bundles", *arguments], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "EDGEDEPLOY_CACHE": str(cache)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_a_runner_with_the_makers_library(
    runner_bundle: bundles.RunnerBundle, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the program is the same one: compiled once for all tests
    prebuilt.keep(runner_bundle, tmp_path / "prebuilt")
    monkeypatch.setattr(prebuilt, "ROOT", tmp_path / "prebuilt")
    archive = tmp_path / "onnxruntime-linux.tgz"
    with tarfile.open(archive, "w:gz") as made:
        made.add(runner_bundle.root / LIBRARY, "onnxruntime-linux/lib/libonnxruntime.so.9.9.9")
    built = bundles.build(bundles.host_abi(), tmp_path / "out", archives_given=[archive])
    (library,) = (file for file in built.manifest.files if file.path == LIBRARY)
    assert (library.source, library.version) == (f"{archive.name}:onnxruntime-linux/lib/libonnxruntime.so.9.9.9", "as given")
    assert built.manifest.runtimes["onnx"] == "as given"
    assert built.manifest.key != runner_bundle.manifest.key
    assert bundles.problems(built) == []
    (tmp_path / "run").mkdir()
    ran = Edgebench(built.binary).run(tmp_path / "run", image_plan(tmp_path / "run", models, "onnx")).done()
    assert (output(ran, 0)[:, 0] == expected(models, "image", "onnx")[0]).all()
    # the library's own word goes before what the bundle calls it
    assert ran["hello"]["runtime_version"] == load_pins(bundles.host_abi()).packages[0].version


def aar(path: Path, members: dict[str, Path]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, source in members.items():
            made.write(source, name)
    return path


def test_which_library_is_taken(runner_bundle: bundles.RunnerBundle, tmp_path: Path) -> None:
    library = runner_bundle.root / LIBRARY
    machine = bundles.host_abi().removeprefix("linux-")
    android = {"x86_64": "android-x86_64", "aarch64": "android-arm64"}[machine]
    directory = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}[machine]
    pins = load_pins(android)
    good = aar(
        tmp_path / "ort.aar", {f"jni/{directory}/libonnxruntime.so": library, "jni/armeabi-v7a/libonnxruntime.so": library}
    )
    packages, files = given.replaced(pins, [good])
    assert list(files.values()) == [good]
    (taken,) = (package for package in packages if package.registry == "file")
    assert taken.files == {f"jni/{directory}/libonnxruntime.so": "lib/libonnxruntime.so"}
    assert [package.runtime for package in packages] == ["onnx", "tflite", "executorch"]
    assert given.replaced(pins, []) == (pins.packages, {})
    with pytest.raises(UserError, match="given twice"):
        given.replaced(pins, [good, good])
    with pytest.raises(UserError, match="not there"):
        given.replaced(pins, [tmp_path / "none.aar"])
    (other,) = {"android-x86_64", "android-arm64"} - {android}
    with pytest.raises(UserError, match=r"has no jni/.* to take for"):
        given.replaced(load_pins(other), [good])
    lying = aar(tmp_path / "lying.aar", {f"jni/{name}/libonnxruntime.so": library for name in ("x86_64", "arm64-v8a")})
    with pytest.raises(UserError, match=f"is for {machine}, not for"):
        given.replaced(load_pins(other), [lying])
    junk = tmp_path / "junk.so"
    junk.write_bytes(b"junk")
    with pytest.raises(UserError, match="not a 64-bit"):
        given.replaced(pins, [aar(tmp_path / "junk.aar", {f"jni/{directory}/libtensorflowlite_jni.so": junk})])
    with pytest.raises(UserError, match="it takes ONNX Runtime's or TensorFlow Lite's"):
        given.replaced(pins, [aar(tmp_path / "et.aar", {f"jni/{directory}/libexecutorch.so": library})])


def test_the_command(tmp_path: Path) -> None:
    done = command("build", "--from", str(tmp_path / "none.aar"), cache=tmp_path, code=2)
    assert "none.aar is not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_says_where_each_library_is_from(runner_bundle: bundles.RunnerBundle, tmp_path: Path) -> None:
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / bundles.host_abi()).symlink_to(runner_bundle.root)
    listed = {entry["abi"]: entry for entry in json.loads(command("list", "--json", cache=tmp_path).stdout)["bundles"]}
    assert listed[bundles.host_abi()]["current"]
    assert not listed["android-arm64"]["built"]
    for abi, entry in listed.items():
        for library in entry["libraries"]:
            assert bool(library["repackaged"]) == abi.startswith("android-")
            assert len(library["sha256"]) == 64
    text = command("list", cache=tmp_path).stdout
    assert "npm react-native-fast-tflite 1.4.0 (third party)" in text
    assert "third party: sherpa-onnx-core:" in text
    assert "not built; edgedeploy bundles build --abi android-arm64" in text


def test_verify(runner_bundle: bundles.RunnerBundle, tmp_path: Path) -> None:
    assert "no runner is built" in command("verify", cache=tmp_path, code=2).stderr
    if os.environ.get("EDGEBENCH_SANITIZE"):
        return
    abi = bundles.host_abi()
    copy = tmp_path / "runner" / abi
    shutil.copytree(runner_bundle.root, copy)
    assert command("verify", cache=tmp_path).stdout == f"{abi}: whole\n"
    data = bytearray((copy / LIBRARY).read_bytes())
    data[-1] ^= 1
    (copy / LIBRARY).write_bytes(data)
    (copy / "lib" / "stranger").touch()
    (entry,) = json.loads(command("verify", "--abi", abi, "--json", cache=tmp_path, code=2).stdout)["bundles"]
    assert entry["problems"] == [f"{LIBRARY} is not what was built", "lib/stranger does not belong there"]
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**manifest, "sources": "of yesterday"}))
    assert "not of this edgedeploy's sources" in command("verify", cache=tmp_path, code=2).stdout
    assert f"out of date; edgedeploy bundles build --abi {abi}" in command("list", cache=tmp_path).stdout
