from collections import Counter

import pytest

from device_runner.order import abba


@pytest.mark.parametrize("launches", [1, 2, 5])
def test_every_block_has_each_run_once_and_the_next_is_its_mirror(launches: int) -> None:
    runs = [f"r{index}" for index in range(4)]
    order = abba(runs, launches, seed=3)
    blocks = [[run for block, run in order if block == number] for number in range(launches)]
    assert Counter(run for _, run in order) == dict.fromkeys(runs, launches)
    for number, block in enumerate(blocks):
        assert sorted(block) == runs
        assert number % 2 == 0 or block == blocks[number - 1][::-1]


def test_a_steady_drift_cancels_over_two_blocks() -> None:
    order = abba(["a", "b"], 2, seed=0)
    places = {run: sum(place for place, (_, other) in enumerate(order) if other == run) for run in ("a", "b")}
    assert places["a"] == places["b"]


def test_each_pair_of_blocks_has_an_order_of_its_own() -> None:
    runs = [f"r{index}" for index in range(6)]
    order = abba(runs, 20, seed=0)
    firsts = {tuple(run for block, run in order if block == number) for number in range(0, 20, 2)}
    assert len(firsts) > 5


def test_the_seed_decides_the_order_and_nothing_else_does() -> None:
    runs = [f"r{index}" for index in range(6)]
    assert abba(runs, 2, 1) == abba(runs, 2, 1)
    assert len({tuple(abba(runs, 1, seed)) for seed in range(10)}) > 1
