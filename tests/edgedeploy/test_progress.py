"""Progress lines where there is no terminal: none for what is over at once, one after two seconds, then now and then."""

from __future__ import annotations

import io

import pytest

from edgedeploy import progress


def test_lines_come_after_two_seconds_and_then_every_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    stream = io.StringIO()
    line = progress.StatusLine(stream)
    for now in (100.1, 101.9, 102.1, 103.0, 112.0, 112.2, 121.0, 122.3):
        line.now(f"at {now}")
    assert stream.getvalue() == "at 102.1\nat 112.2\nat 122.3\n"
