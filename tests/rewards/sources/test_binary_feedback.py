from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.binary_feedback import Feedback, agreed, verbatim

CLEAR, ALIKE, BRIEF = [1.0, 0.0], [0.95, 0.3], [0.0, 1.0]


def test_words_have_to_be_there():
    text = "Right, but the code\n is hard to read."
    assert verbatim(Feedback("readable code", False, "the code is  hard"), text)
    assert not verbatim(Feedback("readable code", False, "the code is very hard"), text)
    assert not verbatim(Feedback("readable code", False, " "), text)


def test_a_principle_counts_where_two_people_say_the_same_of_it():
    found = agreed([CLEAR, ALIKE, BRIEF], people=[0, 1, 1], fulfilled=[True, True, False])
    assert found.tolist() == [True, True, False]


def test_who_repeats_himself_is_one_person_and_who_is_contradicted_is_not_kept():
    assert agreed([CLEAR, ALIKE], people=[3, 3], fulfilled=[True, True]).tolist() == [False, False]
    assert agreed([CLEAR, ALIKE, CLEAR], people=[0, 1, 2], fulfilled=[True, True, False]).tolist() == [False] * 3
    assert agreed([CLEAR, BRIEF], people=[0, 1], fulfilled=[True, False], least=1).tolist() == [True, True]


def test_the_order_of_feedback_does_not_matter_and_none_is_none():
    random = np.random.default_rng(0)
    vectors, people, told = random.normal(size=(12, 2)), random.integers(0, 3, 12), random.random(12) < 0.8
    order = random.permutation(12)
    assert (agreed(vectors[order], people[order], told[order]) == agreed(vectors, people, told)[order]).all()
    assert agreed(np.zeros((0, 2)), [], []).tolist() == []


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="least=0"):
        agreed([CLEAR], [0], [True], least=0)
    with pytest.raises(ValueError, match=r"people \(2,\)"):
        agreed([CLEAR], [0, 1], [True])
