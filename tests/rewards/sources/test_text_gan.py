from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.text_gan import aggregated_targets, guided, meaning, meaning_weight

NAN = float("nan")
CORPUS = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])


def test_with_a_temperature_of_nearly_0_the_target_is_the_most_similar_text_and_with_a_high_one_their_mean():
    seen = [[0.9, 0.1], [0.2, 3.0]]
    assert aggregated_targets(seen, CORPUS, temperature=1e-4) == pytest.approx(CORPUS[:2])
    assert aggregated_targets(seen, CORPUS, temperature=1e6) == pytest.approx(np.tile(CORPUS.mean(0), (2, 1)), abs=1e-5)


def test_without_weight_of_meaning_it_is_a_plain_text_gan():
    assert guided([1.0, -2.0], [NAN, 70.0], weight=0.0).tolist() == [1.0, -2.0]
    assert guided([NAN, -2.0], [30.0, 70.0], weight=1.0).tolist() == [30.0, 70.0]


def test_by_hand():
    equal = np.exp(1) / (2 * np.exp(1) + np.exp(-1))
    found = aggregated_targets([[1.0, 1.0]], [[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]], temperature=1.0)
    assert found == pytest.approx(np.full((1, 2), equal * 3 - (1 - 2 * equal)))
    assert meaning([[3.0, 4.0]], [[4.0, 3.0]], scale=10) == pytest.approx([10 * (0.5 * 24 / 25 + 0.5 * (1 - 1))])
    assert meaning([[3.0, 4.0]], [[3.0, 4.0]]) == pytest.approx([100])
    assert guided([1.0], [3.0], weight=0.25) == pytest.approx([0.25 * 3 + 0.75 * 1])


def test_meaning_comes_in_after_the_warm_up():
    found = [meaning_weight(update, warm_up=2, ramp=2) for update in range(6)]
    assert found == pytest.approx([0, 0, 0, 0.25, 0.5, 0.5])
    assert meaning_weight(0, warm_up=0, ramp=0, most=0.3) == 0.3


def test_what_is_not_known_stays_so_and_what_does_not_fit_is_refused():
    assert np.isnan(meaning([[NAN, 1.0]], [[0.0, 1.0]])).all() and np.isnan(guided([NAN], [1.0], weight=0.5)).all()
    assert meaning([[0.0, 0.0]], [[0.0, 0.0]], cosine_weight=1.0) == 0, "an embedding of zeros is like nothing"
    with pytest.raises(ValueError, match="above 0"):
        aggregated_targets([[1.0, 0.0]], CORPUS, temperature=0)
    with pytest.raises(ValueError, match="one text or more"):
        aggregated_targets([[1.0, 0.0]], np.zeros((0, 2)))
    with pytest.raises(ValueError, match="twice"):
        meaning([[1.0, 0.0]], [[1.0]])
    with pytest.raises(ValueError, match="0 to 1"):
        guided([1.0], [1.0], weight=2)
    with pytest.raises(ValueError, match="at least 0"):
        meaning_weight(-1, 0, 0)
