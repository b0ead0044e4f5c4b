from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.proximal_sft import proximal_sft


def gradient(now, old, epsilon):
    log_probs = torch.log(torch.tensor(now)).requires_grad_()
    proximal_sft(log_probs, torch.log(torch.tensor(old)), epsilon).sum().backward()
    return log_probs.grad


def test_where_nothing_has_moved_it_is_supervised_learning():
    assert torch.allclose(gradient([0.1, 0.9], [0.1, 0.9], 0.2), torch.tensor([-1.0, -1.0]))


def test_without_a_bound_it_is_supervised_learning_weighted_by_the_ratio():
    assert torch.allclose(gradient([0.2, 0.9], [0.1, 0.9], math.inf), torch.tensor([-2.0, -1.0]))


def test_what_has_become_likely_enough_teaches_no_more_and_what_was_lost_still_does():
    assert torch.allclose(gradient([0.2, 0.11, 0.05], [0.1, 0.1, 0.1], 0.2), torch.tensor([0.0, -1.1, -0.5]))
    losses = proximal_sft(torch.log(torch.tensor([0.2, 0.05])), torch.log(torch.tensor([0.1, 0.1])))
    assert torch.allclose(losses, torch.tensor([-1.2, -0.5]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="epsilon > 0"):
        proximal_sft(torch.zeros(2), torch.zeros(2), 0.0)
    with pytest.raises(ValueError, match="equal shapes"):
        proximal_sft(torch.zeros(2), torch.zeros(3))
