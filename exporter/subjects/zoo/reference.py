"""A model of a zoo by name, taken apart: `timm:resnet18`, `hf:./folder`, `torchvision:resnet18:96@weights.safetensors`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgedeploy.errors import UserError

Zoo = Literal["timm", "torchvision", "hf"]
ZOOS: tuple[Zoo, ...] = ("timm", "torchvision", "hf")
#: where a model's weights come from, besides a file: the hub, or a seed
PRETRAINED, RANDOM = "pretrained", "random"
FORM = "ZOO:NAME[:SIZE][@FILE.safetensors], with ZOO one of timm, torchvision, hf"

_SIZE = re.compile(r"^(?P<name>.+):(?P<size>[0-9]+)$")
#: a name on a hub: an organisation at most, and no step out of it
_HUB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
#: sides of an image in pixels, lengths of a text in tokens
_LEAST_SIZE, _LARGEST_SIZE = 8, 8192


@dataclass(frozen=True)
class Reference:
    """One model of a zoo.

    name: in the zoo, or a folder for `hf` (then `folder` says which).
    size: pixels of an image's side, or tokens of a text; None for what the model was made for.
    weights: "pretrained", "random", or a safetensors file.
    """

    zoo: Zoo
    name: str
    size: int | None
    weights: str | Path

    @property
    def folder(self) -> Path | None:
        """The local folder that an `hf` reference names; None for a name on the hub."""
        local = self.zoo == "hf" and (self.name.startswith((".", "/", "~")) or Path(self.name).is_dir())
        return Path(self.name).expanduser() if local else None

    @property
    def random(self) -> bool:
        """Whether the weights are drawn from a seed."""
        return self.weights == RANDOM

    @property
    def title(self) -> str:
        """As a person would write it."""
        return f"{self.zoo}:{self.name}{'' if self.size is None else f':{self.size}'}"

    @property
    def subject_name(self) -> str:
        """A name that can be a folder, and that says when the weights are random or a file's."""
        base = self.folder.resolve().name if self.folder is not None else self.name
        parts = [self.zoo, base, *([] if self.size is None else [str(self.size)])]
        if isinstance(self.weights, Path):
            parts.append(self.weights.stem)
        elif self.random:
            parts.append(RANDOM)
        return re.sub(r"[^A-Za-z0-9_.+-]+", "-", "-".join(parts))[:100]


def is_reference(name: str) -> bool:
    """Whether `name` is meant as a model of a zoo."""
    return name.split(":", 1)[0] in ZOOS and ":" in name


def parse(text: str, weights: str | None) -> Reference:
    """What `text` names, with the weights that `weights` asks for: "pretrained" (also None), "random", or a file.

    Raises UserError where it is not of the form, where two weights are asked for, or where the file is no safetensors.
    """
    zoo, _, rest = text.partition(":")
    if zoo not in ZOOS or not rest:
        raise UserError(f"{text!r} names no model of a zoo; write {FORM}.")
    name, at, file = rest.partition("@")
    sized = _SIZE.match(name)
    size = int(sized["size"]) if sized else None
    name = sized["name"] if sized else name
    if size is not None and not _LEAST_SIZE <= size <= _LARGEST_SIZE:
        raise UserError(f"{text!r}: a size is {_LEAST_SIZE} to {_LARGEST_SIZE} pixels or tokens, not {size}.")
    if at and not file:
        raise UserError(f"{text!r}: there is no file after the @; write {FORM}.")
    if file and weights is not None:
        raise UserError(f"{text!r} names its weights already; leave --weights {weights} out.")
    asked = file or weights or PRETRAINED
    made = Reference(zoo, name, size, asked if asked in (PRETRAINED, RANDOM) else _file(asked))
    if made.folder is not None:
        if not (made.folder / "config.json").is_file():
            raise UserError(f"{made.folder} has no config.json; give a folder that save_pretrained of transformers wrote.")
    elif not _HUB_NAME.fullmatch(name):
        raise UserError(f"{text!r}: {name!r} is no name of a model; write {FORM}.")
    return made


def _file(text: str) -> Path:
    path = Path(text).expanduser()
    if path.suffix != ".safetensors":
        raise UserError(
            f"weights are pretrained, random or a .safetensors file, not {text!r}; pickled weights are not read: convert "
            "them with safetensors.torch.save_file."
        )
    if not path.is_file():
        raise UserError(f"there is no file {text}.")
    return path
