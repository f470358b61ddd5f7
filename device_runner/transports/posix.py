"""What is done with files on a device through its own tools: argument lists for a POSIX sh with coreutils, busybox or toybox.

Names and paths are arguments of a constant script, never text of it, so nothing in them is obeyed. Each script enters the
directory of what it is about, makes sure that this is below the work root wherever links may lead, and then works on a plain
name in it. What came of it is a word on stdout and an exit code from the list below.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from device_runner.transports.base import Completed, NoRoom, Stat, relative
from edgedeploy.errors import TransientError, UserError

#: exit codes of the scripts, apart from those of the tools they call
_NO_ROOT, ABSENT, _OUTSIDE, _NOT_MADE, _DIRECTORY, DAMAGED, FULL, _NO_DIGEST = range(81, 89)

#: $1 the work root, $2 a directory below it ("": none), which is entered
ENTER = """
umask 077; set -f
cd -P "$1" 2>/dev/null && [ "$(pwd -P)" = "$1" ] || exit 81
[ -z "$2" ] || cd -P "./$2" 2>/dev/null || exit 82
case "$(pwd -P)/" in "$1"/*) ;; *) exit 83 ;; esac
"""
#: the same, the directory being made. One at a time: none is made before it is known that the one around it is inside
MAKE = """
umask 077; set -f
cd -P "$1" 2>/dev/null && [ "$(pwd -P)" = "$1" ] || exit 81
ifs=$IFS; IFS=/
for part in $2; do
  [ -d "./$part" ] || mkdir "./$part" || exit 84
  cd -P "./$part" || exit 84
  case "$(pwd -P)/" in "$1"/*) ;; *) exit 83 ;; esac
done
IFS=$ifs
"""
#: digest and size of a file, room in kB
# openssl is slower to start and then several times as quick (measured: 4 times on x86_64, Debian's coreutils)
TOOLS = """
digest() {
  if ! command -v sha256sum >/dev/null 2>&1; then openssl dgst -sha256 -r < "$1"
  elif [ "$(size "$1")" -gt 4194304 ] && command -v openssl >/dev/null 2>&1; then
    openssl dgst -sha256 -r < "$1" 2>/dev/null || sha256sum < "$1"
  else sha256sum < "$1"; fi | { read -r value rest; echo "$value"; }
}
size() { set -- $(ls -ldn "$1"); echo "$5"; }
free() { set -- $(df -Pk . 2>/dev/null | sed -n '$p'); echo "${4:-}"; }
put() { chmod "$3" "$1" && { [ ! -h "./$2" ] || rm -f "./$2"; } && [ ! -d "./$2" ] && mv -f "$1" "./$2"; }
can_digest() { command -v sha256sum >/dev/null 2>&1 || command -v openssl >/dev/null 2>&1 || exit 88; }
"""

_ROOT = """
umask 077
case $1 in
  '') root=$HOME/.cache/edgedeploy-device ;;
  '~/'*) root=$HOME/${1#'~/'} ;;
  *) root=$1 ;;
esac
mkdir -p "$root" && chmod 700 "$root" && cd -P "$root" && pwd -P
"""
_STAT = """
if [ -h "./$3" ]; then echo other 0
elif [ -f "./$3" ]; then echo file "$(size "./$3")"
elif [ -d "./$3" ]; then echo directory 0
elif [ -e "./$3" ]; then echo other 0
else exit 82; fi
"""
_PREPARE = """
can_digest
if [ -d "./$3" ] && [ ! -h "./$3" ]; then exit 85; fi
if [ -f "./$3" ] && [ ! -h "./$3" ] && [ "$(size "./$3")" = "$5" ] && [ "$(digest "./$3")" = "$4" ]; then
  chmod "$6" "./$3" && echo same && exit 0
fi
set +f; rm -f "./.$3".*.part
echo send "$(free)"
"""
# the exit code says what is wrong before the partial file goes, since its going frees the space it took
_RECEIVE = """
part="./.$3.$$.part"; trap 'rm -f "$part"' EXIT; set -C
cat > "$part" || { left=$(free); [ "${left:-9999}" -gt 64 ] && exit 84 || exit 87; }
[ "$(digest "$part")" = "$4" ] || exit 86
put "$part" "$3" "$5" || exit 85
"""
# for what came another way than by stdin; also drops what earlier tries that were cut off left behind
_FINISH = """
can_digest
[ "$(digest "./$6")" = "$4" ] || { rm -f "./$6"; exit 86; }
put "./$6" "$3" "$5" || { rm -f "./$6"; exit 85; }
set +f; rm -f "./.$3".*.part
"""
_FETCH = """
[ -f "./$3" ] && [ ! -h "./$3" ] || exit 82
exec cat "./$3"
"""
_REMOVE = 'rm -rf "./$3"'
# the number alone may be another program's by now; with its start it is not. Emulated, a program believes to have started when
# its emulator did, a little later than it is known to the kernel: 10 s are allowed
_END = """
[ -r "/proc/$1/stat" ] || exit 0
read -r stat < "/proc/$1/stat"
set -f; set -- "$1" "$2" ${stat##*) }
late=$(($2 - ${22})); [ "$late" -ge 0 ] && [ "$late" -le 1000 ] || exit 0
kill -KILL "-$1" 2>/dev/null || kill -KILL "$1"
"""


def script(text: str, *arguments: str) -> list[str]:
    """A program of the device's sh, and its arguments."""
    return ["sh", "-c", text, "sh", *arguments]


def _place(root: str, path: str) -> tuple[str, str, str]:
    """(root, directory below it, name), as the scripts take them."""
    pure = relative(path)
    parent = str(pure.parent)
    return root, "" if parent == "." else parent, pure.name


def make_root(directory: str) -> list[str]:
    """Make the work root, for its owner alone, and print where it is. "" is ~/.cache/edgedeploy-device."""
    return script(_ROOT, directory)


def root_of(completed: Completed) -> str:
    """The answer to `make_root`. Raises UserError when it cannot be made, or is nothing to build paths from."""
    root = completed.text.removesuffix("\n")
    if completed.exit_code:
        detail = completed.error_text or f"exit code {completed.exit_code}"
        raise UserError(f"the device's work directory cannot be made: {detail}; set work_root to one that can be written")
    pure = PurePosixPath(root)
    if not pure.is_absolute() or str(pure) != root or len(pure.parts) < 2 or "=" in root or not root.isprintable():
        raise UserError(f"the device's work directory is {root[:200]!r}, which cannot be used; set work_root to another one")
    return root


def stat(root: str, path: str) -> list[str]:
    """Print kind and size in bytes."""
    return script(ENTER + TOOLS + _STAT, *_place(root, path))


def stat_of(completed: Completed, path: str) -> Stat | None:
    """The answer to `stat`."""
    if completed.exit_code == ABSENT:
        return None
    check(completed, path)
    kind, _, size = completed.text.strip().partition(" ")
    if kind not in ("file", "directory", "other") or not size.isdecimal() or len(size) > 18:
        raise TransientError(f"{path}: the device does not say what it is")
    return Stat(kind, int(size))  # type: ignore[arg-type]


def prepare(root: str, path: str, sha256: str, size_bytes: int, mode: str) -> list[str]:
    """Print `same` when a file of this content is there already, its mode set; `send` and the free space in kB otherwise.

    The directory is made, and what a push that was cut off has left beside the file is removed.
    """
    return script(MAKE + TOOLS + _PREPARE, *_place(root, path), sha256, str(size_bytes), mode)


def to_send(completed: Completed, path: str, size_bytes: int) -> bool:
    """The answer to `prepare`: whether to send. Raises NoRoom when there is no room for it."""
    check(completed, path)
    word, _, free_kb = completed.text.strip().partition(" ")
    if word not in ("same", "send"):
        raise TransientError(f"{path}: the device does not say whether it is there")
    if word == "send" and free_kb.isdecimal() and len(free_kb) < 18 and int(free_kb) * 1024 < size_bytes:
        raise no_room(path, f"it has {int(free_kb) / 1024:.1f} MiB free and {size_bytes / 2**20:.1f} are needed")
    return word == "send"


def no_room(path: str, detail: str) -> NoRoom:
    """The error for a device that is full."""
    return NoRoom(f"{path}: no room on the device: {detail}; free some, or set work_root to another file system")


def receive(root: str, path: str, sha256: str, mode: str) -> list[str]:
    """Write stdin beside `path`, and put it there when it is of that digest. After `prepare`."""
    return script(ENTER + TOOLS + _RECEIVE, *_place(root, path), sha256, mode)


def finish(root: str, path: str, sha256: str, mode: str, incoming: str) -> list[str]:
    """Put the file `incoming`, a name beside `path`, there when it is of that digest; else it is removed."""
    return script(ENTER + TOOLS + _FINISH, *_place(root, path), sha256, mode, incoming)


def fetch(root: str, path: str) -> list[str]:
    """Print the file's content."""
    return script(ENTER + _FETCH, *_place(root, path))


def remove(root: str, path: str) -> list[str]:
    """Remove a file, a link (not what it leads to) or a whole directory."""
    return script(ENTER + _REMOVE, *_place(root, path))


def end(pid: int, started: int) -> list[str]:
    """Kill the process group that `pid` leads, if that is still what started then: field 22 of its stat, in 10 ms."""
    return script(_END, str(pid), str(started))


def check(completed: Completed, path: str) -> None:
    """Raise the error that an exit code of a script stands for."""
    code = completed.exit_code
    if code == 0:
        return
    if code == _OUTSIDE:
        raise UserError(f"{path!r} leads out of the device's work directory")
    if code == _DIRECTORY:
        raise UserError(f"{path}: cannot be put there: a directory of that name is in the way on the device")
    if code == FULL:
        raise no_room(path, "it is full")
    if code == _NO_DIGEST:
        raise UserError("the device has neither sha256sum nor openssl, so what arrives there cannot be checked; install one")
    reasons = {
        _NO_ROOT: "the work directory is gone from the device",
        ABSENT: "not on the device",
        DAMAGED: "arrived damaged",
    }
    raise TransientError(f"{path}: {reasons.get(code) or completed.error_text or f'failed on the device, exit code {code}'}")
