from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.running import RunningMoments

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_batches_give_what_numpy_gives_for_all_at_once(batches: list[list[float]]) -> None:
    moments, merged = RunningMoments(), RunningMoments()
    for batch in batches:
        moments.update(batch)
        part = RunningMoments()
        part.update(batch)
        merged.merge(part)
    everything = np.concatenate(batches)
    for found in (moments, merged):
        assert found.count == len(everything)
        np.testing.assert_allclose(found.mean, everything.mean(), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(found.std, everything.std(), rtol=1e-6, atol=1e-4)


def test_by_hand() -> None:
    moments = RunningMoments((2,))
    moments.update([[1.0, 0.0], [3.0, 0.0]])
    moments.update([[5.0, 6.0]])
    np.testing.assert_allclose(moments.mean, [3.0, 2.0])
    np.testing.assert_allclose(moments.variance, [8 / 3, 8.0])


def test_nothing_is_scaled_before_the_first_row() -> None:
    moments = RunningMoments()
    moments.update([])
    assert (moments.count, float(moments.mean), float(moments.std)) == (0, 0.0, 1.0)


def test_frozen_statistics_do_not_change() -> None:
    moments = RunningMoments()
    moments.update([1.0, 2.0])
    moments.frozen = True
    moments.update([100.0])
    assert (moments.count, float(moments.mean)) == (2, 1.5)


def test_the_state_survives_json_exactly() -> None:
    moments, again = RunningMoments((3,)), RunningMoments((3,))
    moments.update(np.random.default_rng(0).normal(size=(7, 3)))
    again.load_state_dict(json.loads(json.dumps(moments.state_dict())))
    for m in (moments, again):
        m.update(np.ones((2, 3)))
    np.testing.assert_array_equal(moments.std, again.std)
    with pytest.raises(ValueError, match="expected \\(\\)"):
        RunningMoments().load_state_dict(moments.state_dict())


@pytest.mark.parametrize("rows", [[[1.0]], 3.0, [np.nan], [np.inf]])
def test_rows_of_another_shape_or_without_a_number_are_refused(rows: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        RunningMoments().update(rows)
