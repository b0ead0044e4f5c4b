from __future__ import annotations

import numpy as np
import pytest

from rewards.evaluation.unseen_contexts import unseen_contexts

NAN = float("nan")


def test_by_hand():
    before = [[0.9, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1]]
    after = [[0.9, 0.9], [0.9, 0.1], [0.9, 0.1]]
    found = unseen_contexts(before, after, threshold=0.5)
    assert found.before == pytest.approx([0.25, 0.5, 0.0]) and found.after == pytest.approx([1.0, 0.5, 0.5])
    assert found.raised.value == pytest.approx(2 / 3)
    assert found.increase == pytest.approx(((1.0 / 0.25 - 1) + 0) / 2), "the third had none to begin with"


def test_a_generator_raises_nothing_over_itself():
    scores = np.random.default_rng(0).random((5, 8))
    found = unseen_contexts(scores, scores, threshold=0.5)
    assert found.raised.value == 0 and found.increase == 0


def test_designs_that_are_not_valid_count_neither_way():
    found = unseen_contexts([[0.9, NAN, 0.1], [NAN, NAN, NAN]], [[0.9, 0.9, NAN], [0.9, 0.9, 0.9]], threshold=0.5)
    assert found.before[0] == 0.5 and found.after[0] == 1.0 and np.isnan(found.before[1])
    assert found.raised.n == 1 and found.increase == pytest.approx(1.0)
    assert unseen_contexts([[0.1]], [[0.9]], threshold=0.5).increase is None
    with pytest.raises(ValueError, match="the same contexts"):
        unseen_contexts([[0.1]], [[0.1], [0.1]], threshold=0.5)
