"""`edgedeploy app push` and `remove`: plans for the screen, which the app's own core then lists and runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from device_runner.app import desktop, tools
from device_runner.app.sources import ID
from device_runner.conditions import app_heat
from edgedeploy.cli import cli
from tests.bench_hosts import android_apps
from tests.bench_hosts.adbd import AdbServer, Phone
from tests.device_runner.native.support import json_of

_WORK = f"/data/data/{ID}/files/edgedeploy"
#: what the screen lists
_LISTING = """
import dev.edgedeploy.bench.core.Plans;
public class Listing {
    public static void main(String[] arguments) {
        for (Plans.Entry entry : Plans.list(new java.io.File(arguments[0]))) System.out.println(entry);
    }
}
"""


def called(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["app", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_plan_for_the_screen(
    phone: Phone, server: AdbServer, fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    device = f"adb:{phone.serial}"
    (name,) = json.loads(called("push", str(fast), "--device", device, "--quick", "--json"))["plans"]
    # again: the same, and the app is not installed once more
    assert called("push", str(fast), "--device", device, "--quick").strip() == name
    assert len([line for line in android_apps.calls(phone) if line.startswith("pm install")]) == 1
    plans = phone.inside(f"{_WORK}/plans")
    assert [path.name for path in plans.iterdir()] == [name]
    (tmp_path / "Listing.java").write_text(_LISTING)
    listed = subprocess.run(
        [tools.jdk("java"), "-cp", desktop.classes(), tmp_path / "Listing.java", phone.inside(_WORK)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert listed.stdout == f"{name} (onnx)\n"
    # as the button on the screen does
    run = f"am instrument -w -r -e directory plans/{name} {ID}/.BenchInstrumentation"
    assert "INSTRUMENTATION_CODE: -1" in server.adb("-s", phone.serial, "shell", run)
    assert json_of(plans / name / "events.jsonl")[-1]["event"] == "end"
    assert called("remove", "--device", device) == "removed\n"
    assert not phone.inside(f"/data/data/{ID}").exists()
    assert called("remove", "--device", device) == "it was not there\n"


def test_no_phone(fast: Path) -> None:
    done = CliRunner().invoke(cli, ["app", "push", str(fast), "--device", "local"])
    assert done.exit_code != 0
    assert "no Android phone" in str(done.exception)


def test_what_the_phone_said_of_its_heat_is_a_flag() -> None:
    assert app_heat.flags([{"event": "thermal", "status": 0}, {"event": "end"}]) == ()
    assert app_heat.flags([{"event": "thermal", "status": 1}, {"event": "thermal", "status": 3}]) == (
        "in the app: thermal status severe",
    )
    for odd in (None, True, -1, 7, "3", 2.0, [3]):
        assert app_heat.flags([{"event": "thermal", "status": odd}]) == ()
