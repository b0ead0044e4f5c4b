from __future__ import annotations

import json

import pytest
import torch

from learners.objectives.entropy_band import EntropyBand, EntropyHistory

MASK = torch.tensor([[True, True], [True, False]])


def test_inside_the_band_it_is_an_entropy_bonus_and_without_a_coefficient_nothing():
    entropy, history = torch.tensor([[1.0, 2.0], [1.1, 99.0]]), torch.tensor([1.0, 2.0])
    assert EntropyBand(coefficient=0.5).loss(entropy, MASK, history, 0.2).item() == pytest.approx(-0.5 * 4.1 / 3)
    assert EntropyBand(coefficient=0).loss(entropy, MASK, history, 0.2).item() == 0


def test_outside_by_hand():
    entropy, history = torch.tensor([[0.5, 3.0], [1.0, 0.0]]), torch.tensor([1.0, 2.0])
    constant = EntropyBand(coefficient=1.0).loss(entropy, MASK, history, 0.0).item()
    assert constant == pytest.approx(-(4.5 - 0.2) / 3)
    hinge = EntropyBand(coefficient=1.0, penalty="hinge").loss(entropy, MASK, history, 0.0).item()
    assert hinge == pytest.approx(-(4.5 - 0.1 * (0.3 + 0.6)) / 3)


def test_only_the_hinge_has_a_gradient_and_what_was_never_seen_has_no_band():
    for penalty, pulls in (("constant", False), ("hinge", True)):
        entropy = torch.tensor([5.0], requires_grad=True)
        found = EntropyBand(penalty=penalty).penalties(entropy, torch.tensor([1.0]))
        assert found.requires_grad is pulls
    assert EntropyBand().penalties(torch.tensor([5.0]), torch.tensor([torch.nan])).item() == 0


def test_the_phase_decays_as_in_the_code_or_grows_as_in_the_text():
    decay, growth = EntropyBand(), EntropyBand(start=1.0, middle=2.0)
    assert [round(decay.phase(p), 4) for p in (0, 0.25, 0.5, 1)] == [1, 0.9, 0.8, 0.64]
    assert [growth.phase(p) for p in (0, 0.5, 1)] == [1, 2, 4]
    with pytest.raises(ValueError, match="share of the run"):
        decay.phase(1.5)
    with pytest.raises(ValueError, match="expected low < high"):
        EntropyBand(low=2, high=1)


def test_the_history_is_a_mean_of_updates_for_each_turn():
    one = EntropyHistory().seen(torch.tensor([[1.0, 4.0], [3.0, 9.0]]), MASK)
    two = one.seen(torch.tensor([[4.0]]), torch.tensor([[True]]))
    assert one.means == (2, 4) and two.means == (3, 4) and two.updates == (2, 1)
    assert EntropyHistory.model_validate(json.loads(two.model_dump_json())) == two
    assert two.tensor(3).tolist()[:2] == [3, 4] and two.tensor(3)[2].isnan()
