"""Headless Chromium over its own pipe: the DevTools protocol on two file descriptors, no port and no library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: a machine that is busy may take long to start it; nothing here waits so long otherwise
_DEADLINE_SEC = 120.0


class Page:
    """One page. `console`: what it complained of. `requests`: every address that it asked for."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._next, self._buffer = read, write, 0, b""
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """A command, answered. An error of the protocol fails the test."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._next:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        until = time.monotonic() + _DEADLINE_SEC
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium does not answer"
            given = os.read(self._read, 1 << 20)
            assert given, "Chromium ended"
            self._buffer += given
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._notice(message["method"], message["params"])
        return message

    def _notice(self, event: str, params: dict[str, Any]) -> None:
        self._events.append({"method": event, "params": params})
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.console.append(json.dumps(params["args"]))
        elif event == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))

    def open(self, file: Path, width: int = 1100, height: int = 900, scheme: str = "light") -> None:
        """Load a file, as in a window of that size under that system's colours."""
        self.view(width, height, scheme)
        self._events.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive()

    def view(self, width: int, height: int = 900, scheme: str = "light", media: str = "screen") -> None:
        """Change the window, the colours and the medium."""
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for what the page does by itself after an event."""
        by = time.monotonic() + _DEADLINE_SEC
        while not self.evaluate(condition):
            assert time.monotonic() < by, f"never so: {condition}"
            time.sleep(0.02)

    def press(self, key: str, text: str = "", code: int = 0, modifiers: int = 0) -> None:
        """A key, down and up."""
        details: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **details)
        self.call("Input.dispatchKeyEvent", type="keyUp", **details)

    def tab(self) -> None:
        """On to what the keyboard reaches next."""
        self.press("Tab", code=9)

    def enter(self) -> None:
        """Activate what is focused."""
        self.press("Enter", text="\r", code=13)

    def type(self, text: str) -> None:
        """Into what is focused, key by key."""
        for character in text:
            self.press(character, text=character)

    def screenshot(self, *, full: bool = True) -> bytes:
        """A PNG of the page, or of what the window shows of it."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"])

    def pdf(self) -> bytes:
        """As it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser of its own, ended with the block. It has no network: its proxy is an address where nothing listens."""
    commands, answers = os.pipe(), os.pipe()
    started = subprocess.Popen(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
         "--no-first-run", "--disable-background-networking", "--disable-component-update", "--proxy-server=127.0.0.1:9",
         "--hide-scrollbars", f"--user-data-dir={profile}"],
        preexec_fn=lambda: _place(commands[0], answers[1]), pass_fds=(3, 4), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(commands[0])
    os.close(answers[1])
    try:
        yield Page(answers[0], commands[1])
    finally:
        os.close(commands[1])
        os.close(answers[0])
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _place(commands: int, answers: int) -> None:
    """Chromium reads its commands from descriptor 3 and answers on 4."""
    # first out of the way: one of the two may itself be 3 or 4
    read, write = fcntl.fcntl(commands, fcntl.F_DUPFD, 10), fcntl.fcntl(answers, fcntl.F_DUPFD, 10)
    os.dup2(read, 3)
    os.dup2(write, 4)
