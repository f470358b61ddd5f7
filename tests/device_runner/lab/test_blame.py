"""A device's own trouble and an artifact's own trouble, told apart by the other combinations; and what follows."""

from __future__ import annotations

import pytest

from device_runner.lab.blame import Tried, verdict
from device_runner.lab.queue import Outcome
from device_runner.lab.sqlite_queue import SqliteQueue
from tests.device_runner.lab.conftest import Clock, job


def tries(text: str) -> list[Tried]:
    """ "ax+ bx-": artifact x went well on device a, then failed on b; "!" for a failure that is the device's own."""
    return [
        Tried(str(index), word[0], word[1], word[2] == "+", {"+": "", "-": "unclear", "!": "device"}[word[2]])
        for index, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("story", "who"),
    [
        ("ax-", "unclear"),
        ("ax!", "device"),
        # x works elsewhere, and nothing works here
        ("bx+ ax-", "device"),
        ("bx+ ay- ax-", "device"),
        # x fails wherever it is tried, and others work here
        ("bx- ay+ ax-", "artifact"),
        ("bx- ax-", "artifact"),
        # x works elsewhere and others work here: the two do not go together
        ("bx+ ay+ ax-", "combination"),
        # another artifact works here, and x was tried nowhere else
        ("ay+ ax-", "unclear"),
        # nothing works here any more, and none of it was tried elsewhere
        ("ay+ ay- az- ax-", "device"),
        # the others that fail here fail everywhere: they say nothing of the device
        ("by- bz- ay- az- ax-", "unclear"),
        # a cable that was pulled there says nothing of x
        ("bx! ay+ ax-", "unclear"),
    ],
)  # fmt: skip
def test_who_is_to_blame_for_the_last(story: str, who: str) -> None:
    known = tries(story)
    assert verdict(known[-1], known) == who


def do(queue: SqliteQueue, clock: Clock, device: str, *outcomes: Outcome) -> None:
    """The device's next job ends so."""
    lease = queue.claim(device, "w")
    assert lease is not None
    clock.turn(10)
    queue.finish(lease.token, ["run"], outcomes)


def hold_of(queue: SqliteQueue, device: str) -> tuple[str, str, str]:
    (found,) = (each for each in queue.devices() if each.name == device)
    return found.hold, found.hold_by, found.hold_reason


def bad(artifact: str) -> Outcome:
    return Outcome(artifact, False, "unclear", f"{artifact} died of signal 11")


def test_three_failures_of_its_own_in_a_row_quarantine_a_device(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job(str(number)) for number in range(4)])
    for number in range(3):
        assert hold_of(queue, "a")[0] == "", number
        lease = queue.claim("a", "w")
        assert lease is not None
        queue.fail(lease.token, "device", f"connection lost, {number}")
        clock.turn(100)
    hold, by, reason = hold_of(queue, "a")
    assert (hold, by) == ("quarantined", "lab")
    assert "3 failures in a row" in reason
    assert "connection lost, 2" in reason
    assert queue.claim("a", "w") is None


def test_a_success_in_between_breaks_the_row(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job(str(number)) for number in range(20)])
    for _ in range(3):
        for _ in range(2):
            lease = queue.claim("a", "w")
            assert lease is not None
            queue.fail(lease.token, "device", "connection lost")
            clock.turn(1000)
        do(queue, clock, "a", Outcome("x", True))
    assert hold_of(queue, "a")[0] == ""


def test_a_bad_artifact_never_costs_a_device_its_place(queue: SqliteQueue, clock: Clock) -> None:
    artifacts = [("good",), ("broken",)] * 6
    for device in ("a", "b"):
        queue.put(device, 0, [job(f"{device}{n}", device, artifacts=which) for n, which in enumerate(artifacts)])
    for _ in artifacts:
        for device in ("a", "b"):
            lease = queue.claim(device, "w")
            assert lease is not None
            clock.turn(10)
            (artifact,) = lease.artifacts
            queue.finish(lease.token, ["run"], [Outcome("good", True) if artifact == "good" else bad("broken")])
    assert hold_of(queue, "a")[0] == hold_of(queue, "b")[0] == ""
    assert {(device, artifact, whose) for device, artifact, whose, _ in queue.verdicts()} == {
        ("a", "broken", "artifact"), ("b", "broken", "artifact"),
    }  # fmt: skip


def test_after_a_failure_another_artifact_is_tried_first(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", artifacts=("x",)), job("2", artifacts=("x",)), job("3", artifacts=("y",))])
    do(queue, clock, "a", bad("x"))
    lease = queue.claim("a", "w")
    assert lease is not None
    assert lease.artifacts == ("y",)


def test_that_its_artifacts_work_elsewhere_quarantines_a_device_later(queue: SqliteQueue, clock: Clock) -> None:
    for device in ("a", "b"):
        queue.put(device, 0, [job(f"{device}{name}", device, artifacts=(name,)) for name in ("x", "y", "z")])
    for name in ("x", "y", "z"):
        do(queue, clock, "a", bad(name))
    for name in ("x", "y", "z"):
        do(queue, clock, "b", Outcome(name, True))
    assert hold_of(queue, "a")[0] == "quarantined"
    assert hold_of(queue, "b")[0] == ""
    assert {whose for _, _, whose, _ in queue.verdicts()} == {"device"}


def test_a_job_that_any_may_do_is_tried_on_another_device(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", "a", "b")])
    do(queue, clock, "a", bad("x"))
    assert queue.claim("a", "w") is None
    do(queue, clock, "b", bad("x"))
    (found,) = queue.jobs()
    assert (found.state, found.valid) == ("done", False)
    assert {whose for _, _, whose, _ in queue.verdicts()} == {"artifact"}


def test_a_health_check_lets_a_device_back_and_forgets_its_failures(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job(str(number)) for number in range(9)])
    for _ in range(3):
        lease = queue.claim("a", "w")
        assert lease is not None
        queue.fail(lease.token, "device", "connection lost")
        clock.turn(100)
    queue.checked("a", "it does not answer")
    assert hold_of(queue, "a")[0] == "quarantined"
    queue.checked("a", "")
    assert hold_of(queue, "a")[0] == ""
    for _ in range(2):
        lease = queue.claim("a", "w")
        assert lease is not None
        queue.fail(lease.token, "device", "connection lost")
        clock.turn(100)
    assert hold_of(queue, "a")[0] == ""


def test_a_person_lets_a_device_out_that_a_person_put_in(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1")])
    queue.hold("a", "quarantined", "swollen battery")
    assert hold_of(queue, "a") == ("quarantined", "user", "swollen battery")
    assert queue.claim("a", "w") is None
    queue.hold("a", "")
    assert queue.claim("a", "w") is not None
