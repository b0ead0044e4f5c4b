from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.credit.milestones import Milestones
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.view import Config, RewardView

LAYOUT = Layout.of(steps=[4, 2])


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def written(pay, layout=LAYOUT, every=1, **labels):
    part = Milestones(achieved=tuple(labels), pay=pay, every=every)
    found = part.apply(Table({name: column(*values) for name, values in labels.items()}, layout), {})
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


KEY, DOOR = (0, 1, 1, 0, 0, 1), (0, 0, 0, 1, 0, 1)


def test_a_subgoal_is_paid_once_an_episode():
    assert written("once", key=KEY, door=DOOR) == [0, 1, 0, 1, 0, 2]
    assert written("progress", key=KEY, door=DOOR) == [0, 0.5, 0.5, 1, 0, 1]
    assert written("once", key=(0.4, 0.6, 1, 1, 0.5, 1)) == [0, 1, 0, 0, 1, 0]


def test_interpolated_progress_rises_evenly_and_stays_after_the_last():
    assert written("interpolated", key=KEY, door=DOOR) == [0.25, 0.5, 0.75, 1, 0.5, 1]
    assert written("interpolated", key=(0, 1, 0, 0, 0, 0), door=(0,) * 6) == [0.25, 0.5, 0.5, 0.5, 0, 0]


def test_unknown_labels_achieve_nothing_and_a_step_without_any_is_not_known():
    assert written("once", key=(None, 1, 0, 0, None, 0), door=(0, None, 1, 0, None, 1)) == [0, 1, 1, 0, None, 1]


BITS = st.lists(st.integers(0, 1), min_size=6, max_size=6)


@settings(max_examples=25, deadline=None)
@given(key=BITS, door=BITS)
def test_the_bonus_of_an_episode_is_at_most_one_for_each_subgoal_and_sums_to_progress(key, door):
    once, progress = (np.array(written(pay, key=key, door=door)) for pay in ("once", "progress"))
    for steps in (slice(0, 4), slice(4, 6)):
        assert once[steps].sum() <= 2
        np.testing.assert_allclose(np.cumsum(once[steps]) / 2, progress[steps], atol=1e-6)
        smooth = np.array(written("interpolated", key=key, door=door))[steps]
        assert (np.diff(smooth, prepend=0) >= -1e-6).all() and (smooth >= progress[steps] - 1e-6).all()


def test_without_achievements_the_reward_is_what_it_was():
    view = RewardView(
        Config.model_validate(
            {
                "name": "calm",
                "parts": [
                    {"part": "milestones", "preset": "calm", "achieved": ["key"], "to": "bonus"},
                    {"part": "weighted_sum", "coefficients": {"r": 1, "bonus": 1}},
                ],
            }
        )
    )
    reward = Column.full([0.0, 0.3, 0, 1, 0, 0.5])
    found = view.apply({"r": reward, "key": Column.full(np.zeros(6))}, LAYOUT)
    np.testing.assert_array_equal(found.reward, reward.values)
    with pytest.raises(ValueError, match="expected all of one level"):
        Milestones(achieved=("a", "b")).level({"a": "step", "b": "token"})


def test_what_was_achieved_before_a_stretch_is_not_known_and_not_paid_again():
    rows = Layout.of(steps=[4, 2], ended=[False, True], began=[True, False])
    assert written("once", rows, key=KEY, door=DOOR) == [0, 1, 0, 1, 0, None]
    assert written("progress", rows, key=KEY, door=DOOR) == [0, 0.5, 0.5, 1, None, None]


def test_interpolated_progress_is_not_known_behind_the_last_achievement_of_an_episode_that_was_cut():
    rows = Layout.of(steps=[4, 2], ended=[False, False])
    none = (0,) * 6
    assert written("interpolated", rows, key=KEY, door=none) == [0.25, 0.5, None, None, 0.25, 0.5]
    assert written("interpolated", rows, key=none, door=none) == [None] * 6
    assert written("interpolated", rows, key=KEY, door=(0, 0, 1, 0, 0, 0)) == [0.25, 0.5, 1, 1, 0.25, 0.5]


def test_paid_all_together_it_is_the_sparse_reward():
    labels = {"key": (1, 0, 0, 0, 1, 0), "door": (0, 1, 0, 0, 0, 0), "box": (0, 0, 0, 1, 0, 1)}
    assert written("once", every=3, **labels) == [0, 0, 0, 3, 0, 0]
    assert written("once", every=9, **labels) == [0, 0, 0, 3, 0, 0]


def test_what_was_achieved_waits_for_a_multiple_or_for_all():
    labels = {"key": (1, 0, 0, 0, 0, 1), "door": (0, 0, 1, 0, 1, 0), "box": (0, 0, 0, 1, 0, 0)}
    assert written("once", every=2, **labels) == [0, 0, 2, 1, 0, 2]
    assert written("once", every=2, key=KEY, door=KEY, box=DOOR) == [0, 2, 0, 1, 0, 3], "several at a step are paid"
    part = Milestones(achieved=("key", "door", "box"), every=2)
    table = Table({name: column(*values) for name, values in labels.items()}, LAYOUT)
    paid = part.attribute(table, {}, {})
    assert {name: values.tolist() for name, values in paid.items()} == {
        "key": [0, 0, 1, 0, 0, 1],
        "door": [0, 0, 1, 0, 0, 1],
        "box": [0, 0, 0, 1, 0, 0],
    }


def test_a_bonus_that_waits_is_not_known_where_an_episode_goes_on_and_progress_does_not_wait():
    rows = Layout.of(steps=[4, 2], ended=[False, True], began=[True, False])
    assert written("once", rows, every=2, key=KEY, door=DOOR) == [0, 0, 0, 2, None, None]
    with pytest.raises(ValueError, match="expected `pay: once`"):
        Milestones(achieved=("a", "b"), pay="progress", every=2)


@settings(max_examples=25, deadline=None)
@given(key=BITS, door=BITS, every=st.integers(1, 3))
def test_an_episode_is_paid_the_same_at_any_density_once_all_is_achieved(key, door, every):
    dense, thin = (np.array(written("once", every=k, key=key, door=door)) for k in (1, every))
    for steps in (slice(0, 4), slice(4, 6)):
        assert (np.cumsum(thin[steps]) <= np.cumsum(dense[steps])).all()
        assert thin[steps].sum() == (2 if dense[steps].sum() == 2 else dense[steps].sum() * (every == 1))
