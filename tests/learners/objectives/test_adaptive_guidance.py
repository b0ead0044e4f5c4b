from __future__ import annotations

import pytest
import torch

from learners.language.clipping import Clip
from learners.objectives.adaptive_guidance import comprehension, injected, mixed_policy_losses, shaped_probability


def test_a_group_with_any_right_answer_is_left_alone_and_a_helpless_one_hears_whom_it_understands_best():
    right = torch.tensor([[False, True, False], [False] * 3, [False] * 3])
    taught = torch.tensor([[True, True], [True, True], [False, True]])
    understood = torch.tensor([[0.9, 0.1], [0.2, 0.7], [0.9, 0.1]])
    assert injected(right, taught, understood, 1).tolist() == [[-1, -1, -1], [-1, -1, 1], [-1, -1, 1]]
    assert injected(right, taught, understood, 2)[1].tolist() == [-1, 1, 0]
    assert bool((injected(right, taught, understood, 0) == -1).all())


def test_comprehension_is_a_mean_of_probabilities():
    found = comprehension(torch.tensor([[0.5, 0.25, 0.01]]).log(), torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx(0.375)
    logs = torch.tensor([[0.5, torch.nan]]).log().requires_grad_()
    masked = comprehension(logs, torch.tensor([[1, 0]]))
    masked.sum().backward()
    assert masked.item() == pytest.approx(0.5) and logs.grad.tolist() == [[pytest.approx(0.5), 0]]


def test_what_is_least_likely_is_moved_most():
    logs = torch.tensor([1e-6, 0.1, 0.9]).log().requires_grad_()
    shaped_probability(logs).sum().backward()
    slopes = logs.grad / logs.detach().exp()  # by π, not by log π
    assert torch.allclose(slopes, 0.1 / (torch.tensor([1e-6, 0.1, 0.9]) + 0.1).square(), rtol=1e-4)
    assert slopes.argmax().item() == 0
    with pytest.raises(ValueError, match="above 0"):
        shaped_probability(logs, 0.0)
    with pytest.raises(ValueError, match="0 to G"):
        injected(torch.zeros(1, 2, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool), torch.zeros(1, 1), 3)


def test_a_mixed_group_is_clipped_where_the_policy_wrote_and_shaped_where_it_did_not():
    logs = torch.tensor([[0.5, 0.4], [0.5, 0.1]]).log()
    old = torch.tensor([[0.5, 0.2], [torch.nan, torch.nan]]).log()
    logs.requires_grad_()
    found = mixed_policy_losses(logs, old, torch.tensor([2.0, 3.0]), torch.tensor([False, True]))
    found.sum().backward()
    assert found.tolist() == [pytest.approx([-2, -2.4]), pytest.approx([-3 * 0.5 / 0.6, -1.5])]
    assert logs.grad[0].tolist() == pytest.approx([-2, 0]) and bool(logs.grad[1].isfinite().all())


def test_without_others_it_is_the_clipped_surrogate():
    now, old = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.5, -1.0]])
    none = torch.tensor([False])
    found = mixed_policy_losses(now, old, torch.tensor([-1.0]), none, Clip(high=0.3))
    assert torch.equal(found, Clip(high=0.3).surrogate((now - old).exp(), torch.tensor([[-1.0]]), now).loss)
    with pytest.raises(ValueError, match=r"\[B, T\] twice"):
        mixed_policy_losses(now, old, torch.zeros(2), none)


def test_by_ratio_others_count_by_what_they_were_to_whoever_wrote_them():
    logs, old = torch.tensor([[0.5], [0.2], [0.9]]).log(), torch.tensor([[0.4], [0.8], [1e-30]]).log()
    foreign = torch.tensor([False, True, True])
    logs.requires_grad_()
    found = mixed_policy_losses(logs, old, torch.tensor([1.0, 2.0, 1.0]), foreign, by_ratio=True)
    found.sum().backward()
    assert found[:, 0].tolist() == pytest.approx([-1.2, -2 * 0.25 / 0.35, -1.0])  # clipped; f(0.2 / 0.8); far above γ
    assert logs.grad[:, 0].tolist() == pytest.approx([0, -2 * 0.25 * 0.1 / 0.35**2, 0])
    vanishing = mixed_policy_losses(logs, old, torch.ones(3), foreign, floor=1e-9, by_ratio=True)
    assert vanishing[1:, 0].tolist() == pytest.approx([-1, -1])
