from __future__ import annotations

import pytest
import torch

from learners.flows.latent_flow import LatentFlow, latent_losses, velocity_deviation


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def next_of(step):
    """The field of states that are each the one before plus a step: its error is 0 at any noise."""
    return lambda x, sigma, before, layer: (x - (before + step)) / sigma[:, None]


def test_a_perfect_flow_deviates_nowhere_and_one_that_expects_a_smaller_step_by_the_square_of_it():
    latents = torch.arange(4.0)[None, None, :, None].expand(2, 3, 4, 5) + torch.arange(3.0)[:, None, None]
    assert velocity_deviation(next_of(1.0), latents, drawn()).abs().max() < 1e-9
    # at σ = 0.2 the velocity is wrong by 0.5 / 0.2, its square is weighed by 4
    assert torch.allclose(velocity_deviation(next_of(0.5), latents, drawn()), torch.full((2, 3), 25.0), rtol=1e-4)


def test_only_the_strange_token_and_the_one_that_follows_it_deviate_and_layers_are_averaged():
    latents = torch.zeros(1, 2, 5, 3)
    latents[0, 0, 2] = 0.1  # of one layer
    found = velocity_deviation(next_of(0.0), latents, drawn(), sigma=0.5)
    assert torch.allclose(found, torch.tensor([[0.0, 0.02, 0.02, 0.0]]), atol=1e-6)


def test_a_flow_that_was_taught_deviates_less_on_what_it_was_taught():
    flow, generator = LatentFlow(2, width=16, blocks=2), drawn()
    latents = torch.tensor([[[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]]).expand(32, 1, 3, 2)
    before = velocity_deviation(flow, latents, drawn(1)).mean()
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        latent_losses(flow, latents, torch.rand(32, 2, generator=generator), generator).mean().backward()
        optimiser.step()
    assert velocity_deviation(flow, latents, drawn(1)).mean() < before
    assert (
        velocity_deviation(flow, latents.flip(2), drawn(1)).mean() > velocity_deviation(flow, latents, drawn(1)).mean()
    )


def test_one_seed_is_one_flow_and_the_global_generator_stays_as_it_was():
    state = torch.random.get_rng_state()
    one, other = LatentFlow(2, seed=3), LatentFlow(2, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.enter.weight, other.enter.weight)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="0 < sigma < 1"):
        velocity_deviation(next_of(0.0), torch.zeros(1, 1, 3, 2), drawn(), sigma=1.0)
    with pytest.raises(ValueError, match=r"\[B, layers, T \+ 1, d\]"):
        velocity_deviation(next_of(0.0), torch.zeros(1, 3, 2), drawn())
