from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.evaluation.inference_scaling import accuracy_by_budget, majority_of_n, path_scores
from rewards.evaluation.pass_at_k import pass_at_k_of
from rewards.sources.agreement import NONE


def sampled(seed, problems=6, k=8):
    random = np.random.default_rng(seed)
    answers = random.integers(0, 4, (problems, k))
    return answers, (answers == random.integers(0, 4, (problems, 1))).astype(float), random


def curve(seed, scores=None, sizes=(1, 2, 4, 8)):
    answers, right, random = sampled(seed)
    judged = right if scores is None else scores
    return right, accuracy_by_budget(answers, right, judged, np.full(right.shape, 3.0), sizes, random)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_one_answer_is_the_same_for_all_methods_and_two_have_no_majority(seed):
    right, found = curve(seed, scores=np.random.default_rng(seed + 1).random((6, 8)))
    single = right.mean()
    assert (found[0].oracle, found[0].best, found[0].majority) == pytest.approx((single,) * 3)
    assert found[1].majority == pytest.approx(single)
    assert [one.tokens for one in found] == [3.0, 6.0, 12.0, 24.0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_with_an_oracle_the_best_of_n_is_pass_at_n(seed):
    right, found = curve(seed)
    assert [one.best for one in found] == pytest.approx([pass_at_k_of(right, n) for n in (1, 2, 4, 8)])
    assert [one.oracle for one in found] == pytest.approx([one.best for one in found])


def test_a_verifier_that_says_the_same_of_all_is_as_good_as_one_answer():
    right, found = curve(0, scores=np.zeros((6, 8)))
    assert [one.best for one in found] == pytest.approx([right.mean()] * 4)


def test_the_majority_of_all_is_the_mode_and_no_answer_is_never_right():
    answers = np.array([[5, 5, 7, NONE], [NONE, NONE, NONE, NONE]])
    right = np.array([[1.0, 1.0, 0.0, 0.0], [0.0] * 4])
    random = np.random.default_rng(0)
    assert majority_of_n(answers, right, 4, random) == 0.5
    assert majority_of_n(answers[:1], 1 - right[:1], 4, random) == 0.0
    # Both fives are among half of the choices of three; in the others a five and the seven have a vote each.
    many = majority_of_n(np.repeat(answers[:1], 400, 0), np.repeat(right[:1], 400, 0), 3, random)
    assert many == pytest.approx(0.75, abs=0.05)


def test_scores_of_steps_become_one_of_the_path():
    steps = [[0.5, 0.2, np.nan], [0.9, 0.8, 1.0], [np.nan] * 3]
    for how, expected in {
        "last": [0.2, 1.0],
        "least": [0.2, 0.8],
        "mean": [0.35, 0.9],
        "product": [0.1, 0.72],
    }.items():
        found = path_scores(steps, how)
        assert found[:2].tolist() == pytest.approx(expected) and np.isnan(found[2])


def test_what_does_not_fit_is_refused():
    answers, right, random = sampled(0)
    with pytest.raises(ValueError, match="n from 1 to K"):
        majority_of_n(answers, right, 9, random)
    with pytest.raises(ValueError, match=r"expected all \[P, K\]"):
        accuracy_by_budget(answers, right, right[:, :3], right, [1], random)
    with pytest.raises(ValueError, match="behind the last step"):
        path_scores([[np.nan, 1.0]], "mean")
    with pytest.raises(ValueError, match="got 'median'"):
        path_scores([[1.0]], "median")
