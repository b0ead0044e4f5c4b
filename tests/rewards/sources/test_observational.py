from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.observational import confounder_effects, cross_fitted, deconfounded


def observed(seed=0, number=2000, effect=3.0, hidden=0.0):
    random = np.random.default_rng(seed)
    fame, unseen = random.normal(size=(2, number))
    pushed = random.normal(size=number)
    circumstance = fame + pushed + hidden * unseen
    text = np.stack([random.normal(size=number), 0.8 * fame + random.normal(size=number)], -1)
    outcomes = text[:, 0] + effect * circumstance + 2 * hidden * unseen + 0.1 * random.normal(size=number)
    return outcomes, circumstance[:, None], text, pushed[:, None]


def test_without_an_effect_the_reward_is_the_outcome_less_nearly_a_constant():
    outcomes, circumstances, text, _ = observed(effect=0.0)
    effects = confounder_effects(outcomes, circumstances, text)
    assert abs(effects[0]) < 0.02
    adjusted = deconfounded(outcomes, circumstances, effects)
    assert np.std(adjusted - outcomes) < 0.03
    np.testing.assert_array_equal(deconfounded(outcomes, circumstances, [0.0]), outcomes)


def test_partialling_out_is_the_coefficient_of_the_regression_on_both():
    outcomes, circumstances, text, _ = observed()
    together = np.linalg.lstsq(np.column_stack([np.ones(len(text)), text, circumstances]), outcomes, rcond=None)[0][-1]
    assert confounder_effects(outcomes, circumstances, text)[0] == pytest.approx(together)
    assert together == pytest.approx(3.0, abs=0.02)


def test_an_instrument_recovers_an_effect_that_hides_behind_what_is_not_seen():
    outcomes, circumstances, text, pushed = observed(hidden=1.0, number=20_000)
    plain = confounder_effects(outcomes, circumstances, text)[0]
    assert plain > 3.4, "what is not seen is put down to the circumstances"
    assert confounder_effects(outcomes, circumstances, text, pushed)[0] == pytest.approx(3.0, abs=0.1)


def test_effects_of_other_folds_take_the_circumstances_off():
    outcomes, circumstances, text, _ = observed()
    adjusted = cross_fitted(outcomes, circumstances, text)
    assert abs(np.corrcoef(adjusted - text[:, 0], circumstances[:, 0])[0, 1]) < 0.05
    with pytest.raises(ValueError, match="at least 2"):
        cross_fitted(outcomes, circumstances, text, folds=1)
    with pytest.raises(ValueError, match="instruments for"):
        confounder_effects(outcomes, circumstances, text, np.zeros((len(outcomes), 0)))
    with pytest.raises(ValueError, match="finite"):
        confounder_effects([np.nan] * 9, np.zeros((9, 1)), np.zeros((9, 1)))
