"""`edgedeploy completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help="The script in one JSON document.")
def command(shell: str, as_json: bool) -> None:
    """Print the completion script of SHELL.

    \b
    Example:
      edgedeploy completion bash >> ~/.bashrc
    """
    import json

    from click.shell_completion import get_completion_class

    from edgedeploy.cli import cli

    completion = get_completion_class(shell)
    if completion is None:  # click ships all three; a build without one is not ours to repair
        raise click.UsageError(f"this click has no completion for {shell}")
    script = completion(cli, {}, "edgedeploy", "_EDGEDEPLOY_COMPLETE").source()
    click.echo(json.dumps({"shell": shell, "script": script}) if as_json else script)
