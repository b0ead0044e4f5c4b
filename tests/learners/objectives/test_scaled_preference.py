from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.preferences import dpo
from learners.objectives.scaled_preference import confidence_beta, scaled_dpo


def test_without_weight_or_margin_it_is_dpo():
    h, margins = torch.tensor([-1.0, 0.5, 3.0]), torch.tensor([0.0, 2.0, 9.0])
    assert torch.allclose(scaled_dpo(h, margins, weight=0.0), dpo(h, 0.1))
    assert torch.allclose(scaled_dpo(h, torch.zeros(3)), dpo(h, 0.1))
    assert torch.allclose(scaled_dpo(h, -margins), dpo(h, 0.1))  # the other way round: no margin


def test_by_hand():
    # δ = 2, k = ½: β = 0.1 (1 + ½ (1 − e⁻¹))
    assert confidence_beta(torch.tensor([2.0])).item() == pytest.approx(0.1 * (1.5 - 0.5 * 0.36787944), rel=1e-6)


@given(st.floats(0, 50), st.floats(0, 50))
def test_beta_rises_with_the_margin_and_is_bounded(one, two):
    low, high = confidence_beta(torch.tensor(sorted((one, two)), dtype=torch.float64))
    assert 0.1 <= low <= high <= 0.15 + 1e-12


def test_what_would_turn_labels_round_is_refused():
    with pytest.raises(ValueError, match="expected beta > 0"):
        confidence_beta(torch.zeros(1), weight=-1.0)
