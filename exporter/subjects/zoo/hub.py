"""Files from the Hugging Face hub: configurations and safetensors only, never code, never a pickle."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedeploy.errors import UserError

#: what to do where weights cannot be had
INSTEAD = "--weights random exports it for its latency alone, --weights FILE.safetensors with weights of yours"
#: what to do where not even the shape of a model is known
A_FOLDER = "give a folder that has its config.json (hf:./folder), or choose another model"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")


def weights_file(repository: str, filename: str = "model.safetensors") -> Path:
    """The safetensors file of a repository, from the cache or the hub. Raises UserError where it cannot be had."""
    if not filename.endswith(".safetensors"):
        raise UserError(f"{repository} has its weights in {filename}; only safetensors are read. {INSTEAD}.")
    from huggingface_hub import hf_hub_download

    return Path(_fetched(repository, lambda **how: hf_hub_download(repository, filename, **how)))


def config_folder(repository: str, instead: str = A_FOLDER) -> Path:
    """A folder with the config.json of a repository. Raises UserError, which says `instead`, where it cannot be had."""
    from huggingface_hub import hf_hub_download

    return Path(_fetched(repository, lambda **how: hf_hub_download(repository, "config.json", **how), instead)).parent


def model_folder(repository: str) -> Path:
    """A folder with config.json and the safetensors of a repository. Raises UserError where it cannot be had."""
    from huggingface_hub import snapshot_download

    # asked for on its own first: a snapshot of which only a part is cached counts as there
    config_folder(repository, INSTEAD)
    folder = Path(
        _fetched(repository, lambda **how: snapshot_download(repository, allow_patterns=["config.json", *_WEIGHTS], **how))
    )
    if not any(folder.glob("*.safetensors")):
        with contextlib.suppress(UserError):
            weights_file(repository)
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{repository} has no model.safetensors on the hub, and other formats are not read; {INSTEAD}.")
    return folder


def _fetched(repository: str, get: Callable[..., Any], instead: str = INSTEAD) -> str:
    """The path that `get` gives: from the cache where it is there, otherwise from the hub."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        return str(get(local_files_only=True))
    _require_reachable(repository, instead)
    try:
        return str(get())
    except (HfHubHTTPError, OSError, ValueError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{repository} could not be had from the hub: {line[:200]}; {instead}.") from error


def require(repository: str, filename: str = "model.safetensors") -> None:
    """Raise UserError where a file is neither in the cache nor can the hub be asked for it; nothing is fetched."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        hf_hub_download(repository, filename, local_files_only=True)
    except LocalEntryNotFoundError:
        _require_reachable(repository, INSTEAD)


def _require_reachable(repository: str, instead: str) -> None:
    """Raise UserError at once where the hub's name is not known here: its client would retry for half a minute."""
    from huggingface_hub import constants

    behind_proxy = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    host = urllib.parse.urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"{repository} is not in the hub's cache, and HF_HUB_OFFLINE is set; {instead}.")
    if not behind_proxy:
        try:
            socket.getaddrinfo(host, 443)
        except OSError as error:
            raise UserError(f"{repository} is on the hub, and {host} is out of reach from here; {instead}.") from error
