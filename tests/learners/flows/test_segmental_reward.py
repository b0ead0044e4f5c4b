from __future__ import annotations

import math

import pytest
import torch

from learners.flows.segmental_reward import attenuated_reward, drawn_frames


def test_without_attenuation_it_is_the_sum_and_with_it_the_middle_counts_most():
    rewards, index = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0, 4, 6])
    assert attenuated_reward(rewards, index, 8, rate=0.0).tolist() == [7.0]
    found = attenuated_reward(rewards, index, 8).item()
    assert found == pytest.approx(math.exp(-4) + 2 + 4 * math.exp(-2))


def test_one_frame_of_each_stretch_is_drawn_and_each_of_them_sometimes():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([drawn_frames(7, 3, generator) for _ in range(100)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0, 1], [2, 3], [4, 5, 6]]
    assert drawn_frames(4, 4).tolist() == [0, 1, 2, 3]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="from 1 to 3"):
        drawn_frames(3, 4)
    with pytest.raises(ValueError, match=r"\[B, S\]"):
        attenuated_reward(torch.zeros(2, 3), torch.zeros(4), 8)
