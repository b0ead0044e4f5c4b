from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.evaluation.transfer import BEFORE, Transfer, rows, training_sets

FOUND = Transfer(
    ("math", "code"),
    {
        BEFORE: {"math": 0.5, "code": 0.25},
        frozenset(["math"]): {"math": 0.75, "code": 0.5},
        frozenset(["code"]): {"math": 0.25, "code": 0.375},
        frozenset(["math", "code"]): {"math": 0.875, "code": 0.25},
    },
)


def test_training_on_nothing_transfers_nothing():
    assert [FOUND.gain([], on) for on in FOUND.domains] == [0, 0]
    assert FOUND.matrix().tolist() == [[0, 0], [0.25, 0.25], [-0.25, 0.125], [0.375, 0]]


def test_interference_is_measured_from_the_best_single_teacher_which_may_be_another_domain():
    assert FOUND.interference() == {"math": 0.125, "code": -0.25}
    assert FOUND.across() == 0  # code gains from math what math loses by code
    assert math.isnan(Transfer(("math",), {BEFORE: {"math": 1}}).across())


def test_what_was_not_measured_stays_null():
    unknown = {**FOUND.accuracy, frozenset(["math"]): {"math": 0.75, "code": math.nan}}
    found = Transfer(FOUND.domains, unknown).interference()
    assert found["math"] == 0.125 and math.isnan(found["code"])


def test_every_training_set_once():
    assert [sorted(one) for one in training_sets("abc")] == [
        [], ["a"], ["b"], ["c"], ["a", "b"], ["a", "c"], ["b", "c"], ["a", "b", "c"],
    ]  # fmt: skip


def test_a_long_table_has_a_row_for_each_number():
    table = rows({("base", 0): FOUND, ("instruct", 1): FOUND})
    assert len(table) == 2 * 4 * 2
    assert table[3] == {"init": "base", "seed": 0, "train": "math", "domain": "code", "accuracy": 0.5, "gain": 0.25}
    assert np.mean([row["gain"] for row in table if row["train"] == ""]) == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="before training"):
        Transfer(("math",), {})
    with pytest.raises(ValueError, match="accuracy on each"):
        Transfer(("math", "code"), {BEFORE: {"math": 1}})
    with pytest.raises(ValueError, match="expected one of"):
        FOUND.gain(["math"], "puzzle")
    with pytest.raises(ValueError, match="expected one of"):
        Transfer(("math",), {BEFORE: {"math": 1}}).interference()
