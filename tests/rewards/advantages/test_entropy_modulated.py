from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.entropy_modulated import EntropyModulated
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table

LAYOUT = Layout.of(steps=[2, 2], group=[0, 0])


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def modulated(advantage, entropy, **settings):
    shown = Table({"A": column(*advantage), "H": column(*entropy)}, LAYOUT, {"A": "episode", "H": "step"})
    found = EntropyModulated(of="A", entropy="H", **settings).apply(shown, {})
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_by_hand():
    sure, unsure = 1.0, math.exp(-1)
    mean = (sure + 3 * unsure) / 4
    base = [sure / mean, unsure / mean, -unsure / mean, -unsure / mean]
    bonus = [0.1 * unsure, 0, 0.1 * unsure, 0]  # the last step of an episode has none
    expected = np.add(base, bonus)
    assert modulated((1, -1), (0.2, 0.7, 0.7, 0.7), centre=False) == pytest.approx(expected.tolist(), rel=1e-5)
    assert modulated((1, -1), (0.2, 0.7, 0.7, 0.7)) == pytest.approx((expected - expected.mean()).tolist(), rel=1e-5)


def test_without_gain_and_bonus_or_with_equal_entropies_it_is_the_advantage():
    assert modulated((1, -2), (0.1, 0.9, 0.5, 0), gain=0, bonus=0, centre=False) == [1, 1, -2, -2]
    assert modulated((1, -2), (0.3, 0.3, 0.3, 0.3), bonus=0, centre=False) == [1, 1, -2, -2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 5, width=16), min_size=4, max_size=4), st.floats(0, 4))
def test_the_mean_of_the_gain_is_1(entropy, gain):
    assert np.mean(modulated((1, 1), entropy, gain=gain, bonus=0, centre=False)) == pytest.approx(1, rel=1e-5)


def test_a_step_that_is_not_known_is_in_no_mean():
    found = modulated((1, None), (0.2, None, 0.5, 0.9), bonus=0.5, centre=False)
    assert found == [1, None, None, None]
