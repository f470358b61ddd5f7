"""The link between two devices by itself: a far side without a model, the way to it, and a look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_runner.experiment import new_id
from device_runner.plan import PROTOCOL
from device_runner.session import Staged
from device_runner.tiers import link
from device_runner.tiers.far import TOKEN, FarSide
from device_runner.tiers.session import PairSession, open_pair
from edgedeploy.record import PathRecord

if TYPE_CHECKING:
    from device_runner.session import Session
    from device_runner.tiers.pair import Pair
    from edgedeploy.record import LinkLook, Plan

_START_SEC = 60.0
_MOST_SEC = 3600


@dataclass(frozen=True)
class OpenLink:
    """A far side that answers, as the near device reaches it. fields: what a near plan or a link.json says of it."""

    near: Session
    directory: str
    fields: dict[str, Any]
    path: PathRecord

    def look(self) -> LinkLook:
        """Measure it."""
        return link.look(self.near, self.directory, self.fields)


@contextlib.contextmanager
def open_link(pair: Pair, far_plan: Plan, waiting: Callable[[str], None] | None = None) -> Iterator[OpenLink]:
    """The link of a pair; both devices are ours meanwhile. Raises as `open_pair` does."""
    with open_pair(pair, far_plan, waiting) as session, link_of(session) as opened:
        yield opened


@contextlib.contextmanager
def link_of(session: PairSession) -> Iterator[OpenLink]:
    """The link of a pair that is open, between two launches."""
    directory = f"checks/{new_id()}"
    far = FarSide(session.far, f"{directory}-far")
    nothing = {"protocol": PROTOCOL, "runtime": "onnx", "max_seconds": _MOST_SEC}
    try:
        far.start(Staged({}), nothing, bind=session.pair.bind, load_sec=_START_SEC)
        path = session.route.open(far.port)
        session.near.write(directory, {TOKEN: f"{far.token}\n"})
        said = PathRecord(kind=path.kind, hops=path.hops, shaped=path.shaped)
        yield OpenLink(session.near, directory, far.fields(path), said)
    finally:
        far.end()
        session.near.end(directory)
        session.route.close()
