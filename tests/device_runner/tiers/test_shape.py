"""`--link` as it is typed."""

from __future__ import annotations

import pytest

from device_runner.tiers.shape import Shape, parse
from edgedeploy.errors import UserError


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("200mbit,2ms", Shape(200.0, 2.0)),
        ("2ms,200mbit", Shape(200.0, 2.0)),
        (" 1 Mbit ", Shape(1.0, 0.0)),
        ("1gbit", Shape(1000.0)),
        ("500kbit, 0.5s", Shape(0.5, 500.0)),
        ("250us", Shape(None, 0.25)),
    ],
)
def test_a_link_is_a_rate_a_delay_or_both(text: str, shape: Shape) -> None:
    assert parse(text) == shape
    assert parse(str(shape)) == shape


@pytest.mark.parametrize(
    "text",
    ["", "200", "200mbit,2ms,3ms", "2ms,2ms", "200mbps", "-1mbit", "nan mbit", "1e3mbit", "mbit", "200mbit;reboot", "٣ms"],
)
def test_what_is_no_link_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UserError, match="200mbit,2ms"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "why"), [("0mbit", "rate"), ("999999gbit", "rate"), ("20s", "delay"), ("0ms", "rate or a delay")]
)
def test_what_no_link_is_like_is_refused(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse(text)
