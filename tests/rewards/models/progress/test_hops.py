from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.models.progress.hop_model import HopModel
from rewards.models.progress.hops import applied, balanced_weights, hop, perspectives

PROGRESS = arrays(np.float64, 8, elements=st.floats(0, 1))


def test_hops_by_hand_ahead_and_back():
    assert hop([0.2, 0.5, 0.8], [0.6, 1.0, 0.2]) == pytest.approx([0.5, 1.0, -0.75])
    assert hop([0.0, 1.0], [0.0, 1.0]).tolist() == [0, 0]
    assert applied([0.2, 0.8], [0.5, -0.75]) == pytest.approx([0.6, 0.2])


@given(PROGRESS, PROGRESS)
def test_true_hops_lead_exactly_where_they_came_from(before, after):
    found = hop(before, after)
    assert (np.abs(found) <= 1).all()
    assert applied(before, found) == pytest.approx(after, abs=1e-12)


@given(PROGRESS, arrays(np.float64, 8, elements=st.floats(-1, 1)))
def test_whatever_hops_there_are_progress_stays_between_nothing_and_all(progress, hops):
    for found in perspectives(hops[1:], hops, hops):
        assert ((found >= 0) & (found <= 1)).all()
    assert ((applied(progress, hops) >= 0) & (applied(progress, hops) <= 1)).all()


@given(PROGRESS)
def test_with_true_hops_all_perspectives_are_the_truth(progress):
    progress[0] = 0.0
    found = perspectives(hop(progress[:-1], progress[1:]), hop(0.0, progress), hop(1.0, progress))
    for view in (*found, found.fused):
        assert view == pytest.approx(progress, abs=1e-9)


def test_fused_is_the_mean_by_hand_and_an_anchor_knows_nothing_of_the_other_side():
    found = perspectives([[0.5]], [[0.0, 0.2]], [[-1.0, -0.3]])
    assert found.incremental.tolist() == [[0, 0.5]] and found.forward.tolist() == [[0, 0.2]]
    assert found.backward == pytest.approx(np.array([[0, 0.7]]))
    assert found.fused == pytest.approx(np.array([[0, 1.4 / 3]]))
    behind = perspectives([0.0], [-0.5, 0.5], [0.5, -0.5])  # no less than the start, no more than the goal
    assert behind.forward.tolist() == [0, 0.5] and behind.backward.tolist() == [1, 0.5]


def test_each_bin_of_hops_is_drawn_as_often_and_in_it_each_bin_of_gaps():
    found = balanced_weights([0.9, 0.1, 0.1, 0.1, 0.2], [5, 1, 1, 1, 9], bins=4)
    assert found == pytest.approx([1 / 2, 1 / 12, 1 / 12, 1 / 12, 1 / 4])
    assert balanced_weights([1.0, -1.0, 0.0], [3, 3, 3]).sum() == pytest.approx(1)


def test_a_model_reads_a_trajectory_from_three_sides():
    model, frames = HopModel(2, hidden=8), torch.tensor([[0.0, 0.0], [0.5, 1.0], [1.0, 1.0]])
    found = model.read(frames, frames[-1])
    assert all(view.shape == (3,) for view in found) and found.incremental[0] == 0
    one = model(frames[0], frames[-1], frames[0], frames[1]).item()
    assert found.incremental[1] == pytest.approx(max(one, 0.0), abs=1e-6)
    assert found.forward[1] == pytest.approx(max(one, 0.0), abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hop(1.5, 0.5),
        lambda: applied(0.5, 2.0),
        lambda: applied(np.nan, 0.0),
        lambda: perspectives([0.0], [0.0], [0.0]),
        lambda: balanced_weights([], []),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
