from __future__ import annotations

import numpy as np

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

LAYOUT = Layout.of(steps=[2, 1, 2])
CALLS = Column.full([0.1, 0.2, 0.4, 0.1, 0.1])


def total(outcome, least):
    """Outcome and gated calls of each episode."""
    view = RewardView(
        Config.model_validate(
            {
                "name": "g-ra",
                "components": {"outcome": "episode"},
                "parts": [
                    {"part": "gate", "of": "call", "by": "outcome", "least": least},
                    {"part": "reduce", "of": "call", "by": "sum", "strict": True},
                    {"part": "weighted_sum", "coefficients": {"outcome": 1, "call": 1}},
                ],
            }
        )
    )
    found = view.apply({"outcome": outcome, "call": CALLS}, LAYOUT)
    return [round(float(r), 6) if w else None for r, w in zip(found.reward, found.weight, strict=True)]


def test_below_the_gate_an_episode_earns_its_outcome_and_above_it_its_calls_too():
    outcome = Column.full([1.0, 0.5, 0.0])
    assert total(outcome, least=0.5) == [1.3, 0.9, 0]
    assert total(outcome, least=0.6) == [1.3, 0.5, 0]
    assert total(outcome, least=-1e9) == [1.3, 0.9, 0.2]  # direct accumulation
    assert total(outcome, least=1e9) == [1, 0.5, 0]  # the outcome alone


def test_a_gate_that_nobody_has_judged_is_neither_open_nor_closed():
    outcome = Column(np.array([1.0, np.nan, 0.0]), np.array([True, False, True]))
    assert total(outcome, least=0.5) == [1.3, None, 0]


def test_gates_nest_each_by_what_the_one_above_let_through():
    view = RewardView(
        Config.model_validate(
            {
                "name": "three",
                "parts": [
                    {"part": "gate", "of": "b", "by": "a", "least": 1},
                    {"part": "gate", "of": "c", "by": "b", "least": 0.5},
                    {"part": "weighted_sum", "coefficients": {"a": 1, "b": 1, "c": 1}},
                ],
            }
        )
    )
    columns = {"a": Column.full([1, 1, 0]), "b": Column.full([0.5, 0.2, 0.9]), "c": Column.full([0.1, 0.1, 0.1])}
    np.testing.assert_allclose(view.apply(columns).reward, [1.6, 1.2, 0], rtol=1e-6)
