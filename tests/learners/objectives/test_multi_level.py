from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from learners.objectives.multi_level import multi_level


def pair(*values):
    return tuple(torch.tensor([v], dtype=torch.float32) for v in values)


def test_without_weights_it_is_bradley_terry():
    found = multi_level(pair(1, 0), pair(9, 3), pair(5, 5), intra=0, inter=0)
    assert torch.equal(found.total, bradley_terry(*pair(1, 0)))


def test_a_model_that_ignores_the_prompt_is_at_log_2_in_both_new_terms():
    found = multi_level(pair(1, 0), pair(1, 1), pair(1, 0))
    assert found.intra.item() == pytest.approx(math.log(2)) and found.inter.item() == pytest.approx(math.log(2))


def test_by_hand():
    found = multi_level(pair(1, 0), pair(2, 0), pair(4, 1), intra=0.5, inter=2)
    expected = math.log1p(math.exp(-1)) + 0.5 * math.log1p(math.exp(-2)) + 2 * math.log1p(math.exp(-2))
    assert found.total.item() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="at least 0"):
        multi_level(pair(1, 0), pair(1, 0), pair(1, 0), intra=-1)
