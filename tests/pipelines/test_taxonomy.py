from __future__ import annotations

import pytest

from pipelines.errors import UserError
from pipelines.methods import Method
from pipelines.taxonomy import Leaf, coverage, dead_links, leaves_of

PAGE = """# Title

Words, and `rewards.nowhere` outside of any table.

## One survey (row 7)

| branch | leaf | in Guerdon |
|---|---|---|
| data | questions | `rewards.pairs`, [3](methods.md#reward-model) |
| data | answers | not covered: the nearest is row 3 |

| branch | leaf | reads | in Guerdon |
|---|---|---|---|
| credit | steps | episodes | `rewards.nowhere.at_all`, `nowhere.too`, [4](methods.md#source), [3](methods.md#source) |

## Another one (row 8)

| branch | leaf | in Guerdon |
|---|---|---|
| use | planning | [5](methods.md#source) |
"""
INDEX = [
    Method(n=3, paper="p", kind="reward_model", name="x", status="planned").model_copy(update={"status": "works"}),
    Method(n=4, paper="p", kind="source", name="y", status="planned"),
]


def test_leaves_are_read_by_hand():
    leaves = leaves_of(PAGE)
    assert [(leaf.survey, leaf.branch, leaf.name, leaf.covered) for leaf in leaves] == [
        (7, "data", "questions", True),
        (7, "data", "answers", False),
        (7, "credit", "steps", True),
        (8, "use", "planning", True),
    ]
    assert leaves[0] == Leaf(7, "data", "questions", ("rewards.pairs",), ((3, "reward-model"),))
    assert leaves[2].cells == ("episodes",)
    assert coverage(leaves) == 0.75 and coverage(leaves[1:2]) == 0.0


def test_every_dead_link_is_named_and_no_other():
    # Modules that are not there, a row that does not work yet, one under another heading, and one that there is not.
    assert dead_links(leaves_of(PAGE), INDEX) == [
        "steps: rewards.nowhere.at_all",
        "steps: nowhere.too",
        "steps: row 4",
        "steps: row 3",
        "planning: row 5",
    ]


@pytest.mark.parametrize(
    "row",
    ["| a | b | somewhere |", "| a | b | not covered: see `rewards.pairs` |", "| a | b | |"],
)
def test_a_leaf_that_does_not_say_where_it_is_is_refused_with_its_line(row):
    head = "## S (row 7)\n| branch | leaf | in Guerdon |\n|---|---|---|\n"
    with pytest.raises(UserError, match="line 4 of the taxonomy"):
        leaves_of(head + row)
    with pytest.raises(UserError, match="below a heading that names a row"):
        leaves_of("## No survey\n| branch | leaf | in Guerdon |\n|---|---|---|\n| a | b | `rewards.pairs` |")


def test_nothing_has_no_coverage():
    with pytest.raises(ValueError, match="got no leaves"):
        coverage([])
