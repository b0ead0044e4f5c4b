from __future__ import annotations

import pytest
import torch

from learners.language.dimensional_controllers import DimensionalControllers, LevelDecoder


def trained(dimensions=3, hidden=5, rank=2):
    torch.manual_seed(0)
    controllers = DimensionalControllers(dimensions, hidden, rank)
    torch.nn.init.normal_(controllers.up)
    return controllers


def test_at_level_zero_the_logits_are_those_of_the_model():
    hidden, head = torch.randn(2, 7, 5), torch.nn.Linear(5, 11)
    assert torch.equal(head(trained()(hidden, torch.zeros(2, 7, 3))), head(hidden))
    assert torch.equal(DimensionalControllers(3, 5)(hidden, torch.ones(2, 7, 3)), hidden)


def test_it_is_the_sum_of_matrices_each_by_its_level():
    controllers, hidden, levels = trained(), torch.randn(4, 5), torch.randn(4, 3)
    matrices = controllers.up @ controllers.down
    expected = hidden + sum(levels[:, n, None] * hidden @ matrices[n].T for n in range(3))
    assert torch.allclose(controllers(hidden, levels), expected, atol=1e-5)
    assert (torch.linalg.matrix_rank(matrices.detach()) == 2).all()


def test_levels_are_foretold_from_those_before_alone_and_lie_between_one_and_its_opposite():
    torch.manual_seed(0)
    decoder, levels = LevelDecoder(2), torch.randn(1, 4, 2)
    changed = levels.clone()
    changed[:, 2] = 9.0
    before, after = decoder(levels), decoder(changed)
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.equal(before[:, 3], after[:, 3])
    schedule = decoder.schedule(4)
    assert schedule.shape == (4, 2) and schedule.abs().max() < 1
    assert torch.allclose(decoder(schedule[None])[0], schedule, atol=1e-6)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="rank ≤ hidden"):
        DimensionalControllers(3, 4, rank=5)
    with pytest.raises(ValueError, match="expected 3"):
        trained()(torch.randn(1, 5), torch.zeros(1, 2))
