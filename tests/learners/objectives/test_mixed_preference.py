from __future__ import annotations

import math

import pytest
import torch

from learners.language.preferences import dpo
from learners.objectives.mixed_preference import bco, mixed_preference, next_shift

CHOSEN, REJECTED, MEAN = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 2.0]), torch.tensor([-2.0, -3.0])


def softplus(x):
    return math.log1p(math.exp(x))


def test_with_the_first_weight_alone_it_is_dpo():
    assert torch.equal(mixed_preference(CHOSEN, REJECTED, MEAN, 0.3, 0.7, (1, 0, 0)).total, dpo(CHOSEN - REJECTED, 0.7))


def test_by_hand():
    found = mixed_preference(CHOSEN[:1], REJECTED[:1], MEAN[:1], shift=0.5, beta=1.0)
    assert found.preference.item() == pytest.approx(softplus(-1))
    assert found.quality.item() == pytest.approx(2 * softplus(-0.5)), "half above δ, and half below"
    assert found.generation.item() == 2
    assert found.total.item() == pytest.approx(0.8 * softplus(-1) + 0.2 * 2 * softplus(-0.5) + 2)


def test_the_shift_runs_to_the_mean_of_both_and_has_no_gradient():
    assert next_shift(0.0, torch.tensor([1.0]), torch.tensor([3.0]), beta=0.5) == pytest.approx(0.1)
    assert next_shift(5.0, torch.tensor([1.0]), torch.tensor([3.0]), beta=0.5, rate=1.0) == pytest.approx(1.0)
    shift = torch.tensor(0.2, requires_grad=True)
    good = CHOSEN.clone().requires_grad_()
    bco(good, REJECTED, shift, 0.1).sum().backward()
    assert shift.grad is None and (good.grad < 0).all()


def test_each_answer_has_its_own_side():
    """Unlike DPO, which does not care where two answers are as long as they are apart."""
    apart = CHOSEN - 5, REJECTED - 5
    assert torch.allclose(dpo(apart[0] - apart[1], 1.0), dpo(CHOSEN - REJECTED, 1.0))
    assert bco(apart[0], CHOSEN - 100, 0.0, 1.0)[0] > bco(CHOSEN, CHOSEN - 100, 0.0, 1.0)[0] + 3


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="three times"):
        mixed_preference(CHOSEN, REJECTED, MEAN[:1])
    with pytest.raises(ValueError, match="at least 0"):
        mixed_preference(CHOSEN, REJECTED, MEAN, weights=(1, -1, 0))
    with pytest.raises(ValueError, match="one at least"):
        next_shift(0.0, CHOSEN[:0], REJECTED[:0], 0.1)
