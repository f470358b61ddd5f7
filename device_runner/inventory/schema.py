"""devices.yaml as a model; docs/schemas/devices.schema.json is made from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from device_runner.inventory.address import checked
from device_runner.inventory.device import Device
from device_runner.transports.base import Target
from edgedeploy.errors import UserError
from edgedeploy.gates import Gates
from edgedeploy.limits import MAX_CACHE_MB, MAX_THREADS
from edgedeploy.preparation import Preparation
from edgedeploy.signature import SafeName, Strict

Tier = Literal["mobile", "edge", "cloud", ""]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:=/-]{0,99}$")]


def _as_text(value: Any) -> Any:
    # YAML makes numbers of what is meant as text: `port: 2222`, `cpus: 0.5`
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Setting = Annotated[str, BeforeValidator(_as_text), StringConstraints(max_length=1000)]
SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Cpu = Annotated[int, Field(ge=0, le=4095, strict=True)]


class Entry(Strict):
    """One device. Its name is its key in the file."""

    transport: Literal["local", "adb", "ssh"]
    #: adb: a serial or HOST:PORT; ssh: HOST, USER@HOST, USER@HOST:PORT or a name of ~/.ssh/config; local: nothing
    address: Annotated[str, StringConstraints(max_length=255)] = ""
    #: of the transport, as text; a transport refuses what it does not know
    settings: dict[SettingName, Setting] = {}
    tier: Tier = ""
    labels: Annotated[tuple[Label, ...], Field(max_length=100)] = ()
    #: threads of the runtime when --threads is not given
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS, strict=True)] | None = None
    #: CPUs to pin to when --affinity is not given
    cores: Annotated[tuple[Cpu, ...], Field(min_length=1, max_length=4096)] | None = None
    #: what must hold before each launch when bench is told nothing else
    limits: Gates = Gates()
    #: what is set for a run, and put back after it, when bench is told nothing else
    prepare: Preparation = Preparation()

    #: the runner with its own C library in place of the one that fits, when bench is not told --bundle
    bundle: Literal["", "portable"] = ""
    #: MB (10^6 bytes) that models, inputs and runners may take there between runs, when bench is told nothing else
    cache_limit_mb: Annotated[int, Field(ge=0, le=MAX_CACHE_MB, strict=True)] | None = None

    @model_validator(mode="after")
    def _address_fits(self) -> Entry:
        try:
            checked(self.transport, self.address)
        except UserError as error:
            raise ValueError(f"address: {error}") from None
        if self.cores is not None and len(set(self.cores)) != len(self.cores):
            raise ValueError("cores: each CPU is named once")
        return self

    def device(self, name: str) -> Device:
        """The device that this entry of that name is."""
        return Device(
            name, Target(self.transport, self.address, dict(self.settings)), self.tier, self.labels, self.threads, self.cores,
            self.limits, self.prepare, self.bundle, self.cache_limit_mb, source="inventory",
        )  # fmt: skip


class Inventory(Strict):
    """The whole file."""

    schema_version: Literal[1] = 1
    devices: dict[SafeName, Entry] = {}

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_no_devices(cls, data: Any) -> Any:
        # `devices:` with nothing below it, as is left when the last one was removed
        return {**data, "devices": {}} if isinstance(data, dict) and data.get("devices", 0) is None else data

    @model_validator(mode="after")
    def _local_is_this_host(self) -> Inventory:
        local = self.devices.get("local")
        if local is not None and local.transport != "local":
            raise ValueError("devices.local: local is this host; give that device another name")
        return self
