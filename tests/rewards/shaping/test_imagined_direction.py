from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.sources.directions import imagined_targets, move_cosine
from rewards.views.part import Table
from rewards.views.parts import part_of

SC_VLA = {"part": "imagined_direction", "preset": "sc_vla", "of": "r"}


def made(settings, r, direction, progress):
    table = Table({"r": Column.full(r), "direction": Column.full(direction), "progress": Column.full(progress)})
    return part_of(settings).apply(table, {}).values.tolist()


def test_guidance_is_whole_up_to_half_way_and_fades_by_hand():
    shown = made(SC_VLA, [0, 1, 0, 0], [1, 1, -1, 0.5], [0.2, 0.5, 0.75, 1.0])
    assert shown == pytest.approx([-0.4, 0.6, -1 - 0.6 * 0.5, -1 + 0.3 * 0.1])


@given(st.floats(0, 1), st.floats(-1, 1))
def test_without_weight_it_is_the_reward_less_the_price_and_the_gate_stays_within_its_bounds(progress, direction):
    assert made({**SC_VLA, "weight": 0.0}, [2.0], [direction], [progress]) == [1.0]
    assert 0.1 <= part_of(SC_VLA).gate(np.array([progress]))[0] <= 1
    assert part_of(SC_VLA).gate(np.array([0.5, 0.5 + 1e-9])) == pytest.approx([1, 1])


def test_a_move_straight_at_the_target_is_one_and_a_tiny_one_nothing():
    places = [[0, 0], [1, 0], [1, 1], [1, 1.00001]]
    assert move_cosine(places, [[3, 0], [2, 0], [5, 5]]).tolist() == [1, 0, 0]
    assert move_cosine([[0, 0], [-2, 0]], [[1, 0]]).tolist() == [-1]
    with pytest.raises(ValueError, match=r"expected \[\.\.\., T \+ 1, d\]"):
        move_cosine(places, places)


def test_a_target_is_imagined_every_few_steps_and_pursued_between():
    places = np.arange(6.0)[:, None]
    assert imagined_targets(places, np.full((6, 1), 10.0), every=3)[:, 0].tolist() == [10, 10, 10, 13, 13, 13]
    assert imagined_targets(places, np.full((6, 1), 10.0), every=1)[:, 0].tolist() == [10, 11, 12, 13, 14, 15]
