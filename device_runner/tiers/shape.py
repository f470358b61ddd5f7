"""What a link is made to be for an experiment: so many Mbit/s and so many ms each way, as `--link 200mbit,2ms` has it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edgedeploy.errors import UserError

_FORM = "give a rate, a delay each way or both: 200mbit,2ms (rates: kbit, mbit, gbit; delays: us, ms, s)"
_RATES = {"kbit": 1e-3, "mbit": 1.0, "gbit": 1e3}
_DELAYS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([a-z]{1,5})")
#: a longer one is no link that a model is run over, and would hold too many bytes on their way
MAX_DELAY_MS = 10_000.0
MIN_MBIT_S, MAX_MBIT_S = 0.01, 100_000.0


@dataclass(frozen=True)
class Shape:
    """mbit_s: 10^6 bits a second each way, None: as fast as it goes. delay_ms: of each way, so a round trip has it twice."""

    mbit_s: float | None = None
    delay_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.mbit_s is None and self.delay_ms == 0:
            raise UserError(f"a link that is shaped has a rate or a delay; {_FORM}")
        if self.mbit_s is not None and not MIN_MBIT_S <= self.mbit_s <= MAX_MBIT_S:
            raise UserError(f"{self.mbit_s:g} Mbit/s cannot be a link's rate: {MIN_MBIT_S:g} to {MAX_MBIT_S:g} can")
        if not (math.isfinite(self.delay_ms) and 0 <= self.delay_ms <= MAX_DELAY_MS):
            raise UserError(f"{self.delay_ms:g} ms cannot be a link's delay: 0 to {MAX_DELAY_MS:g} can")

    def __str__(self) -> str:
        parts = [f"{self.mbit_s:g}mbit"] if self.mbit_s is not None else []
        return ",".join(parts + ([f"{self.delay_ms:g}ms"] if self.delay_ms else []))

    @property
    def bytes_per_sec(self) -> float | None:
        """The rate in bytes; None where there is none."""
        return self.mbit_s * 1e6 / 8 if self.mbit_s is not None else None


def parse(text: str) -> Shape:
    """The shape of "200mbit,2ms", "1mbit" or "20ms". Raises UserError that shows the form."""
    mbit_s: float | None = None
    delay_ms: float | None = None
    for part in text.strip().lower().split(","):
        match = _PART.fullmatch(part.strip())
        unit = match[2] if match else ""
        if match and unit in _RATES and mbit_s is None:
            mbit_s = float(match[1]) * _RATES[unit]
        elif match and unit in _DELAYS and delay_ms is None:
            delay_ms = float(match[1]) * _DELAYS[unit]
        else:
            raise UserError(f"{text[:100]!r} is not a link; {_FORM}")
    return Shape(mbit_s, delay_ms or 0.0)
