"""How a device is set for a run and put back afterwards. In a plan, and per device in the inventory."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from edgedeploy.signature import Strict

#: names of cpufreq governors: performance, schedutil, …
Governor = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Preparation(Strict):
    """What is not asked for is left as it is found."""

    #: of every CPU; needs root there
    governor: Governor | None = None
    #: Android: the screen stays on while the phone is plugged in
    stay_awake: bool = False
    #: Android: clocks that can be held, where the phone's maker has built that in
    fixed_performance: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything is to be changed."""
        return self != Preparation()
