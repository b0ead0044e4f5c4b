from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.language.expressions import evaluate
from rewards.formulas import DEEPEST, BadFormula, read

NAMES = ("g1", "g2", "g3", "g4")
columns = st.fixed_dictionaries({name: st.lists(st.integers(-9, 9), min_size=3, max_size=3) for name in NAMES})
formulas = st.recursive(
    st.sampled_from(NAMES) | st.sampled_from(["0.5", "2", "1e1", ".25"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({''.join(parts)})"),
    max_leaves=8,
)


def test_by_hand():
    shown = {"g1": np.array([1.0, 0.0]), "g2": np.array([0.5, 2.0]), "g3": np.array([4.0, 4.0])}
    assert read("g1 * (g2 + 0.5) - g3 / 4", NAMES)(shown).tolist() == [0.0, -1.0]
    assert read(" -g1 + +2*g2 ", NAMES)(shown).tolist() == [0.0, 4.0]
    assert read("g2/g1", NAMES)(shown).tolist()[0] == 0.5


def test_a_row_without_a_value_is_nan_and_the_others_are_not():
    found = read("g1 / (g2 - 1)", NAMES)({"g1": np.ones(2), "g2": np.array([1.0, 3.0])})
    assert np.isnan(found[0]) and found[1] == 0.5
    assert np.isnan(read("g1 * 1e200 * 1e200", NAMES)({"g1": np.ones(1)})).all()


@given(formulas, columns)
def test_it_agrees_with_the_exact_calculator(text, values):
    if not any(name in text for name in NAMES):
        with pytest.raises(BadFormula, match="constant"):
            read(text, NAMES)
        return
    found = read(text, NAMES)({name: np.array(column, float) for name, column in values.items()})
    for row, value in enumerate(found):
        numbers = text
        for name, column in values.items():
            numbers = numbers.replace(name, f"({column[row]})")
        assert float(evaluate(numbers)) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "g5", "g", "1 g1", "g1 g2", "g1 +", "(g1", "g1)", "g1 ** 2", "g1 // 2", "g1 % 2", "g1 < 1",
        "g1 if g2 else 0", "__import__('os')", "g1.__class__", "g1.real", "abs(g1)", "g1(1)", "g1[0]", "g1, g2", "[g1]",
        "{g1}", "lambda: g1", "g1 and g2", "not g1", "~g1", "g1 := 1", "True * g1", "1j * g1", "'a' * g1",
        "1e999 * g1", "9" * 500 + "* g1", "g1\0", "0.5", "1 + 2", "(" * 250 + "g1" + ")" * 250,
        "-" * (DEEPEST + 1) + "g1", "+".join(["g1"] * 300), "+".join(["g1"] * 400), "g1(" + "-" * 900 + "g1)",
        "g\u00b9", "\u24361", "g1 + \uff11", "g1 # and no more", "await g1", "1_000 * g1 or g2",
    ],
)  # fmt: skip
def test_nothing_else_is_read(text):
    with pytest.raises(BadFormula):
        read(text, NAMES)


def test_it_says_what_is_expected_and_which_names_it_uses():
    with pytest.raises(BadFormula, match=r"cannot read 'abs\(g1\)'; expected numbers, g1, g2, \+ - \* / and \( \)"):
        read("g2 + abs(g1)", ["g1", "g2"])
    with pytest.raises(ValueError, match="names"):
        read("g1", ["g1", "not"])
    assert read("g4 * g2 + g4", NAMES).used == ("g2", "g4")
