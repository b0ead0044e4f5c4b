from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.preferences import dpo
from learners.objectives.self_critic import critic_pairs
from learners.objectives.temporal_pairs import anchored_pairs, future_guided

NAN = math.nan
JUDGED = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, NAN]), min_size=3, max_size=3), min_size=1, max_size=5
).map(torch.tensor)


@given(JUDGED)
def test_with_the_present_for_the_past_and_no_future_it_is_ordinary_self_rewarding(judged):
    chosen, rejected = anchored_pairs(judged, judged)
    plain = critic_pairs(judged)
    assert torch.equal(chosen, plain[0]) and torch.equal(rejected, plain[1])
    assert (future_guided(judged, chosen, judged) == -1).all()  # nothing is better than the best


def test_the_best_of_now_stands_against_the_worst_of_the_past():
    present = torch.tensor([[1.0, 3.0, 2.0], [1.0, NAN, 0.0], [0.0, 0.0, 0.0], [NAN, NAN, NAN]])
    past = torch.tensor([[2.0, 1.0], [NAN, 0.5], [0.0, 1.0], [0.0, 1.0]])
    chosen, rejected = anchored_pairs(present, past)
    assert chosen.tolist() == [1, 0, -1, -1] and rejected.tolist() == [1, 1, -1, -1]
    assert anchored_pairs(present, past, least=1.0)[0].tolist() == [1, -1, -1, -1]


def test_the_future_takes_the_place_of_the_chosen_where_it_is_better_and_there_is_a_pair():
    present = torch.tensor([[1.0, 3.0], [1.0, 3.0], [5.0, 3.0], [1.0, 1.0]])
    future = torch.tensor([[4.0, 3.5], [3.0, NAN], [NAN, 9.0], [9.0, 9.0]])
    assert future_guided(present, torch.tensor([1, 1, 0, -1]), future).tolist() == [0, -1, 1, -1]


def test_the_gradient_of_dpo_vanishes_as_chosen_and_rejected_become_one():
    logits = torch.zeros(4, requires_grad=True)

    def slope(chosen, rejected):
        logs = logits.log_softmax(0)
        return torch.autograd.grad(dpo((logs @ chosen - logs @ rejected)[None], 0.1).sum(), logits)[0].norm()

    one, other = torch.eye(4)[0], torch.eye(4)[1]
    sizes = [slope(one, (1 - share) * one + share * other).item() for share in (1.0, 0.1, 0.01, 0.0)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 0.0 and sizes[2] < 0.02 * sizes[0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="of the same prompts"):
        anchored_pairs(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="got least=-1"):
        anchored_pairs(torch.zeros(2, 3), torch.zeros(2, 3), least=-1)
    with pytest.raises(ValueError, match="expected one for each"):
        future_guided(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long), torch.zeros(2, 3))
