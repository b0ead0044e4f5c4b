from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.columns import Column
from rewards.shaping.occupancy_penalty import OccupancyPenalty
from rewards.views.part import Table


def paid(reward, log_ratio, **settings):
    columns = {"r": column(reward), "log_ratio": column(log_ratio)}
    found = OccupancyPenalty(of="r", **settings).apply(Table(columns), {})
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def column(values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def test_by_hand():
    # E[e^d] = (1 + 3) / 2: χ² = 1
    assert paid((1, 1), (0, math.log(3)), coefficient=0.1) == pytest.approx([0.9, 0.7])
    assert paid((1, 1), (0, math.log(3)), coefficient=0.1, divergence="kl") == pytest.approx([1, 1 - 0.1 * math.log(3)])


def test_without_a_coefficient_it_is_the_reward_and_null_stays_null():
    assert paid((1, 5, None), (9, None, 1), coefficient=0) == [1, None, None]


def test_where_the_policies_are_the_same_the_penalty_is_bounded():
    assert paid((1, 1), (0, 0), coefficient=0.1, smallest=0.25) == pytest.approx([0.8, 0.8])
    assert all(math.isfinite(v) for v in paid((1, 1), (1e30, -1e30), coefficient=1))
