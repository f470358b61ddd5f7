"""Files below a transport's work root: what is where, put and removed, with no link leading out of it.

The little programs here are for the device's own shell (mksh with toybox on Android): they are constants, and everything
that differs is an argument. Each goes into a directory with `cd -P`, sees where it is, and from then on names nothing but what
is in it, so that a link that is planted in between leads nowhere.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from device_runner.transports.adb import shell
from device_runner.transports.base import NOT_FOUND, NoRoom, relative
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.adb.stream import Link
    from device_runner.transports.adb.sync import Found, Sync

_GONE, _OUTSIDE, _DIFFERS, _FAILED, _NO_TOOL = 81, 82, 83, 84, 85
#: $1 the work root, $2 a directory below it
_ENTER = f"""
cd -P "$1/$2" 2>/dev/null || exit {_GONE}
case "$(pwd -P)/" in "$1"/*) ;; *) exit {_OUTSIDE};; esac
digest() {{ command -v sha256sum >/dev/null || exit {_NO_TOOL}; sum=$(sha256sum < "$1") || exit {_FAILED}; sum=${{sum%% *}}; }}
"""
_MAKE_ROOT = f'umask 077; mkdir -p "$1" && cd -P "$1" && pwd -P || exit {_FAILED}'
#: $3 name, $4 digest, $5 mode
_HAS = f"""{_ENTER}
[ -f "./$3" ] && [ ! -L "./$3" ] || exit {_DIFFERS}
digest "./$3"
[ "$sum" = "$4" ] || exit {_DIFFERS}
chmod "$5" "./$3" || exit {_FAILED}
"""
#: $3 name, $4 digest, $5 mode, $6 name it was sent under; also drops what earlier tries that were cut off left behind
_FINISH = f"""{_ENTER}
digest "./$6"
[ "$sum" = "$4" ] || {{ rm -f "./$6"; exit {_DIFFERS}; }}
chmod "$5" "./$6" || exit {_FAILED}
[ ! -L "./$3" ] || rm -f "./$3"
[ ! -d "./$3" ] || {{ echo "a directory is in its place" >&2; rm -f "./$6"; exit {_FAILED}; }}
mv -f "./$6" "./$3" || exit {_FAILED}
rm -f "./.$3".*.part
"""
#: $3 name
_REMOVE = f"""{_ENTER}
rm -rf "./$3"
[ ! -e "./$3" ] && [ ! -L "./$3" ] || exit {_FAILED}
"""


class Storage:
    """The work root of one device. `root` is where it really is, links resolved."""

    def __init__(self, link: Link, work_root: str, deadline: Deadline) -> None:
        self._link = link
        done = shell.run(link, ["sh", "-c", _MAKE_ROOT, "sh", work_root], deadline)
        root = done.text.strip()
        if done.exit_code or not root.startswith("/") or not root.isprintable():
            raise UserError(
                f"{work_root} cannot be made on the device ({done.error_text or root[:200]}): name another work_root"
            )
        self.root = root

    def path(self, path: str) -> str:
        return f"{self.root}/{relative(path)}"

    def look(self, sync: Sync, path: str) -> Found | None:
        """What is at `path`. Raises UserError when a link above it could lead out of the work root."""
        pure = relative(path)
        above = [str(parent) for parent in reversed(pure.parents) if parent.parts]
        *parents, found = sync.look([f"{self.root}/{step}" for step in [*above, str(pure)]])
        if any(parent is not None and parent.is_link for parent in parents):
            raise UserError(f"{path!r} leads out of the device's work directory")
        return found

    def has(self, path: str, digest: str, mode: int, deadline: Deadline) -> bool:
        """Whether a file of that content is there; it is given its mode then."""
        code = self._script(_HAS, path, [digest, f"{mode:o}"], deadline, (0, _GONE, _DIFFERS))
        return code == 0

    def incoming(self, path: str, token: str) -> str:
        """The path that a file is sent under before it is checked and gets its own."""
        pure = relative(path)
        return str(pure.with_name(f".{pure.name}.{token}.part"))

    def finish(self, path: str, incoming: str, digest: str, mode: int, deadline: Deadline) -> None:
        """Give what was sent its name. Raises TransientError when it is not what was sent."""
        arguments = [digest, f"{mode:o}", PurePosixPath(incoming).name]
        if self._script(_FINISH, path, arguments, deadline, (0, _DIFFERS)) == _DIFFERS:
            raise TransientError(f"{path}: arrived damaged")

    def remove(self, path: str, deadline: Deadline) -> None:
        self._script(_REMOVE, path, [], deadline, (0, _GONE))

    def _script(self, text: str, path: str, arguments: list[str], deadline: Deadline, expected: tuple[int, ...]) -> int:
        pure = relative(path)
        argv = ["sh", "-c", text, "sh", self.root, str(pure.parent), pure.name, *arguments]
        done = shell.run(self._link, argv, deadline)
        if done.exit_code not in expected:
            raise _error(path, done.exit_code, done.error_text)
        return done.exit_code


def _error(path: str, code: int, said: str) -> EdgedeployError:
    if code == _OUTSIDE:
        return UserError(f"{path!r} leads out of the device's work directory")
    if code in (_NO_TOOL, NOT_FOUND):
        return UserError("the device has no sha256sum, with which what arrives is checked: Android 8 or newer has it")
    if "No space left" in said:
        return NoRoom(f"the device is full: make room on it ({path}: {said})")
    return TransientError(f"{path}: {said or f'exit code {code}'}")
