"""Returns against hand-worked numbers, identities, and implementations by others."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from learners.returns import gae, lambda_returns, stop_at_unknown, vtrace


def column(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def experience(seed, steps, rows, terminations=0.2):
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    ended = torch.rand(steps, rows, generator=random) < terminations
    return {
        "behaviour_logprob": 0.5 * normal(steps, rows),
        "target_logprob": 0.5 * normal(steps, rows),
        "reward": normal(steps, rows),
        "discount": 0.9 * (~ended).double(),
        "value": normal(steps + 1, rows),
    }


def test_vtrace_by_hand():
    # rho = min(1, [2, 1/2]) = [1, 1/2]; delta_1 = 1/2 (2 + 1/2 · 4 - 2) = 1; delta_0 = 1 (1 + 1/2 · 2 - 1) = 1
    # v_1 = 2 + 1 = 3; v_0 = 1 + 1 + 1/2 · 1 · (3 - 2) = 5/2; advantages 1 + 3/2 - 1 = 3/2 and 2 + 2 - 2 = 2
    result = vtrace(
        column(0.0, 0.0), column(math.log(2), math.log(0.5)), column(1, 2), column(0.5, 0.5), column(1, 2, 4)
    )
    assert result.vs.flatten().tolist() == pytest.approx([2.5, 3])
    assert result.advantage.flatten().tolist() == pytest.approx([1.5, 2])
    assert result.rho.flatten().tolist() == pytest.approx([1, 0.5])


def test_a_termination_forgets_the_last_value_and_a_truncation_keeps_it():
    nothing = column(0.0)
    assert vtrace(nothing, nothing, column(1), column(0.0), column(5, 7)).vs.item() == 1
    assert vtrace(nothing, nothing, column(1), column(0.5), column(5, 7)).vs.item() == 1 + 0.5 * 7


def test_on_policy_with_lambda_one_vtrace_is_the_discounted_return():
    given_ = experience(0, 6, 4)
    given_["target_logprob"] = given_["behaviour_logprob"]
    expected = given_["value"][-1]
    for t in reversed(range(6)):
        expected = given_["reward"][t] + given_["discount"][t] * expected
        torch.testing.assert_close(vtrace(**given_).vs[t], expected)


def test_on_policy_vtrace_is_gae_and_lambda_returns():
    given_ = experience(1, 7, 3)
    given_["target_logprob"] = given_["behaviour_logprob"]
    rewards = (given_["reward"], given_["discount"], given_["value"])
    for lambda_ in (0.0, 0.3, 0.95, 1.0):
        result = vtrace(**given_, lambda_=lambda_)
        torch.testing.assert_close(result.vs, lambda_returns(*rewards, lambda_=lambda_))
        torch.testing.assert_close(result.vs - given_["value"][:-1], gae(*rewards, lambda_=lambda_))
        torch.testing.assert_close(result.advantage, gae(*rewards, lambda_=lambda_))


def test_lambda_zero_is_the_one_step_target():
    given_ = experience(2, 5, 2)
    one_step = given_["reward"] + given_["discount"] * given_["value"][1:]
    torch.testing.assert_close(
        lambda_returns(given_["reward"], given_["discount"], given_["value"], lambda_=0.0), one_step
    )


@pytest.mark.parametrize("lambda_", [0.7, 1.0])
def test_two_episodes_in_one_trace_equal_each_alone(lambda_):
    given_ = experience(3, 8, 2, terminations=0.0)
    given_["discount"][4] = 0.0
    both = vtrace(**given_, lambda_=lambda_)
    for part in (slice(0, 5), slice(5, 8)):
        alone = {name: x[part] for name, x in given_.items() if name != "value"}
        alone["value"] = given_["value"][part.start : part.stop + 1]
        single = vtrace(**alone, lambda_=lambda_)
        assert single.vs.numel() == 2 * (part.stop - part.start) > 0
        torch.testing.assert_close(single.vs, both.vs[part])
        torch.testing.assert_close(single.advantage, both.advantage[part])
        rewards = (alone["reward"], alone["discount"], alone["value"])
        torch.testing.assert_close(gae(*rewards), gae(given_["reward"], given_["discount"], given_["value"])[part])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.8, 1.0]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e30, -3.0]),
)
def test_garbage_in_the_padding_changes_nothing(lengths, seed, lambda_, garbage):
    steps, rows = max(lengths), len(lengths)
    given_ = experience(seed, steps, rows)
    mask = torch.arange(steps)[:, None] < torch.tensor(lengths)
    spoilt = {name: x.clone() for name, x in given_.items()}
    for name, x in spoilt.items():
        past = torch.arange(len(x))[:, None] >= torch.tensor(lengths) + (name == "value")
        x[past] = garbage
    result = vtrace(**spoilt, mask=mask, lambda_=lambda_)
    rewards = ("reward", "discount", "value")
    estimates = gae(*(spoilt[name] for name in rewards), mask, lambda_=lambda_)
    returns = lambda_returns(*(spoilt[name] for name in rewards), mask, lambda_=lambda_)
    for row, length in enumerate(lengths):
        alone = {name: x[: length + (name == "value"), row : row + 1] for name, x in given_.items()}
        expected = vtrace(**alone, lambda_=lambda_)
        for got, wanted in (
            (result.vs, expected.vs),
            (result.advantage, expected.advantage),
            (result.rho, expected.rho),
            (estimates, gae(*(alone[name] for name in rewards), lambda_=lambda_)),
            (returns, lambda_returns(*(alone[name] for name in rewards), lambda_=lambda_)),
        ):
            assert torch.equal(got[:length, row], wanted[:, 0])
            assert not got[length:, row].any()


def test_gae_is_a_linear_filter():
    given_ = experience(4, 20, 1, terminations=0.0)
    delta = given_["reward"] + 0.9 * given_["value"][1:] - given_["value"][:-1]
    filtered = lfilter([1], [1, -0.9 * 0.95], delta.numpy()[::-1], axis=0)[::-1]
    np.testing.assert_allclose(
        gae(given_["reward"], given_["discount"], given_["value"], lambda_=0.95).numpy(), filtered
    )


@pytest.mark.slow
@pytest.mark.parametrize("bound", [1.0, 2.5])
def test_vtrace_agrees_with_rllib(bound):
    rllib = pytest.importorskip("ray.rllib.algorithms.impala.torch.vtrace_torch_v2")
    given_ = {name: x.float() for name, x in experience(5, 12, 6).items()}
    theirs = rllib.vtrace_torch(
        target_action_log_probs=given_["target_logprob"],
        behaviour_action_log_probs=given_["behaviour_logprob"],
        discounts=given_["discount"],
        rewards=given_["reward"],
        values=given_["value"][:-1],
        bootstrap_values=given_["value"][-1],
        clip_rho_threshold=bound,
        clip_pg_rho_threshold=bound,
    )
    ours = vtrace(**given_, rho_bar=bound)
    torch.testing.assert_close(ours.vs, theirs[0])
    torch.testing.assert_close(ours.rho * ours.advantage, theirs[1])


def test_no_gradient_flows_through_targets():
    given_ = experience(6, 3, 2)
    given_["value"].requires_grad_()
    given_["target_logprob"].requires_grad_()
    assert not any(x.requires_grad for x in vtrace(**given_))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"expected \[T, B\], \[T, B\], \[T\+1, B\]"):
        gae(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="mask"):
        gae(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(4, 2), torch.ones(3, 1, dtype=torch.bool))


def test_returns_end_at_a_step_of_unknown_reward():
    reward, discount = torch.tensor([[1.0], [99.0], [4.0]]), torch.full((3, 1), 0.5)
    value = torch.tensor([[10.0], [20.0], [40.0], [80.0]])
    weight = torch.tensor([[1.0], [0.0], [1.0]])
    known, kept = stop_at_unknown(reward, discount, value[:-1], weight)
    # 1 + 0.5·V(1), nothing of the 99; V(1) itself; 4 + 0.5·80
    assert lambda_returns(known, kept, value).flatten().tolist() == [11.0, 20.0, 44.0]
    estimate = vtrace(torch.zeros(3, 1), torch.zeros(3, 1), known, kept, value)
    assert estimate.vs.flatten().tolist() == [11.0, 20.0, 44.0] and estimate.advantage[1].item() == 0
    assert stop_at_unknown(reward, discount, value[:-1], None) == (reward, discount)
