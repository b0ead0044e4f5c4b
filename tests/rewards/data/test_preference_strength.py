from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.reward_losses import bradley_terry
from rewards.data.preference_strength import believed, flipped, preference_strength, smoothed

NULL = float("nan")


def test_a_strength_of_0_as_margin_is_bradley_terry_and_equal_models_do_not_deviate():
    chosen, rejected = np.array([1.0, 0.3]), np.array([1.0, 0.3])
    found = preference_strength(np.tile(chosen, (3, 1)), np.tile(rejected, (3, 1)))
    assert found.mean.tolist() == found.deviation.tolist() == [0.0, 0.0]
    scores = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.0])
    assert torch.equal(bradley_terry(*scores, torch.as_tensor(found.mean, dtype=torch.float32)), bradley_terry(*scores))


def test_strengths_by_hand_and_a_model_without_a_score_has_no_say():
    found = preference_strength([[3.0, 1.0, NULL], [2.0, NULL, NULL]], [[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(found.mean, [2.0, -1.0, NULL])
    np.testing.assert_allclose(found.deviation, [1.0, 0.0, NULL])


def test_only_the_lowest_share_is_flipped_and_of_it_only_what_is_doubted():
    strengths = [0.5, -2.0, -1.0, 3.0, -0.5, NULL]
    assert flipped(strengths, 0.4).tolist() == [1, 0, 0, 1, 1, 1]
    assert flipped(strengths, 1.0).tolist() == [1, 0, 0, 1, 0, 1]
    assert flipped(strengths, 0.0).tolist() == [1] * 6


def test_labels_are_smoothed_below_0_and_believed_by_the_sigmoid():
    assert smoothed([-1.0, 0.0, 2.0, NULL], 0.2).tolist() == [0.8, 1, 1, 1]
    np.testing.assert_allclose(believed([0.0, np.log(3), -1e9, NULL]), [0.5, 0.75, 0.0, NULL])


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=20))
def test_a_pair_turned_round_has_the_opposite_strength_and_the_other_belief(scores):
    zeros = np.zeros((1, len(scores)))
    one, other = preference_strength([scores], zeros), preference_strength(zeros, [scores])
    np.testing.assert_array_equal(one.mean, -other.mean)
    np.testing.assert_allclose(believed(one.mean) + believed(other.mean), 1.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"both \[models, pairs\]"):
        preference_strength([1.0], [0.0])
    with pytest.raises(ValueError, match="share"):
        flipped([0.0], 1.5)
    with pytest.raises(ValueError, match="turn pairs round"):
        smoothed([0.0], 0.7)
