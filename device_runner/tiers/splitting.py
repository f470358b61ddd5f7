"""One plan made two: what the near device runs and times, and what the far one serves.

What crosses is what the far stages take and give themselves: adapters of stored inputs and of the outputs that are kept are
the near side's, outside every sample, as they are where all stages are on one device. Of a tensor that crosses a cut, the far
side undoes what the near side did to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.workload import Workload
    from edgedeploy.signature import TensorSpec

Json = dict[str, Any]
#: members of a plan that are of the timing, and so of the near side alone
_NEAR_ALONE = ("cases", "warmup", "steady", "write_outputs", "output_cases", "memory", "profile", "streams", "spin_percent")
_STAGE = ("model", "inputs", "outputs")


def default_split(workload: Workload) -> int:
    """How many stages run near: the first of a model that was cut, none of a whole one, whose input is sent."""
    return 1 if len(workload.parts) > 1 else 0


def split(document: Json, workload: Workload, at: int, far: Json) -> tuple[Json, Json]:
    """(near plan, far plan) of a launch's plan.json; the stages from `at` on are far.

    far: what the far side's plan says otherwise (threads, affinity, serve, limits). The near plan's last stage has a `far`
    without its members, which are known once the far side is up: see `with_far`. Raises UserError for a plan that cannot be
    split.
    """
    stages = [{key: document[key] for key in _STAGE}, *document.get("then", [])]
    if not 0 <= at < len(stages):
        raise UserError(f"a model of {len(stages)} stages cannot be cut before stage {at}")
    if document.get("streams", 1) != 1:
        raise UserError("several streams at once cannot be measured over two devices; leave out --mode throughput")
    crossing = _Crossing(workload, at)
    for index, stage in enumerate(stages[at:], at):
        crossing.add(index, stage)
    rest = {key: value for key, value in document.items() if key not in (*_STAGE, "then")}
    near_stages = [*stages[:at], {"far": {}, "inputs": crossing.sent, "outputs": crossing.answered}]
    near = {**rest, **near_stages[0]} | ({"then": near_stages[1:]} if at else {})
    far_rest = {key: value for key, value in rest.items() if key not in _NEAR_ALONE}
    far_plan = {**far_rest, **crossing.far_stages[0], **far}
    if len(crossing.far_stages) > 1:
        far_plan["then"] = crossing.far_stages[1:]
    return near, far_plan


def with_far(near: Json, fields: Json) -> Json:
    """The near plan, told where its far stage is."""
    if "then" not in near:
        return {**near, "far": fields}
    return {**near, "then": [*near["then"][:-1], {**near["then"][-1], "far": fields}]}


class _Crossing:
    """The far stages as they are gone through: their own plan, and the one stage that stands for them on the near side."""

    def __init__(self, workload: Workload, at: int) -> None:
        self._workload, self._at = workload, at
        self.sent: list[Json] = []
        self.answered: list[Json] = []
        self.far_stages: list[Json] = []

    def add(self, index: int, stage: Json) -> None:
        part = self._workload.parts[index]
        inputs = [self._input(end, part.inputs[place].tensor, part.inputs[place]) for place, end in enumerate(stage["inputs"])]
        outputs = [self._output(end, index, place) for place, end in enumerate(stage["outputs"])]
        self.far_stages.append({"model": stage["model"], "inputs": inputs, "outputs": outputs})

    def _input(self, end: Json, spec: TensorSpec, planned: Any) -> Json:
        link = len(self.sent)
        # names of several far stages may be alike; on the near side they are told apart by their place
        name = f"{link}:{end['name']}"[:255]
        if "file" in end:
            own = planned.own or spec
            self.sent.append({**end, "name": name})
            return {"name": end["name"], "dtype": own.dtype, "shape": list(own.shape), "adapters": [], "link": link}
        source, output = end["from"]
        if source >= self._at:
            return {**end, "from": [source - self._at, output]}
        self.sent.append({**end, "name": name, "adapters": []})
        return {**{key: value for key, value in end.items() if key != "from"}, "link": link}

    def _output(self, end: Json, index: int, place: int) -> Json:
        if end.get("write") is False:
            return end
        product = self._workload.parts[index].outputs[place]
        name = f"{len(self.answered)}:{end['name']}"[:255]
        if self._taken(index, place):
            # it is what a later far stage takes, too: it is made there, and answered as it is
            self.answered.append({**end, "name": name, "adapters": []})
            return end
        own = product.own or product.tensor
        self.answered.append({**end, "name": name})
        return {"name": end["name"], "dtype": own.dtype, "shape": list(own.shape), "adapters": []}

    def _taken(self, index: int, place: int) -> bool:
        return any(
            (getattr(end, "stage", None), getattr(end, "output", None)) == (index, place)
            for part in self._workload.parts
            for end in part.inputs
        )
