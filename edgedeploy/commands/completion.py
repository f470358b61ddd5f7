"""`edgedeploy completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    Example:
      edgedeploy completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    from edgedeploy.cli import cli

    completion = get_completion_class(shell)
    if completion is None:  # click ships all three; a build without one is not ours to repair
        raise click.UsageError(f"this click has no completion for {shell}")
    click.echo(completion(cli, {}, "edgedeploy", "_EDGEDEPLOY_COMPLETE").source())
