from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from learners.language.reward_losses import bradley_terry
from rewards.models.mlp_head import MLPHead, ensembled, sensitivities

DRAWN = torch.Generator().manual_seed(0)
FEATURES = torch.randn(9, 3, generator=DRAWN)


def set_to(head, *values):
    with torch.no_grad():
        for parameter, value in zip(head.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return head


def test_two_layers_by_hand():
    head = set_to(MLPHead(2, hidden=2), [[1.0, 0.0], [0.0, 2.0]], [0.0, -1.0], [[3.0, 1.0]], [0.5])
    silu = [value / (1 + math.exp(-value)) for value in (1.0, 3.0)]
    assert head(torch.tensor([[1.0, 2.0]])).tolist() == pytest.approx([3 * silu[0] + silu[1] + 0.5], rel=1e-6)


def test_without_an_activation_two_layers_are_one_linear_map():
    head = MLPHead(3, activation="none")
    one, other = FEATURES[:4], FEATURES[4:8]
    torch.testing.assert_close(head(one) + head(other), head(one + other) + head(torch.zeros(4, 3)))


def test_equal_features_lose_log_two_and_a_constant_changes_no_loss():
    head, rewards = MLPHead(3, hidden=5), MLPHead(3)(FEATURES)
    torch.testing.assert_close(bradley_terry(head(FEATURES), head(FEATURES)), torch.full((9,), math.log(2)))
    before = bradley_terry(rewards[:4], rewards[4:8])
    torch.testing.assert_close(bradley_terry(rewards[:4] + 7, rewards[4:8] + 7), before)


def test_an_ensemble_of_one_is_its_member_and_of_several_their_mean():
    heads = [MLPHead(3, seed=seed) for seed in range(3)]
    assert torch.equal(ensembled(heads[:1], FEATURES), heads[0](FEATURES))
    torch.testing.assert_close(ensembled(heads, FEATURES), sum(head(FEATURES) for head in heads) / 3)


def test_with_one_layer_it_is_logistic_regression_on_differences_of_features():
    random = np.random.default_rng(0)
    chosen, rejected = random.normal(size=(2, 40, 3))
    gaps, ridge = chosen - rejected, 0.5
    signs = np.where(np.arange(40) % 2, 1, -1)  # sklearn wants two classes: every other pair is turned round
    fitted = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-8, max_iter=1000).fit(
        signs[:, None] * gaps, signs
    )
    head = MLPHead(3, layers=1).double()
    better, worse = torch.as_tensor(chosen), torch.as_tensor(rejected)
    weights = head.body[0].weight
    with torch.no_grad():
        weights.copy_(torch.as_tensor(fitted.coef_))
    loss = bradley_terry(head(better), head(worse)).sum() + ridge / 2 * weights.square().sum()
    (slope,) = torch.autograd.grad(loss, weights)  # 0 where sklearn found its minimum: the loss is convex
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-4, rtol=0)


def test_the_sensitivity_of_a_linear_head_is_its_weight_times_the_deviation_of_the_feature():
    head = set_to(MLPHead(3, layers=1), [[2.0, 0.0, -1.0]], [5.0])
    expected = torch.tensor([2.0, 0.0, -1.0]) * FEATURES.std(0)
    torch.testing.assert_close(sensitivities(head, FEATURES), expected)
    assert all(parameter.grad is None for parameter in head.parameters())


def test_the_seed_determines_the_weights_and_the_global_generator_stays():
    before = torch.random.get_rng_state()
    first, second, other = MLPHead(3, seed=4), MLPHead(3, seed=4), MLPHead(3, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first(FEATURES), second(FEATURES)) and not torch.equal(first(FEATURES), other(FEATURES))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MLPHead(3, layers=3), "got 3 layers"),
        (lambda: MLPHead(3, activation="gelu"), "'gelu'"),
        (lambda: ensembled([], FEATURES), "no members"),
        (lambda: sensitivities(MLPHead(3), FEATURES[:1]), r"\(1, 3\)"),
        (lambda: sensitivities(MLPHead(3), FEATURES[0]), r"\(3,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
