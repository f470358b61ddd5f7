"""Two tiers as they are typed: devices, a preset's, or both; and the link that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.tiers import asked
from device_runner.tiers.pair import paired
from edgedeploy.errors import UserError
from edgedeploy.record import Plan


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(
        "devices:\n"
        "  phone: {transport: adb, address: R5CT10XYZ, threads: 4}\n"
        "  board: {transport: ssh, address: pi@192.168.1.20, cores: [2, 3]}\n"
    )
    return path


def test_two_devices_the_one_with_the_input_first(file: Path) -> None:
    for text in ("mobile=phone,edge=board", "edge=board, mobile=phone"):
        found = asked.devices(text, None, file)
        assert [(tier, device.name) for tier, device in found.items()] == [("mobile", "phone"), ("edge", "board")]
    assert asked.link(None, None, found, None) is None
    assert str(asked.link("20mbit,5ms", None, found, None)) == "20mbit,5ms"


def test_a_preset_has_a_device_for_each_tier_and_their_link(file: Path) -> None:
    assert [device.name for device in asked.devices(None, "study", file).values()] == ["study-mobile", "study-edge"]
    to_cloud = asked.devices("mobile,cloud", "study", file)
    assert [device.name for device in to_cloud.values()] == ["study-mobile", "study-cloud"]
    assert str(asked.link(None, "study", to_cloud, None)) == "1mbit"
    assert str(asked.link("50mbit", "study", to_cloud, None)) == "50mbit"
    assert asked.link(None, "study", to_cloud, "192.168.1.30") is None
    mixed = asked.devices("mobile=phone,edge", "study", file)
    assert [device.name for device in mixed.values()] == ["phone", "study-edge"]


def test_a_tier_of_a_preset_is_a_device_anywhere(file: Path) -> None:
    device = inventory.resolve("study-edge", file)
    assert (device.tier, device.target.transport) == ("edge", "local")
    assert set(device.target.settings) == {"cpus", "memory_mb", "stands_for"}
    file.write_text("devices:\n  study-edge: {transport: ssh, address: mine}\n")
    assert inventory.resolve("study-edge", file).target.address == "mine"


def test_what_is_said_of_each_device_is_in_its_plan(file: Path) -> None:
    pair = paired(asked.devices("mobile=phone,edge=board", None, file))
    how = asked.plans(pair, Plan(), threads=None, affinity=None, gates={}, preparation={})
    assert (how.near.threads, how.near.affinity) == (4, None)
    assert (how.far.threads, how.far.affinity) == (1, (2, 3))
    both = asked.plans(pair, Plan(), threads=2, affinity=None, gates={}, preparation={})
    assert (both.near.threads, both.far.threads) == (2, 2)


@pytest.mark.parametrize(
    ("tiers", "preset", "why"),
    [
        (None, None, "--tiers mobile=pixel7,edge=rpi5, or --preset study"),
        ("mobile,edge", None, "mobile=pixel7,edge=rpi5"),
        ("mobile=phone", None, "names 1"),
        ("mobile=phone,edge=board,cloud=board", None, "names 3"),
        ("mobile=phone,mobile=board", None, "each once"),
        ("fog=phone,edge=board", None, "give two of mobile, edge, cloud"),
        ("mobile=,edge=board", "study", "each once"),
        ("mobile,edge", "paper", "there is study"),
    ],
)
def test_what_is_no_pair_is_refused(file: Path, tiers: str | None, preset: str | None, why: str) -> None:
    with pytest.raises(UserError, match=why):
        asked.devices(tiers, preset, file)
