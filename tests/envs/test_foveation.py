from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.foveation import Foveated

PICTURE = np.arange(16.0).reshape(4, 4)
made = Foveated(PICTURE, (2, 2))
coordinate = st.floats(-3, 11)


def test_a_zoom_on_the_whole_is_the_first_look():
    random = np.random.default_rng(0)
    for shape, size in (((64, 64), (8, 8)), ((30, 50), (7, 9)), ((12, 8, 3), (5, 4))):
        seen = Foveated(random.random(shape), size)
        np.testing.assert_array_equal(seen.first, seen.zoom((0, 0, size[1], size[0])))
        np.testing.assert_array_equal(seen.first, seen.zoom((size[1] + 9, -1, -5, size[0])))


def test_the_first_look_is_of_means():
    assert made.first.tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert Foveated(PICTURE, (4, 4)).first == pytest.approx(PICTURE)
    assert Foveated(np.array([[0.0, 3.0, 6.0]]), (1, 2)).first.tolist() == [[1.0, 5.0]]  # the middle one by halves


def test_a_zoom_shows_the_picture_as_it_is():
    assert made.zoom((1, 0, 2, 1)) == pytest.approx(PICTURE[:2, 2:])
    assert made.on_picture((1, 0, 2, 1)) == (2, 0, 4, 2)
    assert made.zoom((0, 0, 1, 2)) == pytest.approx(np.array([[2.0, 3.0], [10.0, 11.0]]))


def test_what_lies_outside_is_clipped_and_without_an_area_nothing_is_shown():
    assert made.on_picture((1.5, 1, 9, 9)) == (3, 2, 4, 4)
    for box in ((1, 1, 1, 2), (5, 0, 9, 2), (0, -2, 2, -1), (0, 0, np.nan, 1), (0, 0, np.inf, 1)):
        assert made.zoom(box) is None
    with pytest.raises(ValueError, match="at least one pixel"):
        Foveated(PICTURE, (0, 2))


@given(st.tuples(coordinate, coordinate, coordinate, coordinate))
def test_what_is_shown_lies_between_what_there_is(box):
    shown = Foveated(PICTURE, (3, 8)).zoom(box)
    assert shown is None or (shown.shape == (3, 8) and shown.min() >= -1e-6 and shown.max() <= 15 + 1e-6)
