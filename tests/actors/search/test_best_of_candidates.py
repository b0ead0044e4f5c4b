from __future__ import annotations

import pytest
import torch

from actors.search.best_of_candidates import best_of_candidates


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_one_candidate_is_the_policy_and_a_constant_value_chooses_evenly():
    assert best_of_candidates(torch.randn(50, 1, 3, generator=drawn()), drawn()).tolist() == [0] * 50
    chosen = best_of_candidates(torch.full((4000, 4, 2), 0.3), drawn())
    assert torch.allclose(torch.bincount(chosen) / 4000, torch.full((4,), 0.25), atol=0.03)


def test_the_mean_of_what_is_known_decides():
    nan = float("nan")
    values = torch.tensor([[[0.0, 1.0], [0.6, 0.6]], [[0.9, nan], [1.0, 0.0]], [[nan, nan], [-5.0, nan]]])
    assert best_of_candidates(values, drawn()).tolist() == [1, 0, 1]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[B, N, K\]"):
        best_of_candidates(torch.zeros(2, 3), drawn())
    with pytest.raises(ValueError, match="1 rows of 2 without any estimate"):
        best_of_candidates(torch.tensor([[[0.0]], [[float("nan")]]]), drawn())
