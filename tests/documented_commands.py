"""The commands that the README, docs/ and the help texts show, as a shell would read them."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from edgedeploy.cli import cli

ROOT = Path(__file__).resolve().parent.parent
#: in lists too, where they are indented
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
#: where a command's own words end
_SHELLS = (">", ">>", "|", "&&", ";")
_INLINE = re.compile(r"`(edgedeploy [^`]+)`")


@dataclass(frozen=True)
class Documented:
    """where: the file. words: after `edgedeploy`. block: of a shell block, and so meant to be typed as it stands."""

    where: str
    words: tuple[str, ...]
    block: bool

    def __str__(self) -> str:
        return f"{self.where}: edgedeploy {shlex.join(self.words)}"

    @property
    def path(self) -> str:
        """The names of the command and its groups."""
        return " ".join(context.info_name or "" for context in parsed(self.words, resilient_parsing=True)[1:])


def documented() -> list[Documented]:
    """Of all pages, in their order."""
    return [command for page in _pages() for command in _of_page(page)]


def yaml_blocks() -> list[tuple[str, str]]:
    """(file, text) of each block of YAML."""
    return [
        (str(page.relative_to(ROOT)), textwrap.dedent(block))
        for page in _pages() for block in _YAML.findall(page.read_text("utf-8"))
    ]  # fmt: skip


def _pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _of_page(page: Path) -> Iterator[Documented]:
    text, where = page.read_text("utf-8"), str(page.relative_to(ROOT))
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            yield from (Documented(where, each, block=True) for each in _edgedeploys(words))
    for line in _INLINE.findall(_FENCED.sub("", text)):
        words = shlex.split(line.replace("\n", " ").replace("…", ""))
        yield from (Documented(where, each, block=False) for each in _edgedeploys(words))


def _edgedeploys(words: list[str]) -> Iterator[tuple[str, ...]]:
    """What follows `edgedeploy`, said as a program or, to another program, as a module."""
    for at, word in enumerate(words):
        programs = words[:at]
        ours = word.endswith("edgedeploy") and (all("=" in each for each in programs) or programs[-1] == "-m")
        if ours and word.rpartition("/")[2] == "edgedeploy":
            yield tuple(itertools.takewhile(lambda word: word not in _SHELLS, words[at + 1 :]))
            return


def examples_of_help() -> list[Documented]:
    """The lines of the help texts that begin with `edgedeploy`."""
    return [
        Documented(f"{path} --help", words, block=False)
        for path, command in commands()
        for line in (command.help or "").splitlines() if line.strip().startswith("edgedeploy ")
        for words in _edgedeploys(shlex.split(line, comments=True))
    ]  # fmt: skip


def commands(group: click.Group = cli, path: str = "edgedeploy") -> Iterator[tuple[str, click.Command]]:
    """Every command there is, with its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def parsed(words: tuple[str, ...], *, resilient_parsing: bool = False) -> list[click.Context]:
    """The contexts from `edgedeploy` to the command, all arguments read, nothing run.

    Raises click.UsageError as a user gets it. resilient_parsing: only a command that there is not is an error.
    """
    contexts = [cli.make_context("edgedeploy", list(words), resilient_parsing=resilient_parsing)]
    while isinstance(group := contexts[-1].command, click.Group):
        # what click keeps for the group's command
        left = [*contexts[-1]._protected_args, *contexts[-1].args]
        if not left:
            break
        name, command, rest = group.resolve_command(contexts[-1], left)
        assert command is not None
        contexts.append(command.make_context(name, rest, parent=contexts[-1], resilient_parsing=resilient_parsing))
    return contexts
