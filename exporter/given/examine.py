"""The process that reads a given file first: `python -m exporter.given.examine FILE COPY MEMORY`.

Copies it, loads the copy on its runtime, runs it once on zeros, and tells what it is in one line of JSON on stdout:
inputs, outputs (name, dtype, shape), parameters, macs, family, small, changes; or refused, with the reason.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from exporter.given.probe import limit


class Refused(Exception):
    """The file cannot be used; the message says why and what to do."""


def main(source: Path, copy: Path, memory: int) -> None:
    """Examine one file."""
    # whatever a runtime prints must not come between
    out = os.dup(1)
    os.dup2(2, 1)
    limit(memory)
    module = importlib.import_module(f"exporter.given.{source.suffix.lower().removeprefix('.')}_file")
    try:
        told: dict[str, Any] = module.examine(source, copy)
    except MemoryError:
        told = {"refused": f"it needs more memory than the {memory >> 30} GB it may have"}
    except UnicodeDecodeError:
        told = {"refused": "it is damaged: a name in it is no text"}
    except Exception as error:  # readers and runtimes raise whatever they like
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        told = {"refused": said.replace(str(copy), source.name)[:500]}
    os.write(out, (json.dumps(told) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    # a damaged model can make the destructors of a runtime crash, after all is told
    sys.stdout.flush()
    os._exit(0)
