"""Signing, with a key of the user's own that is made when it is first needed and stays on this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from pathlib import Path

from device_runner.app import tools
from device_runner.state import state_root
from edgedeploy.errors import InternalError

_SEC = 120
_ALIAS = "bench"
#: who made it; nothing of it is checked by anybody
_OWNER = "CN=edgedeploy bench"
_DAYS = "10000"
_VARIABLE = "EDGEDEPLOY_KEY_PASSWORD"


def key() -> tuple[Path, str]:
    """The key's file (PKCS #12, 0600) and its password, which lies beside it. Made anew where there is none."""
    directory = state_root() / "app"
    store, secret = directory / "key.p12", directory / "key.password"
    if not (store.is_file() and secret.is_file()):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".key-", dir=directory) as scratch:
            made, password = Path(scratch, "key.p12"), secrets.token_urlsafe(24)
            _run(
                [
                    str(tools.jdk("keytool")), "-genkeypair", "-keystore", str(made), "-storetype", "PKCS12", "-alias", _ALIAS,
                    "-keyalg", "RSA", "-keysize", "3072", "-validity", _DAYS, "-dname", _OWNER, "-storepass:env", _VARIABLE,
                ], password, "keytool",
            )  # fmt: skip
            word = Path(scratch, "key.password")
            word.touch(mode=0o600)
            word.write_text(password, "utf-8")
            made.chmod(0o600)
            # the password first: a key without it is made anew
            os.replace(word, secret)
            os.replace(made, store)
    return store, secret.read_text("utf-8")


def sign(unsigned: Path, signed: Path, tool_root: Path, min_sdk: int) -> None:
    """Schemes 2 and 3, which every Android that the app runs on checks. Raises InternalError."""
    store, password = key()
    _run(
        [
            *_apksigner(tool_root), "sign", "--ks", str(store), "--ks-key-alias", _ALIAS, "--ks-pass", f"env:{_VARIABLE}",
            "--min-sdk-version", str(min_sdk), "--v1-signing-enabled", "false", "--v4-signing-enabled", "false",
            "--out", str(signed), str(unsigned),
        ], password, "apksigner",
    )  # fmt: skip


def verified(apk: Path, tool_root: Path) -> str:
    """What `apksigner verify` says. Raises InternalError for an APK that Android would not install."""
    return _run([*_apksigner(tool_root), "verify", "--verbose", "--print-certs", str(apk)], "", "apksigner")


def _apksigner(tool_root: Path) -> list[str]:
    jars = f"{tool_root / 'apksigner.jar'}:{tool_root / 'apksig.jar'}"
    return [str(tools.jdk("java")), "-cp", jars, "com.android.apksigner.ApkSignerTool"]


def _run(command: list[str], password: str, what: str) -> str:
    # by the environment and not as an argument, which everybody on this machine could read
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SEC, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {_VARIABLE: password},
    )  # fmt: skip
    if done.returncode:
        raise InternalError(f"{what} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout
