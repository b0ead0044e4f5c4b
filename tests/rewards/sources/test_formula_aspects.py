from __future__ import annotations

import pytest

from rewards.sources.formula_aspects import aspects
from rewards.verifiers.temporal_logic import read


@pytest.mark.parametrize("text", ["x > 1", "G[0,2](x > 1)", "(F[1,3](x < 2)) & (!(y > 0))"])
def test_the_reference_itself_has_the_most_of_every_aspect(text):
    assert aspects(read(text), read(text)) == (1, 1, 1)


def test_by_hand():
    wanted = read("(F[1,3](x < 2)) & (y > 0)")
    assert aspects(read("(F[1,3](x < 3)) & (y > 0)"), wanted) == (0.5, 1, 1)
    assert aspects(read("(G[1,3](x < 2)) & (y > 0)"), wanted) == (1, 0.5, 1)
    assert aspects(read("(F[1,2](x < 2)) & (y > 0)"), wanted) == (1, 0.5, 1)
    assert aspects(read("x < 2"), wanted) == pytest.approx((2 / 3, 0, 1))


def test_saying_it_twice_is_long_and_no_more():
    found = aspects(read("!!(F[1,3](x < 2))"), read("F[1,3](x < 2)"))
    assert found == pytest.approx((1, 2 / 4, 2 / 4))
