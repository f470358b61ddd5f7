"""`edgedeploy show`: what a bundle is."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The manifest and the digest as one JSON document.")
def command(path: Path, as_json: bool) -> None:
    """Print what BUNDLE is: operator, accuracy, parity, claims, where its heavy operators run.

    \b
    Example:
      edgedeploy show artifacts/fashion-lite0/dsptq/onnx-cpu
    """
    import json

    from edgedeploy import bundle
    from edgedeploy.describe import show

    read = bundle.read(path)
    if as_json:
        click.echo(json.dumps({"path": str(path), "digest": read.digest, "manifest": read.manifest.model_dump(mode="json")}))
    else:
        show(read)
