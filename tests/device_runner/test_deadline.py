import pytest

from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.retry import with_backoff
from edgedeploy.errors import TransientError, UserError


def test_a_deadline_in_the_past_has_nothing_left_and_says_what_it_was_for() -> None:
    deadline = Deadline.after(-1)
    assert deadline.remaining == 0
    with pytest.raises(DeadlineExpired, match="pushing the model"):
        deadline.check("pushing the model")


def test_a_part_never_gets_more_than_the_whole() -> None:
    whole = Deadline.after(10)
    assert whole.sooner(1000) == whole
    assert whole.sooner(1).at < whole.at


def test_transient_errors_are_tried_again_and_the_last_is_raised() -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise TransientError(f"try {len(calls)}")

    with pytest.raises(TransientError, match="try 3"):
        with_backoff(fails, pause_sec=0.001)


def test_what_works_the_second_time_is_returned() -> None:
    calls = []

    def answer() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise TransientError("away")
        return "here"

    assert with_backoff(answer, pause_sec=0.001) == "here"


def test_an_error_of_the_users_is_raised_at_once() -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise UserError("no such CPU")

    with pytest.raises(UserError):
        with_backoff(fails, pause_sec=0.001)
    assert len(calls) == 1
