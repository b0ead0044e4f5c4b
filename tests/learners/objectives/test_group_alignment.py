from __future__ import annotations

import pytest
import torch

from learners.objectives.group_alignment import group_alignment, joint_advantages


def test_without_both_weights_it_is_reinforce_with_group_advantages():
    logs, shown = torch.tensor([[-1.0, -2.0, -0.5]]), torch.tensor([-3.0])
    gains = joint_advantages(torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([0.7]))
    assert torch.allclose(group_alignment(logs, shown, gains, 0.0, 0.0), -(gains.samples * logs).mean(1))


def test_advantages_sum_to_nothing_or_to_the_demonstrations_with_the_other_sign():
    rewards, shown = torch.tensor([[1.0, 0.0, 0.5, 0.2]]), torch.tensor([0.7])
    alone = joint_advantages(rewards, shown, within=False)
    assert alone.samples.sum().item() == pytest.approx(0.0, abs=1e-6)
    # Then the alignment term loses its imitation: J = (1 + λ) exploration + β imitation.
    logs, told = torch.tensor([[-1.0, -2.0, -0.5, -4.0]]), torch.tensor([-3.0])
    explore = (alone.samples * logs).mean(1)
    expected = -(1.3 * explore + 0.2 * alone.demonstration * told)
    assert torch.allclose(group_alignment(logs, told, alone, 0.2, 0.3), expected, atol=1e-6)
    together = joint_advantages(rewards, shown)
    assert together.samples.sum().item() == pytest.approx(-together.demonstration.item(), abs=1e-6)


def test_a_demonstration_is_unlearnt_once_the_policy_is_better():
    better = joint_advantages(torch.tensor([[0.9, 0.8]]), torch.tensor([0.5]))
    worse = joint_advantages(torch.tensor([[0.2, 0.3]]), torch.tensor([0.5]))
    assert better.demonstration.item() < 0 < worse.demonstration.item()


def test_equal_rewards_say_nothing_and_groups_of_one_are_refused():
    gains = joint_advantages(torch.ones(1, 4), torch.ones(1))
    assert not gains.samples.any() and not gains.demonstration.any()
    with pytest.raises(ValueError, match="at least 2"):
        joint_advantages(torch.ones(2, 1), torch.ones(2))
    with pytest.raises(ValueError, match="at least 0"):
        group_alignment(torch.zeros(1, 4), torch.zeros(1), gains, imitation=-1.0)
