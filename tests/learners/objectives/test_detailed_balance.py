from __future__ import annotations

import pytest
import torch

from learners.objectives.detailed_balance import (
    detailed_balance,
    residuals,
    subtrajectory_balance,
    trajectory_balance,
)

MASK = torch.tensor([[True, True], [True, False]])
ENDED = torch.tensor([True, False])


def random():
    torch.manual_seed(0)
    return torch.randn(2, 3), torch.randn(2, 2), torch.randn(2, 2), torch.randn(2, 3)


def test_by_hand_and_a_flow_behind_the_end_is_not_looked_at():
    flow, forward, backward, energy = random()
    found = residuals(flow, forward, backward, energy, MASK, ENDED)
    last = flow[0, 1] + forward[0, 1] - 0 - backward[0, 1] + energy[0, 2] - energy[0, 1]
    cut = flow[1, 0] + forward[1, 0] - flow[1, 1] - backward[1, 0] + energy[1, 1] - energy[1, 0]
    assert torch.allclose(found[0, 1], last) and torch.allclose(found[1], torch.stack([cut, torch.tensor(0.0)]))


def test_with_energy_only_at_the_end_it_is_detailed_balance():
    flow, forward, backward, energy = random()
    energy[:, :2] = 0
    found = residuals(flow, forward, backward, energy, MASK, ENDED)
    ordinary = torch.stack([flow[:, 0], flow[:, 1]], 1) + forward - backward
    ordinary = ordinary - torch.stack([flow[:, 1], -energy[:, 2]], 1)  # log F of the end is log R = −E
    assert torch.allclose(found[0], ordinary[0])


def test_residuals_of_a_whole_trajectory_sum_to_that_of_trajectory_balance():
    flow, forward, backward, energy = random()
    found = residuals(flow, forward, backward, energy, MASK, ENDED)
    # log Z = log F(s₀) = log F̃(s₀) − E(s₀), and log R = −E at the end
    whole = (flow[0, 0] - energy[0, 0]) + forward[0].sum() - backward[0].sum() + energy[0, 2]
    assert torch.allclose(trajectory_balance(found)[0], whole.square())


def test_sub_trajectories_between_transitions_and_the_whole():
    residual = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    # ½-weighted: (1 + 4 + ½ · 9) / 2.5, and of the cut one only its transition
    assert subtrajectory_balance(residual, MASK, 0.5).tolist() == pytest.approx([3.8, 9.0])
    assert detailed_balance(residual, MASK).item() == pytest.approx(14 / 3)


def test_where_the_loss_is_0_ends_are_sampled_in_proportion_to_their_weight():
    # s → x with energies 1, 2, 4 on the way and P_B = 1: F̃(s) = Σ e^{−(E(x) − E(s))}, P_F = e^{−(E(x) − E(s))} / F̃(s)
    energy = torch.tensor([1.0, 2.0, 4.0])
    flow = (-(energy - 0.5)).logsumexp(0)
    forward = -(energy - 0.5) - flow
    found = residuals(
        torch.stack([flow.expand(3), torch.full((3,), 7.0)], 1),
        forward[:, None],
        torch.zeros(3, 1),
        torch.stack([torch.full((3,), 0.5), energy], 1),
        torch.ones(3, 1, dtype=torch.bool),
        torch.ones(3, dtype=torch.bool),
    )
    assert found.abs().max() < 1e-6
    assert torch.allclose(forward.exp(), (-energy).softmax(0))


def test_a_mask_with_a_gap_is_refused():
    flow, forward, backward, energy = random()
    with pytest.raises(ValueError, match="gap"):
        residuals(flow, forward, backward, energy, torch.tensor([[False, True], [True, True]]), ENDED)
