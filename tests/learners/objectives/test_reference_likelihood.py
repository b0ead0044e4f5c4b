from __future__ import annotations

import pytest
import torch

from learners.objectives.reference_likelihood import reference_likelihood_loss


def test_without_a_chain_its_gradient_is_that_of_supervised_training():
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    wanted = torch.tensor([[0, 1, 2, 3], [4, 4, 4, 4], [1, 2, 1, 2]])
    answer = logits.log_softmax(-1).gather(-1, wanted[..., None])[..., 0].sum(-1)
    nothing = torch.zeros(3)
    (found,) = torch.autograd.grad(reference_likelihood_loss(nothing, torch.ones(3), answer), logits, retain_graph=True)
    nll = torch.nn.functional.cross_entropy(logits.reshape(12, 5), wanted.reshape(12), reduction="sum") / 3
    torch.testing.assert_close(found, torch.autograd.grad(nll, logits)[0])


@pytest.mark.parametrize("form", ["log_prob", "prob"])
def test_it_is_the_gradient_of_the_expected_reward(form):
    theta = torch.tensor([0.3, -0.2], dtype=torch.double, requires_grad=True)  # chains 0 and 1
    logits = torch.tensor([0.5, -1.0], dtype=torch.double, requires_grad=True)  # of the answer after each
    chains, answers = theta.log_softmax(0), torch.nn.functional.logsigmoid(logits)
    reward = answers if form == "log_prob" else answers.exp()
    wanted = torch.autograd.grad((chains.exp() * reward).sum(), (theta, logits), retain_graph=True)
    # Each chain as often as the policy takes it: the mean of B rows, times B, is their sum.
    weights = chains.detach().exp()
    losses = [reference_likelihood_loss(chains[k : k + 1], reward[k : k + 1], answers[k : k + 1], form) for k in (0, 1)]
    found = torch.autograd.grad(-sum(w * loss for w, loss in zip(weights, losses, strict=True)), (theta, logits))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="expected the same"):
        reference_likelihood_loss(torch.zeros(2), torch.zeros(3), torch.zeros(2))
