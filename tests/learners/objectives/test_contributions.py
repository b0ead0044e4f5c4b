from __future__ import annotations

import pytest
import torch

from learners.objectives.contributions import return_decomposition


def test_the_loss_is_0_where_contributions_sum_to_the_return():
    contributions = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 9.0]], requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    loss = return_decomposition(contributions, mask, torch.tensor([1.0, 0.5]))
    assert loss.tolist() == pytest.approx([0, 0.09], abs=1e-6)
    loss.sum().backward()
    assert contributions.grad[1].tolist() == pytest.approx([-0.6, -0.6, 0], abs=1e-6)
    with pytest.raises(ValueError, match=r"expected \[B, T\], \[B, T\] and \[B\]"):
        return_decomposition(contributions, mask, torch.zeros(3))
