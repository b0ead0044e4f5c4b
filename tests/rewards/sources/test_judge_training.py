from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import kendalltau

from rewards.columns import Column
from rewards.evaluation.consistency import position_bias
from rewards.groups import group_advantages
from rewards.sources.judge_training import (
    argument_f1,
    consistency_reward,
    critique_reward,
    critique_scored,
    preference_reward,
    ranking_reward,
    verdict_reward,
)
from rewards.verifiers.sets import f1


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 1])), min_size=1, max_size=20))
def test_a_verdict_earns_one_or_minus_one_and_the_same_when_the_pair_is_swapped(pairs):
    said, gold = np.array(pairs).T
    paid = verdict_reward(said, gold)
    assert set(paid) <= {-1.0, 1.0} and (paid == 1).sum() == (said == gold).sum()
    assert (verdict_reward(-said, -gold) == paid).all(), "the winner is the same, and so is its name by the label"
    clear = (1 + said[said != 0]) / 2
    consistent, stubborn = position_bias(clear, 1 - clear), position_bias(clear, clear)
    assert consistent.consistent.value in (1, None) and stubborn.consistent.value in (0, None)


def test_a_verdict_that_is_not_known_earns_null():
    assert verdict_reward([2.5, -0.1, 0], [1, 1, 1]).tolist() == [1, -1, -1]
    assert np.isnan(verdict_reward([np.nan, 1], [1, np.nan])).all()


def test_an_analysis_that_agrees_pays_with_a_right_verdict_alone_and_the_form_always():
    right, consistent, formed = [1, 1, 1, 0, 0, 0], [1, 0, np.nan, 1, 0, 0], [1, 1, 0, 1, 1, 0]
    assert consistency_reward(right, consistent, formed).tolist() == [2.0, 1.5, 1.0, 0.5, 0.5, 0.0]
    assert consistency_reward([1], [-1], [1]).tolist() == [1.0], "as the released code counts what contradicts itself"
    assert np.isnan(consistency_reward([np.nan], [1], [1])).all()


def test_right_is_free_wrong_costs_by_how_much_and_a_broken_form_most():
    preference, gold = [2.0, -1.0, 3.0, 0.0, 1.0], [1.0, 2.0, -3.0, 1.0, 1.0]
    found = preference_reward(preference, gold, [True, True, True, True, False])
    assert found.tolist() == [0.0, -30.0, -60.0, -10.0, -100.0]


def test_a_group_of_right_verdicts_has_no_advantage():
    paid = preference_reward([1.0, 2.0, 3.0, 0.5], [1.0] * 4, [True] * 4)
    assert (paid - paid.mean() == 0).all()


def test_what_is_not_known_is_null_and_a_broken_form_is_not():
    found = preference_reward([np.nan, np.nan, 1.0], [1.0, 1.0, np.nan], [True, False, True])
    assert np.isnan(found[[0, 2]]).all() and found[1] == -100.0


def test_a_critique_counts_with_a_right_verdict_alone():
    named, core = [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]], [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    found = critique_reward([1, 1, 0], named, core, weight=0.5)
    assert found.tolist() == pytest.approx([1 + 0.5 * 2 / 3, 1.5, 0.0])
    assert critique_reward([1, 0, np.nan], named, core, weight=0)[:2].tolist() == [1.0, 0.0]
    assert np.isnan(critique_reward([np.nan], [[1]], [[1]])).all()


def test_where_nobody_says_what_a_critique_is_worth_the_verdict_counts_alone():
    assert critique_scored([1, 1, 0], [np.nan, 0.5, np.nan]).tolist() == [1.0, 1.5, 0.0]


@given(arrays.arrays(np.bool_, (3, 6)), arrays.arrays(np.bool_, (3, 6)))
def test_f1_is_that_of_sets(named, core):
    found = argument_f1(named, core)
    assert (found == argument_f1(core, named)).all()
    assert (argument_f1(named, named) == 1).all()
    for row in range(3):
        one, two = (set(np.flatnonzero(side[row]).tolist()) for side in (named, core))
        if one or two:
            assert found[row] == pytest.approx(f1(one, two))
        if one and two and not one & two:
            assert found[row] == 0


@given(st.floats(-5, 5), st.floats(0.1, 5))
def test_no_error_is_worse_than_a_broken_form_of_the_same_scale(preference, gold):
    kept, broken = preference_reward([preference] * 2, [gold] * 2, [True, False], broken=200.0)
    assert broken < kept <= 0


def test_a_list_in_order_earns_one_and_large_gaps_count_more_by_hand():
    consensus = [[5.0, 4.0, 1.0]] * 5
    scores = [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [4.0, 5.0, 1.0], [1.0, 1.0, 1.0], [2.0, 2.0, 1.0]]
    # Gaps of 1, 4 and 3: only the smallest pair is wrong in the third list, and tied in the last.
    assert ranking_reward(scores, consensus, [True] * 5).tolist() == pytest.approx([1, -1, 6 / 8, 0, 7 / 8])
    assert ranking_reward(scores, consensus, [True] * 5, power=0).tolist() == pytest.approx([1, -1, 1 / 3, 0, 2 / 3])
    assert ranking_reward(scores, consensus, [False] * 5, broken=2.0).tolist() == [-2.0] * 5


@given(st.permutations(range(5)), arrays.arrays(np.int64, (3, 5), elements=st.integers(1, 5)))
def test_without_weights_it_is_kendalls_tau_and_permuting_the_answers_changes_nothing(order, scores):
    consensus, formed = np.tile([0.3, 2.0, 1.1, 4.0, 3.9], (3, 1)), np.ones(3, np.bool_)
    found = ranking_reward(scores, consensus, formed)
    assert ranking_reward(scores[:, order], consensus[:, order], formed) == pytest.approx(found)
    places = np.argsort(np.argsort(scores + 1e-3 * np.arange(5), axis=1), axis=1)  # without ties
    expected = [kendalltau(place, worth).statistic for place, worth in zip(places, consensus, strict=True)]
    assert ranking_reward(places, consensus, formed, power=0) == pytest.approx(expected)


def test_equal_scores_of_all_answers_have_no_advantage():
    scores = np.full((2, 6), 3.0)
    assert (group_advantages(Column.full(scores)).values == 0).all()
    assert ranking_reward(scores, [np.arange(6.0)] * 2, [True, True]).tolist() == [0.0, 0.0]


def test_pairs_that_nobody_knows_are_left_out_of_a_list():
    found = ranking_reward([[2.0, 1.0, 9.0], [1.0, 2.0, 3.0]], [[1.0, 0.0, np.nan], [1.0, 1.0, 1.0]], [True, True])
    assert found[0] == 1.0 and np.isnan(found[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking_reward([1.0, 2.0], [1.0, 2.0], True), "twice"),
        (lambda: ranking_reward([[1.0]], [[1.0]], [True], power=-1), "power=-1"),
        (lambda: preference_reward([1], [1, 2], [True]), "three times the same"),
        (lambda: preference_reward([1], [1], [True], wrong=-1), "at least 0"),
        (lambda: critique_reward([1], [[1, 0]], [[1]]), "twice"),
        (lambda: critique_scored([1], [1], weight=-1), "at least 0"),
        (lambda: verdict_reward([1, 1], [1, 0]), "leave ties out"),
        (lambda: consistency_reward([1], [1], [1, 1]), r"expected \[B\]"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
