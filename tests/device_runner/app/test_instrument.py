"""What `am instrument` prints, read however it is cut and whatever a device says."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from device_runner.app.instrument import Said, argv

WHOLE = """\
INSTRUMENTATION_STATUS: line={"event":"hello","pid":1}
INSTRUMENTATION_STATUS_CODE: 0
INSTRUMENTATION_STATUS: line={"event":"warmup","count":5}
INSTRUMENTATION_STATUS_CODE: 0
INSTRUMENTATION_STATUS: line={"event":"progress","warmup_samples":5,"steady_samples":70}
INSTRUMENTATION_STATUS_CODE: 0
INSTRUMENTATION_STATUS: line={"event":"end","warmup_samples":5,"steady_samples":99}
INSTRUMENTATION_STATUS_CODE: 0
INSTRUMENTATION_RESULT: exit=0
INSTRUMENTATION_CODE: -1
"""


def said(*pieces: str) -> Said:
    heard = Said()
    for piece in pieces:
        heard.add(piece)
    return heard


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_cut_anywhere(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    heard = said(*(WHOLE[a:b] for a, b in itertools.pairwise(places)))
    assert [event["event"] for event in heard.events] == ["hello", "warmup", "progress", "end"]
    assert (heard.ended, heard.phase, heard.warmup_samples, heard.steady_samples, heard.reason) == (True, "end", 5, 99, "")


def test_until_then() -> None:
    heard = said(WHOLE[: WHOLE.index('INSTRUMENTATION_STATUS: line={"event":"end"')])
    assert (heard.ended, heard.phase, heard.steady_samples) == (False, "steady", 70)


def test_how_it_fails() -> None:
    crashed = said(
        "INSTRUMENTATION_RESULT: shortMsg=Process crashed.\nINSTRUMENTATION_RESULT: longMsg=java.lang.X\n",
        "INSTRUMENTATION_CODE: 0\r\n",
    )
    assert (crashed.ended, crashed.reason) == (True, "Process crashed.")
    absent = said(
        "INSTRUMENTATION_STATUS: Error=Unable to find instrumentation info\n",
        "android.util.AndroidException: INSTRUMENTATION_FAILED: a/.B\n",
    )
    assert (absent.ended, absent.reason) == (True, "Unable to find instrumentation info")


@given(st.text())
def test_anything(text: str) -> None:
    said("INSTRUMENTATION_STATUS: line=" + text, "\n" + text + "\n", "INSTRUMENTATION_RESULT: " + text + "\n")


def test_what_is_no_event_or_does_not_end_is_not_kept() -> None:
    for odd in ("[]", "1", "{", '{"event":1}', "[" * 100_000, '{"event":"progress","steady_samples":-1,"warmup_samples":true}'):
        heard = said(f"INSTRUMENTATION_STATUS: line={odd}\n")
        assert (heard.phase, heard.warmup_samples, heard.steady_samples) == ("hello", 0, 0)
    endless = Said()
    for _ in range(10):
        endless.add("x" * 2**20)
    assert len(endless._pending) <= 2**22
    for _ in range(1000):
        endless.add('\nINSTRUMENTATION_STATUS: line={"event":"progress"}\n')
    assert len(endless.events) == 100


def test_the_command() -> None:
    assert argv("a/.B", directory="runs/x/0", command="hello") == [
        "am", "instrument", "-w", "-r", "-e", "directory", "runs/x/0", "-e", "command", "hello", "a/.B",
    ]  # fmt: skip
