"""Hi-GRPO: stages as steps, each paid for itself and for what became of it, each compared with its own."""

from __future__ import annotations

import numpy as np

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

LAYOUT = Layout.of(steps=[2, 2, 2], group=[0, 0, 0])
OUTLINES, DETAILS = np.array([0.2, 0.9, 0.4]), np.array([1.0, 0.1, 0.7])


def advantages(scores, **returns):
    parts = [
        {"part": "returns", "of": "score", "to": "reward", **returns},
        {"part": "position_relative", "preset": "tp_grpo", "of": "reward"},
    ]
    view = RewardView(Config.model_validate({"name": "stages", "components": {"score": "step"}, "parts": parts}))
    return view.apply({"score": Column.full(scores.ravel())}, LAYOUT).advantage.values.reshape(-1, 2)


def normalised(values):
    return (values - values.mean()) / values.std(ddof=1)


def test_without_credit_each_stage_is_a_grpo_of_its_own_and_with_it_an_outline_is_paid_for_its_details():
    scores = np.stack([OUTLINES, DETAILS], -1)
    alone = advantages(scores, gamma=0.0)
    np.testing.assert_allclose(alone[:, 0], normalised(OUTLINES), rtol=1e-4)
    np.testing.assert_allclose(alone[:, 1], normalised(DETAILS), rtol=1e-4)
    whole = advantages(scores, preset="hi_grpo")
    np.testing.assert_allclose(whole[:, 0], normalised(OUTLINES + DETAILS), rtol=1e-4)
    np.testing.assert_allclose(whole[:, 1], normalised(DETAILS), rtol=1e-4)


def test_the_same_rewards_in_both_stages_without_credit_are_a_flat_grpo():
    same = advantages(np.stack([DETAILS, DETAILS], -1), gamma=0.0)
    np.testing.assert_allclose(same[:, 0], same[:, 1])
    np.testing.assert_allclose(same[:, 0], normalised(DETAILS), rtol=1e-4)
