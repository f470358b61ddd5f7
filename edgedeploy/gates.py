"""Gates: what must hold on a device before a launch may start. In a plan, and per device in the inventory."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgedeploy.limits import MAX_SECONDS
from edgedeploy.signature import Strict

#: long enough for a phone to cool down from a run, short enough that a night of launches ends
DEFAULT_TIMEOUT_SECONDS = 300.0


class Gates(Strict):
    """What is None is not asked for. A launch whose gate does not open within `timeout_seconds` is not valid."""

    #: of the hottest sensor
    max_temperature_c: Annotated[float, Field(ge=-40, le=150)] | None = None
    #: load average over 1 minute
    max_load: Annotated[float, Field(ge=0, le=10_000)] | None = None
    min_battery_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    timeout_seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS)] = DEFAULT_TIMEOUT_SECONDS

    @property
    def asked(self) -> bool:
        """Whether there is any gate."""
        return any(value is not None for value in (self.max_temperature_c, self.max_load, self.min_battery_percent))
