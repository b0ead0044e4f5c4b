from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.columns import Column
from rewards.credit.redistribute import Redistribute
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

LAYOUT = Layout.of(steps=[3, 1, 2])


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def spread(score, weights=(1,) * 6, layout=LAYOUT, **settings):
    table = Table(
        {"score": column(*score), "attribution": column(*weights)}, layout, {"score": "episode", "attribution": "step"}
    )
    found = part_of({"part": "redistribute", "of": "score", **settings}).apply(table, {})
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_an_attribution_of_3_earns_the_score_and_one_of_0_nothing():
    assert spread((6, 3, 1), (3,) * 6, preset="sotopia_rl") == [6, 6, 6, 3, 1, 1]
    assert spread((6, 3, 1), (0,) * 6, preset="sotopia_rl") == [0] * 6
    assert spread((6, 3, None), (1, 2, None, 3, 1, 1), preset="sotopia_rl") == [2, 4, -1, 3, None, None]


def test_shares_by_hand():
    assert spread((6, 3, 1), preset="last") == [0, 0, 6, 3, 0, 1]
    assert spread((6, 3, 1), preset="uniform") == [2, 2, 2, 3, 0.5, 0.5]
    assert spread((6, 3, 1), (1, 2, 0, 5, 0, 0), preset="return_equivalent") == [2, 4, 0, 3, 0.5, 0.5]
    assert spread((6, 3, 1), (1, None, 2, 5, None, 0), preset="return_equivalent") == [2, None, 4, 3, None, 1]


def test_where_an_episode_was_cut_its_last_step_is_not_here():
    cut = Layout.of(steps=[3, 1, 2], ended=[False, True, False])
    assert spread((6, 3, 1), layout=cut, preset="last") == [0, 0, None, 3, 0, None]
    assert spread((6, 3, 1), layout=cut, preset="uniform") == [2, 2, 2, 3, 0.5, 0.5]


@settings(max_examples=25, deadline=None)
@given(
    score=st.lists(st.floats(-10, 10, width=16), min_size=3, max_size=3),
    weights=st.lists(st.floats(0, 10, width=16), min_size=6, max_size=6),
    by=st.sampled_from(["return_equivalent", "uniform", "last"]),
)
def test_what_is_spread_sums_to_the_score(score, weights, by):
    found = spread(score, weights, preset=by)
    np.testing.assert_allclose(LAYOUT.total(np.array(found), "step", "episode"), score, atol=1e-4)


def test_what_cannot_be_spread_is_refused():
    with pytest.raises(ValueError, match="got a weight of -1"):
        spread((6, 3, 1), (1, -1, 0, 5, 0, 0), by="weights")
    with pytest.raises(ValidationError, match="expected by: weights"):
        Redistribute(of="score", by="last", missing=-1.0)
    with pytest.raises(ValueError, match="expected a coarser one than step"):
        Redistribute(of="score", by="last").level({"score": "step"})
