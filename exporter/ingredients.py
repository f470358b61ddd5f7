"""What a subject is made of that is not in its name: files, folders and packages whose contents and versions count."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import UserError
from exporter.given import COMPANIONS, TENSORFLOW_FORMS, form_of, runtime_of
from exporter.python_code import inside, source_of
from exporter.subjects.zoo.hf_shapes import SHAPES
from exporter.subjects.zoo.reference import RANDOM, Reference, is_reference, parse
from exporter.subjects.zoo.study import PAIRS

#: what builds the models of each zoo, and prepares their examples
_PACKAGES = {
    "timm": ("timm", "torchvision", "pillow"),
    "torchvision": ("torchvision", "pillow"),
    "hf": ("transformers", "pillow"),
}
#: what a folder of transformers is read for
_READ_OF_A_FOLDER = (".json", ".safetensors")
_VERSIONS = (
    "from importlib.metadata import distributions as d; "
    "print(*sorted({f'{x.name}={x.version}' for x in d() if str(x.name).startswith(('tensorflow', 'keras'))}))"
)


@dataclass(frozen=True)
class Ingredients:
    """files: all that is read. packages: of this Python. others: versions of what runs elsewhere, as it tells them."""

    files: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def of(subject: str, weights: str | None, student: str | None) -> Ingredients | None:
    """What the subject as typed is made of; None where not all of it is known.

    Of a subject from Python code only its own file is told here: what it imports and reads is known once it has run (see
    `python_code`), and the folder it runs in counts. What a hub holds under a name may change.
    Raises UserError or OSError where something named is not there.
    """
    if subject in PAIRS or is_reference(subject):
        return _of_zoo(subject, weights, student)
    source = source_of(subject)
    if source is not None:
        return Ingredients(tuple(inside(source)), others=(str(Path.cwd()), platform.python_version()))
    path = Path(subject)
    if form_of(subject) in TENSORFLOW_FORMS:
        return Ingredients(tuple(inside(path)), others=(_tensorflow(path),))
    if not subject.endswith(".pt2") and runtime_of(subject) is None:
        return Ingredients()
    # weights that may lie beside an .onnx
    beside = (Path(subject + end) for end in COMPANIONS)
    return Ingredients((*inside(path), *(each for each in beside if each.is_file())))


def _of_zoo(subject: str, weights: str | None, student: str | None) -> Ingredients | None:
    pair = PAIRS.get(subject)
    model = parse(pair.model if pair is not None else subject, weights)
    references = [model]
    theirs = student or (pair.student if pair is not None else None)
    if theirs is not None:
        references.append(parse(theirs, RANDOM if model.random and "@" not in theirs else None))
    files: list[Path] = []
    for reference in references:
        read = _read(reference)
        if read is None:
            return None
        files += read
    return Ingredients(tuple(files), tuple(package for each in references for package in _PACKAGES[each.zoo]))


def _read(reference: Reference) -> list[Path] | None:
    """The files of a reference; None where something of it is a hub's."""
    if reference.folder is not None:
        own = [each for each in inside(reference.folder) if each.suffix in _READ_OF_A_FOLDER]
        return [*own, *([reference.weights] if isinstance(reference.weights, Path) else [])]
    if reference.zoo == "hf" and not (reference.random and reference.name in SHAPES):
        return None
    if reference.random:
        return []
    return [reference.weights] if isinstance(reference.weights, Path) else None


def _tensorflow(path: Path) -> str:
    """The versions of TensorFlow and Keras by which the model would be converted."""
    from exporter.given.tensorflow import python_for

    told = subprocess.run([python_for(path), "-P", "-c", _VERSIONS], capture_output=True, text=True, timeout=60, check=False)
    if told.returncode or not told.stdout.strip():
        raise UserError(f"{path}: the Python that is to convert it does not tell its version of TensorFlow")
    return told.stdout.strip()
