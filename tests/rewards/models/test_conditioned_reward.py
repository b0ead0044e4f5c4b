from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.models.conditioned_reward import ConditionedReward
from rewards.models.mlp_head import MLPHead
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

DRAWN = torch.Generator().manual_seed(0)
ANSWERS, CONDITIONS = torch.randn(5, 3, generator=DRAWN), torch.randn(5, 4, 2, generator=DRAWN)
MODEL = ConditionedReward(3, 2, width=4, hidden=6)


def test_without_facts_it_is_the_ordinary_reward_of_the_answer():
    alone = MODEL.plain(ANSWERS)
    assert torch.equal(MODEL(ANSWERS, CONDITIONS[:, :0]), alone)
    assert torch.equal(MODEL(ANSWERS, torch.zeros_like(CONDITIONS)), alone)
    assert not torch.allclose(MODEL(ANSWERS, CONDITIONS), alone)


def test_by_hand_with_linear_towers():
    model = ConditionedReward(2, 2, width=4)
    model.answer, model.condition = (torch.nn.Linear(2, 4, bias=False) for _ in range(2))
    model.plain = MLPHead(2, layers=1)
    with torch.no_grad():
        model.answer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
        model.condition.weight.copy_(2 * torch.eye(4)[:, :2])
        model.plain.body[0].weight.fill_(1.0)
        model.plain.body[0].bias.zero_()
    # u = 3 + 4; A = (3, 4, 7, 0); B of (1, 0) is (2, 0, 0, 0), of (0, 1) is (0, 2, 0, 0); k = 4.
    answer, conditions = torch.tensor([3.0, 4.0]), torch.eye(2)
    assert model.each(answer, conditions).tolist() == [7 + 3, 7 + 4]
    assert model(answer, conditions).item() == 7 + 3 + 4


def test_under_one_condition_both_ways_to_ask_are_the_same_and_zeros_add_nothing():
    one = CONDITIONS[:, :1]
    torch.testing.assert_close(MODEL(ANSWERS, one), MODEL.each(ANSWERS, one)[:, 0])
    filled = torch.cat([CONDITIONS, torch.zeros(5, 3, 2)], 1)
    torch.testing.assert_close(MODEL(ANSWERS, filled), MODEL(ANSWERS, CONDITIONS))


@given(st.permutations(range(4)))
def test_the_order_of_conditions_does_not_matter(order):
    torch.testing.assert_close(MODEL(ANSWERS, CONDITIONS[:, order]), MODEL(ANSWERS, CONDITIONS))


def test_pairs_share_their_conditions_by_broadcasting():
    pairs = torch.stack([ANSWERS, -ANSWERS], 1)
    found = MODEL(pairs, CONDITIONS[:, None])
    assert found.shape == (5, 2)
    torch.testing.assert_close(found[:, 1], MODEL(-ANSWERS, CONDITIONS))


def test_a_principle_is_fulfilled_more_likely_than_not_exactly_where_the_reward_is_above_0():
    rewards = MODEL.each(ANSWERS, CONDITIONS)
    chance = rewards.sigmoid()
    assert torch.equal(rewards > 0, chance > 0.5)
    torch.testing.assert_close(rewards, chance.log() - (1 - chance).log(), atol=1e-5, rtol=1e-4)


def test_without_symbolic_terms_the_reward_of_a_run_is_the_model_s_own():
    score, wrong, length = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, 1.0]), np.array([0.2, 1.0, 0.4])
    columns = {"score": Column.full(score), "wrong": Column.full(wrong), "length": Column.full(length)}
    layout = Layout.of(np.ones(3), np.zeros(3))

    def reward(a_c, a_l):
        part = {"part": "weighted_sum", "coefficients": {"score": 1.0, "wrong": -a_c, "length": -a_l}}
        view = {"name": "fact", "components": dict.fromkeys(columns, "episode"), "parts": [part]}
        return RewardView(Config.model_validate(view)).apply(columns, layout).reward

    assert reward(0.0, 0.0).tolist() == score.tolist()
    assert reward(2.0, 10.0).tolist() == pytest.approx([0.5 - 2 - 2, -1 - 10, 2 - 2 - 4])


def test_the_seed_determines_the_weights_and_sizes_are_checked():
    before = torch.random.get_rng_state()
    first, second = (ConditionedReward(3, 2, seed=7) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first(ANSWERS, CONDITIONS), second(ANSWERS, CONDITIONS))
    assert not torch.equal(first.answer[0].weight, first.plain.body[0].weight)
    with pytest.raises(ValueError, match="sizes 3, 0"):
        ConditionedReward(3, 0)
