from __future__ import annotations

import pytest
import torch

from learners.flows.joint_flow import DEMONSTRATED, Row, completed, joint_losses
from learners.flows.losses import matching_losses, noised

ROW = Row(state=2, action=3)


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def still(x, sigma, shown):
    return torch.zeros_like(x)


def test_a_row_has_its_parts_in_order_and_each_role_is_shown_what_stands_before_what_it_tells():
    rows = torch.arange(8.0)[None]
    parts = [ROW.part(rows, name) for name in ROW.sizes]
    assert [p.tolist() for p in parts] == [[[0, 1]], [[2, 3, 4]], [[5, 6]], [[7]]]
    assert torch.equal(ROW.join(*parts), rows)
    assert [ROW.shown(role).sum().item() for role in ("policy", "world", "value")] == [2, 5, 7]
    assert ROW.shown("world").tolist() == [True] * 5 + [False] * 3


def test_with_nothing_shown_it_is_flow_matching_and_else_only_what_is_hidden_counts():
    clean, noise, sigma = torch.rand(5, 8, generator=drawn()), torch.rand(5, 8, generator=drawn(1)), torch.rand(5)
    nothing = torch.zeros(5, 8, dtype=torch.bool)
    expected = matching_losses(torch.zeros(5, 8), clean, noise) / 8
    assert torch.allclose(joint_losses(still, clean, noise, sigma, nothing), expected)
    value = ROW.shown("value").expand(5, 8)
    assert torch.allclose(joint_losses(still, clean, noise, sigma, value), (noise - clean)[:, 7].square())


def test_the_flow_sees_what_is_shown_as_it_is_and_the_rest_noised():
    seen = []

    def field(x, sigma, shown):
        seen.append(x)
        return torch.zeros_like(x)

    clean, noise, sigma = torch.ones(2, 8), torch.full((2, 8), 3.0), torch.tensor([0.25, 1.0])
    joint_losses(field, clean, noise, sigma, ROW.shown("world").expand(2, 8))
    assert torch.equal(seen[0][:, :5], clean[:, :5])
    assert torch.equal(seen[0][:, 5:], noised(clean, noise, sigma)[:, 5:])


def test_what_is_shown_stays_and_what_is_hidden_comes_where_a_right_flow_leads():
    target = torch.arange(8.0)

    def right(x, sigma, shown):
        return (x - target) / sigma[:, None]

    rows, shown = torch.full((3, 8), -1.0), ROW.shown("policy").expand(3, 8)
    for steps in (1, 4):
        found = completed(right, rows, shown, torch.randn(3, 8, generator=drawn()), steps)
        assert torch.equal(found[:, :2], rows[:, :2])
        assert torch.allclose(found[:, 2:], target[2:].expand(3, 6), atol=1e-5)


def test_roles_are_drawn_by_their_shares_and_one_of_share_0_never():
    shown = ROW.drawn(4000, DEMONSTRATED, drawn())
    share = (shown.sum(-1) == 2).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.04)
    assert not (ROW.drawn(100, {"policy": 0, "world": 1, "value": 1}, drawn()).sum(-1) == 2).any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="'policy', 'value', 'world'"):
        ROW.shown("critic")
    with pytest.raises(ValueError, match="some above"):
        ROW.drawn(3, {"policy": 0.0}, drawn())
    whole = torch.ones(1, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match="something to be hidden"):
        joint_losses(still, torch.zeros(1, 8), torch.zeros(1, 8), torch.ones(1), whole)
    with pytest.raises(ValueError, match="expected the same"):
        joint_losses(still, torch.zeros(1, 8), torch.zeros(1, 7), torch.ones(1), whole)
