from __future__ import annotations

import pytest
import torch

from learners.objectives.self_critic import critic_pairs


def test_the_highest_is_preferred_to_the_lowest_and_equals_and_unknown_ones_make_no_pair():
    rewards = torch.tensor(
        [[0.0, 1.1, -1.0], [1.0, 1.0, 1.0], [float("nan"), 1.0, 0.0], [float("nan"), 2.0, float("nan")]]
    )
    chosen, rejected = critic_pairs(rewards)
    assert chosen.tolist() == [1, -1, 1, -1] and rejected.tolist() == [2, -1, 2, -1]
    assert critic_pairs(rewards, least=1.5)[0].tolist() == [1, -1, -1, -1]
    with pytest.raises(ValueError, match="at least 2"):
        critic_pairs(torch.zeros(3, 1))
