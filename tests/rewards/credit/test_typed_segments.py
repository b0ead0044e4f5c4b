from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.credit.typed_segments import segment_rewards, verdicts


def test_one_segment_and_one_type_are_an_ordinary_reward_of_the_sequence():
    found = segment_rewards([[[0.7]], [[-2.0]]], ends=[[3], [1]], weights=[1.0], length=4)
    assert found.tolist() == [[0, 0, 0, 0.7], [0, -2, 0, 0]]


def test_types_are_weighed_and_paid_where_their_segment_ends_by_hand():
    scores = [[[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [9.0, 9.0, 9.0]]]
    found = segment_rewards(scores, ends=[[1, 4, -1]], weights=[1.0, 0.5, 2.0], length=6)
    assert found.tolist() == [[0, 2.5, 0, 0, 0.5, 0]]


@given(st.integers(0, 2**32 - 1))
def test_the_tokens_of_a_sequence_earn_together_what_its_segments_do(seed):
    random = np.random.default_rng(seed)
    scores, ends = random.normal(size=(4, 5, 3)), random.integers(-1, 7, (4, 5))
    weights = random.random(3)
    found = segment_rewards(scores, ends, weights, 7)
    expected = [(scores[b][ends[b] >= 0] @ weights).sum() for b in range(4)]
    assert found.sum(axis=1) == pytest.approx(expected)


def test_a_score_that_is_not_known_is_null_where_it_would_be_paid_and_nowhere_else():
    found = segment_rewards([[[1.0, np.nan], [1.0, 1.0], [np.nan, 1.0]]], [[0, 2, -1]], [1.0, 1.0], 3)
    assert np.isnan(found[0, 0]) and found[0, 1:].tolist() == [0, 2]
    told = verdicts([0.3, -4.0, 0.0, np.nan])
    assert told[:3].tolist() == [1, -1, 0] and np.isnan(told[3])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="ends at 4"):
        segment_rewards([[[1.0]]], [[4]], [1.0], 4)
    with pytest.raises(ValueError, match=r"weights \(2,\)"):
        segment_rewards([[[1.0]]], [[1]], [1.0, 1.0], 4)
