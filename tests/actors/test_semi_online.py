from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.semi_online import follow

EXPERT = np.array([[1, 2, 3, 4], [5, 6, 7, 0]])
LENGTHS = [4, 3]


def equal(done, expert):
    return done == expert


def plays(*steps):
    """A policy that does the same whatever it sees, and keeps what it was shown."""
    shown = []

    def act(step, rows, history):
        shown.append((step, rows.tolist(), history.tolist()))
        return np.array(steps)[rows, step]

    return act, shown


def test_who_matches_sees_himself_and_who_does_not_is_patched_until_there_are_no_patches_left():
    act, shown = plays([1, 9, 9, 9], [5, 6, 7, 0])
    found = follow(act, EXPERT, LENGTHS, equal, patches=1)
    assert found.match.tolist() == [[True, False, False, False], [True, True, True, False]]
    assert found.reached.tolist() == [[True, True, True, False], [True, True, True, False]]
    assert found.done[0, :3].tolist() == [1, 9, 9] and found.history[0, :2].tolist() == [1, 2]
    assert shown[2] == (2, [0, 1], [[1, 2], [5, 6]]), "the patch stands in the history"
    assert len(shown) == 3, "nobody is left for the last step"


@pytest.mark.parametrize(("patches", "steps"), [(0, 2), (1, 3), (2, 4), (None, 4)])
def test_a_rollout_ends_with_the_mismatch_for_which_there_is_no_patch(patches, steps):
    act, _ = plays([1, 9, 9, 9], [5, 6, 7, 0])
    assert follow(act, EXPERT, LENGTHS, equal, patches).reached.sum(1).tolist() == [steps, 3]


def test_what_is_written_beside_a_matching_action_stays_in_the_history_and_is_gone_with_a_patch():
    expert = np.array([[[1, 0], [2, 0], [3, 0]]])  # actions, and no note

    def act(step, rows, history):
        return np.array([[[1, 7], [9, 8], [3, 5]]])[rows, step]

    found = follow(act, expert, [3], lambda done, expert: done[:, 0] == expert[:, 0])
    assert found.history.tolist() == [[[1, 7], [2, 0], [3, 5]]]


@given(st.integers(0, 2**32 - 1))
def test_the_expert_is_never_patched(seed):
    expert = np.random.default_rng(seed).integers(0, 3, (4, 5))
    found = follow(lambda step, rows, history: expert[rows, step], expert, [5, 4, 1, 2], equal, patches=0)
    assert found.match.sum(1).tolist() == [5, 4, 1, 2] and (found.match == found.reached).all()


def test_bad_input_is_refused():
    act, _ = plays([1], [1])
    with pytest.raises(ValueError, match="from 1 to T"):
        follow(act, EXPERT, [5, 3], equal)
    with pytest.raises(ValueError, match="got -1 patches"):
        follow(act, EXPERT, LENGTHS, equal, patches=-1)
