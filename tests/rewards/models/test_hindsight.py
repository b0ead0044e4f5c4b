from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from rewards.models.hindsight import HindsightCuriosity, invariance, prioritised

torch.set_num_threads(1)


def loop(number=4):
    """A deterministic round of places, gone through by either of two actions."""
    place = torch.arange(number).repeat(2)
    action = torch.arange(2).repeat_interleave(number)
    following = (place + 1 + action) % number
    return torch.eye(number)[place], action, torch.eye(number)[following]


def test_without_a_latent_it_is_the_prediction_error_of_byol_explore():
    curiosity = HindsightCuriosity(4, 2, latent=0, seed=3)
    seen, action, following = loop()
    situation = torch.cat([curiosity.encoder(seen), F.one_hot(action, 2).float()], -1)
    foretold, came = curiosity.reconstructor(situation), curiosity.target(following)
    expected = 2 - 2 * F.cosine_similarity(foretold, came)
    found = curiosity(seen, action, following)
    assert torch.allclose(found.reconstruction, expected, atol=1e-6) and not found.invariance.any()
    assert torch.allclose(curiosity.rewards(seen, action, following), expected, atol=1e-6)


@pytest.mark.slow
def test_a_deterministic_loop_that_is_known_by_heart_pays_nothing():
    curiosity = HindsightCuriosity(4, 2, latent=0, learning_rate=1e-2, seed=0)
    before = curiosity.rewards(*loop()).mean()
    for _ in range(300):
        curiosity.update(*loop())
    after = curiosity.rewards(*loop())
    assert before > 0.3 and after.max() < 0.02


def test_a_latent_that_tells_nothing_has_no_invariance_term_and_one_that_tells_all_has_log_b():
    assert invariance(torch.full((5, 5), 3.0)).tolist() == pytest.approx([0.0] * 5, abs=1e-6)
    assert invariance(100 * torch.eye(8)).tolist() == pytest.approx([math.log(8)] * 8)


def test_invariance_by_hand():
    scores = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    # the first latent: log 3 − log((3 + 1) / 2); the second: 0 − log((1 + 1) / 2)
    assert invariance(scores).tolist() == pytest.approx([math.log(1.5), 0.0], abs=1e-6)
    with pytest.raises(ValueError, match=r"\[B, B\]"):
        invariance(torch.zeros(2, 3))


def test_only_what_is_more_surprising_than_usual_counts():
    assert prioritised(torch.tensor([1.0, 2.0, 5.0]), mean=2.0, deviation=1.5).tolist() == [0.0, 0.0, 2.0]
    with pytest.raises(ValueError, match="expected above 0"):
        prioritised(torch.zeros(1), 0.0, 0.0)


def test_an_update_moves_every_network_and_the_target_follows_slowly():
    curiosity = HindsightCuriosity(4, 2, latent=2, decay=0.75, learning_rate=1e-2, seed=0)
    parts = (
        curiosity.encoder,
        curiosity.reconstructor,
        curiosity.generator,
        curiosity.of_situation,
        curiosity.of_latent,
    )
    before = [part[0].weight.detach().clone() for part in parts]
    target = [parameter.clone() for parameter in curiosity.target.parameters()]
    assert set(curiosity.update(*loop())) == {"reconstruction", "invariance"}
    assert all(not torch.equal(old, part[0].weight) for old, part in zip(before, parts, strict=True))
    for old, now, fast in zip(target, curiosity.target.parameters(), curiosity.encoder.parameters(), strict=True):
        assert torch.allclose(now, 0.75 * old + 0.25 * fast.detach(), atol=1e-6)


def test_seeds_determine_rewards_and_scoring_changes_no_weight():
    one, other = (HindsightCuriosity(4, 2, seed=7) for _ in range(2))
    weights = [parameter.clone() for parameter in one.parameters()]
    assert torch.equal(one.rewards(*loop()), other.rewards(*loop()))
    assert all(torch.equal(a, b) for a, b in zip(weights, one.parameters(), strict=True))


def test_transitions_and_settings_that_do_not_fit_are_refused():
    seen, action, following = loop()
    with pytest.raises(ValueError, match=r"expected \[B, size\] twice"):
        HindsightCuriosity(4, 2)(seen, action, following[1:])
    with pytest.raises(ValueError, match="got latent=-1"):
        HindsightCuriosity(4, 2, latent=-1)
    with pytest.raises(ValueError, match=r"decay=1\.5"):
        HindsightCuriosity(4, 2, decay=1.5)
