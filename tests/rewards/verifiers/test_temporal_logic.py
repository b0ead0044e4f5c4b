from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.temporal_logic import Formula, read

COMPARISONS = st.builds(
    Formula, st.sampled_from("><"), name=st.sampled_from(("x", "y")), bound=st.integers(-3, 5).map(float)
)
INTERVALS = st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda steps: (min(steps), max(steps)))


def joined(parts):
    pairs = st.tuples(parts, parts)
    return (
        st.builds(Formula, st.just("!"), st.tuples(parts))
        | st.builds(Formula, st.sampled_from("&|"), pairs)
        | st.builds(Formula, st.sampled_from("GF"), st.tuples(parts), INTERVALS)
        | st.builds(Formula, st.just("U"), pairs, INTERVALS)
    )


FORMULAS = st.recursive(COMPARISONS, joined, max_leaves=5)


@settings(max_examples=40)
@given(FORMULAS)
def test_what_is_written_is_read_again(formula):
    assert read(str(formula)) == formula


def test_operators_bind_alike_and_parentheses_tell_what_is_meant():
    assert read("x > 1 | y > 2 & y < 3") == read("((x > 1) | (y > 2)) & (y < 3)") != read("x > 1 | (y > 2 & y < 3)")
    assert read("G[0,2] x > 1 & y < 3") == read("(G[0,2](x > 1)) & (y < 3)") and read("!!x > -1.5").horizon == 0
    assert read("G[0,2](F[1,3](x > 1))").horizon == 5


@pytest.mark.parametrize(
    "text",
    ["", "x >", "x > y", "G[2,1](x > 1)", "(x > 1", "x > 1)", "x = 1", "G x > 1", "3 > x", "&", "(" * 60 + "x > 1"],
)
def test_what_is_no_formula_is_the_policys_fault(text):
    with pytest.raises(PolicyFault):
        read(text)
    with pytest.raises(PolicyFault, match="at most"):
        read("x > 1 & " * 999 + "x > 1")
