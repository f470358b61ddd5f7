"""A plan for a device: what was asked for, and where nothing was, what the inventory says of the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgedeploy.errors import UserError
from edgedeploy.gates import Gates
from edgedeploy.preparation import Preparation

if TYPE_CHECKING:
    from device_runner.inventory import Device
    from edgedeploy.record import Plan


def for_device(
    plan: Plan, device: Device, *, threads: int | None, affinity: tuple[int, ...] | None, gates: Mapping[str, Any],
    preparation: Mapping[str, Any],
) -> Plan:  # fmt: skip
    """`plan` with what was given; each value that is None comes from the device. Raises UserError for one that cannot be."""
    try:
        return plan.model_copy(
            update={
                "threads": threads or device.threads or plan.threads,
                "affinity": affinity or device.cores,
                "gates": Gates.model_validate(device.gates.model_dump() | _given(gates)),
                "preparation": Preparation.model_validate(device.preparation.model_dump() | _given(preparation)),
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"--{'-'.join(map(str, first['loc']))}: {first['msg']}") from None


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
