from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.effective_rank import EffectiveRankBonus
from rewards.columns import Column
from rewards.views.part import Table

NUMBERS = st.lists(st.floats(-9, 9, width=16), min_size=3, max_size=3)


def shaped(advantage, rank, velocity, acceleration, means, **settings):
    given = {"A": advantage, "rank": rank, "velocity": velocity, "acceleration": acceleration}
    part = EffectiveRankBonus(of="A", **settings)
    return part.apply(Table({n: Column.full(v) for n, v in given.items()}), {"means": means}).values.tolist()


def test_by_hand():
    # d_ER = 1, d_ERV = −1/2, d_ERA = 0: β = 1/2, Φ = (tanh 1 − tanh ½) / 2
    phi = (math.tanh(1) - math.tanh(0.5)) / 2
    assert shaped([5, 0.1, -5], [4] * 3, [1] * 3, [3] * 3, [2, 2, 3]) == pytest.approx([5 + phi, 0.15, -5 + phi])


@settings(max_examples=50, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_no_bonus_changes_the_sign_and_an_infinite_bound_takes_it_away(advantage, rank, velocity, acceleration):
    means = [1.0, -0.5, 0.1]
    found = np.array(shaped(advantage, rank, velocity, acceleration, means))
    base = np.float32(advantage)
    assert (found >= base).all() and (np.sign(found) == np.sign(base)).all()
    assert shaped(advantage, rank, velocity, acceleration, means, bound=math.inf) == base.tolist()


def test_running_means_see_what_is_known():
    part = EffectiveRankBonus(of="A", rate=0.25)
    one = Table({n: Column.full([v]) for n, v in (("A", 1), ("rank", 4), ("velocity", 2), ("acceleration", 8))})
    state = part.update(one, part.initial_state())
    assert state == {"means": [4, 2, 8]}
    unknown = Column(np.array([np.nan]), np.array([False]))
    two = one.replaced("rank", Column.full([8])).replaced("velocity", unknown)
    assert part.update(two, state) == {"means": [5, 2, 8]}
