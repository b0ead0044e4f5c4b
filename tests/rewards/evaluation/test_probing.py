from __future__ import annotations

import numpy as np
import pytest

from rewards.evaluation.probing import fit_probe, probe_accuracies

RANDOM = np.random.default_rng(0)
TOLD, ASKED = ((RANDOM.random((n, 2)) < [0.5, 0.8]).astype(float) for n in (400, 200))


def test_a_label_that_is_a_feature_itself_is_read_off_without_a_mistake():
    assert [one.value for one in probe_accuracies(TOLD, TOLD, ASKED, ASKED)] == [1.0, 1.0]


def test_features_that_know_nothing_give_the_rate_of_the_commonest_label():
    commonest = [
        np.where(told.mean() > 0.5, asked, 1 - asked).mean() for told, asked in zip(TOLD.T, ASKED.T, strict=True)
    ]
    found = probe_accuracies(np.ones((400, 3)), TOLD, np.ones((200, 3)), ASKED)
    assert [one.value for one in found] == pytest.approx(commonest)
    found = probe_accuracies(RANDOM.normal(size=(400, 3)), TOLD, RANDOM.normal(size=(200, 3)), ASKED)
    assert found[1].value == pytest.approx(commonest[1], abs=0.02) and 0.4 < found[0].value < 0.6


def test_three_classes_are_told_apart_and_turning_or_rescaling_the_representation_changes_nothing():
    label = np.arange(300) % 3
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])[label] + 0.3 * RANDOM.normal(size=(300, 2))
    turned = 7 * corners @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 100
    one, other = (fit_probe(points[:200], label[:200]).predict(points[200:]) for points in (corners, turned))
    assert (one == label[200:]).all() and (one == other).all()


def test_what_hardly_varies_counts_for_little():
    label = np.tile([0.0, 1.0], 50)
    loud, soft = RANDOM.normal(size=100), 1e-4 * (label - 0.5)
    found = fit_probe(np.stack([loud, soft], axis=1), label)
    assert (found.predict(np.stack([loud, soft], axis=1)) == label).mean() < 0.9
    assert (fit_probe(soft[:, None], label).predict(soft[:, None]) == label).all()


def test_nobody_s_labels_are_left_out():
    told = np.array([0.0, 1.0, np.nan, 0.0, 1.0, np.nan])
    features = np.array([[0.0], [1.0], [9.0], [0.0], [1.0], [-9.0]])
    (found,) = probe_accuracies(features, told[:, None], features, told[:, None])
    assert (found.value, found.n) == (1.0, 4)
    with pytest.raises(ValueError, match="some labels known"):
        fit_probe(features, np.full(6, np.nan))
