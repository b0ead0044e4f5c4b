from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.columns import Column
from rewards.credit.outcome_mass import OutcomeMass
from rewards.views.layout import Layout
from rewards.views.part import Table

LAYOUT = Layout.of(steps=[1] * 6, group=[0, 0, 0, 0, 1, 1])


def masses(mode, trust, **settings):
    arrays = [np.array([np.nan if v is None else v for v in found]) for found in (mode, trust)]
    columns = {name: Column(a, ~np.isnan(a)) for name, a in zip(("mode", "r"), arrays, strict=True)}
    part = OutcomeMass(of="mode", **settings)
    found = part.apply(Table(columns, LAYOUT, dict.fromkeys(columns, "episode")), {})
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_the_mass_of_a_mode_is_its_share_and_what_its_evidence_adds():
    assert masses([7, 7, 7, 2, 1, 2], [0] * 6) == [0.75, 0.75, 0.75, 0.25, 0.5, 0.5]
    found = masses([7, 7, 7, 2, 1, 2], [0, 0.5, 1, 1, 0, 1], reliability="r", eta=2.0)
    one, two = 3 * math.exp(2 * 0.5), 1 * math.exp(2 * 1.0)
    assert found[:4] == pytest.approx([one / (one + two)] * 3 + [two / (one + two)])
    assert found[4:] == pytest.approx([1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))])


def test_masses_of_the_modes_of_a_group_sum_to_1_whoever_is_not_known():
    found = masses([3, None, 3, 2, 1, 1], [1, 0, None, 0.5, 0, 0], reliability="r")
    assert found[1] is None and found[2] is None
    assert found[0] + found[3] == pytest.approx(1) and found[4] == found[5] == pytest.approx(1)
