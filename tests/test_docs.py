"""What the README, docs/ and the help texts tell people to type, and the YAML that they show.

Every command is read by the command line itself: a command, an option or a value that is not there any more fails. Those of
shell blocks that need no more than this host are run as they stand, in a directory with bundles, a bare model, a plan, and two
boards that have the names of the docs' devices. Which were read and not run is printed. (test_readme.py exports.)
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from device_runner import bundles, inventory
from device_runner.lab import plan_file
from edgedeploy.cli import main
from tests.bench_hosts import sshd
from tests.device_runner import tiny
from tests.documented_commands import Documented, documented, examples_of_help, parsed, yaml_blocks

#: a launch takes a moment; added to what the docs have
_BRIEF = ("--launches", "1", "--warmup-count", "1", "--warmup-ms", "0", "--min-count", "5", "--min-ms", "1")
#: command -> what is added to it. What is not here exports, trains, or needs a bucket, files of one's own, a phone
_RUN: dict[str, tuple[str, ...]] = {
    "bench": _BRIEF, "show": (), "verify": (), "capabilities": (), "results list": (), "results query": (), "bundles list": (),
    "devices list": (), "devices check": (), "devices add": (), "completion": (),
    "lab run": (), "lab status": (), "lab watch": (), "lab pause": (), "lab drain": (), "lab resume": (),
    "lab quarantine": (), "lab release": (), "lab withdraw": (),
}  # fmt: skip
#: in a command of that list: what this host is not, or a file that the page makes in another way
_ELSEWHERE = ("adb:", "ssh:", "s3:", "--in-app", "--tiers", "--cluster", "--link", "--resume", "artifacts/my-model")
#: how a word in capitals, or one left out, that stands for something is refused
_PLACEHOLDERS = (click.BadParameter, click.MissingParameter)


@pytest.mark.parametrize("command", documented() + examples_of_help(), ids=str)
def test_the_command_line_has_every_command_and_option(
    command: Documented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    (tmp_path / "runs").mkdir()
    try:
        assert parsed(command.words)
    except (click.exceptions.Exit, click.Abort):
        # --help; or it asks for what it keeps out of the command line, and so has read all the rest
        return
    except click.UsageError as error:
        # `--last N` in a sentence; in a block a command is meant to be typed
        if command.block or not isinstance(error, _PLACEHOLDERS):
            pytest.fail(f"{command}: {error.format_message()}")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the pages take for granted: bundles, a model file, a plan and devices."""
    root = tmp_path_factory.mktemp("docs")
    first = tiny.write_bundle(root / "artifacts/fashion-lite0/identity/onnx-cpu")
    second = tiny.write_bundle(root / "artifacts/fashion-lite0/dsptq/onnx-cpu", operator="sptq", precision="int8-static")
    tiny.write_onnx(root / "some_model.onnx")
    how = {"mode": "quick", "launches": 1, "warmup_count": 1, "warmup_ms": 0, "min_count": 5, "min_ms": 1}
    entry = {"artifacts": [str(first), str(second)], "devices": ["pixel7", "rpi5"]}
    (root / "plan.yaml").write_text(json.dumps({"name": "nightly", "plan": how, "experiments": [entry]}))
    built = bundles.build(bundles.host_abi()).root
    (root / "cache/runner").mkdir(parents=True)
    (root / "cache/runner" / built.name).symlink_to(built)
    with sshd.running(root / "board7") as one, sshd.running(root / "board5") as two:
        targets = {"pixel7": one.target(), "rpi5": two.target()}
        listed = {
            name: {"transport": "ssh", "address": target.address, "settings": dict(target.settings)}
            for name, target in targets.items()
        }  # fmt: skip
        (root / "boards.yaml").write_text(json.dumps({"devices": listed}))
        yield root


def test_what_needs_this_host_alone_is_run_as_it_stands(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.chdir(scratch)
    monkeypatch.setenv("HOME", str(scratch / "home"))
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(scratch / "state"))
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(scratch / "cache"))
    # nobody listens there: whoever runs the tests keeps his adb server, and his phones
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.2:9")
    run, left = [], []
    for command in documented():
        # a device's address is only written down, into a file where it is not known yet
        adds = command.path == "devices add"
        elsewhere = not adds and any(each in " ".join(command.words) for each in _ELSEWHERE)
        if not command.block or command.path not in _RUN or elsewhere:
            left.append(command)
            continue
        run.append(command)
        (scratch / "new.yaml").unlink(missing_ok=True)
        monkeypatch.setenv("EDGEDEPLOY_DEVICES", str(scratch / ("new.yaml" if adds else "boards.yaml")))
        with pytest.raises(SystemExit) as ended:
            main([*command.words, *_RUN[command.path]])
        said = capsys.readouterr()
        assert ended.value.code == 0, f"{command}\n{said.out}\n{said.err}"
    assert {command.path for command in run} >= {"bench", "show", "verify", "devices check", "lab run", "lab withdraw"}
    with capsys.disabled():
        click.echo(f"\n{len(run)} commands of the docs were run; {len(left)} were only read by the command line:")
        for line in dict.fromkeys(map(str, left)):
            click.echo(f"  {line}")


@pytest.mark.parametrize(("where", "text"), yaml_blocks(), ids=lambda value: value if len(value) < 40 else "")
def test_yaml_that_is_shown_can_be_read(where: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "shown.yaml"
    file.write_text(text)
    if "experiments:" in text:
        assert plan_file.read(file).experiments
    else:
        assert inventory.listed(file)
