from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rewards.cosines import cosines


def test_by_hand_and_of_nothing_it_is_nothing():
    np.testing.assert_allclose(cosines([[0.0, 0.0], [3.0, 4.0]], [[4.0, 3.0]]), [[0.0], [0.96]])


@given(arrays.arrays(np.float64, (3, 4), elements=st.integers(-10, 10).map(float)), st.floats(0.1, 10))
def test_length_does_not_matter_and_nothing_is_beyond_one(vectors, scale):
    found = cosines(vectors, vectors)
    np.testing.assert_allclose(found, cosines(scale * vectors, vectors), atol=1e-9)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert (np.abs(found) <= 1).all()
