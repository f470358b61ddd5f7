"""Many questions in one command: each has its own answer, whatever the others print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from device_runner.conditions.asking import Files, Program, Said, ask
from device_runner.deadline import Deadline
from device_runner.transports.base import Completed
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import InternalError, TransientError
from tests.device_runner.elsewhere import Elsewhere


def soon() -> Deadline:
    return Deadline.after(30)


class Counting(LocalTransport):
    """This host, its commands counted; `cut`: bytes of an answer that never arrive."""

    commands, cut = 0, 0

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        self.commands += 1
        done = super().run(argv, deadline)
        return Completed(done.exit_code, done.stdout[: len(done.stdout) - self.cut], done.stderr)


def test_outputs_and_exit_codes_are_apart_in_one_command(tmp_path: Path) -> None:
    device = Counting(tmp_path)
    said = {
        Program(("printf", "no newline at its end")): Said(0, "no newline at its end"),
        Program(("printf", "a\n\n")): Said(0, "a\n\n"),
        Program(("false",)): Said(1, ""),
        Program(("no-such-program-anywhere", "x")): Said(127, ""),
        # what looks like the end of an answer, or would be obeyed by a shell
        Program(("printf", "%s\n", "code=$?; echo", "0123456789abcdef0123456789abcdef 0")): Said(
            0, "code=$?; echo\n0123456789abcdef0123456789abcdef 0\n"
        ),
        Program(("echo", "$(echo obeyed); it's `quoted` & * ? ~")): Said(0, "$(echo obeyed); it's `quoted` & * ? ~\n"),
        # it does not get the questions that come after it
        Program(("cat",)): Said(0, ""),
        Program(("sh", "-c", "echo lost >&2; echo kept; kill -9 $$")): Said(137, "kept\n"),
    }
    answers = ask(device, [*said, Files("/proc/loadavg")], soon())
    assert {program: answers.said(program) for program in said} == said
    assert answers.text(Files("/proc/loadavg"))
    assert device.commands == 1


def test_files_are_found_by_the_device_and_known_by_what_differs_in_their_names(tmp_path: Path) -> None:
    device = Elsewhere(tmp_path)
    device.write("class/thermal/thermal_zone0/type", "cpu: big\nsecond line\n")
    device.write("class/thermal/thermal_zone10/type", "gpu\n")
    device.write("class/thermal/cooling_device0/type", "fan\n")
    for hostile in ("$(reboot)", "two words", "x" * 200):
        device.write(f"class/thermal/thermal_zone{hostile}/type", "hostile\n")
    types, absent = Files("/sys/class/thermal/thermal_zone*/type"), Files("/sys/class/nothing/*/type")
    answers = ask(device, [types, absent], soon())
    assert answers.files(types) == {"thermal_zone0": ["cpu: big", "second line"], "thermal_zone10": ["gpu"]}
    assert answers.first(types)["thermal_zone0"] == "cpu: big"
    assert answers.files(absent) == {}
    assert answers.text(Files("/proc/no/such")) == ""


def test_an_answer_that_is_cut_short_is_no_answer(tmp_path: Path) -> None:
    device = Counting(tmp_path)
    device.cut = 3
    with pytest.raises(TransientError, match="did not answer to the end"):
        ask(device, [Program(("echo", "here"))], soon())


def test_nothing_to_ask_costs_nothing(tmp_path: Path) -> None:
    device = Counting(tmp_path)
    ask(device, [], soon())
    assert device.commands == 0


@pytest.mark.parametrize("pattern", ["relative/*", "/a b", "/sys/$(x)", "/sys/*/*/x", "/sys/../x y", "/a;b", ""])
def test_a_pattern_is_one_of_ours(pattern: str) -> None:
    with pytest.raises(InternalError):
        Files(pattern)
