from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.progress.multifaceted import Multifaceted, Weights

MODEL = Multifaceted(3, hidden=8)


@given(st.integers(0, 2**32 - 1))
def test_who_is_nearer_than_another_is_as_much_less_near_the_other_way_round(seed):
    one, other = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(MODEL.nearer(one, other), -MODEL.nearer(other, one))
    contrast = Weights(progress=0.0, completion=0.0)
    torch.testing.assert_close(MODEL.reward(one, other, contrast), -MODEL.reward(other, one, contrast))
    assert not MODEL.nearer(one, one).any()


def test_the_reward_is_the_weighted_sum_of_its_terms():
    one, other = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0))
    terms = [MODEL.reward(one, other, Weights(*row)) for row in torch.eye(3).tolist()]
    torch.testing.assert_close(MODEL.reward(one, other, Weights(1.0, 2.0, 3.0)), terms[0] + 2 * terms[1] + 3 * terms[2])
    (was, _), (now, done) = MODEL(one), MODEL(other)
    torch.testing.assert_close(terms[1], now - was)
    assert torch.equal(terms[2], (done > 0).float())


def test_the_loss_by_hand():
    model = Multifaceted(2, hidden=4)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    frames = torch.ones(1, 2)
    found = model.loss(frames, frames, torch.tensor([1.0]), torch.tensor([0.8]), torch.tensor([0.0]))
    assert found.item() == pytest.approx(2 * math.log(2) + 0.09)
