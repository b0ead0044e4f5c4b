from __future__ import annotations

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from rewards.models.gated_attributes import GatedAttributes

HEADS = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 0.5]])
PROMPTS, ANSWERS = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), torch.arange(21.0).view(7, 3)


def model(heads=HEADS, **settings):
    return GatedAttributes(heads, prompt=2, hidden=8, layers=2, **settings)


def test_with_one_attribute_the_score_is_that_attribute():
    found = model(HEADS[:1])(PROMPTS, ANSWERS)
    assert torch.equal(found.score, (ANSWERS @ HEADS[:1].T)[:, 0]) and torch.equal(found.weights, torch.ones(7, 1))


def test_with_a_constant_gate_it_is_a_fixed_weighting():
    gated, fixed = model(), torch.tensor([0.3, 0.7])
    with torch.no_grad():
        gated.gate[-1].weight.zero_()
        gated.gate[-1].bias.copy_(fixed.log())
    torch.testing.assert_close(gated(PROMPTS, ANSWERS).score, ANSWERS @ HEADS.T @ fixed)


def test_weights_are_shares_and_explain_the_score():
    found = model()(PROMPTS, ANSWERS)
    assert (found.weights > 0).all()
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(7))
    torch.testing.assert_close(found.score, (found.weights * found.attributes).sum(-1))


def test_only_gate_and_scale_learn_and_the_seed_determines_them():
    before = torch.random.get_rng_state()
    first, second = model(seed=3), model(seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.gate[0].weight, second.gate[0].weight)
    scores = [first(PROMPTS, answers).score * first.scale for answers in (ANSWERS, -ANSWERS)]
    bradley_terry(*scores).mean().backward()
    assert {name.partition(".")[0] for name, p in first.named_parameters() if p.grad is not None} == {"gate", "scale"}
    assert not first.heads.requires_grad and "heads" in first.state_dict()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="scale=0"):
        model(scale=0)
    with pytest.raises(ValueError, match="heads"):
        model(HEADS[0])
