"""Who may measure beside whom."""

from __future__ import annotations

import pytest

from device_runner.turns import Turns

HOST, ONE, TWO = "host-kernel", "kernel-1", "kernel-2"


def test_machines_that_are_apart_measure_side_by_side() -> None:
    turns = Turns(["a", "b"], HOST)
    turns.ready("b", TWO)
    assert turns.granted() == ["b"]
    turns.ready("a", ONE)
    assert turns.granted() == ["a"]
    assert turns.waiting() == {}


def test_two_names_of_one_machine_measure_one_after_the_other() -> None:
    turns = Turns(["usb", "tcp"], HOST)
    turns.ready("tcp", ONE)
    assert turns.granted() == ["tcp"]
    turns.ready("usb", ONE)
    assert turns.granted() == []
    assert turns.waiting() == {"usb": "tcp, which is the same machine"}
    turns.done("tcp")
    assert turns.granted() == ["usb"]


def test_of_two_that_are_ready_at_once_the_first_named_begins() -> None:
    turns = Turns(["usb", "tcp"], HOST)
    turns.ready("tcp", ONE)
    turns.ready("usb", ONE)
    assert turns.granted() == ["usb"]


@pytest.mark.parametrize("end", ["done", "failed before it was ready"])
def test_this_host_is_last_and_alone(end: str) -> None:
    turns = Turns(["local", "a", "b"], HOST)
    turns.ready("local", HOST)
    assert turns.granted() == []
    assert turns.waiting() == {"local": "a, b: it is on this host, which works for them"}
    turns.ready("a", ONE)
    assert turns.granted() == ["a"]
    turns.done("a")
    if end == "done":
        turns.ready("b", TWO)
        assert turns.granted() == ["b"]
    turns.done("b")
    assert turns.granted() == ["local"]


def test_two_on_this_host_do_not_wait_for_each_other_for_ever() -> None:
    turns = Turns(["local", "container"], HOST)
    turns.ready("container", HOST)
    assert turns.waiting() == {"container": "local: it is on this host, which works for them"}
    turns.ready("local", HOST)
    assert turns.granted() == ["local"]
    turns.done("local")
    assert turns.granted() == ["container"]


def test_a_device_that_does_not_say_which_machine_it_is_is_one_of_its_own() -> None:
    turns = Turns(["a", "b"], None)
    for name in ("a", "b"):
        turns.ready(name, None)
    assert turns.granted() == ["a", "b"]
