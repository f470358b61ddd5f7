"""The app as a phone would look at it: signature, manifest, bytecode, libraries. It cannot be run here."""

from __future__ import annotations

import re
import struct
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from device_runner.app import apk, build, check, compiling, manifest, signing, sources, tools
from device_runner.app.build import App
from device_runner.app.check import Found
from edgedeploy.errors import InternalError, UserError
from tests.device_runner.app.conftest import ABI
from tests.device_runner.native.conftest import CACHE


@pytest.fixture(scope="module", params=["android-arm64", ABI])
def built(request: pytest.FixtureRequest, app: App, tool_root: Path) -> App:
    """The app of each kind of phone; for ARM too, which is what phones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        return app if request.param == ABI else build.build(request.param)


@pytest.fixture(scope="module")
def found(built: App, tool_root: Path) -> Found:
    return check.check(built.path, tool_root, built.abi)


def test_nothing_is_wrong_with_it(found: Found) -> None:
    assert found.problems == []


def test_it_is_signed_by_the_users_own_key(found: Found) -> None:
    assert "Verifies" in found.signature
    assert re.search(r"^Number of signers: 1$", found.signature, re.MULTILINE)
    assert "CN=edgedeploy bench" in found.signature


def test_the_manifest_says_what_it_should(found: Found) -> None:
    assert f"package: name='{sources.ID}'" in found.badging
    assert "sdkVersion:'24'" in found.badging
    assert "targetSdkVersion:'36'" in found.badging
    assert "application-debuggable" in found.badging
    assert f"launchable-activity: name='{sources.ID}.BenchActivity'" in found.badging
    assert check.exported_components(found.tree) == {".BenchActivity": True, ".BenchService": False}
    assert re.search(r"E: instrumentation .*?:targetPackage\(0x01010021\)=\"dev\.edgedeploy\.bench\"", found.tree, re.DOTALL)


def test_the_bytecode_has_every_class(built: App, tmp_path: Path, tool_root: Path) -> None:
    with zipfile.ZipFile(built.path) as opened:
        content = opened.read("classes.dex")
    # the header says how long it is and what it adds up to, which Android checks
    assert struct.unpack_from("<I", content, 32)[0] == len(content)
    (tmp_path / "classes.dex").write_bytes(content)
    for path in sources.java(sources.MAIN / "java"):
        name = path.relative_to(sources.MAIN / "java").with_suffix("").as_posix()
        assert f"L{name};".encode() in content
    # what is compiled against Android's classes only, or not at all, is not in it
    assert b"Ldev/edgedeploy/bench/desktop/" not in content
    assert b"Landroid/app/Activity;" in content


def test_the_libraries_are_for_the_phone_and_its_pages(found: Found, built: App) -> None:
    into = f"lib/{sources.android_name(built.abi)}"
    libraries = {name for name in found.entries if name.startswith("lib/")}
    assert libraries == {
        f"{into}/{name}" for name in (
            "libedgebench_jni.so", "libedgebench_executorch.so", "libexecutorch_jni.so", "libfbjni.so", "libonnxruntime.so",
            "libtensorflowlite_jni.so",
        )
    }  # fmt: skip
    small = {name for name, pages in found.pages.items() if pages < 16384}
    assert small == {"libtensorflowlite_jni.so"}


def test_our_library_is_what_android_7_loads(built: App, tmp_path: Path) -> None:
    name = f"lib/{sources.android_name(built.abi)}/libedgebench_jni.so"
    with zipfile.ZipFile(built.path) as opened:
        library = Path(opened.extract(name, tmp_path))
    read = subprocess.run(["readelf", "-dlW", library], capture_output=True, text=True, check=True).stdout
    assert "TLS " not in read
    needed = {line.split("[")[1].split("]")[0] for line in read.splitlines() if "(NEEDED)" in line}
    assert needed == {"liblog.so", "libdl.so", "libm.so", "libc.so"}
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in symbols.splitlines()] == ["Java_dev_edgedeploy_bench_core_Native_run"]


def test_every_runtimes_licence_is_in_it(found: Found) -> None:
    assert {"onnxruntime", "tensorflow", "executorch"} <= {
        name.split("/")[2] for name in found.entries if "assets/licenses" in name
    }
    assert "assets/versions.json" in found.entries


def damaged(app: App, tmp_path: Path, change: dict[str, bytes | None], *, signed: bool = True) -> Path:
    """A copy with other entries (None: without it), signed anew by our key or not at all."""
    with zipfile.ZipFile(app.path) as opened:
        entries: dict[str, bytes | None] = {name: opened.read(name) for name in opened.namelist() if "META-INF" not in name}
    entries |= change
    unsigned, out = tmp_path / "unsigned.apk", tmp_path / "damaged.apk"
    apk.write(unsigned, {name: content for name, content in entries.items() if content is not None}, level=1)
    if not signed:
        return unsigned
    signing.sign(unsigned, out, tools.unpacked(lambda said: None), sources.MIN_SDK)
    return out


@pytest.fixture
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(CACHE))


@pytest.mark.usefixtures("_tools")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes.dex": b"dex\n099\0"}, "classes.dex is not one"),
        ({"classes.dex": None}, "classes.dex is not one"),
        ({"lib/armeabi-v7a/libx.so": b""}, "lib/ holds other things"),
    ],
)
def test_what_is_wrong_is_found(app: App, tool_root: Path, tmp_path: Path, change: dict[str, bytes | None], said: str) -> None:
    problems = check.check(damaged(app, tmp_path, change), tool_root, ABI).problems
    assert any(said in problem for problem in problems), problems


@pytest.mark.usefixtures("_tools")
def test_a_library_for_another_machine_and_a_stranger_with_small_pages_are_found(
    app: App, tool_root: Path, tmp_path: Path
) -> None:
    into = f"lib/{sources.android_name(ABI)}"
    with zipfile.ZipFile(app.path) as opened:
        small = opened.read(f"{into}/libtensorflowlite_jni.so")
    arm = bytearray(small)
    arm[18:20] = (183).to_bytes(2, "little")
    changed = damaged(app, tmp_path, {f"{into}/libfbjni.so": bytes(arm)})
    problems = check.check(changed, tool_root, ABI).problems
    assert any("libfbjni.so is for aarch64" in problem for problem in problems), problems
    assert any("libfbjni.so is laid out for pages of 4 KB" in problem for problem in problems), problems


@pytest.mark.usefixtures("_tools")
def test_an_unsigned_one_and_one_changed_after_signing_are_found(app: App, tool_root: Path, tmp_path: Path) -> None:
    unsigned = check.check(damaged(app, tmp_path, {}, signed=False), tool_root, ABI).problems
    assert any("DOES NOT VERIFY" in problem for problem in unsigned), unsigned
    content = bytearray(app.path.read_bytes())
    content[1000] ^= 1
    (tmp_path / "changed.apk").write_bytes(content)
    with pytest.raises(InternalError, match="DOES NOT VERIFY"):
        signing.verified(tmp_path / "changed.apk", tool_root)


@pytest.mark.usefixtures("_tools")
def test_another_manifest_is_found(app: App, tool_root: Path, tmp_path: Path) -> None:
    source = tmp_path / "AndroidManifest.xml"
    text = (sources.MAIN / "AndroidManifest.xml").read_text()
    text = text.replace('android:exported="false"', 'android:exported="true"')
    text = text.replace('"android.permission.WAKE_LOCK"', '"android.permission.CAMERA"')
    source.write_text(text)
    manifest.for_aapt2(source, tmp_path / "for-aapt2.xml")
    aapt2 = tool_root / "aapt2"
    compiling.run([aapt2, "compile", "--dir", sources.MAIN / "res", "-o", tmp_path / "res.zip"], "aapt2")
    link = [aapt2, "link", "-I", tool_root / "framework-res.apk", "--manifest", tmp_path / "for-aapt2.xml"]
    compiling.run([*link, "--min-sdk-version", "21", "-o", tmp_path / "linked.apk", tmp_path / "res.zip"], "aapt2")
    with zipfile.ZipFile(tmp_path / "linked.apk") as linked:
        changed = damaged(app, tmp_path, {"AndroidManifest.xml": linked.read("AndroidManifest.xml")})
    problems = "\n".join(check.check(changed, tool_root, ABI).problems)
    for said in (
        "sdkVersion:'24'",
        "targetSdkVersion:'36'",
        "android.permission.CAMERA",
        "'.BenchService': True",
        "specialUse",
    ):
        assert said in problems, problems


@pytest.mark.usefixtures("_tools")
def test_the_same_sources_give_the_same_bytes(app: App, tmp_path: Path) -> None:
    """But for the signature: schemes 2 and 3 sign with a random salt or not, which is their own affair."""
    other = build.build(ABI, tmp_path / "again.apk")
    with zipfile.ZipFile(app.path) as one, zipfile.ZipFile(other.path) as two:
        assert one.namelist() == two.namelist()
        assert {name: one.read(name) for name in one.namelist()} == {name: two.read(name) for name in two.namelist()}


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path))
    store, password = signing.key()
    assert [path.stat().st_mode & 0o777 for path in (store, store.with_name("key.password"), store.parent)] == [
        0o600,
        0o600,
        0o700,
    ]
    assert signing.key() == (store, password)
    assert len(password) > 20
    assert store.read_bytes()[:2] == b"\x30\x82"
    assert not list(tmp_path.rglob(".key-*"))


def lint(element: ET.Element) -> list[str]:
    """What Android's own lint would say of such a manifest, as far as it matters to this app."""
    android = f"{{{manifest.ANDROID}}}"
    said = []
    application = element.find("application")
    assert application is not None
    for component in application:
        name = component.get(f"{android}name")
        if component.get(f"{android}exported") not in ("true", "false"):
            said.append(f"{name}: does not say whether it is exported")
        if component.get(f"{android}exported") == "true" and component.find("intent-filter") is None:
            said.append(f"{name}: exported to nobody")
        if component.tag in ("provider", "receiver"):
            said.append(f"{name}: not needed")
    if application.get(f"{android}allowBackup") != "false":
        said.append("its files go into backups")
    for name in ("debuggable", "testOnly", "usesCleartextTraffic", "sharedUserId"):
        if application.get(android + name) is not None or element.get(android + name) is not None:
            said.append(f"{name} is the build's")
    if element.get("package") is not None or element.find("uses-sdk") is not None:
        said.append("what Gradle writes")
    said += [str(node.get(f"{android}name")) for node in element.iter("uses-permission-sdk-23")]
    return said


def test_a_lint_of_the_manifest() -> None:
    path = sources.MAIN / "AndroidManifest.xml"
    assert lint(ET.parse(path).getroot()) == []  # noqa: S314 (our own file)
    text = path.read_text().replace('android:allowBackup="false"', 'android:debuggable="true"')
    text = text.replace('android:exported="false"', "")
    assert lint(ET.fromstring(text)) == [  # noqa: S314
        ".BenchService: does not say whether it is exported", "its files go into backups", "debuggable is the build's",
    ]  # fmt: skip


def test_every_text_and_picture_that_is_named_is_there() -> None:
    named = set()
    for path in [sources.MAIN / "AndroidManifest.xml", *(sources.MAIN / "res").rglob("*.xml")]:
        named |= set(re.findall(r'"@(string|drawable|layout|style)/(\w+)"', path.read_text()))
    for path in sources.java(sources.MAIN / "java"):
        named |= set(re.findall(r"\bR\.(string|drawable|layout|id)\.(\w+)", path.read_text().replace("android.R.", "")))
    there = {("layout", path.stem) for path in (sources.MAIN / "res/layout").iterdir()}
    there |= {("drawable", path.stem) for path in (sources.MAIN / "res/drawable").iterdir()}
    for path in (sources.MAIN / "res/values").iterdir():
        there |= {(node.tag, node.get("name", "")) for node in ET.parse(path).getroot()}  # noqa: S314
    there |= {("id", name) for name in re.findall(r"@\+id/(\w+)", (sources.MAIN / "res/layout/bench.xml").read_text())}
    assert named == there


def test_the_two_builds_say_the_same() -> None:
    gradle = (sources.ROOT / "app/build.gradle").read_text()
    for word in (f'"{sources.ID}"', f"minSdk {sources.MIN_SDK}", f"targetSdk {sources.TARGET_SDK}", "VERSION_1_8"):
        assert word in gradle


def test_what_is_missing_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"scripts/build_apk --abi android-arm64"):
        build.find("android-arm64")
    with pytest.raises(UserError, match=r"no app for 'linux-x86_64'"):
        build.find("linux-x86_64")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="openjdk"):
        tools.jdk()


def test_an_app_of_other_sources_is_refused(tmp_path: Path, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path))
    path = build.default_path(ABI)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    path.with_name(f"{path.name}.json").write_text('{"key": "k", "sources": "of yesterday"}')
    with pytest.raises(UserError, match="not of this edgedeploy"):
        build.find(ABI)
