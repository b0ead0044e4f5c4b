from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.unlikelihood import contrastive_unlikelihood, inappropriate, unlikelihood

PLAIN = torch.tensor([[0.5, 0.2, 0.9]]).log()
JUDGED = torch.tensor([[0.5, 0.8, 0.9]]).log()
MASK = torch.ones(1, 3, dtype=torch.bool)
FAULTED = torch.tensor([True])


def test_by_hand():
    assert inappropriate(JUDGED, PLAIN).tolist() == [[False, True, False]]
    judged = -(math.log(0.5) + math.log(0.8) + math.log(0.9)) / 3
    learnt = -(math.log(0.5) + math.log(0.8) + math.log(0.9)) / 3  # 1 − 0.2 = 0.8
    found = contrastive_unlikelihood(JUDGED, PLAIN, MASK, FAULTED).item()
    assert found == pytest.approx((judged + learnt) / 2, rel=1e-5)


def test_with_an_infinite_threshold_both_rows_are_learnt_and_without_alpha_faulty_tokens_are_left_alone():
    found = contrastive_unlikelihood(JUDGED, PLAIN, MASK, FAULTED, threshold=math.inf)
    assert torch.allclose(found, (-JUDGED.mean(-1) - PLAIN.mean(-1)) / 2)
    assert unlikelihood(PLAIN, inappropriate(JUDGED, PLAIN), alpha=0.0)[0, 1] == 0


def test_an_answer_without_fault_is_learnt_and_padding_is_not_looked_at():
    mask = torch.tensor([[True, True, False]])
    found = contrastive_unlikelihood(torch.full((1, 3), -torch.inf), PLAIN, mask, torch.tensor([False]))
    assert found.item() == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2, rel=1e-5)


def test_a_faulty_token_becomes_less_likely_and_a_certain_one_has_a_finite_slope():
    plain = torch.tensor([[-0.1, 0.0]], requires_grad=True)
    loss = contrastive_unlikelihood(
        torch.tensor([[9.0, 9.0]]), plain, torch.ones(1, 2, dtype=torch.bool), torch.tensor([True])
    )
    loss.sum().backward()
    assert plain.grad[0, 0] > 0 and plain.grad.isfinite().all()


def test_an_answer_without_tokens_is_refused():
    with pytest.raises(ValueError, match="without tokens"):
        contrastive_unlikelihood(JUDGED, PLAIN, ~MASK, FAULTED)
