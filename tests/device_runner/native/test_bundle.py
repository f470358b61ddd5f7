"""Building and finding the runner: once, whole, traceable, and with an error that says what to do."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from device_runner import bundles
from device_runner.bundles import archives, assemble, fetch, npm, sources, toolchain
from device_runner.bundles.pins import load_pins
from edgedeploy.errors import TransientError, UserError

ROOT = Path(__file__).resolve().parents[3]
ABIS = ("linux-x86_64", "linux-aarch64", "android-x86_64", "android-arm64")
LINUX = ABIS[:2]


def test_every_file_is_listed_with_where_it_is_from(runner_bundle: bundles.RunnerBundle) -> None:
    listed = {file.path: file for file in runner_bundle.manifest.files}
    there = {path.relative_to(runner_bundle.root).as_posix() for path in runner_bundle.root.rglob("*") if path.is_file()}
    assert there == {*listed, "bundle.json"}
    for path, file in listed.items():
        content = (runner_bundle.root / path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.bytes)
        assert file.source
        assert file.version
        assert file.licence
    assert listed["lib/libonnxruntime.so.1"].source.startswith("onnxruntime-1.32.0-")
    packages = {file.package for file in runner_bundle.manifest.files if file.path.startswith("licenses/")}
    assert packages == {"onnxruntime", "ai-edge-litert", "executorch"}
    assert runner_bundle.binary.stat().st_mode & stat.S_IXUSR
    assert (runner_bundle.root.stat().st_mode & 0o777) == 0o755


def test_the_runner_needs_no_cpp_library_of_the_device(runner_bundle: bundles.RunnerBundle) -> None:
    if os.environ.get("EDGEBENCH_SANITIZE"):
        return
    needed = subprocess.run(["readelf", "-d", str(runner_bundle.binary)], capture_output=True, text=True, check=True).stdout
    assert "libc.so.6" in needed
    assert "libstdc++" not in needed
    assert "onnxruntime" not in needed


@pytest.mark.parametrize("abi", ABIS)
def test_pins_are_complete(abi: str) -> None:
    pins = load_pins(abi)
    assert pins.abi == abi
    assert {package.runtime for package in pins.packages} == {"onnx", "tflite", "executorch"}
    for package in pins.packages:
        assert len(package.sha256) == 64
        assert package.registry == "npm" or str(package.platform).endswith((pins.machine, "arm64_v8a"))
        assert any(path.startswith("licenses/") for path in [*package.files.values(), *package.licence_texts.values()])
        assert bool(package.repackaged) == pins.android
        assert all(path.startswith(("lib/", "licenses/")) for path in package.files.values())


def test_the_pins_agree_with_the_constraints() -> None:
    """What an artifact is verified with on the host is what it runs on."""
    constraints = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for abi in LINUX:
        for package in load_pins(abi).packages:
            assert constraints[package.package].split("+")[0] == package.version


def test_building_again_does_nothing(runner_bundle: bundles.RunnerBundle) -> None:
    said: list[str] = []
    before = runner_bundle.binary.stat().st_mtime_ns
    sanitize = bool(os.environ.get("EDGEBENCH_SANITIZE"))
    again = bundles.build(bundles.host_abi(), runner_bundle.root, sanitize=sanitize, say=said.append)
    assert again.binary.stat().st_mtime_ns == before
    assert said == [f"{runner_bundle.root} is up to date"]


def test_a_change_of_the_sources_is_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    abi = bundles.host_abi()
    tools = toolchain.find_toolchain(abi)
    copy = tmp_path / "native"
    shutil.copytree(sources.NATIVE, copy)
    original = assemble._key(abi, tools, sanitize=False)
    monkeypatch.setattr(sources, "NATIVE", copy)
    assert assemble._key(abi, tools, sanitize=False) == original
    assert assemble._key(abi, tools, sanitize=True) != original
    (copy / "src" / "main.cpp").write_text("int main() {}")
    assert assemble._key(abi, tools, sanitize=False) != original


def test_a_build_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "native"
    shutil.copytree(sources.NATIVE, copy)
    (copy / "src" / "failure.cpp").write_text("#error broken on purpose\n")
    monkeypatch.setattr(sources, "NATIVE", copy)
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept").touch()
    with pytest.raises(Exception, match="broken on purpose"):
        bundles.build(bundles.host_abi(), out)
    assert [path.name for path in out.iterdir()] == ["kept"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.lock", "native", "out"]


def test_locate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner_bundle: bundles.RunnerBundle) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path))
    abi = bundles.host_abi()
    with pytest.raises(UserError, match=f"edgedeploy bundles build --abi {abi}"):
        bundles.locate(abi)
    shutil.copytree(runner_bundle.root, tmp_path / "runner" / abi)
    found = bundles.locate(abi)
    assert found.binary == tmp_path / "runner" / abi / "bin" / "edgebench"
    assert (found.lib_dir / "libLiteRt.so").is_file()
    file = tmp_path / "runner" / abi / "bundle.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "sources": "of yesterday"}))
    with pytest.raises(UserError, match=f"not of this edgedeploy.*edgedeploy bundles build --abi {abi}"):
        bundles.locate(abi)
    file.write_text(json.dumps(manifest))
    (found.lib_dir / "libLiteRt.so").write_bytes(b"cut")
    with pytest.raises(UserError, match="not built"):
        bundles.locate(abi)
    with pytest.raises(UserError, match="android-arm64, android-x86_64, linux-aarch64, linux-aarch64-portable, linux-x86_64"):
        bundles.locate("windows")
    with pytest.raises(UserError, match="choose one of"):
        bundles.locate("../linux-x86_64")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    host = bundles.host_abi()
    (other,) = set(LINUX) - {host}
    with pytest.raises(UserError, match=r"apt-get install g\+\+ "):
        toolchain.find_toolchain(host)
    with pytest.raises(
        UserError, match=r"apt-get install g\+\+-" + other.removeprefix("linux-").replace("_", "-") + "-linux-gnu"
    ):
        toolchain.find_toolchain(other)


def test_no_build_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    assert compiler
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    install = r"pip install 'cmake==3\.31\.\*' ninja"
    with pytest.raises(UserError, match="cmake is missing.*" + install):
        toolchain.find_toolchain(bundles.host_abi())
    (tmp_path / "cmake").write_text("")
    (tmp_path / "cmake").chmod(0o755)
    with pytest.raises(UserError, match="ninja is missing.*" + install):
        toolchain.find_toolchain(bundles.host_abi())


def test_the_commands(runner_bundle: bundles.RunnerBundle, tmp_path: Path) -> None:
    def command(*arguments: str, cache: Path) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-m", "edgedeploy", "bundles", *arguments, "--json"], capture_output=True, text=True,
            timeout=300, check=False, env={**os.environ, "EDGEDEPLOY_CACHE": str(cache)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    abi = bundles.host_abi()
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / abi).symlink_to(runner_bundle.root)
    (entry,) = (each for each in command("list", cache=tmp_path)["bundles"] if each["abi"] == abi)  # type: ignore[attr-defined]
    assert (entry["built"], entry["path"]) == (True, str(tmp_path / "runner" / abi))
    assert set(entry["runtimes"]) == {"onnx", "tflite", "executorch"}
    absent = command("list", cache=tmp_path / "none")["bundles"]
    assert [each["built"] for each in absent] == [False] * len(bundles.known_abis())  # type: ignore[attr-defined]
    if not os.environ.get("EDGEBENCH_SANITIZE"):
        built = command("build", cache=runner_bundle.root.parent.parent)
        assert (built["abi"], built["path"]) == (abi, str(runner_bundle.root))


def test_a_host_there_is_no_runner_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(UserError, match="Darwin"):
        bundles.host_abi()
    monkeypatch.undo()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UserError, match="riscv64"):
        bundles.host_abi()


def test_a_wheel_is_used_only_with_its_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = load_pins("linux-x86_64").packages[2]
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path))
    there = tmp_path / "wheels" / package.sha256 / package.archive
    there.parent.mkdir(parents=True)
    there.write_bytes(b"not this one")
    # pip would fetch it anew: here it finds another file under the name
    fake = tmp_path / "pip"
    fake.mkdir()
    (fake / "pip.py").write_text(
        "import sys, pathlib\n"
        f"pathlib.Path(sys.argv[sys.argv.index('--dest') + 1], {package.archive!r}).write_bytes(b'nor this')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(fake))
    with pytest.raises(TransientError, match="sha256"):
        fetch.fetch(package, lambda _: None)
    (fake / "pip.py").write_text("import sys; sys.exit('no network')\n")
    with pytest.raises(TransientError, match="cannot be downloaded: no network"):
        fetch.fetch(package, lambda _: None)


def test_the_script(runner_bundle: bundles.RunnerBundle) -> None:
    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "build_runner"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    if not os.environ.get("EDGEBENCH_SANITIZE"):
        done = script()
        assert (done.returncode, done.stdout.strip()) == (0, str(runner_bundle.root))
        assert "up to date" in done.stderr
    done = script("--abi", "vax")
    assert done.returncode == 2
    assert "choose one of" in done.stderr
    assert script("--sanitize").returncode == 2


def test_the_manifest_is_plain_json(runner_bundle: bundles.RunnerBundle) -> None:
    content = json.loads((runner_bundle.root / "bundle.json").read_text())
    assert content["schema_version"] == 2
    assert content["abi"] == bundles.host_abi()
    assert str(ROOT) not in json.dumps(content)
    assert str(ROOT).encode() not in runner_bundle.binary.read_bytes() or os.environ.get("EDGEBENCH_SANITIZE")


def test_no_npm_but_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without npm a package comes by HTTPS, from where npm would be told to get it."""
    package = load_pins("android-arm64").packages[1]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://localhost/plain")
    with pytest.raises(UserError, match="https://"):
        npm.download(package, tmp_path)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://localhost:1/nobody")
    with pytest.raises(TransientError, match="cannot be downloaded"):
        npm.download(package, tmp_path)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    small = package.model_copy(update={"package": "onnxruntime-common", "archive": "onnxruntime-common-1.24.3.tgz"})
    got = npm.download(small, tmp_path)
    assert "package/package.json" in archives.names(got)


def test_an_ndk_where_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(UserError, match="no NDK"):
        toolchain.find_toolchain("android-arm64")
    (tmp_path / "build/cmake").mkdir(parents=True)
    (tmp_path / "build/cmake/android.toolchain.cmake").touch()
    (tmp_path / "source.properties").write_text("Pkg.Desc = Android NDK\nPkg.Revision = 29.0.1\n")
    tools = toolchain.find_toolchain("android-arm64")
    assert tools.description == "Android NDK 29.0.1"
    assert {"-DANDROID_ABI=arm64-v8a", "-DANDROID_PLATFORM=android-24"} <= set(tools.settings)
    assert tools.zig is None


def test_no_sanitizers_on_android(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sanitizers for Android"):
        bundles.build("android-x86_64", tmp_path / "out", sanitize=True)
