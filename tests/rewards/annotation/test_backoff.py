from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rewards.annotation.backoff import next_pause


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0, 50), st.integers())
def test_a_pause_lies_between_the_shortest_and_three_times_the_one_before(
    previous: float, shortest: float, longest: float, seed: int
) -> None:
    pause = next_pause(previous, shortest, longest, Random(seed))
    assert min(shortest, longest) <= pause <= min(longest, 3 * max(previous, shortest))


def test_pauses_grow_on_average_as_if_doubled_and_those_who_failed_together_part() -> None:
    """A pause is uniform in [1, 3x], so its mean is (1 + 3x)/2: 2, 3.5, 5.75, … from 1 on."""
    ends = []
    for seed in range(4000):
        random, pause = Random(seed), 0.0
        for _ in range(3):
            pause = next_pause(pause, 1.0, 1e9, random)
        ends.append(pause)
    assert abs(sum(ends) / len(ends) - 5.75) < 0.2
    assert len(set(ends)) == len(ends)
