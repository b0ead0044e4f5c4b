from __future__ import annotations

import asyncio

import pytest

from rewards.sources.routing import routed
from rewards.verdicts import Status


def run(*args, **kwargs):
    return asyncio.run(routed(*args, **kwargs))


def test_each_row_is_judged_by_the_verifier_of_its_kind_and_the_format_is_paid_on_top():
    kinds = ["number", "choice", "box", "number"]
    columns = {"completion": ["it is 104", "B", "[0, 2]", "97"], "answer": [100.0, "B", [1, 3], 200.0]}
    assert [a.value for a in run(kinds, columns)] == pytest.approx([1, 1, 1 / 3, 0])
    found = run(kinds, columns, formatted=[True, False, True, True], format_weight=0.5)
    assert [a.value for a in found] == pytest.approx([1.5, 1, 1 / 3 + 0.5, 0.5])


def test_disjoint_boxes_earn_nothing_and_an_unknown_kind_is_refused():
    assert run(["box"], {"completion": ["[0, 1]"], "answer": [[2, 3]]})[0].value == 0
    with pytest.raises(ValueError, match=r"kinds \['poem'\]"):
        run(["poem"], {"completion": ["…"], "answer": ["…"]})
    with pytest.raises(ValueError, match="one length"):
        run(["box"], {"completion": ["[0, 1]"], "answer": [[2, 3]]}, formatted=[True, True])


def test_what_cannot_be_scored_stays_null_whatever_its_format():
    (found,) = run(["number"], {"completion": ["none"], "answer": [1.0]}, formatted=[True])
    assert found.status is Status.POLICY_FAULT and found.value is None
    assert run([], {}) == []
