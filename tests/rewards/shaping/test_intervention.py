from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

RLIF = RewardView(
    Config.model_validate(
        {
            "name": "rlif",
            "components": {"intervened": "step"},
            "parts": [{"part": "intervention", "preset": "rlif", "of": "intervened", "to": "reward"}],
        }
    )
)


def paid(by, layout):
    """Rewards of steps; None where NULL."""
    known = np.array([b is not None for b in by])
    found = RLIF.apply({"intervened": Column(np.array([b or 0 for b in by], float), known)}, layout)
    return [float(r) if w else None for r, w in zip(found.reward, found.weight, strict=True)]


def test_only_the_last_step_before_the_expert_takes_over_costs_something():
    both = Layout.of(steps=[5, 3])
    assert paid([0, 0, 1, 1, 0, 1, 0, 0], both) == [0, -1, 0, 0, 0, 0, 0, 0]
    assert paid([0, 1, 0, 1, 1, 0, 0, 1], both) == [-1, 0, -1, 0, 0, 0, -1, 0]


def test_who_acts_next_is_not_known_at_a_cut_or_where_it_is_null():
    cut = Layout.of(steps=[3], ended=[False])
    assert paid([0, 0, 0], cut) == [0, 0, None]
    assert paid([0, 0, 1], cut) == [0, -1, 0]  # an expert's step costs nothing, whoever comes next
    assert paid([0, None, 1, 0], Layout.of(steps=[4])) == [None, None, 0, 0]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=8), min_size=1, max_size=4))
def test_there_are_as_many_costs_as_interventions_that_a_policy_has_brought_about(episodes):
    found = paid([int(b) for episode in episodes for b in episode], Layout.of(steps=[len(e) for e in episodes]))
    onsets = sum(not a and b for episode in episodes for a, b in pairwise(episode))
    assert sum(found) == -onsets
