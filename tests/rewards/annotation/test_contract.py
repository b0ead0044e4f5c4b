"""What a judge's answer must be: most are taken as they are, the others are looked at field by field."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.annotation import contract
from rewards.annotation.contract import checked
from rewards.judges.judge import Answer
from rewards.verdicts import Status

GOOD = Answer(Status.OK, 0.25, tokens=63, latency_s=0.5)


def test_a_plain_good_answer_is_taken_as_it_is():
    assert checked(GOOD) is GOOD


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(0.25)])
def test_numbers_become_pythons_own(number):
    told = checked(replace(GOOD, value=number, tokens=np.int64(63), scores=(number, None)))
    assert told == replace(GOOD, scores=(0.25, None))
    assert [type(one) for one in (told.value, told.tokens, told.scores[0])] == [float, int, float]


def test_whole_numbers_are_values_too():
    assert checked(replace(GOOD, value=1)).value == 1.0


numbers = st.none() | st.floats() | st.integers(-2, 2) | st.booleans() | st.just(np.float32(0.5))
answers = st.builds(
    Answer,
    status=st.sampled_from(Status),
    value=numbers,
    cause=st.sampled_from(["", "why", "\ud83d"]),
    tokens=st.integers(-1, 3) | st.just(10**9) | st.just(10**9 + 1),
    scores=st.lists(numbers, max_size=2).map(tuple),
    details=st.sampled_from([{}, {"critique": "good"}, {"set": {1}}]),
)


@given(answers, st.sampled_from([0.0, -1.0]))
def test_the_short_way_says_what_the_long_one_says(answer, low):
    with pytest.MonkeyPatch.context() as patch:
        quick = checked(answer, low)
        patch.setattr(contract, "_plainly_good", lambda *_: False)
        slow = checked(answer, low)
    assert repr(quick) == repr(slow)  # NaN is not equal to itself
    assert quick.status is not Status.OK or (quick.value is not None and math.isfinite(quick.value))
