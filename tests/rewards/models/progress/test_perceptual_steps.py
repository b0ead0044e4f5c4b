from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.progress.step_classifier import discriminative, fit_steps, step_reward
from rewards.models.progress.step_discovery import step_boundaries, steps_of


@given(st.integers(1, 5), st.integers(1, 5), st.floats(-1e3, 1e3))
def test_a_sequence_that_never_changes_is_split_evenly(steps, length, value):
    found = step_boundaries(np.full((steps * length, 3), value), steps)
    assert found.tolist() == (length * np.arange(steps + 1)).tolist()


def test_steps_begin_where_what_is_seen_changes():
    features = np.array([0.0, 0.1, 0.0, 5.0, 5.1, 9.0, 9.1, 9.0])[:, None]
    assert step_boundaries(features, 3).tolist() == [0, 3, 5, 8]
    assert steps_of(step_boundaries(features, 3)).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert step_boundaries(features, 2, shortest=4).tolist() == [0, 4, 8]
    assert step_boundaries(features + 100, 3).tolist() == [0, 3, 5, 8]


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_no_other_split_has_a_smaller_spread(seed, steps):
    random = np.random.default_rng(seed)
    features = random.normal(size=(9, 2))

    def spread(boundaries):
        parts = np.split(features, boundaries[1:-1])
        return sum(((part - part.mean(0)) ** 2).sum() for part in parts)

    best = spread(step_boundaries(features, steps))
    for _ in range(10):
        other = np.array([0, *np.sort(random.permutation(8)[: steps - 1] + 1), 9])
        assert best <= spread(other) + 1e-6


def test_features_that_tell_most_come_first_by_hand():
    inside = np.array([True, True, False, False])
    features = np.array([[0.0, 1.0, 0.0], [0.0, 1.2, 4.0], [0.0, 0.0, 1.0], [0.0, 0.2, 3.0]])
    # z: 5 · 0 − 0, 5 · 1 − 0.2, 5 · 0 − 3
    assert discriminative(features, inside).tolist() == [1, 0, 2]
    assert discriminative(features, inside, most=1).tolist() == [1]


def test_with_certain_steps_the_reward_never_falls_as_more_is_reached():
    certain = step_reward(np.eye(5))
    assert certain.tolist() == [0, 2, 4, 8, 16]
    furthest = np.tril(np.ones((5, 5)))  # steps that stay recognised once they are reached
    assert (np.diff(step_reward(furthest)) > 0).all()


def test_a_classifier_of_plain_steps_is_sure_of_them_and_does_not_look_at_noise():
    random, step = np.random.default_rng(0), np.repeat([0, 1, 2], 30)
    telling = np.eye(3)[step] + 0.05 * random.normal(size=(90, 3))
    features = np.concatenate([random.normal(size=(90, 5)), telling], 1)
    found = fit_steps(features, step, most=2)
    assert set(found.chosen.ravel()) <= {5, 6, 7}
    chances = found.chances(features)
    assert (chances.argmax(1) == step).all() and chances[np.arange(90), step].min() > 0.5
    rewards = [found.reward(features)[step == g].mean() for g in range(3)]
    assert rewards == sorted(rewards)
    assert found.reward(features[3]).shape == ()


def test_a_feature_that_never_moves_in_a_step_is_no_certainty():
    found = fit_steps([[0.0], [0.0], [1.0], [1.0]], [0, 0, 1, 1])
    assert np.isfinite(found.chances([[0.5]])).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: step_boundaries([[0.0]], 2),
        lambda: step_boundaries([[np.nan], [0.0]], 1),
        lambda: step_boundaries(np.zeros((4, 1)), 2, shortest=3),
        lambda: discriminative([[0.0]], [True]),
        lambda: fit_steps([[0.0], [1.0]], [0, 2]),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
