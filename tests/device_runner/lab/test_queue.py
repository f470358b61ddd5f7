"""Who runs what: claims, leases, crashes, fairness, holds. Time is the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from device_runner.lab.ending import BOUND_SEC, MOST_TRIES
from device_runner.lab.queue import Job, Lease, LeaseLost, Outcome
from device_runner.lab.sqlite_queue import LEASE_SEC, SqliteQueue
from tests.device_runner.lab.conftest import Clock, job

GOOD = [Outcome("x", True)]


def claimed(queue: SqliteQueue, device: str = "a", worker: str = "w") -> Lease:
    lease = queue.claim(device, worker)
    assert lease is not None
    return lease


def only(queue: SqliteQueue) -> Job:
    (found,) = queue.jobs()
    return found


def test_a_job_is_given_once_and_finished(queue: SqliteQueue) -> None:
    put = queue.put("night", 0, [job("1", "a", "b")])
    assert (put.added, put.waiting, put.over, put.withdrawn) == (1, 0, 0, 0)
    lease = claimed(queue)
    assert (lease.device, lease.plan, lease.artifacts, lease.work) == ("a", "night", ("x",), {"key": "1"})
    assert queue.claim("b", "w2") is None
    assert queue.heartbeat(lease.token, "launch 1")
    queue.finish(lease.token, ["run-0"], GOOD)
    done = only(queue)
    assert (done.state, done.valid, done.runs, done.experiment, done.device) == (
        "done",
        True,
        ("run-0",),
        lease.experiment,
        "a",
    )
    assert queue.claim("a", "w") is None
    with pytest.raises(LeaseLost):
        queue.finish(lease.token, ["run-0"], GOOD)


def test_a_device_has_one_job_at_a_time_whoever_asks(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1"), job("2")])
    claimed(queue, worker="w")
    assert queue.claim("a", "w") is None
    assert queue.claim("a", "another") is None
    assert not queue.claimable("a")


def test_twenty_at_once_get_twenty_jobs(make_queue: Callable[[], SqliteQueue]) -> None:
    first = make_queue()
    devices = [f"d{number}" for number in range(20)]
    for device in devices:
        first.seen(device, "present")
    first.put("night", 0, [job(str(number), *devices) for number in range(20)])
    got: list[Lease | None] = []

    def ask(device: str) -> None:
        got.append(make_queue().claim(device, device))

    threads = [threading.Thread(target=ask, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({lease.job for lease in got if lease is not None}) == 20


def test_a_lease_ends_when_its_heartbeats_stop_and_the_same_experiment_goes_on(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", "a", "b")])
    lease = claimed(queue)
    clock.turn(LEASE_SEC - 1)
    queue.heartbeat(lease.token)
    clock.turn(LEASE_SEC - 1)
    assert queue.sweep() == 0
    clock.turn(2)
    assert queue.sweep() == 1
    with pytest.raises(LeaseLost):
        queue.heartbeat(lease.token)
    # its launches are on that device: another one of the pool waits for a while
    assert queue.claim("b", "w2") is None
    again = claimed(queue)
    assert (again.job, again.experiment) == (lease.job, lease.experiment)
    assert again.token != lease.token
    with pytest.raises(LeaseLost):
        queue.finish(lease.token, ["run-0"], GOOD)
    queue.finish(again.token, ["run-0"], GOOD)
    assert only(queue).valid


def test_a_job_whose_device_stays_away_is_begun_anew_elsewhere(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", "a", "b")])
    lease = claimed(queue)
    queue.fail(lease.token, "device", "a went away")
    queue.seen("a", "dead", "not attached")
    assert queue.claim("b", "w2") is None
    clock.turn(BOUND_SEC + 1)
    other = claimed(queue, "b")
    assert other.job == lease.job
    assert other.experiment != lease.experiment


def test_a_second_death_is_the_jobs_own_doing(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1")])
    claimed(queue, worker="first")
    assert queue.worker_gone("first", crashed=True) == 1
    claimed(queue, worker="second")
    assert queue.worker_gone("second", crashed=True) == 1
    failed = only(queue)
    assert failed.state == "failed"
    assert "2 times" in failed.reason


def test_a_lab_that_is_killed_again_and_again_costs_a_job_nothing(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1")])
    experiments = set()
    for number in range(20):
        experiments.add(claimed(queue, worker=str(number)).experiment)
        queue.worker_gone(str(number), crashed=False)
    assert len(experiments) == 1
    assert only(queue).state == "queued"


def test_putting_a_plan_in_again_adds_what_is_new_and_withdraws_what_is_gone(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1"), job("2"), job("3")])
    queue.finish(claimed(queue).token, [], GOOD)
    running = claimed(queue)
    put = queue.put("night", 0, [job("1"), job("3"), job("4")])
    assert (put.added, put.waiting, put.over, put.withdrawn) == (1, 1, 1, 1)
    # what ran and is wanted no more is stopped at its next heartbeat
    with pytest.raises(LeaseLost):
        queue.heartbeat(running.token)
    put = queue.put("night", 0, [job("1")], again=True)
    assert (put.added, put.withdrawn) == (1, 2)
    assert [each.key for each in queue.jobs() if each.state == "queued"] == ["1"]


def test_priority_then_fairness_between_plans(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("large", 0, [job(f"l{number}", estimate_sec=10) for number in range(20)])
    queue.put("small", 0, [job(f"s{number}", estimate_sec=10) for number in range(3)])
    queue.put("urgent", 0, [job("u", priority=5)])
    order = []
    for _ in range(7):
        lease = claimed(queue)
        order.append(lease.plan)
        clock.turn(10)
        queue.finish(lease.token, [], GOOD)
    assert order[0] == "urgent"
    assert order[1:].count("small") == 3


def test_a_plan_that_had_the_lab_for_itself_does_not_owe_for_it(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("old", 0, [job(f"o{number}") for number in range(20)])
    for _ in range(10):
        lease = claimed(queue)
        clock.turn(100)
        queue.finish(lease.token, [], GOOD)
    queue.put("new", 0, [job(f"n{number}") for number in range(20)])
    order = []
    for _ in range(6):
        lease = claimed(queue)
        order.append(lease.plan)
        clock.turn(10)
        queue.finish(lease.token, [], GOOD)
    assert sorted(order) == ["new"] * 3 + ["old"] * 3


def test_own_work_comes_before_shared_work_and_the_longest_shared_first(queue: SqliteQueue) -> None:
    queue.put("night", 0, [
        job("short", "a", "b", estimate_sec=1), job("long", "a", "b", estimate_sec=100), job("own", "a"),
    ])  # fmt: skip
    order = []
    for _ in range(3):
        lease = claimed(queue)
        order.append(lease.work["key"])
        queue.finish(lease.token, [], GOOD)
    assert order == ["own", "long", "short"]


def test_a_device_with_the_most_of_its_own_left_does_that_first_whichever_plans_it_is(queue: SqliteQueue) -> None:
    shared = [job("shared1", "a", "b"), job("shared2", "a", "b")]
    queue.put("one", 0, shared)
    queue.put("two", 0, [job(f"own{number}") for number in range(3)])
    assert claimed(queue, "a").plan == "two"
    assert claimed(queue, "b").plan == "one"


def test_a_device_with_less_of_its_own_than_the_others_have_on_average_is_fair_to_the_plans(queue: SqliteQueue) -> None:
    queue.put("one", 0, [job(f"shared{number}", "a", "b") for number in range(6)])
    queue.put("two", 0, [job("own")])
    assert claimed(queue, "a").plan == "one"


def test_the_job_of_a_device_that_is_gone_does_not_wait_for_it_where_another_is_there(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", "a", "b")])
    lease = claimed(queue)
    queue.seen("a", "dead", "not attached")
    queue.fail(lease.token, "device", "a went away")
    clock.turn(5)
    other = claimed(queue, "b")
    assert (other.job, other.experiment != lease.experiment) == (lease.job, True)
    # which may be complete by now, its word not having come
    assert (lease.begun, other.begun) == ("", lease.experiment)


def test_what_was_begun_on_a_device_comes_first(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1"), job("2")])
    first = claimed(queue)
    queue.release(first.token)
    queue.put("urgent", 0, [job("3", priority=100)])
    assert claimed(queue).job == first.job


def test_pause_stops_what_runs_and_drain_lets_it_finish(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1"), job("2"), job("3", "b")])
    lease = claimed(queue)
    queue.hold("a", "draining")
    assert queue.heartbeat(lease.token)
    queue.finish(lease.token, [], GOOD)
    assert queue.claim("a", "w") is None
    queue.hold("a", "")
    lease = claimed(queue)
    queue.hold("", "paused", "fire drill")
    assert not queue.heartbeat(lease.token)
    queue.release(lease.token)
    assert queue.held() == "paused"
    assert queue.claim("b", "w") is None
    queue.hold("", "")
    assert claimed(queue).experiment == lease.experiment
    assert claimed(queue, "b").work == {"key": "3"}


@pytest.mark.parametrize("presence", ["dead", "unauthorised", "unknown"])
def test_a_device_that_is_not_there_gets_nothing(queue: SqliteQueue, presence: str) -> None:
    queue.put("night", 0, [job("1"), job("2", "nobody-has-seen-it")])
    queue.seen("a", presence, "why")  # type: ignore[arg-type]
    assert queue.claim("a", "w") is None
    assert queue.claim("nobody-has-seen-it", "w") is None
    queue.seen("a", "present")
    claimed(queue)


def test_busy_is_tried_again_without_counting(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1")])
    for _ in range(2 * MOST_TRIES):
        queue.fail(claimed(queue).token, "busy", "in use by process 1")
        assert queue.claim("a", "w") is None
        clock.turn(60)
    assert only(queue).tries == 0
    assert only(queue).state == "queued"


def test_what_cannot_be_fails_at_once_and_says_nothing_of_the_device(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job(str(number)) for number in range(5)])
    for _ in range(5):
        queue.fail(claimed(queue).token, "job", "model.onnx: is gone")
    assert {each.state for each in queue.jobs()} == {"failed"}
    (device,) = (each for each in queue.devices() if each.name == "a")
    assert device.hold == ""
    assert queue.verdicts() == []


def test_a_device_that_fails_for_ever_does_not_keep_its_job_for_ever(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1")])
    for _ in range(MOST_TRIES):
        queue.hold("a", "")
        queue.fail(claimed(queue).token, "device", "it went away")
        clock.turn(1000)
    assert only(queue).state == "failed"


def test_withdrawn_work_is_gone_and_what_is_done_stays(queue: SqliteQueue) -> None:
    queue.put("night", 0, [job("1"), job("2"), job("3")])
    queue.finish(claimed(queue).token, [], GOOD)
    running = claimed(queue)
    assert queue.withdraw("night") == 2
    with pytest.raises(LeaseLost):
        queue.heartbeat(running.token)
    assert [each.state for each in queue.jobs()] == ["done", "withdrawn", "withdrawn"]


def test_a_queue_is_what_it_was_when_it_is_opened_again(
    queue: SqliteQueue, make_queue: Callable[[], SqliteQueue], clock: Clock
) -> None:
    queue.put("night", 0, [job("1"), job("2", "b")])
    lease = claimed(queue)
    queue.close()
    again = make_queue()
    assert {each.key: each.state for each in again.jobs()} == {"1": "running", "2": "queued"}
    assert again.heartbeat(lease.token)
    assert [event.text for event in again.events()][:3] == ["present", "present", "present"]


def test_a_host_that_goes_away_is_not_the_jobs_doing_and_another_device_begins_it_at_once(
    queue: SqliteQueue, clock: Clock
) -> None:
    queue.put("night", 0, [job("1", "a", "b")])
    first = claimed(queue)
    queue.seen("a", "dead", "its host is gone")
    # the host may be cut off and at work still: for as long as the lease is good, nobody else has the job
    assert queue.claim("b", "w2") is None
    clock.turn(LEASE_SEC + 1)
    second = claimed(queue, "b")
    assert second.experiment != first.experiment
    assert (only(queue).crashes, only(queue).tries) == (0, 1)
    with pytest.raises(LeaseLost):
        queue.finish(first.token, ["run-0"], GOOD)


def test_a_job_whose_device_goes_away_with_its_host_every_time_is_given_up(queue: SqliteQueue, clock: Clock) -> None:
    queue.put("night", 0, [job("1", "a")])
    for _ in range(MOST_TRIES):
        claimed(queue)
        queue.seen("a", "dead", "its host is gone")
        clock.turn(LEASE_SEC + 1)
        queue.sweep()
        queue.seen("a", "present")
    assert only(queue).state == "failed"
    assert "went away" in only(queue).reason
