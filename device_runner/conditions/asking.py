"""Everything that is asked of a device at one moment, in one command: each one costs a round trip and a process there.

A condition says what it asks for (`Files`, `Program`) and reads its own part of the `Answers`. What is asked is constants of
ours: patterns go to the device's shell as they are, so that it finds the files; the words of programs are quoted.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgedeploy.errors import InternalError, TransientError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_PATTERN = re.compile(r"(?:/(?:[A-Za-z0-9_.-]+\*?|\*))+")
#: what a `*` stands for: names of /sys entries that we put into records
_PLAIN = "[A-Za-z0-9_.:-]{0,64}"


@dataclass(frozen=True)
class Files:
    """Small files of /proc and /sys, by their path; one part of it may end in `*`. No two patterns name one file."""

    pattern: str

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(self.pattern) or self.pattern.count("*") > 1:
            raise InternalError(f"{self.pattern!r} is no pattern of files")

    def name_of(self, path: str) -> str | None:
        """The part of `path` that has the `*` in the pattern, "" where none has; None for a file that is not meant."""
        parts = [
            f"({re.escape(part[:-1])}{_PLAIN})" if part.endswith("*") else re.escape(part) for part in self.pattern.split("/")
        ]
        match = re.fullmatch("/".join(parts), path)
        return None if match is None else match.group(1) if match.groups() else ""


@dataclass(frozen=True)
class Program:
    """A program and its arguments; stdin is empty, and its stderr is not kept."""

    argv: tuple[str, ...]


Question = Files | Program


@dataclass(frozen=True)
class Said:
    """What a program printed. Exit code 127: it is not there."""

    exit_code: int
    text: str


@dataclass(frozen=True)
class Answers:
    """What came of the questions that were asked. `lines`: by path, of every file that could be read."""

    programs: Mapping[Program, Said]
    lines: Mapping[str, list[str]]

    def said(self, program: Program) -> Said:
        """What that program said. It must have been asked for."""
        return self.programs[program]

    def files(self, files: Files) -> dict[str, list[str]]:
        """Lines by the part of the path that has the `*`, in the order of the names."""
        named = ((files.name_of(path), lines) for path, lines in self.lines.items())
        return dict(sorted((name, lines) for name, lines in named if name is not None))

    def first(self, files: Files) -> dict[str, str]:
        """The same, first lines alone."""
        return {name: lines[0] for name, lines in self.files(files).items()}

    def text(self, files: Files) -> str:
        """The whole of a file whose path has no `*`; "" where it cannot be read."""
        return "\n".join(self.files(files).get("", []))


def ask(transport: Transport, questions: Iterable[Question], deadline: Deadline) -> Answers:
    """Ask all of it at once. Raises TransientError when the device does not answer, or not to the end."""
    asked = tuple(dict.fromkeys(questions))
    programs = [question for question in asked if isinstance(question, Program)]
    patterns = [question.pattern for question in asked if isinstance(question, Files)]
    if not asked:
        return Answers({}, {})
    # drawn for this one command, so that nothing that is printed can be taken for the end of an answer
    mark = secrets.token_hex(16)
    commands = [shlex.join(program.argv) for program in programs]
    # one grep for all files, each line after its path; /dev/null makes it print paths also for a single file
    commands.append(f'grep -s "" {" ".join(patterns)} /dev/null')
    script = "exec 2>/dev/null\n" + "".join(f"{command}\ncode=$?; echo; echo {mark} $code\n" for command in commands)
    printed = transport.run(["sh", "-c", script], deadline)
    pieces = re.split(rf"\n{mark} ([0-9]{{1,3}})\n", printed.text)
    if len(pieces) != 2 * len(commands) + 1:
        raise TransientError(f"the device did not answer to the end: {printed.error_text or f'exit code {printed.exit_code}'}")
    said = [Said(int(code), text) for text, code in zip(pieces[0:-1:2], pieces[1::2], strict=True)]
    return Answers(dict(zip(programs, said, strict=False)), _by_path(said[-1].text))


def _by_path(printed: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in printed.split("\n"):
        path, separator, value = line.partition(":")
        if separator:
            found.setdefault(path, []).append(value.strip())
    return found
