from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.group_relative import GroupRelative
from rewards.columns import Column
from rewards.credit.sibling_relative import SiblingRelative, prefix_nodes
from rewards.views.layout import Layout
from rewards.views.part import Table

LEVELS = {"outcome": "episode", "node": "step"}


def relative(outcome, keys, layout, **settings):
    values = np.array([np.nan if v is None else v for v in outcome])
    columns = {
        "outcome": Column(values, ~np.isnan(values)),
        "node": Column.full(prefix_nodes(layout, keys)),
    }
    found = SiblingRelative(of="outcome", epsilon=0.0, **settings).apply(Table(columns, layout, LEVELS), {})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_nodes_are_equal_where_all_up_to_them_is():
    layout = Layout.of(steps=[3, 3, 2, 3], group=[0, 0, 0, 1])
    nodes = prefix_nodes(layout, [1, 2, 3, 1, 2, 4, 2, 2, 1, 2, 3])
    assert nodes[:2].tolist() == nodes[3:5].tolist()  # 1, 2 in both
    assert len(set(nodes.tolist())) == 11 - 2  # nothing else is shared: not 2 after 2, and not with another group


def test_a_tree_by_hand():
    # Two calls from the root: "a" (outcomes 1, 0) and "b" (0); below "a" there are "c" (1) and "d" (0).
    layout = Layout.of(steps=[2, 2, 2], group=[0, 0, 0])
    keys = [1, 3, 1, 4, 2, 5]
    root = 0.5 / np.sqrt(2) / 0.5  # means 0.5 and 0: ±0.25 over their deviation 0.25 √2
    assert relative([1, 0, 0], keys, layout) == pytest.approx([root, root, root, -root, -root, 0], abs=1e-4)
    plain = relative([1, 0, 0], keys, layout, scale="none")
    assert plain == [0.25, 0.5, 0.25, -0.5, -0.25, 0]  # "b" has one child, which decided nothing
    assert relative([1, None, 0], keys, layout, scale="none") == [0.5, 0, None, None, -0.5, 0]


def test_without_shared_beginnings_only_the_first_step_has_rivals_and_its_advantage_is_that_of_grpo():
    layout = Layout.of(steps=[2, 3, 1, 2], group=[0, 0, 0, 0])
    outcome = [1.0, 0.0, 0.25, 0.5]
    found = relative(outcome, [1, 9, 2, 9, 9, 3, 4, 9], layout)
    table = Table({"r": Column.full(outcome)}, layout, {"r": "episode"})
    grpo = GroupRelative(of="r", epsilon=0.0).apply(table, {}).values
    assert found == pytest.approx([grpo[0], 0, grpo[1], 0, 0, grpo[2], grpo[3], 0], abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    keys=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    outcome=st.lists(st.none() | st.integers(0, 3), min_size=4, max_size=4),
)
def test_advantages_of_siblings_sum_to_nothing_and_shared_steps_have_one(keys, outcome):
    layout = Layout.of(steps=[3] * 4, group=[0] * 4)
    nodes, found = prefix_nodes(layout, keys), relative(outcome, keys, layout, scale="none")
    of_node = {}
    for step, (node, value) in enumerate(zip(nodes.tolist(), found, strict=True)):
        if value is not None:
            parent = nodes[step - 1] if step % 3 else -1
            assert of_node.setdefault((parent, node), value) == value
    for parent in {parent for parent, _ in of_node}:
        total = sum(value for (above, _), value in of_node.items() if above == parent)
        assert total == pytest.approx(0, abs=1e-4)
