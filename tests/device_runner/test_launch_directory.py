"""A launch's directory in one command each way: what is there arrives whole, and nothing else does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_runner import launch_directory
from device_runner.conditions.asking import Files, Program, ask
from device_runner.deadline import Deadline
from device_runner.launch_directory import Evicted
from device_runner.transports.base import Completed
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import TransientError, UserError

SOON = 30.0
PLAN = json.dumps({"text": "it's a `plan` with $(nothing) to obey, \\n and % signs"})


class Device(LocalTransport):
    """This host; commands are counted, and `spoil` is what happens to an answer on its way."""

    commands = 0

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        self.commands += 1
        return self.spoil(super().run(argv, deadline))

    def spoil(self, done: Completed) -> Completed:
        return done


@pytest.fixture
def device(tmp_path: Path) -> Device:
    made = Device(tmp_path / "work")
    (made.root / "store").mkdir()
    (made.root / "store/abc").write_bytes(b"model")
    (made.root / "store/def").write_bytes(b"input")
    return made


def test_a_directory_is_laid_out_in_one_command(device: Device) -> None:
    links = {"model.onnx": "store/abc", "inputs/0.bin": "store/def"}
    launch_directory.lay_out(device, "runs/a/0", links, PLAN, SOON)
    assert device.commands == 1
    there = device.root / "runs/a/0"
    assert sorted(str(path.relative_to(there)) for path in there.rglob("*")) == [
        "inputs", "inputs/0.bin", "model.onnx", "plan.json",
    ]  # fmt: skip
    assert (there / "plan.json").read_text() == PLAN
    assert (there / "model.onnx").samefile(device.root / "store/abc")
    # a second try writes over what the first one left
    launch_directory.lay_out(device, "runs/a/0", links, PLAN, SOON)


def test_what_is_no_longer_in_the_store_is_said(device: Device) -> None:
    with pytest.raises(Evicted, match="store/gone"):
        launch_directory.lay_out(device, "runs/a/0", {"model.onnx": "store/gone"}, PLAN, SOON)
    assert not (device.root / "runs/a/0/plan.json").exists()
    assert not (device.root / "runs/a/0/model.onnx").exists()


def test_no_link_leads_out_of_the_work_root(device: Device, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0.bin").write_text("secret")
    (device.root / "runs").symlink_to(outside)
    with pytest.raises(UserError, match="leads out"):
        launch_directory.lay_out(device, "runs/a/0", {}, PLAN, SOON)
    assert [path.name for path in outside.iterdir()] == ["0.bin"]
    run = device.root / "launch"
    run.mkdir()
    (run / "outputs").symlink_to(outside)
    (run / "stderr.txt").symlink_to(outside / "0.bin")
    assert launch_directory.fetch(device, "launch", {"outputs/0.bin": 99, "stderr.txt": 99}, tmp_path, SOON) == {}


def test_everything_small_comes_in_one_command_and_the_rest_by_itself(device: Device, tmp_path: Path) -> None:
    left = device.root / "runs/a/0"
    (left / "outputs").mkdir(parents=True)
    content = {
        "events.jsonl": b'{"event": "end"}\nend\n-\n12\n', "stderr.txt": b"", "outputs/0.bin": bytes(range(256)) * 40,
        "samples.bin": b"\x00\n" * 600_000,
    }  # fmt: skip
    for name, data in content.items():
        (left / name).write_bytes(data)
    most = {**dict.fromkeys(content, 2000000), "outputs/1.bin": 5}
    there = launch_directory.fetch(device, "runs/a/0", most, tmp_path, SOON)
    assert {name: file.read_bytes() for name, file in there.items()} == content
    assert device.commands == 1
    assert launch_directory.fetch(device, "runs/a/1", most, tmp_path, SOON) == {}


def test_many_files_come_in_several_commands(device: Device, tmp_path: Path) -> None:
    (device.root / "run").mkdir()
    names = [f"{number}.bin" for number in range(40)]
    for name in names:
        (device.root / "run" / name).write_text(name)
    there = launch_directory.fetch(device, "run", dict.fromkeys(names, 99), tmp_path, SOON)
    assert {name: file.read_text() for name, file in there.items()} == {name: name for name in names}
    assert device.commands == 3


def test_a_file_that_is_larger_than_it_may_be_is_not_taken(device: Device, tmp_path: Path) -> None:
    (device.root / "run").mkdir()
    with (device.root / "run/stderr.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TransientError, match=f"stderr.txt: has {2**40} bytes"):
        launch_directory.fetch(device, "run", {"stderr.txt": 100}, tmp_path, SOON)


@pytest.mark.parametrize("lost", [1, 4, 5, 60])
def test_an_answer_that_was_cut_short_is_asked_for_again(device: Device, tmp_path: Path, lost: int) -> None:
    (device.root / "run").mkdir()
    (device.root / "run/events.jsonl").write_bytes(b"x" * 100)
    spoiled: list[int] = []

    def spoil(done: Completed) -> Completed:
        if spoiled:
            return done
        spoiled.append(lost)
        return Completed(done.exit_code, done.stdout[:-lost], done.stderr)

    device.spoil = spoil  # type: ignore[method-assign]
    there = launch_directory.fetch(device, "run", {"events.jsonl": 1000}, tmp_path, SOON)
    assert there["events.jsonl"].read_bytes() == b"x" * 100
    assert device.commands == 2


@pytest.mark.parametrize(("box", "shell"), [("busybox", "busybox"), ("toybox", "mksh")])
def test_the_tools_of_small_boards_and_of_phones_do(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: str, shell: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("mkdir", "ln", "cp", "mv", "rm", "ls", "cat", "sed", "printf", "sha256sum", "grep", "false"):
        found = shutil.which(box)
        assert found, f"no {box}: run scripts/install_test_packages"
        (programs / name).symlink_to(found)
    (programs / "sh").symlink_to(str(shutil.which(shell)))
    monkeypatch.setenv("PATH", str(programs))
    launch_directory.lay_out(device, "runs/a/0", {"model.onnx": "store/abc", "inputs/0.bin": "store/def"}, PLAN, SOON)
    left = device.root / "runs/a/0"
    assert (left / "plan.json").read_text() == PLAN
    content = {"events.jsonl": b"{}\n", "inputs/0.bin": b"input", "large": bytes(3_000_000)}
    for name, data in content.items():
        (left / name).write_bytes(data)
    there = launch_directory.fetch(device, "runs/a/0", dict.fromkeys([*content, "absent"], 2**30), tmp_path, SOON)
    assert {name: file.read_bytes() for name, file in there.items()} == content
    answers = ask(device, [Program(("false",)), Program(("printf", "%s", "x y")), Files("/proc/loadavg")], Deadline.after(SOON))
    assert answers.said(Program(("false",))).exit_code == 1
    assert answers.said(Program(("printf", "%s", "x y"))).text == "x y"
    assert answers.text(Files("/proc/loadavg"))
