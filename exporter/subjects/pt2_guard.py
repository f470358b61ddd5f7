"""What may be in a `.pt2` before torch reads it.

`torch.export.load` unpickles what an archive asks it to (pickled weights, custom objects, sample inputs), evaluates
the strings of symbolic sizes, and looks operators up by dotted name. What `torch.export.save` writes for an ordinary
program needs none of the first and little of the others, so anything else is refused here. A program is still a
program: running one from somebody else is a matter of trust, as with any model, but opening it runs no code of theirs.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedeploy.errors import UserError

#: of the JSON parts; the graph of a large model has a few MB
_JSON_LIMIT = 128 << 20
_SAMPLE_LIMIT = 512 << 20
_TARGET = re.compile(
    r"torch\.ops(\.[A-Za-z]\w*){2,3}|torch\.sym_(max|min|float|int|not|ite|sum)"
    r"|_operator\.(getitem|add|sub|mul|neg|floordiv|truediv|mod|pow|le|lt|ge|gt|eq|ne|and_|or_|not_)"
)
#: the words that the sizes of a program with a variable batch are written in
_SIZE_WORDS = re.compile(
    "Symbol|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|True|False|positive|nonnegative|integer"
    r"|Eq|Ne|Le|Lt|Ge|Gt|[suz]\d+"
)
_SIZE_TOKEN = re.compile(r"\s*('[a-z]+\d+'|[A-Za-z_]\w*|\d+|[-+*/(),=<>%])")


def refuse_hostile(path: Path) -> None:
    """Raise UserError where the archive is not what `torch.export.save` writes for a program of tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
    except Exception as error:  # what a damaged archive or endlessly nested JSON raises is not of a few kinds
        raise UserError(
            f"{path} is not a program that can be opened safely: {error or type(error).__name__}. It must be one that "
            "torch.export.save of torch 2.8 or newer wrote, of tensors and ordinary operators."
        ) from error


def _check(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    inner = {name.split("/", 1)[1]: name for name in names if "/" in name}
    if "models/model.json" not in inner:
        raise ValueError("it has no models/model.json")
    for short, name in inner.items():
        if short.startswith("data/aotinductor/"):
            raise ValueError("it contains compiled code")
        if short.startswith("models/") and short != "models/model.json":
            raise ValueError("it contains more than one program")
        if short.startswith(("data/constants/custom_obj", "data/constants/opaque_obj")):
            raise ValueError("it contains pickled objects")
        if short.startswith("data/sample_inputs/"):
            _check_sample(_read(archive, name, _SAMPLE_LIMIT))
        elif short.endswith(".json"):
            _check_json(json.loads(_read(archive, name, _JSON_LIMIT)))


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} has more than {limit} bytes")
    return content


def _check_json(content: Any) -> None:
    for key, value in _pairs(content):
        if key == "use_pickle" and value is not False:
            raise ValueError("it has pickled tensors")
        if key == "target" and isinstance(value, str) and not _TARGET.fullmatch(value):
            raise ValueError(f"it calls {value[:80]!r}, which is no operator")
        if key == "expr_str":
            _check_size(value)


def _pairs(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value at any depth; a loop, since the depth is not ours to bound."""
    left = [content]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield from item.items()
            left += item.values()
        elif isinstance(item, list):
            left += item


def _check_size(expression: Any) -> None:
    place, text = 0, str(expression)
    while place < len(text.rstrip()):
        token = _SIZE_TOKEN.match(text, place)
        word = token.group(1) if token else "nothing known"
        if token is None or (word[0].isidentifier() and not _SIZE_WORDS.fullmatch(word)):
            raise ValueError(f"it has a size of {text[:80]!r}")
        place = token.end()


def _check_sample(content: bytes) -> None:
    """torch reads the sample inputs with weights_only, and without it where that fails: so it must not fail."""
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise ValueError("its sample inputs are more than tensors") from error
