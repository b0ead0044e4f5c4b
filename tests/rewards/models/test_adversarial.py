from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.adversarial import adversarial_reward, preconditioned, ranged

LOGITS = st.lists(st.floats(-20, 20), min_size=1, max_size=5)


def test_one_discriminator_is_gail():
    logits = torch.linspace(-40, 40, 9)
    assert torch.allclose(adversarial_reward(logits[None]), torch.nn.functional.softplus(logits))


def test_discriminators_that_cannot_tell_give_log_2_everywhere():
    assert torch.allclose(adversarial_reward(torch.zeros(5, 2, 3)), torch.full((2, 3), math.log(2)))


def test_the_mean_is_of_chances_and_clipped_ones_count_as_much_as_the_clip():
    logits = torch.tensor([[math.log(3)], [100.0]])  # D of 0.75 and 1
    assert adversarial_reward(logits).item() == pytest.approx(-math.log(1 - 0.875), rel=1e-5)
    assert adversarial_reward(logits, clip=0.9).item() == pytest.approx(-math.log(1 - 0.825), rel=1e-5)
    assert adversarial_reward(logits, clip=0.5).item() == pytest.approx(math.log(2), rel=1e-5)


@given(LOGITS, st.floats(0.1, 1))
def test_it_is_never_below_0_nor_above_the_clip_and_rises_with_the_logits(logits, clip):
    found = adversarial_reward(torch.tensor(logits, dtype=torch.float64)[:, None], clip).item()
    assert -1e-12 <= found <= (-math.log1p(-clip) if clip < 1 else math.inf) + 1e-9
    assert adversarial_reward(torch.tensor(logits, dtype=torch.float64)[:, None] + 1, clip).item() >= found - 1e-12


def test_no_strength_leaves_rewards_and_steepness_takes_of_them():
    rewards, norms = torch.tensor([2.0, 2.0, 2.0]), torch.tensor([0.5, 1.0, 3.0])
    assert torch.equal(preconditioned(rewards, norms, strength=0.0), rewards)
    found = preconditioned(rewards, norms, strength=0.25)
    assert found.tolist() == pytest.approx([2.0, 2.0, 2 * math.exp(-1)])
    assert preconditioned(rewards, norms, least=0.7).tolist() == pytest.approx([2.0, 2.0, 1.4])


def test_a_reward_that_is_not_known_stays_so():
    assert preconditioned(torch.tensor([torch.nan, 1.0]), torch.tensor([9.0, 0.0])).isnan().tolist() == [True, False]


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="at least one discriminator"):
        adversarial_reward(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"a clip in \(0, 1\]"):
        adversarial_reward(torch.zeros(1, 3), clip=0.0)
    with pytest.raises(ValueError, match="pessimism would make it better"):
        preconditioned(torch.tensor([-1.0]), torch.tensor([2.0]))
    with pytest.raises(ValueError, match="expected at least 0, and one in"):
        preconditioned(torch.tensor([1.0]), torch.tensor([2.0]), strength=-1.0)


def test_logits_of_weak_and_strong_discriminators_come_to_one_range():
    made, real = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 4.0])
    logits = torch.tensor([[0.0, -1.0, 9.0, 0.5], [2.0, -9.0, 4.0, 3.0]])
    assert ranged(logits, made, real).tolist() == [[0.0, -4.0, 4.0, 2.0], [0.0, -4.0, 4.0, 2.0]]
    alone = torch.tensor([-2.0, 0.0, 1.5, 2.0])[None]
    assert torch.equal(ranged(alone, torch.tensor([-2.0]), torch.tensor([2.0])), alone)  # it is in the range
    with pytest.raises(ValueError, match="leave out one that cannot tell"):
        ranged(logits, real, made)
