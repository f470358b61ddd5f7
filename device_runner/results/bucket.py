"""A folder of an S3 bucket: whole objects in and out, its failures as ours. The only file that knows the client library."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from edgedeploy.errors import TransientError, UserError

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_][A-Za-z0-9_.=+-]*)*)/?")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: requests at once: an answer takes tens of milliseconds, most of it waiting
_AT_ONCE = 32
#: a request that failed is not tried again after that
_PATIENCE_SEC = 60
_T = TypeVar("_T")


class Bucket:
    """url: s3://BUCKET/FOLDER. Who we are and where the server is, is said as every S3 program is told: AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, or the role of the machine. Raises UserError for an
    URL that is none, or where the client is not installed."""

    def __init__(self, url: str) -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise UserError(f"{url[:200]}: give s3://BUCKET or s3://BUCKET/FOLDER")
        self.url = f"s3://{found[1]}{found[2]}"
        self._endpoint = next((value for name in _ENDPOINTS if (value := os.environ.get(name))), "")
        try:
            from obstore.store import S3Store
        except ImportError:
            raise UserError("a store at an s3:// URL needs: pip install 'edgedeploy[object-store]'") from None
        plain = bool(_LOOPBACK.fullmatch(self._endpoint)) or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
        if self._endpoint.startswith("http://") and not plain:
            raise UserError(f"{self._endpoint} is not encrypted; use https, or say AWS_ALLOW_HTTP=true")
        where: dict[str, Any] = {"region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"}
        if self._endpoint:
            where["endpoint"] = self._endpoint
        patience = timedelta(seconds=_PATIENCE_SEC)
        how: Any = {"allow_http": plain, "timeout": 5 * patience, "connect_timeout": timedelta(seconds=10)}

        def client(retries: int) -> S3Store:
            again: Any = {"max_retries": retries, "retry_timeout": patience}
            return S3Store(found[1], prefix=found[2].strip("/") or None, client_options=how, retry_config=again, **where)

        self._client, self._once = client(5), client(0)
        self._conditional = True

    @property
    def key(self) -> str:
        """A name for directories, the same for the same folder of the same server."""
        readable = re.sub(r"[^a-z0-9]+", "-", self.url.removeprefix("s3://").lower())[:40].strip("-")
        return f"{readable}-{hashlib.sha256(f'{self._endpoint} {self.url}'.encode()).hexdigest()[:12]}"

    def list(self, folder: str) -> Iterator[tuple[str, int, str]]:
        """(name within the folder, bytes, what changes when the content does) of each object, by name."""
        with self._asked():
            for batch in self._client.list(f"{folder}/", chunk_size=1000):
                for each in batch:
                    yield str(each["path"]).removeprefix(f"{folder}/"), int(each["size"]), str(each["e_tag"] or "").strip('"')

    def get(self, name: str, most: int) -> bytes | None:
        """None where there is no such object. Raises UserError for one of over `most` bytes."""
        with self._asked():
            try:
                answer = self._client.get(name)
                if answer.meta["size"] > most:
                    raise UserError(f"{self.url}/{name}: over {most} bytes, not one of ours")
                return bytes(answer.bytes())
            except FileNotFoundError:
                return None

    def has(self, name: str) -> bool:
        with self._asked():
            try:
                self._client.head(name)
            except FileNotFoundError:
                return False
            return True

    def put(self, name: str, content: bytes | Path) -> None:
        """Write an object whole, or replace it."""
        with self._asked():
            self._client.put(name, content)

    def create(self, name: str, content: bytes | Path) -> bool:
        """Write an object that is not there yet; False where it is. Where the server cannot do that in one step, it is looked
        for first."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        if self._conditional:
            with self._asked():
                try:
                    self._once.put(name, content, mode="create")
                    return True
                except AlreadyExistsError:
                    return False
                except BaseError as error:
                    # anything else may pass: below it is tried again, and if it was written after all it is found
                    self._conditional = "NotImplemented" not in str(error)
        if self.has(name):
            return False
        self.put(name, content)
        return True

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is not there is as good."""
        with self._asked():
            for at in range(0, len(names), 1000):
                self._client.delete(list(names[at : at + 1000]))

    def each(self, do: Callable[[str], _T], names: Iterable[str]) -> Iterator[_T]:
        """`do` of each name, many at once, in their order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(do, names)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError:
            raise UserError(f"{self.url}: no such bucket; make it first") from None
        except (exceptions.BaseError, OSError) as error:
            said = " ".join(str(error).partition("Debug source:")[0].split())[:500]
            # of a listing that is refused the client only says what the server said
            refused = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
            if refused or "403 Forbidden" in said or "401 Unauthorized" in said:
                raise UserError(f"{self.url}: access denied; are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right?") from None
            if "NoSuchBucket" in said:
                raise UserError(f"{self.url}: no such bucket; make it first") from None
            if "169.254" in said or "credential" in said.lower():
                raise UserError(f"{self.url}: no credentials; say AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
            raise TransientError(f"{self.url}: {said}") from None
