"""A built app, and a phone with the real adbd that has stand-ins for what an Android installs and starts apps with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import bundles
from device_runner.app import build, tools
from device_runner.app.build import App
from tests.bench_hosts import android_apps
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.bench_hosts.adbd import adb_server as running_server
from tests.device_runner.native.conftest import CACHE

ABI = "android-x86_64"


@pytest.fixture(scope="session")
def tool_root() -> Path:
    # not for longer: the tests after these have a cache of their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        return tools.unpacked(lambda said: None)


@pytest.fixture(scope="session")
def app(cache: Path, tool_root: Path, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The app for an x86_64 phone, in the tests' own cache, built in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        built = build.build(ABI)
        runner = bundles.build(ABI).root
    (cache / "app").mkdir(exist_ok=True)
    for path in (built.path, built.path.with_name(f"{built.path.name}.json")):
        (cache / "app" / path.name).symlink_to(path)
    if not (cache / "runner" / ABI).exists():
        (cache / "runner" / ABI).symlink_to(runner)
    return built


@pytest.fixture(scope="module")
def phone(runner: Path, app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    directory = tmp_path_factory.mktemp("apps")
    device = Phone(directory / "root", guest_files=android_apps.guest_files(directory))
    android_apps.put(device, directory)
    try:
        device.boot()
        yield device
    finally:
        device.power_off()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    with running_server(tmp_path_factory.mktemp("adb") / "home") as adb:
        yield adb
