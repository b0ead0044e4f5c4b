from __future__ import annotations

import pytest
import torch

from rewards.models.reference_discriminator import Logits, ReferenceDiscriminator, discrimination, hinge_loss


def logits(whole, patches=()):
    return Logits(torch.tensor(whole), torch.tensor(patches).reshape(len(whole), len(patches) and len(patches[0])))


def test_where_d_is_zero_everywhere_the_hinge_is_one_and_rewards_are_equal():
    flat = logits([0.0, 0.0])
    assert hinge_loss(flat, flat).item() == 1.0
    assert hinge_loss(logits([0.0], [[0.0, 0.0]]), logits([0.0], [[0.0, 0.0]])).item() == pytest.approx(1.3)
    model = ReferenceDiscriminator(4, hidden=8)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    real, made = torch.randn(5, 3, 4), torch.randn(7, 3, 4)
    assert discrimination(model(real), model(made)) == 0.5
    assert model.reward(real).mean() == model.reward(made).mean() == 0.0


def test_by_hand():
    references, samples = logits([2.0, 0.5], [[0.0], [1.0]]), logits([-3.0, 1.0], [[-1.0], [0.0]])
    # whole: (0 + 0.5) / 2 and (0 + 2) / 2; patches: (1 + 0) / 2 and (0 + 1) / 2
    assert hinge_loss(references, samples).item() == pytest.approx(0.5 * 1.25 + 0.3 * 0.5)
    assert hinge_loss(references, samples, patch_weight=0.0).item() == pytest.approx(0.625)
    assert discrimination(references, samples) == 0.75


def test_what_is_told_apart_by_more_than_one_costs_nothing():
    assert hinge_loss(logits([1.5, 1.0]), logits([-1.0, -7.0])).item() == 0.0
    assert discrimination(logits([1.0]), logits([-1.0])) == 1.0
    assert discrimination(logits([-1.0]), logits([1.0])) == 0.0


def test_the_reward_blends_the_whole_and_its_patches_and_looks_at_directions_alone():
    model = ReferenceDiscriminator(3, hidden=8, patch_weight=0.3)
    features = torch.randn(4, 5, 3)
    found = model(features)
    assert found.whole.shape == (4,) and found.patches.shape == (4, 4)
    torch.testing.assert_close(model.reward(features), 0.7 * found.whole + 0.3 * found.patches.mean(1))
    torch.testing.assert_close(model.reward(7 * features), model.reward(features))
    torch.testing.assert_close(model.reward(features[:, :1]), model(features[:, :1]).whole)


def test_no_more_patches_are_drawn_than_asked_for_and_each_is_one_of_the_sample():
    model = ReferenceDiscriminator(3, hidden=8, most=6)
    features = torch.randn(2, 21, 3)
    found = model(features, torch.Generator().manual_seed(0)).patches
    every = ReferenceDiscriminator(3, hidden=8)(features).patches
    assert found.shape == (2, 6)
    assert all(torch.isclose(one, every[row], atol=1e-6).any() for row in range(2) for one in found[row])
    torch.testing.assert_close(found, model(features, torch.Generator().manual_seed(0)).patches)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="got patch_weight=2"):
        ReferenceDiscriminator(3, patch_weight=2)
    with pytest.raises(ValueError, match=r"expected \[B, 1 \+ N, d\]"):
        ReferenceDiscriminator(3)(torch.zeros(2, 3))
