"""A launch's directory on the device: laid out in one command, and what is in it fetched in one.

Constants for the device's own sh; everything that differs is an argument (see transports/posix.py, whose ways these take).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from device_runner.deadline import Deadline
from device_runner.retry import with_backoff
from device_runner.transports import posix
from edgedeploy.errors import TransientError

if TYPE_CHECKING:
    from device_runner.transports.base import Completed, Transport

#: of a plan that goes as an argument; an argument list over adb has 64 KB at most
MOST_PLAN_BYTES = 24_000
#: in one command, so that what they come to together is bounded too
_MOST_FILES = 16
#: files with more digits in their size are told of and not printed: numbers on a device may have 32 bits
_DIGITS = 6
# $3 the plan ("": none), $4 its digest, then pairs: a name in the directory, and what it is in the work root
_LAY_OUT = """
plan=$3 sum=$4 root=$1; shift 4
[ -d inputs ] || mkdir inputs || exit 84
while [ $# -gt 0 ]; do
  name=$1 stored=$root/$2; shift 2
  ln -f "$stored" "./$name" 2>/dev/null || cp "$stored" "./$name" || {
    rm -f "./$name"; [ -e "$stored" ] || { echo "$stored"; exit 82; }
    size "$stored"; exit 84
  }
done
[ -n "$plan" ] || exit 0
printf '%s' "$plan" > .plan.part || exit 84
[ "$(digest .plan.part)" = "$sum" ] || exit 86
mv -f .plan.part plan.json || exit 84
"""
# names in the directory. A size of so many digits or less, then the content; "-": not there
_FETCH = """
most=$3 here=$(pwd -P); shift 3
inside() { case $1 in */*) (cd -P "./${1%/*}" 2>/dev/null && case "$(pwd -P)/" in "$here"/*) ;; *) exit 1 ;; esac) ;; esac; }
for name; do
  if inside "$name" && [ -f "./$name" ] && [ ! -h "./$name" ]; then
    bytes=$(size "./$name")
    echo "$bytes"
    [ "${#bytes}" -gt "$most" ] || cat "./$name"
  else echo -; fi
done
echo end
"""


class Evicted(TransientError):
    """What was staged has been removed by another host, which had not heard of us for a day."""


class Full(TransientError):
    """There is no room on the device for what takes `needed_bytes`."""

    def __init__(self, said: str, needed_bytes: int) -> None:
        super().__init__(said)
        self.needed_bytes = needed_bytes


def lay_out(transport: Transport, directory: str, links: Mapping[str, str], plan: str, each_sec: float) -> None:
    """Make the directory and its `inputs`, and fill it: name in it -> path in the work root; and plan.json, unless it is "".

    Copies where there are no hard links: an Android shell may not make any. Raises Evicted when one of `links` is no longer
    there, Full for a device that is full.
    """
    digest = hashlib.sha256(plan.encode()).hexdigest()
    pairs = [word for pair in links.items() for word in pair]
    argv = posix.script(posix.MAKE + posix.TOOLS + _LAY_OUT, _root(transport), directory, plan, digest, *pairs)

    def attempt() -> Evicted | Full | None:
        done = transport.run(argv, Deadline.after(each_sec))
        said = done.text.strip()
        if done.exit_code == posix.ABSENT:
            return Evicted(f"{said[-200:]}: is gone from the device's cache")
        if done.exit_code and "No space left" in done.error_text:
            return Full(done.error_text, int(said) if said.isdecimal() and len(said) < 18 else len(plan))
        posix.check(done, directory)
        return None

    refused = with_backoff(attempt)
    if refused is not None:
        raise refused


def fetch(
    transport: Transport, directory: str, most_bytes: Mapping[str, int], scratch: Path, each_sec: float
) -> dict[str, Path]:
    """Those files of a launch that are there, by name, in `scratch`: small ones in one command, others each for itself.

    most_bytes: what each may have. each_sec: for a try of a command, or of a large file. Raises TransientError for a file that
    is larger.
    """
    there: dict[str, Path] = {}
    names = list(most_bytes)
    for start in range(0, len(names), _MOST_FILES):
        some = names[start : start + _MOST_FILES]
        argv = posix.script(posix.ENTER + posix.TOOLS + _FETCH, _root(transport), directory, str(_DIGITS), *some)
        found = with_backoff(lambda a=argv, s=some: parse(transport.run(a, Deadline.after(each_sec)), directory, s))  # type: ignore[misc]
        for name, (size, content) in found.items():
            if size > most_bytes[name]:
                most = most_bytes[name]
                raise TransientError(f"{directory}/{name}: has {size} bytes on the device, and {most} at most would be ours")
            there[name] = scratch / str(len(there))
            if content is not None:
                there[name].write_bytes(content)
            else:
                with_backoff(lambda n=name: transport.pull(f"{directory}/{n}", there[n], Deadline.after(each_sec)))  # type: ignore[misc]
    return there


def parse(completed: Completed, directory: str, names: Sequence[str]) -> dict[str, tuple[int, bytes | None]]:
    """(bytes, content) of the files that are there; None for the content of one that is too large to have come along.

    Raises TransientError where the answer is not whole.
    """
    if completed.exit_code == posix.ABSENT:
        return {}
    posix.check(completed, directory)
    found: dict[str, tuple[int, bytes | None]] = {}
    rest = memoryview(completed.stdout)
    for name in names:
        match = re.match(rb"([0-9]{1,18}|-)\n", rest[:20])
        if match is None:
            break
        rest = rest[match.end() :]
        if match[1] == b"-":
            continue
        size, comes = int(match[1]), len(match[1]) <= _DIGITS
        found[name] = size, bytes(rest[:size]) if comes else None
        rest = rest[size if comes else 0 :]
    # a file that grew meanwhile, or an answer that was cut short, does not end here
    if bytes(rest) != b"end\n":
        raise TransientError(f"{directory}: what a launch left was not sent to its end")
    return found


def _root(transport: Transport) -> str:
    return str(PurePosixPath(transport.path("runs")).parent)
