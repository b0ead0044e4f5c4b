from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from actors.search.tilting import augmented_logits, soft_value

LENGTH, TOKENS = 3, 3


def seeded(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fixed(values):
    """Values of all tokens `[B, V, R]`, asked for candidates."""
    return lambda tokens: values.gather(1, tokens[..., None].expand(-1, -1, values.shape[-1]))


def test_no_strength_and_a_constant_value_leave_the_base_model():
    logits = seeded(4, 6)
    assert torch.equal(augmented_logits(logits, fixed(seeded(4, 6, 1)), [0.0]), logits)
    assert torch.allclose(augmented_logits(logits, fixed(torch.full((4, 6, 1), 3.0)), [2.0], top=3), logits)


def test_with_all_tokens_it_is_the_closed_form_of_the_best_policy_at_a_price_of_kl():
    logits, values, strength = seeded(2, 5), seeded(2, 5, 1), 1.5
    found = augmented_logits(logits, fixed(values), [strength]).softmax(-1)
    base = logits.softmax(-1)
    tilted = base * (strength * values[..., 0]).exp()
    assert torch.allclose(found, tilted / tilted.sum(-1, keepdim=True))

    def gain(policy):  # what the policy maximises
        return strength * (policy * values[..., 0]).sum(-1) - (policy * (policy / base).log()).sum(-1)

    assert torch.allclose(gain(found), tilted.sum(-1).log())  # the most that there is: log Z
    for other in (base, (0.9 * found + 0.1 * base), seeded(2, 5).flip(-1).softmax(-1)):
        assert (gain(other) < gain(found)).all()


def test_only_the_likeliest_are_asked_about_and_they_are_centred_beside_the_others():
    logits = torch.tensor([[3.0, 0.0, 2.0, 1.0]])
    asked = []

    def values(tokens):
        asked.append(tokens.tolist())
        return torch.tensor([[[1.0], [5.0]]])

    assert augmented_logits(logits, values, [0.5], top=2).tolist() == [[2.0, 0.0, 3.0, 1.0]]
    assert asked == [[[0, 2]]]


def test_several_rewards_add_up_by_their_strengths():
    logits, values = seeded(2, 4), seeded(2, 4, 3)
    together = (values @ torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64))[..., None]
    found = augmented_logits(logits, fixed(values), [1.0, 0.0, -2.0])
    assert torch.allclose(found, augmented_logits(logits, fixed(together), [1.0]))


def test_with_exact_soft_values_whole_texts_have_the_tilted_law():
    prefixes = [prefix for n in range(LENGTH) for prefix in product(range(TOKENS), repeat=n)]
    logits = dict(zip(prefixes, seeded(len(prefixes), 1, TOKENS), strict=True))
    values = dict(zip(product(range(TOKENS), repeat=LENGTH), seeded(TOKENS**LENGTH), strict=True))
    rewards, strength = {text: float(value) for text, value in values.items()}, 2.0

    def after(prefix):
        return torch.stack([values[(*prefix, token)] for token in range(TOKENS)])

    for prefix in reversed(prefixes):
        values[prefix] = soft_value(after(prefix), strength, logits[prefix][0].log_softmax(-1))
    for text, reward in rewards.items():
        base = found = 0.0
        for n, token in enumerate(text):
            own, ahead = logits[text[:n]], after(text[:n])
            base += float(own[0].log_softmax(-1)[token])
            tilted = augmented_logits(own, fixed(ahead[None, :, None]), [strength])
            found += float(tilted[0].log_softmax(-1)[token])
        assert found == pytest.approx(base + strength * (reward - float(values[()])))  # β V(start) is log Z


def test_a_soft_value_lies_between_the_mean_and_the_best():
    values = torch.tensor([0.0, 1.0, 2.0])
    assert float(soft_value(values, 0.0)) == pytest.approx(1.0)
    assert float(soft_value(values, 1e-3)) == pytest.approx(1.0, abs=1e-3)
    assert float(soft_value(values, 1.0)) == pytest.approx(math.log((1 + math.e + math.e**2) / 3))
    assert float(soft_value(values, 50.0)) == pytest.approx(2 - math.log(3) / 50)
    assert float(soft_value(values, 0.0, torch.tensor([0.5, 0.25, 0.25]).log())) == pytest.approx(0.75)


def test_values_of_another_shape_and_no_tokens_are_refused():
    with pytest.raises(ValueError, match=r"got values of shape \(2, 4\); expected \(2, 4, 1\)"):
        augmented_logits(seeded(2, 4), lambda tokens: tokens.double(), [1.0])
    with pytest.raises(ValueError, match="got top=0"):
        augmented_logits(seeded(2, 4), fixed(seeded(2, 4, 1)), [1.0], top=0)
