from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from rewards.models.policy_discriminator import PolicyDiscriminator, of_one_policy, of_rankings

DRAWN = torch.Generator().manual_seed(0)


def triples(found):
    return list(zip(*(index.tolist() for index in found), strict=True))


def test_triples_of_one_policy_by_hand():
    # Prompt 0 has policy 0 twice and policy 1 once; nobody of prompt 1 has another of its policy.
    found = of_one_policy(torch.tensor([0, 1, 0, 0, 1]), torch.tensor([0, 0, 0, 1, 1]), DRAWN)
    assert triples(found) == [(0, 2, 1), (2, 0, 1)]


def test_what_is_drawn_is_never_the_reference_and_always_of_the_right_policy():
    policy = torch.arange(5).repeat_interleave(6)
    prompt = torch.arange(3).repeat(10)
    reference, chosen, rejected = of_one_policy(policy, prompt, DRAWN)
    assert reference.tolist() == list(range(30))
    assert (policy[chosen] == policy[reference]).all() and (policy[rejected] != policy[reference]).all()
    assert (prompt[chosen] == prompt[reference]).all() and (prompt[rejected] == prompt[reference]).all()
    assert (chosen != reference).all()


def test_without_two_policies_on_a_prompt_nothing_can_be_told_apart():
    with pytest.raises(ValueError, match="got 4 trajectories, none with another of its policy"):
        of_one_policy(torch.zeros(4), torch.zeros(4), DRAWN)


def test_the_best_is_the_reference_of_the_others_by_hand():
    scores = torch.tensor([0.5, 2.0, 1.0, 3.0, 1.0, math.nan])
    found = of_rankings(scores, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert triples(found) == [(1, 2, 0)]
    everyone = of_rankings(torch.tensor([3.0, 1.0, 2.0, 2.0]), torch.zeros(4))
    assert triples(everyone) == [(0, 2, 1), (0, 3, 1)]


def test_scores_look_at_what_stands_beside_what_and_not_at_padding():
    model = PolicyDiscriminator(vocabulary=5, hidden=8)
    prompt, reference = torch.tensor([[4]]), torch.tensor([[1, 2, 1, 2]])
    found = model(prompt, reference, torch.tensor([[3, 0]]))
    torch.testing.assert_close(found, model(prompt, reference, torch.tensor([[3, 0, -1, -1]])))
    assert not torch.allclose(found, model(prompt, reference, torch.tensor([[0, 3]])))
    before = torch.random.get_rng_state()
    again = PolicyDiscriminator(vocabulary=5, hidden=8)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(found, again(prompt, reference, torch.tensor([[3, 0]])))


@pytest.mark.slow
def test_after_a_few_steps_without_labels_a_copy_of_the_policy_scores_above_another():
    # Three policies that each say one word more often than others, and new trajectories of the same policies.
    chance = torch.eye(3) + 0.2

    def written(generator):
        return torch.multinomial(chance.repeat_interleave(8, 0), 12, replacement=True, generator=generator)

    policy, asked = torch.arange(3).repeat_interleave(8), torch.zeros(24, 1, dtype=torch.long)
    model, generator = PolicyDiscriminator(vocabulary=3, hidden=16), torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)

    def loss():
        words = written(generator)
        reference, chosen, rejected = of_one_policy(policy, torch.zeros(24), generator)
        scores = [model(asked, words[reference], words[index]) for index in (chosen, rejected)]
        return bradley_terry(*scores).mean()

    for _ in range(40):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.4 < math.log(2)
    with torch.no_grad():
        shown, tried = written(generator), written(generator)
        pairs = torch.cartesian_prod(torch.arange(24), torch.arange(24))
        scores = model(asked[pairs[:, 0]], shown[pairs[:, 0]], tried[pairs[:, 1]]).view(3, 8, 3, 8).mean((1, 3))
    assert scores.argmax(1).tolist() == [0, 1, 2]
