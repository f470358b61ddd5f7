"""Numbers of the contracts, with the bounds that whatever reads them can rely on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: what counts bytes, operations and examples: never more than a file or a machine has, and a float can still hold it
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
#: the same, and at least one
Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]
#: a scale that the runner takes, and that float32 holds
Scale = Annotated[float, Field(ge=1e-38, le=1e38)]
ZeroPoint = Annotated[int, Field(ge=-128, le=255)]
#: what a device may differ by; finite when it is multiplied with a float32
Tolerance = Annotated[float, Field(ge=0, le=1e30)]
#: of a tensor, which has at most eight
Axis = Annotated[int, Field(ge=0, le=7)]
