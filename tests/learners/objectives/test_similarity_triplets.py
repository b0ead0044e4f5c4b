from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.objectives.similarity_triplets import most_alike, similarity_triplets

NUMBERS = st.lists(st.floats(-3, 3), min_size=2, max_size=2)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_equal_embeddings_lose_twice_the_margin():
    same = rows([0.5, -2.0])
    assert similarity_triplets(same, same, same).tolist() == [2.0]
    assert similarity_triplets(same, same, same, margin=0.25).tolist() == [0.5]


def test_by_hand():
    anchor, positive, negative = rows([0.0, 0.0]), rows([1.0, 0.0]), rows([0.0, 1.0])
    # alike: 1; from the anchor to the third 1, from the positive 2: (1 − 1 + 1) + (1 − 2 + 1)
    assert similarity_triplets(anchor, positive, negative).tolist() == [1.0]
    assert similarity_triplets(anchor, positive, rows([0.0, 9.0])).tolist() == [0.0]


@given(NUMBERS, NUMBERS, NUMBERS, st.floats(0.1, 3))
def test_it_does_not_matter_which_of_the_two_is_the_anchor(first, second, third, margin):
    one, other, last = rows(first), rows(second), rows(third)
    found = similarity_triplets(one, other, last, margin)
    assert torch.allclose(found, similarity_triplets(other, one, last, margin))
    assert found >= 0


def test_the_two_nearest_are_the_most_alike_and_the_third_is_the_negative():
    features = torch.tensor(
        [[[0.0], [5.0], [1.0]], [[0.0], [1.0], [5.0]], [[5.0], [0.0], [1.0]], [[1.0], [1.0], [1.0]]]
    )
    assert most_alike(features).tolist() == [[0, 2, 1], [0, 1, 2], [1, 2, 0], [0, 1, 2]]


def test_what_nobody_looks_at_changes_neither_answers_nor_the_loss():
    states = torch.randn(20, 3, 6, generator=torch.Generator().manual_seed(0))
    other = states.clone()
    other[..., 2:] = states[..., [5, 3, 2, 4]] * 7.0  # only the first two are looked at

    def asked(seen):
        looked_at = seen[..., :2]
        order = most_alike(looked_at)
        chosen = looked_at.gather(1, order[..., None].expand(-1, -1, 2))
        return order, similarity_triplets(*chosen.unbind(1))

    assert all(torch.equal(one, two) for one, two in zip(asked(states), asked(other), strict=True))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="more than 0"):
        similarity_triplets(rows([0.0]), rows([0.0]), rows([0.0]), margin=0)
    with pytest.raises(ValueError, match=r"expected the same \[N, k\]"):
        similarity_triplets(rows([0.0]), rows([0.0, 1.0]), rows([0.0]))
    with pytest.raises(ValueError, match=r"expected \[N, 3, K\]"):
        most_alike(torch.zeros(2, 4, 1))
    with pytest.raises(ValueError, match="all of them known"):
        most_alike(torch.full((1, 3, 1), torch.nan))
