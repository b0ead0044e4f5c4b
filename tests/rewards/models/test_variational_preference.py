from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from rewards.models.variational_preference import Latent, VariationalPreference, divergence, negative_elbo

DRAWN = torch.Generator().manual_seed(0)
CHOSEN, REJECTED = torch.randn(2, 3, 4, 2, generator=DRAWN)


def model(seed=0):
    return VariationalPreference(size=2, latent=3, hidden=8, seed=seed)


def test_with_a_latent_of_zero_it_is_bradley_terry():
    zero = torch.zeros(3, 3)
    rewards = [model().reward(states, zero) for states in (CHOSEN, REJECTED)]
    found = negative_elbo(*rewards, Latent(zero, zero))
    torch.testing.assert_close(found, bradley_terry(*rewards).sum(-1))
    everybody = model().reward(CHOSEN[:1].expand(3, -1, -1), zero)
    torch.testing.assert_close(everybody, everybody[:1].expand(3, -1))


def test_the_divergence_by_hand():
    latent = Latent(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(4)], [0.0, 0.0]]))
    assert divergence(latent).tolist() == pytest.approx([0.5 * 1 + 0.5 * (4 - 1 - math.log(4)), 0.0])


def test_the_loss_by_hand():
    latent = Latent(torch.tensor([[2.0]]), torch.zeros(1, 1))
    found = negative_elbo(torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2), latent, beta=0.5)
    assert found.tolist() == pytest.approx([-math.log(0.75) + math.log(2) + 0.5 * 2.0])


def test_what_is_inferred_does_not_depend_on_the_order_of_the_pairs_and_none_is_enough():
    around = torch.tensor([2, 0, 3, 1])
    for one, other in zip(
        model().infer(CHOSEN, REJECTED), model().infer(CHOSEN[:, around], REJECTED[:, around]), strict=True
    ):
        torch.testing.assert_close(one, other)
    nothing = model().infer(CHOSEN[:, :0], REJECTED[:, :0])
    torch.testing.assert_close(nothing.mean, nothing.mean[:1].expand(3, -1))


def test_rates_lie_between_0_and_1_and_know_no_offset():
    z = torch.randn(3, 3, generator=DRAWN)
    found = model().rate(CHOSEN, REJECTED, z)
    assert ((found > 0) & (found < 1)).all()
    both = model().rate(CHOSEN, CHOSEN, z)
    torch.testing.assert_close(both.mean(-1), torch.full((3,), 0.5))  # who wins against whom adds up to one
    shifted = model()
    with torch.no_grad():
        shifted.decoder[-1].bias.add_(5.0)
    torch.testing.assert_close(shifted.rate(CHOSEN, REJECTED, z), found)


def test_a_sample_has_the_mean_and_deviation_and_gradients():
    mean = torch.full((2000, 1), 3.0, requires_grad=True)
    drawn = Latent(mean, torch.full((2000, 1), math.log(0.25))).drawn(torch.Generator().manual_seed(1))
    assert drawn.mean().item() == pytest.approx(3, abs=0.05) and drawn.std().item() == pytest.approx(0.5, abs=0.05)
    drawn.sum().backward()
    assert torch.equal(mean.grad, torch.ones(2000, 1))


def test_the_seed_determines_the_weights():
    before = torch.random.get_rng_state()
    first, second = model(4), model(4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.place.weight, second.place.weight)
    assert not torch.equal(first.place.weight, model(5).place.weight)
