from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.methods.checks.implicit_rewards import PARTS
from learners.language.preferences import dpo
from learners.objectives.implicit_process import (
    implicit_rewards,
    instructive,
    outcome_cross_entropy,
    outcome_pairs,
    trajectory_preference,
)
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView


def test_pairs_are_of_one_group_and_of_known_outcomes():
    better, worse = outcome_pairs(torch.tensor([1.0, 0.0, 0.0, 1.0, math.nan]), torch.tensor([0, 0, 0, 1, 1]))
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(0, 1), (0, 2)]


def test_the_loss_is_log_2_at_the_start_and_falls_with_the_mean_over_steps():
    better, worse = torch.tensor([0]), torch.tensor([1])
    steps = torch.tensor([2, 4])
    start = trajectory_preference(torch.zeros(2), steps, better, worse)
    assert start.tolist() == pytest.approx([math.log(2)])
    found = trajectory_preference(torch.tensor([3.0, -2.0]), steps, better, worse, beta=0.5)
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-0.5 * (1.5 + 0.5)))])
    nothing = torch.zeros(0, dtype=torch.long)
    assert trajectory_preference(torch.zeros(2), steps, nothing, nothing).shape == (0,)
    with pytest.raises(ValueError, match="got a trajectory of 0 steps"):
        trajectory_preference(torch.zeros(2), torch.tensor([0, 1]), better, worse)


def prime(implicit, right):
    """A_t of four walks of one prompt, of 1, 2, 3 and 2 tokens, without a discount."""
    both = {"part": "weighted_sum", "coefficients": {"outcome": 1.0, "process": 1.0}, "to": "advantage"}
    levels = {"right": "episode", "implicit": "token"}
    view = RewardView(Config.model_validate({"name": "prime", "components": levels, "parts": [*PARTS, both]}))
    layout = Layout.of(steps=np.ones(4), group=np.zeros(4), tokens=[1, 2, 3, 2])
    found = view.apply({"right": Column.full(right), "implicit": Column.full(implicit)}, layout)
    return found.advantage.values


def test_a_model_that_is_its_reference_rewards_nothing_and_the_advantage_is_rloo():
    logs = torch.tensor([[-1.0, -2.0, -0.5, -0.1, -3.0, -1.5, -0.7, -0.2]])
    found = prime(implicit_rewards(logs, logs)[0].numpy(), [1, 0, 0, 1])
    assert found == pytest.approx([2 / 3, -2 / 3, -2 / 3, -2 / 3, -2 / 3, -2 / 3, 2 / 3, 2 / 3])


def test_what_is_to_come_is_compared_with_the_mean_token_of_the_others():
    rewards = np.array([1.0, 0.5, 0.0, 0.3, 0.6, 0.0, -1.0, 2.0])
    means = [1.0, 0.25, 0.3, 0.5]
    apart = [r - (sum(means) - means[i]) / 3 for r, i in zip(rewards, [0, 1, 1, 2, 2, 2, 3, 3], strict=True)]
    to_go = [sum(apart[t:end]) for t, end in enumerate([1, 3, 3, 6, 6, 6, 8, 8])]
    assert prime(rewards, [1, 1, 1, 1]) == pytest.approx(to_go, abs=1e-6)


def test_the_sum_of_an_answer_s_rewards_is_dpo_s_implicit_reward():
    model, anchor = torch.tensor([[-1.0, -0.5], [-2.0, -1.0]]), torch.tensor([[-1.5, -1.0], [-1.0, -0.25]])
    total = implicit_rewards(model, anchor, beta=0.4).sum(-1)
    margin = (model.sum(-1) - anchor.sum(-1)).diff().neg()
    assert torch.allclose(-torch.nn.functional.logsigmoid(total[:1] - total[1:]), dpo(margin, 0.4))


def test_sums_of_a_prefix_are_the_values_of_the_reward_that_the_model_is_best_for():
    """Of all four answers of two tokens: with π_φ ∝ π_ref exp(r/β), q_t = β log E_ref[exp(r/β) | y ≤ t]."""
    beta, reward = 0.5, torch.tensor([[0.3, -1.0], [2.0, 0.7]])
    reference = torch.tensor([[0.1, 0.3], [0.4, 0.2]])
    tilted = reference * (reward / beta).exp()
    model = tilted / tilted.sum()

    def logs(joint):
        first = joint.sum(1, keepdim=True)
        return torch.stack([first.expand(2, 2).log(), (joint / first).log()], -1).flatten(0, 1)

    begin = beta * tilted.sum().log()
    sums = implicit_rewards(logs(model), logs(reference), beta).cumsum(-1).view(2, 2, 2) + begin
    after_one = beta * (tilted.sum(1) / reference.sum(1)).log()
    assert torch.allclose(sums[..., 0], after_one[:, None].expand(2, 2), atol=1e-6)
    assert torch.allclose(sums[..., 1], reward, atol=1e-6)


def test_cross_entropy_hears_known_outcomes_alone():
    found = outcome_cross_entropy(torch.tensor([0.0, 2.0, 9.0]), torch.tensor([1.0, 0.0, math.nan]))
    assert found.tolist() == pytest.approx([math.log(2), math.log1p(math.exp(2))])
    with pytest.raises(ValueError, match="outcomes of 0 to 1"):
        outcome_cross_entropy(torch.zeros(1), torch.tensor([-1.0]))
    with pytest.raises(ValueError, match="beta above 0"):
        implicit_rewards(torch.zeros(1, 2), torch.zeros(1, 2), beta=0.0)


def test_tasks_that_are_nearly_always_or_nearly_never_solved_tell_nothing():
    outcomes = torch.tensor([1.0, 0.0, math.nan, 1.0, 1.0, 0.0, 0.0, math.nan])
    group = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    assert instructive(outcomes, group).tolist() == [True, True] + [False] * 6
    assert instructive(outcomes, group, low=-1, high=2).tolist() == (~outcomes.isnan()).tolist()
    with pytest.raises(ValueError, match="low < high"):
        instructive(outcomes, group, low=0.8, high=0.2)
