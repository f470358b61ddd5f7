"""What bears on the meaning of samples: found, said with its numbers, and never thrown away. A page of docs/flags for each."""

from __future__ import annotations

#: every flag there is; docs/flags/NAME.md says what it means and what to do
FLAGS = ("warm-up", "drift", "outliers", "two-speeds", "apart", "throttled", "busy")


def page(flag: str) -> str:
    """The page of a flag, from the root of the sources."""
    return f"docs/flags/{flag}.md"
