from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from learners.objectives.utterance_critic import UtteranceCritic
from learners.weights import follow

ARCHER = UtteranceCritic(**UtteranceCritic.presets["archer"])


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_targets_and_losses_by_hand():
    # two utterances: r = 1 with V̄(s') = 2 behind it, and r = 3 at the end, where the 7 behind it does not count
    given = (row(2.0, 2.5), row(1.0, 4.0), torch.tensor([1.0, 3.0]), row(2.0, 7.0), torch.tensor([False, True]))
    q_loss = ((1 + 0.9 * 2 - 2.0) ** 2 + (3 - 2.5) ** 2) / 2
    for expectile, below, above in ((0.5, 1.0, 1.0), (0.9, 0.2, 1.8)):  # u = 3 − 1 above, 3 − 4 below
        critic = UtteranceCritic(expectile=expectile)
        found = critic.critic_loss(*given, row(3.0, 3.0))
        assert found.item() == pytest.approx(q_loss + (above * 2**2 + below * 1**2) / 2)


def test_one_turn_without_a_future_is_reinforce_with_a_baseline():
    """Q becomes E[r], V its mean over the policy, and the tokens' gradient is that of REINFORCE with V taken off."""
    torch.manual_seed(0)
    paid, logits = torch.tensor([1.0, 0.0, 3.0]), torch.tensor([0.2, -0.3, 0.1], requires_grad=True)
    chance = logits.detach().softmax(-1)
    q, value = torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 1, requires_grad=True)
    optimiser = torch.optim.SGD([q, value], 0.5)
    one = UtteranceCritic(gamma=0.0)
    for _ in range(60):
        loss = one.critic_loss(
            q, value.expand(2, 3), paid, torch.full((2, 3), 99.0), torch.zeros(3, dtype=torch.bool), q.detach(), chance
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    mean = (chance * paid).sum()
    assert torch.allclose(q, paid.expand(2, 3), atol=1e-4) and torch.allclose(value, mean, atol=1e-3)
    said = torch.tensor([0, 1, 2, 2])
    log_probs = logits.log_softmax(-1)[said][:, None]
    found = one.token_loss(log_probs, torch.ones(4, 1, dtype=torch.bool), one.advantage(q[:, said], value.expand(2, 4)))
    (gradient,) = torch.autograd.grad(found, logits)
    by_hand = -((F.one_hot(said, 3) - chance) * (paid[said] - mean)[:, None]).mean(0)
    assert torch.allclose(gradient, by_hand, atol=2e-3)


def test_utterances_of_one_token_are_ordinary_actor_critic():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    action, advantage = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
    chosen = logits.log_softmax(-1).gather(-1, action[:, None])
    found = ARCHER.token_loss(chosen, torch.ones(5, 1, dtype=torch.bool), advantage)
    assert found.item() == pytest.approx((F.cross_entropy(logits, action, reduction="none") * advantage).mean().item())


def test_each_token_of_an_utterance_gets_what_it_was_worth_less_the_baseline():
    log_probs = torch.tensor([[-1.0, -2.0, -9.0]], requires_grad=True)
    mask, worth = torch.tensor([[True, True, False]]), torch.tensor([2.0])
    assert ARCHER.token_loss(log_probs, mask, worth).item() == pytest.approx(2 * 3)
    baseline = torch.tensor([[0.5, 1.5, float("nan")]], requires_grad=True)
    found = ARCHER.token_loss(log_probs, mask, worth, baseline)
    assert found.item() == pytest.approx((1.5 * 1 + 0.5 * 2) + (1.5**2 + 0.5**2) / 2)
    found.backward()
    assert log_probs.grad is not None and log_probs.grad.tolist() == [[-1.5, -0.5, 0.0]]


def test_the_lower_of_two_critics_is_believed():
    assert ARCHER.advantage(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [0.2]])).tolist() == pytest.approx([0.8])


def test_an_unknown_reward_changes_nothing():
    q = row(2.0, 5.0).requires_grad_()
    ended, nothing = torch.tensor([True, True]), torch.zeros(1, 2, dtype=torch.float64)
    loss = ARCHER.critic_loss(
        q, nothing, torch.tensor([1.0, float("nan")]), nothing, ended, nothing, torch.tensor([1.0, 0.0])
    )
    loss.backward()
    assert q.grad is not None and q.grad.tolist() == [[2.0, 0.0]]


def test_targets_follow_and_the_policy_waits_for_the_critic():
    slow, fast = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    slow.weight.data.fill_(0.0)
    fast.weight.data.fill_(1.0)
    follow(slow, fast, 0.1)
    follow(slow, fast, 0.1)
    assert slow.weight.item() == pytest.approx(0.19)
    assert [ARCHER.acts(n) for n in (0, 19, 20)] == [False, False, True]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="four times"):
        ARCHER.critic_loss(row(1.0), row(1.0, 2.0), torch.ones(1), row(1.0), torch.zeros(1, dtype=torch.bool), row(1.0))
    with pytest.raises(ValueError, match="expected \\[N, T\\] twice"):
        ARCHER.token_loss(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool), torch.zeros(3))
    with pytest.raises(ValueError, match="less than 1"):
        UtteranceCritic(expectile=1.0)
