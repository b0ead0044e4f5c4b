from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.progress.labels import bounded_shares, located, stage_progress, time_shares, visual_change


@st.composite
def demonstrations(draw):
    """Stages of steps, all of them there, what each is worth, and how much each step changes."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    stages = np.repeat(np.arange(len(lengths)), lengths)
    worth = np.array(draw(st.lists(st.floats(0.1, 1), min_size=len(lengths), max_size=len(lengths))))
    change = draw(st.lists(st.floats(0, 3), min_size=len(stages), max_size=len(stages)))
    return stages, worth / worth.sum(), np.array(change)


def test_by_hand_evenly_and_by_what_changed():
    stages, shares = [0, 0, 1, 1, 1], [0.4, 0.6]
    assert stage_progress(stages, shares) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    moved = stage_progress(stages, shares, [3, 1, 0, 2, 1])
    assert moved == pytest.approx([0, 0.3, 0.4, 0.4, 0.8, 1])


@given(demonstrations())
def test_a_full_demonstration_goes_from_nothing_to_all_and_never_back(found):
    for progress in (stage_progress(*found), stage_progress(*found[:2])):
        assert progress[0] == 0 and progress[-1] == pytest.approx(1) and (np.diff(progress) >= -1e-12).all()


@given(demonstrations(), st.data())
def test_a_frame_that_is_there_twice_changes_no_progress_by_what_changed(found, data):
    stages, shares, change = found[0], found[1], found[2] + 0.1
    at = data.draw(st.integers(0, len(stages) - 1))
    still = stage_progress(np.insert(stages, at, stages[at]), shares, np.insert(change, at, 0.0))
    progress = stage_progress(stages, shares, change)
    assert still == pytest.approx(np.insert(progress, at, progress[at]))
    frames = np.cumsum(np.random.default_rng(0).normal(size=(6, 3)), axis=0)
    again = np.insert(frames, 2, frames[2], axis=0)
    assert visual_change(again) == pytest.approx(np.insert(visual_change(frames), 2, 0.0))


def test_with_one_stage_and_equal_change_it_is_the_share_of_time():
    even = np.arange(6.0)[:, None] * [3.0, 4.0]
    assert visual_change(even).tolist() == [5.0] * 5
    assert stage_progress([0] * 5, [1.0], visual_change(even)) == pytest.approx(np.linspace(0, 1, 6))
    assert stage_progress([0] * 5, [1.0]) == pytest.approx(np.linspace(0, 1, 6))
    assert visual_change([[1.0], [1.0], [3.0]], floor=0.5).tolist() == [0.5, 2.5]


def test_a_stage_without_a_step_is_passed_and_one_without_change_rises_evenly():
    assert stage_progress([0, 2], [0.25, 0.25, 0.5]) == pytest.approx([0, 0.25, 1])
    assert stage_progress([0, 0, 1], [0.5, 0.5], [0, 0, 1]) == pytest.approx([0, 0.25, 0.5, 1])


@given(demonstrations())
def test_where_progress_lies_is_its_inverse(found):
    progress = stage_progress(*found)
    stage, within = located(progress, found[1])
    before = np.cumsum(found[1]) - found[1]
    assert before[stage] + found[1][stage] * within == pytest.approx(progress, abs=1e-8)
    assert stage[:-1].tolist() == sorted(stage[:-1]) and stage[-1] == len(found[1]) - 1
    assert within[-1] == pytest.approx(1, abs=1e-6)


def test_between_two_stages_the_later_one_begins():
    stage, within = located([0.0, 0.1, 0.2, 1.0], [0.2, 0.8])
    assert stage.tolist() == [0, 0, 1, 1] and within == pytest.approx([0, 0.5, 0, 1])
    assert located([0.5, 1.0], [0.5, 0.0, 0.5])[0].tolist() == [2, 2]
    assert located(1.0, [1.0, 0.0])[0] == 0


def test_shares_by_hand():
    assert time_shares([[0, 0, 1, 1], [0, 1, 1, 1]], 2) == pytest.approx([0.375, 0.625])
    assert bounded_shares([0, 1, 1, 1], 2) == pytest.approx([0.375, 0.625])  # half and one and a half, cut
    assert bounded_shares([0] * 9 + [1] * 11, 3) == pytest.approx([0.45, 0.55, 0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: stage_progress([], [1.0]),
        lambda: stage_progress([1, 0], [0.5, 0.5]),
        lambda: stage_progress([0, 2], [0.5, 0.5]),
        lambda: stage_progress([0, 1], [0.5, 0.6]),
        lambda: stage_progress([0, 1], [0.5, 0.5], [1.0]),
        lambda: stage_progress([0, 1], [0.5, 0.5], [np.nan, 1.0]),
        lambda: located([1.1], [1.0]),
        lambda: time_shares([], 2),
        lambda: time_shares([[0, 3]], 2),
        lambda: bounded_shares([0], 1, low=0.0),
        lambda: visual_change([[1.0]]),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
