"""Ranking metrics against scikit-learn and scipy, and by hand."""

from __future__ import annotations

import json
import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from rewards.functions import PolicyFault
from rewards.verifiers.ranking import kendall_tau, multi_view_ranking, ndcg, rank_biased_overlap, reciprocal_rank

NAMES = ["a", "b", "c", "d", "e"]
orders = st.permutations(NAMES)
gains = st.lists(st.integers(0, 3), min_size=5, max_size=5)


@given(orders, gains, st.integers(1, 5))
def test_ndcg_is_scikit_learns(order, gain, top):
    relevance = dict(zip(NAMES, gain, strict=True))
    scores = [[-order.index(name) for name in NAMES]]
    found = ndcg(json.dumps(order), relevance, top)
    if any(gain):
        assert found == pytest.approx(ndcg_score([gain], scores, k=top))
    else:
        assert found is None


@given(orders, st.integers(0, 4))
def test_reciprocal_rank_of_one_relevant_name_is_scikit_learns_average_precision(order, which):
    relevance = {name: float(k == which) for k, name in enumerate(NAMES)}
    truth, scores = [[relevance[n] for n in NAMES]], [[-order.index(n) for n in NAMES]]
    assert reciprocal_rank(json.dumps(order), relevance) == pytest.approx(
        label_ranking_average_precision_score(truth, scores)
    )


@given(orders, orders)
def test_kendalls_tau_is_scipys(order, answer):
    ranks = [[places.index(name) for name in NAMES] for places in (order, answer)]
    assert kendall_tau(json.dumps(order), answer) == pytest.approx(kendalltau(*ranks).statistic)


def test_by_hand():
    relevance = {"a": 0.0, "b": 1.0, "c": 2.0}
    assert ndcg('["a", "b", "c"]', relevance) == pytest.approx((1 / math.log2(3) + 1) / (2 + 1 / math.log2(3)))
    assert ndcg('["c"]', relevance, top=1) == 1.0
    assert ndcg("[]", relevance) == 0.0
    assert reciprocal_rank('["a", "b", "c"]', relevance) == 0.5
    assert reciprocal_rank('["a"]', relevance) == 0.0
    assert kendall_tau('["b", "a", "c"]', ["a", "b", "c"]) == pytest.approx(1 / 3)
    assert kendall_tau('["a"]', ["a"]) is None


@pytest.mark.parametrize("completion", ['["a", "a"]', '["x"]', "a b c", '{"a": 1}', "[1, 2]"])
def test_unknown_and_repeated_names_are_the_policys_fault(completion):
    with pytest.raises(PolicyFault):
        ndcg(completion, {"a": 1.0, "b": 0.0})


def test_an_order_of_some_only_has_no_tau():
    with pytest.raises(PolicyFault, match="expected all 3"):
        kendall_tau('["a", "b"]', ["a", "b", "c"])


def test_a_wrong_reference_is_not_the_policys_fault():
    with pytest.raises(ValueError, match="relevances"):
        ndcg('["a"]', {"a": -1.0})


def test_rank_biased_overlap_is_one_for_the_same_order_and_least_for_the_reversed_one():
    order = list("abcdef")
    assert rank_biased_overlap(order, order) == pytest.approx(1.0)
    found = {perm: rank_biased_overlap(perm, order[:4]) for perm in permutations(order[:4])}
    assert min(found, key=found.get)[:1] != ("a",) and found[tuple("dcba")] == pytest.approx(min(found.values()))
    # p = 1/2, ("b", "a") against ("a", "b"): X_2/2 · 1/4 + 1 · (0 · 1/2 + 1 · 1/4)
    assert rank_biased_overlap("ba", "ab", 0.5) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="0 < p < 1"):
        rank_biased_overlap([], order)


def test_a_perfect_ranking_earns_all_three_terms_and_what_is_no_permutation_nothing():
    relevance, order = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}, ["a", "b", "c", "d"]
    assert multi_view_ranking(json.dumps(order), relevance, order) == pytest.approx(1.2)
    assert multi_view_ranking('["a", "a", "b", "c"]', relevance, order) == 0
    assert multi_view_ranking('["a"]', relevance, order) == 0
    # of the first 2, only b is relevant: NDCG (1/log2 3) / (1 + 1/log2 3), recall 1/2
    swapped = multi_view_ranking('["c", "b", "a", "d"]', relevance, order, top=2, overlap_weight=0.0)
    assert swapped == pytest.approx(0.63092975 / 1.63092975 + 0.05)
    assert multi_view_ranking(json.dumps(order), dict.fromkeys(order, 0.0), order) is None
