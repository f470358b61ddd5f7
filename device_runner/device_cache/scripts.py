"""The little programs that look after the cache, for the device's own sh: coreutils, busybox, or mksh with toybox.

Constants; everything that differs is an argument. Each enters the work root and names nothing but what is below it. No
arithmetic is done there: that of Android's mksh has 32 bits.

Below the root, `leases/<owner>/` is a host that uses the device: an empty file for each thing in use, and `until.from` with
the time, by the device's clock, at which the host last said so. It comes and goes as a whole, its time included. Who removes
first takes a file away from its name and only then looks whether it is leased; who uses first leases and only then looks
whether it is there. So either the one sees the lease, or the other sees that the file is gone and sends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

#: exit code when the work root is not there
NO_ROOT = 81
#: the file of a lease that has its time
STAMP = "until.from"

_ENTER = """
umask 077; set -f
root=$1; shift
cd -P "$root" 2>/dev/null && [ "$(pwd -P)" = "$root" ] || exit 81
inside() { case "$(pwd -P)/" in "$root"/*) ;; *) exit 83 ;; esac; }
"""
# $1 the root as a pattern. running: whether a program has a path below $2 of $1 (runners, runs) among its words; the pattern
# does not fit itself, so that this grep is not found. Word by word where there is tr: busybox's grep looks no further than the
# first NUL. Toybox's does, and has no tr everywhere
_RUNNING = r"""
pattern=$1; shift
words() { if command -v tr >/dev/null 2>&1; then tr '\000' '\n'; else cat; fi; }
running() { cat /proc/[0-9]*/cmdline 2>/dev/null | words | grep "$pattern/[r]un${1#run}/$2/" >/dev/null; }
"""
# one ls for all, so that it is in one order; more names than a program can be given are the store's alone, by its directory
_LIST = """
echo "now $(date +%s)"
set +f
for used in leases/*/*; do echo "uses $used"; done
for lease in leases/*/until.from; do [ -f "$lease" ] && read -r since < "$lease" && echo "lease $lease $since"; done
set -- store/* store/.*.part store/.*.going runners/*/*/*
if [ $# -le 8000 ]; then ls -lntd "$@" 2>/dev/null; else ls -lnt store; fi
exit 0
"""
# $1 owner, then the names
_USE = """
owner=$1; shift
[ -d leases ] || mkdir leases; cd -P leases && inside
if [ ! -d "./$owner" ]; then
  rm -rf "./.$owner.new"; mkdir "./.$owner.new" && date +%s > "./.$owner.new/until.from" || exit 84
  mv "./.$owner.new" "./$owner" || exit 84
fi
cd -P "./$owner" && inside
date +%s > .new && mv -f .new until.from || exit 84
for name; do : > "./$name" || exit 84; done
set +f
for name; do
  [ -d "$root/runners/$name" ] && [ ! -h "$root/runners/$name" ] && touch -c "$root/runners/$name"/*/* 2>/dev/null
done
cd -P "$root/store" 2>/dev/null && inside && [ $# -gt 0 ] && touch -c "$@" 2>/dev/null
exit 0
"""
# pairs: an owner, and the time its lease must have to be the one that was looked at ("": whatever it is)
_RELEASE = """
cd -P leases 2>/dev/null || exit 0
inside
while [ $# -gt 0 ]; do
  owner=$1 since=$2; shift 2
  there=; [ -f "./$owner/until.from" ] && read -r there < "./$owner/until.from"
  [ -z "$since" ] || [ "$there" = "$since" ] || continue
  rm -rf "./.$owner.old" && mv "./$owner" "./.$owner.old" 2>/dev/null && rm -rf "./.$owner.old"
done
exit 0
"""
# $1 owner, $2 a runner, $3 a directory of it; both "": the store, each of whose files is leased by its own name. Then names;
# prints those that are gone
_REMOVE = """
owner=$1 key=$2 part=$3; shift 3
place=store; [ -z "$key" ] || place=runners/$key/$part
cd -P "./$place" 2>/dev/null || exit 0
inside
set +f
leased() { for lease in "$root"/leases/*/"$1"; do [ -e "$lease" ] && return 0; done; return 1; }
[ -z "$key" ] || ! running runners "$key" || exit 0
for name; do
  mv -f "./$name" "./.$name.$owner.going" 2>/dev/null || continue
  if leased "${key:-$name}"; then mv -f "./.$name.$owner.going" "./$name"
  else rm -f "./.$name.$owner.going"; echo "$name"; fi
done
[ -z "$key" ] || { cd .. && rmdir "./$part" && cd .. && rmdir "./$key"; } 2>/dev/null
exit 0
"""
# names in the store that nobody has a claim to, such as what a push that was cut off has left
_DISCARD = 'cd -P store 2>/dev/null || exit 0; inside; for name; do rm -f "./$name"; done'
# launches that are left, those that run not among them
_FORGET = """
cd -P runs 2>/dev/null || exit 0
inside
set +f
for run in *; do
  [ -e "./$run" ] || continue
  running runs "$run" || { rm -rf "./$run" && echo "$run"; }
done
exit 0
"""


def _script(text: str, root: str, arguments: Sequence[str]) -> list[str]:
    return ["sh", "-c", _ENTER + text, "sh", root, *arguments]


def listing(root: str) -> list[str]:
    """Print the device's time, the leases, and every file of the cache, the one used last first."""
    return _script(_LIST, root, ())


def use(root: str, owner: str, names: Sequence[str]) -> list[str]:
    """Lease `names` to `owner`, and have those that are there used now. Without names, only renew the lease."""
    return _script(_USE, root, (owner, *names))


def release(root: str, leases: Mapping[str, str]) -> list[str]:
    """End leases: owner -> the time that was read of it, "" for one that is ended whatever it is."""
    return _script(_RELEASE, root, [word for pair in leases.items() for word in pair])


def remove(root: str, owner: str, names: Sequence[str], runner: tuple[str, str] = ("", "")) -> list[str]:
    """Remove files of the store, or of a directory of a runner (its name, the directory's), that nobody leases; print those."""
    return _script(_RUNNING + _REMOVE, root, (_literal(root), owner, *runner, *names))


def discard(root: str, names: Sequence[str]) -> list[str]:
    """Remove files of the store, whoever leases them."""
    return _script(_DISCARD, root, names)


def forget(root: str) -> list[str]:
    """Remove every launch that does not run; print their runs."""
    return _script(_RUNNING + _FORGET, root, (_literal(root),))


def _literal(text: str) -> str:
    """A basic regular expression that only that text fits."""
    return re.sub(r"[][\\.*^$]", r"\\\g<0>", text)
