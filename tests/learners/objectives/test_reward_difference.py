from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.objectives.reward_difference import reward_difference


def test_the_loss_is_0_at_the_best_policy_and_at_the_reference_it_is_the_squared_difference():
    rewards, reference = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.2, 0.5, 0.3]).log()
    best = (reference + rewards / 0.5).log_softmax(-1)  # π* ∝ π_ref exp(r / β)
    pairs = torch.tensor([[0, 1], [1, 2], [2, 0]])
    assert torch.allclose(reward_difference((best - reference)[pairs], rewards[pairs], 0.5), torch.zeros(3), atol=1e-10)
    at_reference = reward_difference(torch.zeros(3, 2), rewards[pairs], 0.5)
    assert torch.allclose(at_reference, torch.tensor([1.3, 3.0, 1.7]).square())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.floats(-50, 50))
def test_a_constant_changes_nothing(numbers, constant):
    ratio, rewards = torch.tensor(numbers[:2])[None], torch.tensor(numbers[2:])[None]
    assert torch.allclose(
        reward_difference(ratio, rewards, 1.0), reward_difference(ratio, rewards + constant, 1.0), atol=1e-3
    )


def test_past_the_clip_nothing_more_is_gained():
    rewards, old = torch.tensor([[4.0, 0.0]]), torch.zeros(1, 2)
    for moved, slope in ((0.1, True), (0.3, False)):
        ratio = torch.tensor([[moved, -moved]], requires_grad=True)
        reward_difference(ratio, rewards, 1.0, old, clip=0.2).sum().backward()
        assert bool((ratio.grad != 0).all()) is slope
    ratio = torch.tensor([[-0.3, 0.3]], requires_grad=True)  # the wrong way: the way back is open
    reward_difference(ratio, rewards, 1.0, old, clip=0.2).sum().backward()
    assert ratio.grad[0, 0] < 0 < ratio.grad[0, 1]


def test_a_pair_with_an_unknown_reward_teaches_nothing():
    ratio = torch.tensor([[1.0, 2.0], [1.0, 2.0]], requires_grad=True)
    reward_difference(ratio, torch.tensor([[torch.nan, 1.0], [0.0, 1.0]]), 1.0).sum().backward()
    assert ratio.grad[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="expected both"):
        reward_difference(torch.zeros(1, 2), torch.zeros(1, 2), 1.0, clip=0.1)
