from __future__ import annotations

import numpy as np
import pytest

from rewards.evaluation.confidence import centroids, distances


def test_distances_to_centroids_by_hand():
    features = np.array([[0.0, 0.0], [0.0, 2.0], [6.0, 0.0], [6.0, 2.0]])
    labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    centres = centroids(features, labels)
    np.testing.assert_allclose(centres[0], [[0, 1], [6, 1]])
    np.testing.assert_allclose(centres[1], [[3, 0], [3, 2]])
    np.testing.assert_allclose(distances([[0.0, 1.0], [3.0, 6.0]], centres), [[0, np.sqrt(10)], [np.sqrt(34), 4]])


def test_more_clusters_follow_a_label_that_lies_in_several_places():
    points = np.array([[0.0], [0.2], [10.0], [10.2], [20.0]])
    (centres,) = centroids(points, np.zeros((5, 1)), clusters=3)
    assert sorted(centres[:, 0]) == pytest.approx([0.1, 10.1, 20.0])
    (few,) = centroids(np.ones((4, 1)), np.zeros((4, 1)), clusters=3)
    assert few.tolist() == [[1.0]]
    with pytest.raises(ValueError, match="clusters=0"):
        centroids(points, np.zeros((5, 1)), clusters=0)
