"""Exact and fuzzy match: worked by hand, and against rapidfuzz's definition."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.exact import LONGEST, exact_match, fuzzy_match

short = st.text(max_size=30)


def test_exact_match_is_letter_for_letter_and_any_answer_will_do():
    assert exact_match(" Paris\n", "Paris") == 1.0
    assert exact_match("paris", "Paris") == 0.0
    assert exact_match("Rome", ["Paris", "Rome"]) == 1.0
    assert exact_match(" Rome", "Rome", strip=False) == 0.0


def test_without_a_reference_it_abstains():
    assert exact_match("Rome", []) is None
    assert fuzzy_match("Rome", []) is None


def test_fuzzy_match_is_one_minus_edits_over_the_longer_length():
    assert fuzzy_match("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert fuzzy_match("kitten", ["sitting", "kitten "]) == 1.0
    assert fuzzy_match("kitten", "sitting", at_least=0.9) == 0.0
    assert fuzzy_match("", "") == 1.0


@given(short, short)
def test_fuzzy_match_is_symmetric_within_bounds_and_one_exactly_for_equal_texts(one, other):
    value = fuzzy_match(one, other)
    assert 0.0 <= value <= 1.0
    assert value == fuzzy_match(other, one)
    assert (value == 1.0) == (one.strip() == other.strip())


@given(short, short)
def test_fuzzy_match_is_at_most_what_common_blocks_allow(one, other):
    # An independent bound: characters outside of a longest common subsequence must be edited.
    one, other = one.strip(), other.strip()
    if one or other:
        blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
        kept = sum(block.size for block in blocks)
        assert fuzzy_match(one, other) >= (kept - abs(len(one) - len(other))) / max(len(one), len(other)) - 1


def test_a_completion_without_end_is_the_policys_fault():
    with pytest.raises(PolicyFault, match="at most"):
        fuzzy_match("x" * (LONGEST + 1), "x")
