import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.decomposition import decomposition_alignment

score = st.floats(0, 1)


@given(score, score)
def test_with_one_part_and_its_weight_alone_it_is_the_score_of_that_part(part, meaning):
    assert decomposition_alignment([part], meaning, weights=(1, 0, 0, 0)) == pytest.approx(part)


def test_parts_meaning_whole_and_beauty_are_weighed_by_hand():
    found = decomposition_alignment([[1, 0], [1, 1]], [0.5, 1.0], whole=[1.0, 0.0], beauty=0.5, weights=(1, 2, 3, 4))
    np.testing.assert_allclose(found, [0.5 + 1 + 3 + 2, 1 + 2 + 0 + 2])


@pytest.mark.parametrize(("present", "meaning"), [([], 0.5), ([2.0], 0.5), ([0.5], -0.1)])
def test_what_is_no_score_is_refused(present, meaning):
    with pytest.raises(ValueError, match="expected"):
        decomposition_alignment(present, meaning)
    with pytest.raises(ValueError, match="expected"):
        decomposition_alignment([1.0], 1.0, weights=(-1, 0, 0, 0))
