"""Action distributions against torch's own, and by counting what they draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import distributions

from actors.distributions import Categorical, DiagonalGaussian, MultiCategorical, distribution_for
from envs.specs import Box, Discrete, MultiDiscrete


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_categorical_scores_as_torch_does():
    parameters = logits(50, 7)
    action = torch.arange(50) % 7
    reference = distributions.Categorical(logits=parameters)
    torch.testing.assert_close(Categorical(7).log_prob(parameters, action), reference.log_prob(action))
    torch.testing.assert_close(Categorical(7).entropy(parameters), reference.entropy())


def test_independent_choices_score_as_torch_does():
    nvec = (2, 5, 3)
    parameters = logits(40, sum(nvec))
    action = torch.stack([torch.arange(40) % n for n in nvec], -1)
    references = [distributions.Categorical(logits=part) for part in parameters.split(list(nvec), -1)]
    ours = MultiCategorical(nvec)
    expected = sum(reference.log_prob(action[:, k]) for k, reference in enumerate(references))
    torch.testing.assert_close(ours.log_prob(parameters, action), expected)
    torch.testing.assert_close(ours.entropy(parameters), sum(reference.entropy() for reference in references))
    assert (ours.mode(parameters) == torch.stack([r.probs.argmax(-1) for r in references], -1)).all()


def test_a_gaussian_scores_as_torch_does():
    parameters = (logits(40, 6) / 2).clamp(-2, 2)
    reference = distributions.Normal(parameters[:, :3], parameters[:, 3:].exp())
    action = logits(40, 3, seed=1)
    ours = DiagonalGaussian(3)
    torch.testing.assert_close(ours.log_prob(parameters, action), reference.log_prob(action).sum(-1))
    torch.testing.assert_close(ours.entropy(parameters), reference.entropy().sum(-1))
    assert torch.equal(ours.mode(parameters), parameters[:, :3])


def test_a_wild_head_keeps_the_gaussian_within_bounds():
    for head, log_std in ((1e6, 2.0), (-1e6, -5.0)):
        parameters = torch.tensor([[0.0, head]])
        expected = -log_std - 0.5 * math.log(2 * math.pi)
        assert DiagonalGaussian(1).log_prob(parameters, torch.zeros(1, 1)).item() == pytest.approx(expected)


def test_a_categorical_draws_each_choice_as_often_as_it_should():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    n = 40_000
    parameters = probabilities.log().expand(n, 4)
    drawn = Categorical(4).sample(parameters, torch.Generator().manual_seed(3))
    counts = torch.bincount(drawn, minlength=4).numpy()
    expected = n * probabilities.numpy()
    # 0.1 % quantile of chi-squared with 3 degrees of freedom; the seed is fixed, so this passes or fails for good.
    assert ((counts - expected) ** 2 / expected).sum() < 16.27


def test_independent_choices_are_drawn_independently():
    nvec, n = (2, 3), 30_000
    parameters = torch.cat([torch.tensor([0.25, 0.75]).log(), torch.tensor([0.2, 0.3, 0.5]).log()]).expand(n, 5)
    drawn = MultiCategorical(nvec).sample(parameters, torch.Generator().manual_seed(5)).numpy()
    joint = np.zeros(nvec)
    np.add.at(joint, (drawn[:, 0], drawn[:, 1]), 1)
    expected = n * np.outer([0.25, 0.75], [0.2, 0.3, 0.5])
    assert ((joint - expected) ** 2 / expected).sum() < 20.52  # 0.1 % of chi-squared with 5 degrees of freedom


def test_a_gaussian_draws_with_its_mean_and_deviation():
    n = 40_000
    parameters = torch.tensor([1.0, -2.0, math.log(0.5), math.log(2.0)]).expand(n, 4)
    drawn = DiagonalGaussian(2).sample(parameters, torch.Generator().manual_seed(7))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, -2.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.tensor([0.5, 2.0]), atol=0.03, rtol=0)


@pytest.mark.parametrize("spec", [Discrete(4), MultiDiscrete((3, 2)), Box((-1.0, -1.0), (1.0, 1.0))])
def test_draws_depend_on_the_generator_alone_and_fit_the_action_space(spec):
    distribution = distribution_for(spec)
    parameters = logits(16, distribution.size)
    one = distribution.sample(parameters, torch.Generator().manual_seed(1))
    torch.rand(100)  # torch's global generator moves on
    again = distribution.sample(parameters, torch.Generator().manual_seed(1))
    other = distribution.sample(parameters, torch.Generator().manual_seed(2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == (16, *spec.shape) and distribution.log_prob(parameters, one).shape == (16,)
    assert distribution.entropy(parameters).shape == (16,)
    assert all(spec.contains(action) for action in one.numpy())


def test_an_impossible_choice_is_never_drawn():
    parameters = torch.tensor([0.0, -1e9, 0.0]).expand(1000, 3)
    assert 1 not in Categorical(3).sample(parameters, torch.Generator().manual_seed(0))


def test_an_unknown_action_space_is_refused():
    with pytest.raises(TypeError, match="expected Discrete, MultiDiscrete or Box"):
        distribution_for("up or down")
