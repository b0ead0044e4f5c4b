from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.progress.scores import clipped, expected_score, relabelled, score_of, score_reward

SHARES = st.floats(0, 1)


def test_scores_by_hand():
    assert score_of([0, 0.2, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 0.999999, 1]).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5]


@given(SHARES, SHARES)
def test_who_is_cut_off_later_scores_no_less_and_who_is_not_keeps_all(one, other):
    low, high = sorted((one, other))
    assert score_of(low) <= score_of(high)
    assert score_of(1.0) == 5 and (score_of(one) == 5) == (one == 1)
    assert clipped([7, 12], [1.0, 1.0]).tolist() == [7, 12]
    assert (clipped([7, 12], [low, low]) <= clipped([7, 12], [high, high])).all()


def test_what_is_kept_by_hand():
    assert clipped([8, 8, 5], [0.5, 0.0, 0.3]).tolist() == [4, 0, 2]


def test_no_fulfilled_or_unknown_instruction_is_taken_and_scores_are_those_of_the_overlap():
    overlap = np.tile([1.0, 0.5, np.nan, 0.0, 0.0, 0.0], (3000, 1))
    found = relabelled(overlap, np.random.default_rng(0))
    assert set(found.instruction) == {1, 3, 4, 5}
    assert (found.score == np.where(found.instruction == 1, 3, 1)).all()
    # each score is as likely, though three instructions have the lower one
    assert (found.score == 3).mean() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="trajectory 1 fails"):
        relabelled([[0.0, 1.0], [1.0, 1.0]], np.random.default_rng(0))


def test_rewards_by_hand():
    assert score_reward([1, 4, 5]).tolist() == [0.2, 0.8, 1]
    assert score_reward([1, 4, 5], success_only=True).tolist() == [0, 0, 1]
    assert np.isnan(score_reward(np.nan)) and np.isnan(score_reward(np.nan, success_only=True))
    sure = torch.full((2, 5), -50.0)
    sure[0, 4] = sure[1, 1] = 50.0
    assert expected_score(sure).tolist() == pytest.approx([5, 2])
    assert expected_score(torch.zeros(5)).item() == pytest.approx(3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: score_of(1.2),
        lambda: clipped([3], [np.nan]),
        lambda: relabelled([0.5], np.random.default_rng(0)),
        lambda: relabelled([[1.5]], np.random.default_rng(0)),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
