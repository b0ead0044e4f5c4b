from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.advantages.max_at_k import max_at_k
from rewards.columns import Column
from rewards.groups import group_advantages


def column(*groups: list[float | None]) -> Column:
    values = np.array([[0.0 if x is None else x for x in group] for group in groups], np.float32)
    return Column(values, np.array([[x is not None for x in group] for group in groups]))


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 3])
@given(rewards=st.lists(st.floats(-5, 5, width=32), min_size=5, max_size=6))
def test_the_best_of_k_is_what_counting_subsets_says(k: int, rewards: list[float]) -> None:
    members = range(len(rewards))

    def mean_of_best(subsets: list[tuple[int, ...]]) -> float:
        return float(np.mean([max(rewards[i] for i in subset) for subset in subsets]))

    subsets = list(combinations(members, k))
    expected = [
        mean_of_best([s for s in subsets if i in s]) - mean_of_best([s for s in subsets if i not in s]) for i in members
    ]
    assert max_at_k(column(list(rewards)), k).values[0] == pytest.approx(expected, abs=1e-4)


def test_the_best_of_one_is_leave_one_out_and_needs_one_more_than_k() -> None:
    rewards = column([1.0, 0.0, 3.0, None], [1.0, 0.0, None, None])
    others = 3 / 2 * group_advantages(rewards, scale=False).values[0, :3]
    assert max_at_k(rewards, 1).values[0, :3] == pytest.approx(others)
    assert max_at_k(rewards, 2).valid.tolist() == [[True, True, True, False], [False] * 4]
    with pytest.raises(ValueError, match="got k=0"):
        max_at_k(rewards, 0)
