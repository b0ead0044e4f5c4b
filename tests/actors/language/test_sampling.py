"""Temperature, top-k, top-p, and draws by seed and position."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.sampling import draw, filtered_log_probs, uniforms

LOGITS = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]]))


def test_without_settings_it_is_the_softmax():
    torch.testing.assert_close(filtered_log_probs(LOGITS).exp(), LOGITS.exp())


def test_a_temperature_of_a_half_squares_the_probabilities():
    squared = LOGITS.exp() ** 2
    torch.testing.assert_close(filtered_log_probs(LOGITS, 0.5).exp(), squared / squared.sum(-1, keepdim=True))


def test_temperature_zero_is_certain_of_the_most_likely_token():
    assert filtered_log_probs(LOGITS, 0.0).exp().tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_top_k_keeps_the_k_most_likely_and_normalises_them():
    found = filtered_log_probs(LOGITS, top_k=2).exp()
    torch.testing.assert_close(found, torch.tensor([[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]]))


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.999, 4)])
def test_top_p_keeps_the_fewest_tokens_that_have_its_mass(top_p, kept):
    found = filtered_log_probs(torch.log(torch.tensor([[0.5, 0.25, 0.15, 0.1]])), top_p=top_p)
    assert torch.isfinite(found).tolist() == [[True] * kept + [False] * (4 - kept)]


def test_top_p_counts_the_mass_that_top_k_left():
    found = filtered_log_probs(torch.log(torch.tensor([[0.4, 0.2, 0.2, 0.2]])), top_k=1, top_p=0.9)
    assert found.exp().tolist() == [[1, 0, 0, 0]]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(2, 40),
    st.floats(0.1, 3),
    st.integers(0, 10),
    st.floats(0.05, 1),
    st.integers(1, 4),
)
def test_what_was_left_out_is_never_drawn_and_the_rest_sums_to_one(seed, tokens, temperature, top_k, top_p, rows):
    logits = torch.randn(rows, tokens, generator=torch.Generator().manual_seed(seed)) * 3
    log_probs = filtered_log_probs(logits, temperature, top_k, top_p)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(rows))
    for at in (0.0, 0.3, 0.999, 1 - 2.0**-52):
        drawn = draw(log_probs, torch.full((rows,), at, dtype=torch.float64))
        assert torch.isfinite(log_probs.gather(-1, drawn[:, None])).all()


def test_draws_come_as_often_as_they_are_likely():
    numbers = torch.from_numpy(uniforms(range(20_000), np.zeros((20_000, 1), np.int64))[:, 0])
    drawn = draw(LOGITS[:1].expand(20_000, -1), numbers)
    found = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(found, LOGITS[0].exp(), atol=0.015, rtol=0)


def test_a_number_belongs_to_its_seed_and_position_whoever_asks():
    whole = uniforms([7, 8, -1], np.arange(12).reshape(1, 12).repeat(3, 0))
    assert uniforms([8], np.array([[5]]))[0, 0] == whole[1, 5]
    assert len(np.unique(whole)) == 36 and (whole >= 0).all() and (whole < 1).all()


def test_numbers_are_spread_evenly_over_seeds_and_over_positions():
    for numbers in (uniforms(range(4096), np.zeros((4096, 1), np.int64)), uniforms([3], np.arange(4096)[None])):
        counts = np.histogram(numbers, bins=16, range=(0, 1))[0]
        assert ((counts - 256) ** 2 / 256).sum() < 40  # chi-squared, 15 degrees of freedom: one in 2,000
