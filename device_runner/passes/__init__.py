"""What is measured in launches of its own, after the timed ones: it would change what they measure."""

from __future__ import annotations

from typing import Literal

Pass = Literal["memory", "profile"]
#: in the order they are done
PASSES: tuple[Pass, ...] = ("memory", "profile")
