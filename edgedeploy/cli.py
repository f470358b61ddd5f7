"""The command line: one file per command, imported only when it is called, so that `--help` stays instant."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import NoReturn

import click

from edgedeploy import __version__
from edgedeploy.errors import EdgedeployError
from edgedeploy.terminal import clean_lines

#: command -> the line `edgedeploy --help` shows; its module is edgedeploy.commands.<command>
COMMANDS = {
    "export": "Turn a model under an operator into artifact bundles.",
    "capabilities": "Print which operator goes with which runtime and kind of model.",
    "bench": "Measure bundles (or a bare model file) on a device.",
    "lab": "Work through many runs over many devices, unattended.",
    "partition": "Say where to cut a model that runs over two devices.",
    "compare": "Say whether one run is faster than another, and how sure that is.",
    "recommend": "Say which measured artifact to deploy, and why.",
    "report": "Draw runs: one HTML file, or Markdown for a pull request.",
    "show": "Print what a bundle is.",
    "verify": "Check a bundle: digests, schema, outputs.",
    "results": "List and show what was measured.",
    "devices": "Which devices there are, and whether they can be used.",
    "bundles": "Build and list what goes to a device.",
    "app": "Put plans into the Android app, for its screen.",
    "completion": "Print the shell's completion script.",
}


class _LazyGroup(click.Group):
    """Commands are modules with a `command`; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edgedeploy.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgedeploy")
def cli() -> None:
    """Export a model under a deployment operator, measure it on a device, and say which way to deploy it.

    \b
    Example:
      edgedeploy export --op dsptq
      edgedeploy bench --device local
    """


def _fail(message: str, kind: str, code: int, *, as_json: bool) -> NoReturn:
    # a message may quote a manifest's key, a path or what a device said
    click.echo(f"edgedeploy: {clean_lines(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"error": {"kind": kind, "message": message}}))
    sys.exit(code)


def _run(arguments: list[str], *, as_json: bool) -> NoReturn:
    try:
        result = cli.main(arguments, prog_name="edgedeploy", standalone_mode=False)
        # flushed here, so that a closed pipe is met inside the try and not at interpreter exit
        sys.stdout.flush()
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _fail("stopped; what was finished is kept", "interrupted", 130, as_json=as_json)
    except click.ClickException as error:
        _fail(error.format_message(), "user", 2, as_json=as_json)
    except EdgedeployError as error:
        _fail(str(error), error.kind, error.exit_code, as_json=as_json and not error.reported)
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}", "user", 2, as_json=as_json)


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point. Exit codes: 0 done, 1 something failed or is a bug of ours, 2 the user can fix it, 130 Ctrl-C."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for as long as we live)
    if sys.stdout is None:
        # the next file to be opened would take its number, and what is printed would go into that file
        click.echo("edgedeploy: stdout is closed; send it to /dev/null when it is not wanted", err=True)
        sys.exit(1)
    arguments = sys.argv[1:] if args is None else args
    try:
        _run(arguments, as_json="--json" in arguments)
    except BrokenPipeError:
        # the reader went away (`| head`)
        _stop_writing()
        sys.exit(1)
    except OSError as error:
        # a write names no file: stdout goes to a full disk, or the disk we work on is full
        _stop_writing()
        click.echo(f"edgedeploy: the system refused to go on: {error.strerror or error}", err=True)
        sys.exit(1)


def _stop_writing() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit is quiet."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
