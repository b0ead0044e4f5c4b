from __future__ import annotations

import numpy as np
import pytest

from rewards.models.attribute_heads import fit_heads


def test_by_hand_with_one_feature():
    found = fit_heads([[1.0], [2.0]], [[1.0, np.nan], [4.0, 3.0]], ridge=1.0)
    assert found == pytest.approx(np.array([[9 / 6], [6 / 5]]))


def test_what_was_not_rated_changes_nothing():
    random = np.random.default_rng(0)
    features, ratings = random.normal(size=(40, 3)), random.normal(size=(40, 2))
    ratings[:25, 1] = np.nan
    together = fit_heads(features, ratings)
    assert together[0] == pytest.approx(fit_heads(features, ratings[:, :1])[0])
    assert together[1] == pytest.approx(fit_heads(features[25:], ratings[25:, 1:])[0])


def test_without_noise_and_with_hardly_a_ridge_the_truth_is_found():
    random = np.random.default_rng(1)
    features, truth = random.normal(size=(50, 4)), random.normal(size=(2, 4))
    assert fit_heads(features, features @ truth.T, ridge=1e-9) == pytest.approx(truth, rel=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"no rating of attributes \[1\]"):
        fit_heads([[1.0]], [[1.0, np.nan]])
    with pytest.raises(ValueError, match="ratings"):
        fit_heads([[1.0]], [1.0])
    with pytest.raises(ValueError, match="ridge=0"):
        fit_heads([[1.0]], [[1.0]], ridge=0)
