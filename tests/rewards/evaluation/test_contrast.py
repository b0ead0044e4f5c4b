from __future__ import annotations

import numpy as np
import pytest

from rewards.evaluation.contrast import contrast, contrast_pairs

NULL = float("nan")
RANDOM = np.random.default_rng(0)


def scored(reward, pairs=50):
    """C_res and C_ins of a reward of instruction and response, numbers that should be the same."""
    one, two = RANDOM.normal(size=(2, pairs))
    own = np.stack([reward(one, one), reward(two, two)], axis=1)
    other = np.stack([reward(one, two), reward(two, one)], axis=1)
    found = contrast(own, other)
    return found.response.value, found.instruction.value


def test_a_model_that_knows_gives_each_instruction_its_own_response():
    assert scored(lambda asked, said: -np.abs(asked - said)) == (1.0, 1.0)
    assert scored(lambda asked, said: np.abs(asked - said)) == (0.0, 0.0)


def test_a_model_that_looks_at_the_response_alone_is_at_chance_and_so_is_one_that_looks_at_the_instruction():
    # what wins under the one instruction loses under the other; under both, the same response is a tie
    assert scored(lambda asked, said: said) == (0.5, 0.5)
    assert scored(lambda asked, said: asked) == (0.5, 0.5)


def test_by_hand():
    # r(I, R) = 3, r(I', R') = 1, r(I, R') = 2, r(I', R) = 4, and a pair of which one reward is NULL
    found = contrast([[3, 1], [NULL, 1]], [[2, 4], [0, 0]])
    # under I: 3 > 2; under I': 1 < 4; of the second: r(I', R') = 1 > r(I', R) = 0
    assert (found.response.value, found.response.n) == (pytest.approx(2 / 3), 3)
    # of R: 3 < 4; of R': 1 < 2; of the second: r(I', R') = 1 > r(I, R') = 0
    assert (found.instruction.value, found.instruction.n) == (pytest.approx(1 / 3), 3)
    with pytest.raises(ValueError, match=r"\[N, 2\]"):
        contrast([1.0], [2.0])


def test_instructions_that_sound_alike_and_are_not_the_same():
    angles = np.radians([0, 35, 40, 90, 10])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # cosines: 10° 0.98 (too like), 30° 0.866, 25° 0.906, 35° 0.819, 40° 0.766, 50° 0.643
    assert contrast_pairs(vectors) == [(2, 4), (0, 1), (0, 2)]
    assert contrast_pairs(vectors, least=0.99, most=1.0) == [(1, 2)]
