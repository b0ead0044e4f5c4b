from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.language.selective_buffer import SelectiveSampleBuffer

NULL = float("nan")


def test_an_empty_buffer_adds_nothing_and_what_has_no_advantage_is_not_held():
    buffer = SelectiveSampleBuffer(10)
    assert buffer.refill(2, 8, version=0) == []
    assert buffer.add(["equal", "unknown"], [0.0, NULL], version=0) == 0 and len(buffer) == 0
    assert buffer.refill(2, 8, version=0) == []


@given(st.integers(1, 12), st.integers(0, 1000))
def test_with_equal_advantages_and_current_samples_each_comes_once_so_that_the_mean_gradient_is_unchanged(number, seed):
    buffer = SelectiveSampleBuffer(20, seed=seed)
    buffer.add(list(range(number)), (-1.0) ** np.arange(number), version=3)
    assert sorted(buffer.refill(number, 2 * number, version=3)) == list(range(number))


def test_a_batch_is_filled_up_to_its_share_and_no_further():
    buffer = SelectiveSampleBuffer(10)
    assert buffer.add(["a", "b", "c"], [1.0, 0.0, -0.5], version=0) == 2
    assert [len(buffer.refill(k, 8, version=0)) for k in (0, 3, 8)] == [8, 5, 0]
    assert [len(buffer.refill(k, 8, version=0, share=0.6)) for k in (0, 3, 5)] == [5, 2, 0]


def test_chances_are_in_proportion_to_the_advantage_whatever_its_sign():
    buffer = SelectiveSampleBuffer(10)
    buffer.add(["little", "much"], [0.5, -1.5], version=0)
    found = Counter(buffer.refill(0, 4000, version=0))
    assert found["much"] == pytest.approx(3000, abs=1) and found["little"] == pytest.approx(1000, abs=1)


def test_the_oldest_makes_room_and_what_is_too_old_goes():
    buffer = SelectiveSampleBuffer(2, max_age=1)
    for version, name in enumerate("abc"):
        buffer.add([name], [1.0], version)
    assert set(buffer.refill(0, 50, version=2)) == {"b", "c"}
    assert set(buffer.refill(0, 50, version=3)) == {"c"} and len(buffer) == 1
    assert buffer.refill(0, 50, version=4) == [] and len(buffer) == 0
    buffer.add(["d"], [2.0], version=4)
    assert buffer.refill(49, 50, version=4) == ["d"]


def test_bad_input_is_refused():
    for call, message in (
        (lambda: SelectiveSampleBuffer(0), "at least 1"),
        (lambda: SelectiveSampleBuffer(1).add(["a"], [1.0, 2.0], 0), "one for each"),
        (lambda: SelectiveSampleBuffer(1).refill(5, 4, 0), "at most all"),
        (lambda: SelectiveSampleBuffer(1).refill(0, 4, 0, share=1.5), "0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
