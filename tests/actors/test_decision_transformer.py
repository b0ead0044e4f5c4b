from __future__ import annotations

import pytest
import torch

from actors.decision_transformer import Config, DecisionTransformer, SoftBuckets

SHAPE = {"observation": 3, "actions": 4, "horizon": 5}


def built(**settings: object) -> DecisionTransformer:
    torch.manual_seed(0)
    return DecisionTransformer(Config.model_validate({**SHAPE, **settings}))


def given(steps: int = 5, rewards: int = 1):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, steps, rewards, generator=generator),
        torch.randn(2, steps, 3, generator=generator),
        torch.randint(4, (2, steps), generator=generator),
    )


def test_softmax_buckets_become_the_one_with_the_highest_score_as_the_temperature_falls():
    torch.manual_seed(0)
    cold, numbers = SoftBuckets(2, 10, 4, temperature=1e-6), torch.randn(6, 2)
    hard = cold.score(numbers).argmax(-1)
    assert torch.allclose(cold(numbers), cold.meta[hard], atol=1e-5)
    cold.temperature = 1e6  # and all alike as it rises
    assert torch.allclose(cold(numbers), cold.meta.mean(0).expand(6, 4), atol=1e-4)


def test_one_reward_without_buckets_and_users_is_embedded_as_in_decision_transformer():
    model = built(**DecisionTransformer.presets["dt"])
    assert isinstance(model.wanted, torch.nn.Linear) and model.balance is None
    returns, states, actions = given()
    assert torch.equal(model.balanced(returns, None), returns)
    assert model(returns, states, actions).logits.shape == (2, 5, 4)


@pytest.mark.parametrize("step", [0, 2])
def test_a_prediction_reads_what_stands_before_it_and_not_its_own_action_nor_what_follows(step):
    model = built(rewards=2, buckets=8, user=2)
    returns, states, actions = given(rewards=2)
    user = torch.eye(2)
    before = model(returns, states, actions, user).logits[:, step]
    later = (returns.clone(), states.clone(), actions.clone())
    later[0][:, step + 1 :] += 1
    later[1][:, step + 1 :] += 1
    later[2][:, step:] = (actions[:, step:] + 1) % 4
    assert torch.allclose(model(*later, user).logits[:, step], before, atol=1e-6)
    for place in (0, 1):
        moved = [returns.clone(), states.clone(), actions]
        moved[place][:, step] += 1
        assert not torch.allclose(model(*moved, user).logits[:, step], before, atol=1e-4)


def test_what_is_known_of_a_user_shares_out_the_rewards_and_the_shares_have_mean_one():
    model = built(rewards=2, user=2)
    weights = model.balanced(torch.ones(2, 5, 2), torch.eye(2))
    assert torch.allclose(weights.mean(-1), torch.ones(2, 5)) and not torch.allclose(weights[0], weights[1])


def test_what_does_not_fit_is_refused():
    model = built()
    returns, states, actions = given()
    with pytest.raises(ValueError, match="expected no user"):
        model(returns, states, actions, torch.eye(2))
    with pytest.raises(ValueError, match="T ≤ 5"):
        model(returns.repeat(1, 2, 1), states.repeat(1, 2, 1), actions.repeat(1, 2))
    with pytest.raises(ValueError, match="all known"):
        model(returns * float("nan"), states, actions)
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        built(actions=1)
