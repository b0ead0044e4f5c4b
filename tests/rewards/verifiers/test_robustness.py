from __future__ import annotations

import numpy as np
import pytest

from rewards.verifiers.robustness import agreement, robustness
from rewards.verifiers.temporal_logic import Formula, read

SIGNALS = {"x": [[0.0, 3.0, 1.0, 2.0, 5.0]], "y": [[4.0, 4.0, 0.0, 1.0, 1.0]]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 1", [-1, 2, 0, 1, 4]),
        ("!(x > 1)", [1, -2, 0, -1, -4]),
        ("G[0,2] x > 1", [-1, 0, 0]),
        ("F[1,2](x > 1)", [2, 1, 4]),
        ("(x > 1) & (y < 2)", [-2, -2, 0, 1, 1]),
        ("(x > 1) | (y < 2)", [-1, 2, 2, 1, 4]),
        ("(y > 2) U[1,2] (x > 2)", [1, -2, -2]),
        ("x > 1 | y > 9 & y > 9", [-5, -5, -9, -8, -8]),
    ],
)
def test_robustness_by_hand(text, expected):
    assert robustness(read(text), SIGNALS)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["x > 1", "F[1,2](y < 3)", "(G[0,1](x > 1)) | (!(y > 2))", "(y > 2) U[1,3] (F[0,1](x > 2))"]
)
def test_formulas_that_mean_the_same_agree_on_all_signals(text):
    formula, random = read(text), np.random.default_rng(0)
    signals = {name: random.uniform(0, 5, (64, 9)) for name in "xy"}
    negated = Formula("!", (formula,))
    assert agreement(formula, Formula("!", (negated,)), signals) == 1
    assert agreement(formula, Formula("&", (formula, formula)), signals) == 1
    assert agreement(Formula("G", (negated,), (0, 2)), Formula("!", (Formula("F", (formula,), (0, 2)),)), signals) == 1
    assert agreement(formula, negated, signals) == 0


def test_signals_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="T above 9"):
        robustness(read("G[0,9](x > 1)"), SIGNALS)
    with pytest.raises(ValueError, match=r"expected \['z'\]"):
        robustness(read("z > 1"), SIGNALS)
