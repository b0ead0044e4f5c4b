from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.methods.worlds import tabular
from rewards.columns import Column
from rewards.shaping.potential import Potential
from rewards.views.layout import Layout
from rewards.views.part import Table


def shaped(reward, phi, layout, **settings):
    columns = {"r": Column.full(reward), "potential": phi if isinstance(phi, Column) else Column.full(phi)}
    found = Potential(of="r", **settings).apply(Table(columns, layout), {})
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_potentials_by_hand_before_and_after_steps():
    layout = Layout.of(steps=[3, 1], ended=[True, False])
    before = shaped([0, 0, 1, 0], [0.2, 0.5, 0.4, 0.3], layout, gamma=0.5, alpha=2.0)
    assert before == [0.1, -0.6, 0.2, None]  # 2(0.25 − 0.2), 2(0.2 − 0.5), 1 − 0.8; what follows a cut is not known
    after = shaped([0, 0, 1, 0], [0.2, 0.5, 1.0, 0.5], layout, gamma=0.5, when="after", end="kept")
    assert after == [0.1, 0.05, 1.0, 0.25]
    zero = shaped([0, 0, 1, 0], [0.2, 0.5, 1.0, 0.5], layout, gamma=0.5, when="after")
    assert zero == [0.1, 0.05, 0.5, 0.25]


FLOATS = st.floats(-1, 1, width=16)


@settings(max_examples=25, deadline=None)
@given(phi=st.lists(FLOATS, min_size=1, max_size=8), start=FLOATS, gamma=st.sampled_from([0.5, 0.9, 1.0]))
def test_the_discounted_shaping_telescopes(phi, start, gamma):
    found = shaped(
        np.zeros(len(phi)), phi, Layout.of(steps=[len(phi)]), when="after", end="kept", gamma=gamma, initial=start
    )
    total = sum(gamma**t * value for t, value in enumerate(found))
    assert total == pytest.approx(gamma ** len(phi) * phi[-1] - start, abs=1e-4)


def test_the_best_policy_of_a_process_is_the_same_for_any_potential():
    mdp = tabular.random_mdp(seed=3)
    phi = np.random.default_rng(0).normal(size=len(mdp.start))
    states = np.arange(len(phi))
    pairs = np.stack(np.meshgrid(states, states, indexing="ij"), axis=-1).reshape(-1)  # each pair an episode of two
    layout = Layout.of(steps=np.full(len(phi) ** 2, 2))
    found = np.array(shaped(np.zeros(len(pairs)), phi[pairs], layout, gamma=mdp.gamma))[::2]
    reward = mdp.reward + found.reshape(len(phi), 1, len(phi))
    np.testing.assert_array_equal(mdp.solve(), mdp.solve(reward))
    assert np.abs(found).max() > 1


def test_alpha_0_is_the_plain_reward_and_a_last_potential_must_be_known():
    assert shaped([1, 2], [0.3, 0.4], Layout.of(steps=[2]), alpha=0.0) == [1, 2]
    with pytest.raises(ValidationError, match="lacks that of the last state"):
        Potential(of="r", end="kept")
    unknown = Column(np.array([0.1, np.nan, 0.2]), np.array([True, False, True]))
    assert shaped([0, 0, 0], unknown, Layout.of(steps=[3]), gamma=1.0) == [None, None, -0.2]


def test_a_stretch_that_began_elsewhere_is_not_paid_for_where_it_stands():
    # An episode of four steps, whole and as the two rows of a replay: nothing is paid twice at the seam.
    phi = [0.2, 0.5, 0.8, 0.9]
    whole = shaped([0, 0, 0, 0], phi, Layout.of(steps=[4]), gamma=1.0, when="after", end="kept")
    rows = Layout.of(steps=[2, 2], ended=[False, True], began=[True, False])
    assert shaped([0, 0, 0, 0], phi, rows, gamma=1.0, when="after", end="kept") == [*whole[:2], None, whole[3]]
    with pytest.raises(ValueError, match="beginnings of 1 episodes"):
        Layout.of(steps=[2, 2], began=[True])
