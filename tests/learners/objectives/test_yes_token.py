from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.objectives.yes_token import comparison_losses, yes_probability

NO, YES, OTHER = 0, 1, 2
LOGITS = torch.tensor([[0.0, math.log(3), 0.0]])


def test_by_hand():
    assert yes_probability(LOGITS, YES).item() == pytest.approx(0.6)
    assert yes_probability(LOGITS, YES, NO).item() == pytest.approx(0.75)
    losses = comparison_losses(LOGITS.expand(2, 3), torch.tensor([True, False]), YES, NO)
    assert losses.tolist() == pytest.approx([-math.log(0.6), -math.log(0.2)])


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3))
def test_it_is_a_probability_and_with_two_words_the_sigmoid_of_their_difference(logits):
    given_logits = torch.tensor(logits, dtype=torch.float64)
    among_all, of_two = yes_probability(given_logits, YES), yes_probability(given_logits, YES, NO)
    assert 0 < among_all < of_two < 1
    torch.testing.assert_close(of_two, given_logits[[YES, NO]].softmax(-1)[0])


def test_pairs_in_both_orders_leave_no_liking_for_a_place():
    def pull(labels):
        liking = torch.zeros(3, requires_grad=True)  # a model that says the same to every pair
        comparison_losses(liking.expand(len(labels), 3), torch.tensor(labels), YES, NO).mean().backward()
        return liking.grad[YES] - liking.grad[NO]

    assert abs(pull([True, False])) < 1e-7 and pull([True, True]) < 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="two different ones"):
        yes_probability(LOGITS, YES, YES)
    with pytest.raises(ValueError, match="of 3 words"):
        yes_probability(LOGITS, 3)
    with pytest.raises(ValueError, match=r"bool \[B\]"):
        comparison_losses(LOGITS, torch.tensor([1.0]), YES, NO)
