from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sources.likelihood import density_ratio, endogenous_reward, followup_likelihood, reference_likelihood


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3.0))
def test_endogenous_rewards_sum_to_log_probability_and_the_value_of_the_start(seed, alpha):
    random = np.random.default_rng(seed)
    logits, tokens = random.normal(size=(2, 5, 4)), random.integers(0, 4, (2, 5))
    mask = np.arange(5) < np.array([[5], [3]])
    value = alpha * torch.logsumexp(torch.as_tensor(logits) / alpha, -1).numpy()
    log_pi = np.take_along_axis(logits / alpha - value[..., None] / alpha, tokens[..., None], -1)[..., 0]
    found = endogenous_reward(logits, tokens, mask, alpha)
    assert found.sum(-1) == pytest.approx((alpha * log_pi * mask).sum(-1) + value[:, 0], abs=1e-9)
    # A constant on all logits of a state that is not the first cancels.
    moved = logits.copy()
    moved[:, 2] += 7.0
    assert endogenous_reward(moved, tokens, mask, alpha).sum(-1) == pytest.approx(found.sum(-1), abs=1e-9)


def test_an_endogenous_reward_by_hand():
    # Equal logits 0 over two tokens: V = log 2 inside, 0 at the end.
    found = endogenous_reward(np.zeros((3, 2)), [0, 1, 0], [True, True, False])
    assert found == pytest.approx([-np.log(2), 0, 0])
    with pytest.raises(ValueError, match="holes"):
        endogenous_reward(np.zeros((3, 2)), [0, 1, 0], [True, False, True])
    with pytest.raises(ValueError, match="above 0"):
        endogenous_reward(np.zeros((1, 2)), [0], [True], alpha=0.0)


def test_a_density_ratio_is_nothing_for_equals_antisymmetric_and_dpos_implicit_reward():
    strong, weak, mask = np.array([[-1.0, -2.0, -9.0]]), np.array([[-1.5, -4.0, -1.0]]), [[True, True, False]]
    assert density_ratio(strong, weak, mask).tolist() == [2.5]
    assert density_ratio(weak, strong, mask).tolist() == [-2.5]
    assert density_ratio(strong, strong, mask).tolist() == [0]
    assert np.isnan(density_ratio(strong, weak, [[False] * 3])).all()
    # DPO's solution is reference · exp(r / β) / Z: the ratio gives r back, but for a constant of the prompt.
    reference, reward, beta = np.log([0.2, 0.5, 0.3]), np.array([1.0, -1.0, 0.5]), 0.7
    tilted = reference + reward / beta
    solution = tilted - np.log(np.exp(tilted).sum())
    found = beta * density_ratio(solution[:, None], reference[:, None], np.ones((3, 1)))
    assert found - found[0] == pytest.approx(reward - reward[0])


def test_forms_of_likelihood_by_hand():
    logs, mask = np.log([[0.5, 0.25, 0.9], [0.1, 0.1, 0.1]]), [[True, True, False], [True, True, True]]
    assert reference_likelihood(logs, mask) == pytest.approx([np.log(0.125), np.log(1e-3)])
    assert reference_likelihood(logs, mask, "prob") == pytest.approx([0.125, 1e-3])
    assert reference_likelihood(logs, mask, "mean_log_prob") == pytest.approx([np.log(0.125) / 2, np.log(0.1)])
    assert reference_likelihood(logs, mask, "mean_prob") == pytest.approx([0.375, 0.1])
    assert reference_likelihood(logs, mask, "group") == pytest.approx([np.log(0.0630)] * 2)
    assert np.isnan(reference_likelihood(logs[:1], [[False] * 3])).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_means_of_logarithms_are_below_logarithms_of_means(seed):
    logs = -np.random.default_rng(seed).exponential(5, (3, 4, 6))
    mask = np.ones(logs.shape, np.bool_)
    log_prob = reference_likelihood(logs, mask)
    assert np.exp(log_prob) == pytest.approx(reference_likelihood(logs, mask, "prob"))
    assert (log_prob.mean(-1) <= reference_likelihood(logs, mask, "group")[:, 0] + 1e-9).all()
    per_token = reference_likelihood(logs, mask, "mean_log_prob")
    assert (per_token <= np.log(reference_likelihood(logs, mask, "mean_prob")) + 1e-9).all()


def test_the_probability_of_a_long_answer_underflows_and_its_logarithm_does_not():
    logs, mask = np.full((2, 1000), [[-1.0], [-2.0]]), np.ones((2, 1000), np.bool_)
    assert reference_likelihood(logs, mask, "prob").tolist() == [0, 0]
    assert reference_likelihood(logs, mask).tolist() == [-1000, -2000]
    assert reference_likelihood(logs, mask, "group") == pytest.approx([-1000 - np.log(2)] * 2)


def test_equal_sets_of_follow_ups_say_nothing_and_swapping_them_negates():
    pleased, displeased = [[-1.0, -2.0], [-3.0, np.nan]], [[-4.0, -2.0], [-1.0, -1.0]]
    assert followup_likelihood(pleased, displeased).tolist() == [1.5, -2.0]
    assert followup_likelihood(displeased, pleased).tolist() == [-1.5, 2.0]
    assert followup_likelihood(pleased, pleased).tolist() == [0, 0]
    assert np.isnan(followup_likelihood([[np.nan]], [[-1.0]])).all()
    with pytest.raises(ValueError, match="at least one"):
        followup_likelihood(np.zeros((2, 0)), np.zeros((2, 1)))


def test_log_probabilities_above_nothing_are_refused():
    for function in (density_ratio, lambda a, b, m: reference_likelihood(a, m)):
        with pytest.raises(ValueError, match="above 0"):
            function([0.5], [0.5], [True])
