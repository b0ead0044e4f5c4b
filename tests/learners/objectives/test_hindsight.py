from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.hindsight import replacements, to_rewrite, with_potential

NONE = math.nan


def test_without_a_bonus_and_without_replacements_it_is_grpo():
    rewards, after = torch.tensor([[0.2, 0.5, 0.5]]), torch.tensor([[NONE, 1.0, 0.0]])
    assert torch.equal(with_potential(rewards, after, alpha=0.0), rewards)
    assert replacements(rewards, after, top=0).tolist() == [[-1, -1, -1]]


def test_the_best_of_groups_without_a_full_answer_are_rewritten():
    rewards = torch.tensor([[0.2, 0.5, 0.5, 0.5], [1.0, 0.5, 0.5, 0.0], [NONE, 0.0, 0.0, NONE], [NONE] * 4])
    assert to_rewrite(rewards, most=2).tolist() == [
        [False, True, True, False],
        [False] * 4,
        [False, True, True, False],
        [False] * 4,
    ]
    assert not to_rewrite(rewards, most=0).any()


def test_an_answer_is_paid_a_share_of_what_its_rewrite_gains_or_loses():
    rewards, after = torch.tensor([[0.2, 0.5, 0.5, NONE]]), torch.tensor([[NONE, 1.0, 0.0, 1.0]])
    found = with_potential(rewards, after, alpha=0.1)[0]
    assert found[:3].tolist() == pytest.approx([0.2, 0.55, 0.45]) and found[3].isnan()
    assert torch.equal(with_potential(rewards, after, alpha=1.0)[0, 1:3], after[0, 1:3])


def test_only_rewrites_better_than_all_of_the_group_take_a_place_the_best_first():
    rewards = torch.tensor([[0.2, 0.5, 0.5, 0.5]]).repeat(3, 1)
    after = torch.tensor([[NONE, 0.6, 0.9, 0.7], [NONE, 0.5, 0.4, 0.6], [NONE] * 4])
    generator = torch.Generator().manual_seed(0)
    found = replacements(rewards, after, 2, generator)
    assert [sorted(row) for row in found.tolist()] == [[-1, -1, 2, 3], [-1, -1, -1, 3], [-1] * 4]
    assert [max(row) for row in replacements(rewards, after, 1, generator).tolist()] == [2, 3, -1]


def test_places_are_drawn_from_the_whole_group():
    rewards, after = torch.zeros(200, 3), torch.tensor([[1.0, NONE, NONE]]).repeat(200, 1)
    found = replacements(rewards, after, generator=torch.Generator().manual_seed(0))
    assert torch.equal((found == 0).sum(1), torch.ones(200, dtype=torch.long)) and (found == 0).any(0).all()


def test_shapes_and_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected \[P, G\], and at least 0"):
        to_rewrite(torch.zeros(3))
    with pytest.raises(ValueError, match="alpha of 0 to 1"):
        with_potential(torch.zeros(1, 3), torch.zeros(1, 3), alpha=2.0)
    with pytest.raises(ValueError, match="top of 0 to G"):
        replacements(torch.zeros(1, 3), torch.zeros(1, 3), top=4)
