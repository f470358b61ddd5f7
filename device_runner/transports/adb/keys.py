"""The key that phones know this computer by: adb's own, made when there is none yet.

The public half is in Android's format: a C struct of little-endian 32-bit words (how many words, -1/n mod 2^32, n, 2^4096 mod
n, e), base64, and a name for a person to recognise.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BITS = 2048
_WORDS = _BITS // 32


class Signer:
    """What adb-shell asks for a key: to sign a token, and for the public half."""

    def __init__(self, key: RSAPrivateKey, public: str) -> None:
        self._key, self._public = key, public

    def Sign(self, data: bytes) -> bytes:
        """The signature of a 20-byte token, which stands where a SHA-1 digest would."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, utils

        # which hash is the protocol's choice; the token is random and is signed as it is
        digest = utils.Prehashed(hashes.SHA1())  # noqa: S303
        return self._key.sign(bytes(data), padding.PKCS1v15(), digest)

    def GetPublicKey(self) -> str:
        """One line, as it goes into a phone's list of keys."""
        return self._public


def signer(path: Path) -> Signer:
    """The key in `path`, made for this user alone (0600) when there is none. Raises UserError when it cannot be used."""
    if not path.exists():
        _create(path)
    key = _load(path)
    return Signer(key, public_line(key))


def public_line(key: RSAPrivateKey) -> str:
    """The public half in Android's format."""
    numbers = key.public_key().public_numbers()
    n = numbers.n
    size = _BITS // 8
    inverse = (-pow(n, -1, 2**32)) % 2**32
    words = struct.pack("<II", _WORDS, inverse) + n.to_bytes(size, "little")
    words += pow(2, 2 * _BITS, n).to_bytes(size, "little") + struct.pack("<I", numbers.e)
    return f"{base64.b64encode(words).decode()} {_name()}"


def _name() -> str:
    user = "unknown"
    # a container may run as a user without a name
    with contextlib.suppress(KeyError, OSError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname() or 'unknown'}"


def _load(path: Path) -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key: Any = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): it is the key that phones know this computer by") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is no private key of adb ({error}); move it away to have a new one made") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size != _BITS:
        raise UserError(f"{path}: adb's keys are RSA of {_BITS} bits; move it away to have a new one made")
    return key


def _create(path: Path) -> None:
    """Both halves, each appearing whole; whoever comes first wins, and nothing that is there is overwritten."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _place(path, private, 0o600):
            _place(path.with_name(path.name + ".pub"), public_line(key).encode() + b"\n", 0o644)
    except OSError as error:
        raise UserError(f"{path} cannot be made ({error.strerror}): name another key_file") from None


def _place(path: Path, content: bytes, mode: int) -> bool:
    # mkstemp makes it 0600, so that the key is never readable by others, not even for a moment
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, mode)
        os.link(name, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(name)
    return True
