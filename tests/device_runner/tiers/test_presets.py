"""The study's tiers on hosts of any size."""

from __future__ import annotations

import pytest

from device_runner.tiers.presets import STUDY, Size, named, this_host
from edgedeploy.errors import UserError


def shares(host: Size) -> dict[str, dict[str, str]]:
    settings = {tier: dict(STUDY.device(tier, host).target.settings) for tier in STUDY.sizes}
    return {tier: {name: text for name, text in said.items() if name != "stands_for"} for tier, said in settings.items()}


def label(host: Size) -> str:
    return STUDY.device("mobile", host).target.settings["stands_for"]


def test_a_host_as_large_as_the_studys_has_the_tiers_in_full() -> None:
    for host in (Size(16, 64_000), Size(64, 512_000)):
        assert shares(host) == {
            "mobile": {"cpus": "4", "memory_mb": "4000"},
            "edge": {"cpus": "8", "memory_mb": "16000"},
            "cloud": {"cpus": "16", "memory_mb": "64000"},
        }
        assert label(host) == "the study's mobile tier of 4 CPUs and 4000 MB"
        assert [STUDY.device(tier, host).threads for tier in STUDY.sizes] == [4, 8, 16]


def test_a_smaller_host_keeps_the_proportions_and_says_so() -> None:
    host = Size(2, 24_000)
    assert shares(host) == {
        "mobile": {"cpus": "0.5", "memory_mb": "1500"},
        "edge": {"cpus": "1", "memory_mb": "6000"},
        "cloud": {"cpus": "2", "memory_mb": "24000"},
    }
    assert label(host).endswith("4000 MB, scaled down to this host: 0.125 of the CPUs, 0.375 of the memory")
    mobile = STUDY.device("mobile", host)
    assert (mobile.tier, mobile.threads, mobile.name) == ("mobile", 1, "study-mobile")


def test_the_links_are_the_studys_whichever_tier_is_named_first() -> None:
    assert str(STUDY.link("edge", "mobile")) == str(STUDY.link("mobile", "edge")) == "200mbit"
    assert str(STUDY.link("cloud", "mobile")) == str(STUDY.link("edge", "cloud")) == "1mbit"
    assert STUDY.link("edge", "edge") is None


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    with pytest.raises(UserError, match="there is study"):
        named("paper")
    with pytest.raises(UserError, match="mobile, edge, cloud"):
        named("study").device("fog", this_host())
