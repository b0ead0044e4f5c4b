from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.imagined_states import projected


def test_each_frame_goes_to_what_is_most_like_it_whatever_its_length():
    seen = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert projected([[9.0, 1.0], [0.1, 0.1], [-1.0, 3.0]], seen).tolist() == [0, 2, 1]
    assert projected(np.array(seen) * 7, seen).tolist() == [0, 1, 2]
    assert projected(np.zeros((0, 2)), seen).tolist() == []


def test_the_first_of_equals_is_taken():
    assert projected([[1.0, 0.0]], [[2.0, 0.0], [1.0, 0.0]]).tolist() == [0]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="one seen at least"):
        projected([[1.0, 0.0]], np.zeros((0, 2)))
    with pytest.raises(ValueError, match="leave such frames out"):
        projected([[np.nan, 0.0]], [[1.0, 0.0]])
