"""A connection that is there when it is needed: an event loop in a thread of its own behind calls that block.

A connection that dropped fails the call it dropped in, with TransientError; the next call opens a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import asyncssh

from device_runner.deadline import DeadlineExpired
from device_runner.transports.ssh_login import Login, log_in
from edgedeploy.errors import TransientError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.ssh_settings import Settings

T = TypeVar("T")
Action = Callable[[asyncssh.SSHClientConnection], Awaitable[T]]

#: to log in, jump hosts included; a deadline that is sooner counts
LOGIN_SEC = 20.0
#: what a call that was cut off gets to clean up behind itself on the device
GRACE_SEC = 5.0


class Link:
    """`ready` is run on each new connection before anything else is."""

    def __init__(self, settings: Settings, ready: Action[None]) -> None:
        self._settings, self._ready = settings, ready
        self._login: Login | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"ssh {settings.hop}", daemon=True)
        self._thread.start()

    def call(self, action: Action[T], deadline: Deadline, what: str) -> T:
        """Do `action` with a connection. Raises TransientError when that dropped, DeadlineExpired when there was no time."""
        deadline.check(what)
        return self._in_loop(self._bounded(action, deadline, what))

    def _in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            coroutine.close()
            raise TransientError(f"{self._settings.hop}: the transport was closed")
        over = threading.Event()

        async def told() -> T:
            try:
                return await coroutine
            finally:
                over.set()

        future = asyncio.run_coroutine_threadsafe(told(), self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C reaches the thread that waits, not the one that works: what runs there is ended, and waited for
            if future.cancel():
                over.wait(2 * GRACE_SEC)
            raise

    async def _bounded(self, action: Action[T], deadline: Deadline, what: str) -> T:
        try:
            async with asyncio.timeout(deadline.remaining) as timeout:
                login = await self._logged_in(deadline)
                return await action(login.connection)
        except TimeoutError as error:
            if timeout.expired():
                raise DeadlineExpired(f"{self._settings.hop}: no answer in time: {what}") from None
            raise self._dropped(error) from None
        except (asyncssh.Error, OSError) as error:
            raise self._dropped(error) from None

    async def _logged_in(self, deadline: Deadline) -> Login:
        if self._login is None or not self._login.open:
            self.drop()
            try:
                async with asyncio.timeout(min(LOGIN_SEC, deadline.remaining)):
                    login = await log_in(self._settings)
            except TimeoutError:
                raise DeadlineExpired(f"{self._settings.hop}: no answer in time: logging in") from None
            try:
                await self._ready(login.connection)
            except BaseException:
                login.abort()
                raise
            self._login = login
        return self._login

    def drop(self) -> None:
        """Give up the connection; to be called in the loop's thread."""
        login, self._login = self._login, None
        if login is not None:
            login.abort()

    def _dropped(self, error: Exception) -> TransientError:
        self.drop()
        reason = str(error)[:300] or type(error).__name__
        return TransientError(f"{self._settings.hop}: the connection was lost: {reason}")

    def close(self) -> None:
        """End the connection and the thread; a second time does nothing."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(GRACE_SEC)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE_SEC)
        if not self._thread.is_alive():
            self._loop.close()

    async def _wind_up(self) -> None:
        self.drop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=GRACE_SEC / 2)
        # its threads look up names; one that still does ends by itself
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._loop.shutdown_default_executor()), GRACE_SEC / 4)
