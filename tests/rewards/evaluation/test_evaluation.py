import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, label_ranking_average_precision_score

from rewards.evaluation.accuracy import best_of_n, one_to_many, one_to_many_of_pairs, pair_accuracy
from rewards.evaluation.calibration import calibration
from rewards.evaluation.consistency import paraphrase_consistency, position_bias, repeats

NULL = float("nan")


def test_pairs_worked_by_hand():
    found = pair_accuracy([1.0, 0.2, 0.5, NULL, 0.9], [0.0, 0.8, 0.5, 0.1, NULL])
    assert (found.value, found.n) == (0.5, 3) and found.low < 0.5 < found.high
    assert pair_accuracy([NULL], [1.0]).value is None


def test_one_to_many_agrees_with_sklearn_and_counts_a_tie_as_lost():
    random = np.random.default_rng(0)
    scores = random.normal(size=(50, 10))
    found = one_to_many(scores[:, 0], scores[:, 1:])
    right = np.eye(10)[np.zeros(50, int)]
    assert found.mean_reciprocal_rank == pytest.approx(label_ranking_average_precision_score(right, scores))
    assert found.accuracy.value == (scores[:, 0] > scores[:, 1:].max(1)).mean() and found.random == pytest.approx(0.1)
    tie = one_to_many([1.0, NULL, 1.0], [[1.0, 0.0], [0.0], [NULL, 0.0]])
    assert (tie.accuracy.value, tie.accuracy.n, tie.mean_reciprocal_rank) == (0.5, 2, 0.75)


def test_a_random_scorer_is_right_once_in_ten_among_nine_wrong_ones_and_its_reciprocal_rank_is_their_harmonic_mean():
    # by chance each rank is as likely: one problem for each of the ten
    scores = [[float((rank + k) % 10) for k in range(10)] for rank in range(10)]
    found = one_to_many([own[0] for own in scores], [own[1:] for own in scores])
    assert (found.accuracy.value, found.random) == (0.1, pytest.approx(0.1))
    assert found.mean_reciprocal_rank == pytest.approx(sum(1 / k for k in range(1, 11)) / 10)
    assert found.mean_reciprocal_rank == pytest.approx(0.2929, abs=1e-4)


def test_a_judge_of_pairs_is_right_where_it_prefers_the_right_one_to_all():
    # all won; one of three lost: rank 2; a tie is lost, a NULL left out: rank 2; nothing known
    found = one_to_many_of_pairs([[0.9, 0.6], [0.9, 0.2, 0.7], [0.5, NULL], [NULL]])
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(1 / 3), 3)
    assert found.mean_reciprocal_rank == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert found.random == pytest.approx((1 / 3 + 1 / 4 + 1 / 2) / 3)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=4, max_size=4), min_size=1, max_size=8))
def test_to_be_preferred_to_all_others_is_no_more_frequent_than_to_be_preferred_to_one(preferred):
    to_all = one_to_many_of_pairs(preferred).accuracy.value
    to_one = pair_accuracy(np.ravel(preferred), np.full(4 * len(preferred), 0.5)).value
    assert to_all <= to_one + 1e-12


def test_the_best_of_n_is_the_mean_over_all_choices():
    random = np.random.default_rng(1)
    scores, gold = random.integers(4, size=(6, 7)).astype(float), random.random((6, 7))
    for n in (1, 2, 3, 7):
        brute = []
        for own, worth in zip(scores, gold, strict=True):
            for chosen in itertools.combinations(range(7), n):
                top = max(own[list(chosen)])
                brute.append(np.mean([worth[k] for k in chosen if own[k] == top]))
        if n in (1, 7) or len(set(scores.ravel())) > 4:
            assert best_of_n(scores, gold, n) == pytest.approx(np.mean(brute))
        # of equals, which answer stands first is chance: the mean over all choices is the same
        assert best_of_n(scores, gold, n) == pytest.approx(np.mean(brute), abs=1e-9)
    assert best_of_n([[1.0, NULL]], [[1.0, 1.0]], 2) is None
    with pytest.raises(ValueError, match="n=0"):
        best_of_n(scores, gold, 0)


def test_calibration_agrees_with_sklearn():
    random = np.random.default_rng(2)
    p = random.random(500)
    y = (random.random(500) < p**2).astype(float)
    found = calibration(p, y)
    true, said = calibration_curve(y, p, n_bins=10)
    assert [one.true for one in found.curve] == pytest.approx(true.tolist())
    assert [one.said for one in found.curve] == pytest.approx(said.tolist())
    assert found.brier == pytest.approx(brier_score_loss(y, p))
    assert found.ece == pytest.approx(sum(b.n / 500 * abs(b.true - b.said) for b in found.curve)) and found.ece > 0.1
    assert calibration([NULL], [1.0]).ece is None
    with pytest.raises(ValueError, match="score of 7"):
        calibration([7.0], [1.0])


def test_consistency_worked_by_hand():
    found = position_bias([0.9, 0.9, 0.5, 0.2, NULL], [0.1, 0.8, 0.5, 0.3, 0.5])
    assert (found.consistent.value, found.first.value, found.first.n) == (0.5, 0.5, 2)
    asked = repeats([[0.4, 0.6], [0.9, 0.9, NULL], [0.1]])
    assert asked.deviation == pytest.approx(np.std([0.4, 0.6], ddof=1) / 2) and asked.flips.value == 0.5
    assert paraphrase_consistency([0.9, 0.1, NULL], [0.8, 0.7, 0.1]).value == 0.5
