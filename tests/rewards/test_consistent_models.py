"""What makes reward models more consistent: rewordings at the rim, and rewards of similar examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from rewards.models.convex_augmentation import convex_corners
from rewards.models.fusion import fused_rewards

NULL = float("nan")
SQUARE = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]


def test_what_lies_between_others_is_no_corner():
    assert convex_corners([*SQUARE, [1.0, 1.0], [1.0, 0.0], [0.5, 1.5]]) == [0, 1, 2, 3]


def test_variants_in_one_place_count_once_and_of_a_line_its_ends():
    assert convex_corners([*SQUARE, *SQUARE]) == [0, 1, 2, 3]
    assert convex_corners([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [2.0, 2.0, 2.0]]) == [0, 1]
    assert convex_corners([[5.0], [5.0]]) == [0] and convex_corners([[1.0], [0.0], [2.0]]) == [1, 2]
    with pytest.raises(ValueError, match="one variant or more"):
        convex_corners(np.zeros((0, 3)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 12))
def test_corners_are_those_of_the_library_in_two_principal_components(seed, number):
    points = np.random.default_rng(seed).normal(size=(number, 5))
    apart = points - points.mean(axis=0)
    flat = apart @ np.linalg.svd(apart, full_matrices=False)[2][:2].T
    assert convex_corners(points) == sorted(ConvexHull(flat).vertices.tolist())


def test_fusion_by_hand():
    similarity = [[0.9, 0.95, 0.89, 1.0], [0.0, 0.5, 0.89, 0.1], [1.0, 1.0, 1.0, 1.0]]
    found = fused_rewards([1.0, 1.0, NULL], similarity, [2.0, NULL, 9.0, 4.0])
    # of the first: 0.9 · 2 and 1 · 4; the second has no neighbour; NULL stays NULL
    assert found[:2] == pytest.approx([(1 + 1.8 + 4) / 2.9, 1.0]) and np.isnan(found[2])
    assert fused_rewards([1.0], [[0.9, 1.0, 0.95]], [2.0, 4.0, 6.0], most=1)[0] == pytest.approx((1 + 4) / 2)


def test_without_neighbours_rewards_are_as_they_were():
    rewards = np.array([0.3, -2.0, 5.0])
    np.testing.assert_array_equal(fused_rewards(rewards, np.full((3, 4), 0.89), np.arange(4.0)), rewards)
    np.testing.assert_array_equal(fused_rewards(rewards, np.ones((3, 4)), np.arange(4.0), most=0), rewards)
    np.testing.assert_array_equal(fused_rewards(rewards, np.zeros((3, 0)), []), rewards)
    with pytest.raises(ValueError, match=r"\[B, N\]"):
        fused_rewards([1.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="least=0"):
        fused_rewards([1.0], [[1.0]], [1.0], least=0)
