import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.sources.goal_similarity import contrasting_goals, goal_baseline, safe_speed

GOAL, BASELINE = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
vectors = arrays(float, (4, 3), elements=st.floats(0.1, 2)).map(lambda x: x * [1, -1, 1])


@pytest.mark.slow
@given(vectors, st.floats(0, 1))
def test_without_a_baseline_it_is_the_cosine_and_the_goal_itself_is_worth_one(seen, alpha):
    cosine = seen[:, 0] / np.linalg.norm(seen, axis=1)
    np.testing.assert_allclose(goal_baseline(seen, GOAL, BASELINE, 0.0), cosine, atol=1e-12)
    assert goal_baseline(GOAL, GOAL, BASELINE, alpha) == pytest.approx(1.0)


def test_with_a_whole_baseline_only_the_way_to_the_goal_counts():
    """Two unit vectors that differ in the third coordinate alone have the same coordinate along d = (1, −1, 0)."""
    one, other = np.array([0.6, 0.0, 0.8]), np.array([0.6, 0.0, -0.8])
    assert goal_baseline(one, GOAL, BASELINE, 1.0) == pytest.approx(goal_baseline(other, GOAL, BASELINE, 1.0))
    # (x − g)·d = −0.4, along d by −0.2: 1 − ½ · 2 · 0.04
    assert goal_baseline(one, GOAL, BASELINE, 1.0) == pytest.approx(0.96)


def test_half_of_the_regularisation_by_hand():
    # off = (−0.4, 0, 0.8), along d: (−0.2, 0.2, 0); half of each: (−0.3, 0.1, 0.4), squared 0.26
    assert goal_baseline([0.6, 0.0, 0.8], GOAL, BASELINE, 0.5) == pytest.approx(1 - 0.13)


@given(vectors)
def test_prompts_that_are_one_cancel_out_and_the_wanted_alone_is_the_cosine(seen):
    np.testing.assert_allclose(contrasting_goals(seen, GOAL, GOAL), 0.0, atol=1e-12)
    plain = goal_baseline(seen, GOAL, BASELINE, 0.0)
    np.testing.assert_allclose(contrasting_goals(seen, GOAL, BASELINE, 1.0), plain, atol=1e-12)
    both = contrasting_goals(seen, GOAL, BASELINE)
    np.testing.assert_allclose(both, -contrasting_goals(seen, BASELINE, GOAL), atol=1e-12)
    one_by_one = [float(contrasting_goals(x, GOAL, BASELINE)) for x in seen]
    np.testing.assert_allclose(both, one_by_one, atol=1e-12)


def test_the_speed_that_is_allowed_is_worth_one_and_every_factor_discounts_it():
    # likeness 0.02 between 0 and 0.04 allows half of 10: standing and racing are both half wrong
    found = safe_speed([0.02, 0.02, 0.02, -1.0, 9.0], [5, 0, 10, 0, 10], 10, 0.0, 0.04)
    np.testing.assert_allclose(found, [1, 0.5, 0.5, 1, 1])
    assert safe_speed(0.02, 5, 10, 0.0, 0.04, [0.5, 0.5, 1.0]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "call",
    [
        lambda: goal_baseline([0.0, 0.0, 0.0], GOAL, BASELINE),
        lambda: goal_baseline(GOAL, GOAL, GOAL),
        lambda: goal_baseline(GOAL, GOAL, BASELINE, 1.5),
        lambda: goal_baseline([1.0, 0.0], GOAL, BASELINE),
        lambda: contrasting_goals(GOAL, GOAL, BASELINE, -0.5),
        lambda: safe_speed(0, 0, 10, 1.0, 1.0),
        lambda: safe_speed(0, 0, 10, 0.0, 1.0, [1.5]),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
