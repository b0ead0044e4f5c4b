"""`SiblingRelative`: how much better a step is than the other steps that were tried from the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.keys import numbered, pairs
from rewards.views.layout import Layout, Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_order

Floats = NDArray[np.float64]
Tree = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
"""Of each step its edge in the tree, of each edge the place it starts from, and which steps count."""


class SiblingRelative(Reshape):
    """A(s) = (R̄(s) − mean of R̄ over s and its siblings) / std, R̄(s) the mean value of all episodes through s.

    The episodes of a group are a tree: those that begin alike share the nodes of their beginning. Siblings are distinct
    children of one node, each counted once however many episodes go through it; a step without siblings decided
    nothing, and its advantage is 0. The standard deviation has one degree of freedom less than siblings, as in GRPO.

    A value that is NULL is in no mean, and has no advantage; nor has a step whose node, or the one before, is NULL.

    Sources: PORTool, where values are outcomes discounted by the steps that remain, plus a term for each step; V-STAR
    (Sibling-GRPO), where they are rewards of whole completions. Both add it to the advantage of the trajectory.

    Attributes:
        node: name of a column of steps or tokens that says which node each is; see `prefix_nodes`.
        scale: the standard deviation of the siblings, or none.
        epsilon: added to a standard deviation that is not 0.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "portool": {"scale": "siblings"},
        "v_star": {"scale": "siblings", "epsilon": 1e-4},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "outcome", "node": "node"}
    levels: ClassVar[Mapping[str, Level]] = {"outcome": "episode"}

    part: Literal["sibling_relative"] = "sibling_relative"
    node: str = "node"
    scale: Literal["siblings", "none"] = "siblings"
    epsilon: float = Field(1e-6, ge=0, allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Values, and nodes."""
        return (self.of, self.node)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the nodes; values may be coarser."""
        own = levels[self.node]
        require_order(self.node, own)
        return own

    def _tree(self, table: Table) -> Tree:
        """Of each step its edge in the tree, of each edge the place it starts from, and which steps count."""
        layout, own = table.nested(self), table.levels[self.node]
        value, node = table.at(self.of, own), table[self.node]
        group = layout.owner(own, "group")
        here = numbered(np.where(node.valid, node.values, np.float32(0.0)))
        known = value.valid & node.valid & layout.before(node.valid, True, own)
        parent = pairs(group, layout.before(here, -1, own))
        edge = pairs(parent, here)
        start = np.zeros(int(edge.max(initial=-1)) + 1, np.int64)
        start[edge] = parent
        return edge, start, known

    def _apart(self, values: Floats, tree: Tree) -> Floats:
        """Of each edge, its mean value less that of its siblings; 0 for those without, and for equals."""
        edge, parent, known = tree
        visits = np.bincount(edge, known, len(parent))
        mean = np.bincount(edge, np.where(known, values, 0.0), len(parent)) / np.maximum(visits, 1)
        tried, size = visits > 0, int(parent.max(initial=-1)) + 1
        siblings = np.bincount(parent, tried, size)
        centre = np.bincount(parent, np.where(tried, mean, 0.0), size) / np.maximum(siblings, 1)
        apart = np.where(tried & (siblings[parent] > 1), mean - centre[parent], 0.0)
        # Equals differ from their own mean by rounding, which a division would blow up.
        return np.where(np.abs(apart) > 1e-9 * np.maximum(1.0, np.abs(centre[parent])), apart, 0.0)

    def _divisor(self, apart: Floats, parent: NDArray[np.int64], tried: NDArray[np.bool_]) -> Floats:
        """What each edge is divided by."""
        if self.scale == "none":
            return np.ones_like(apart)
        size = int(parent.max(initial=-1)) + 1
        siblings = np.bincount(parent, tried, size)
        deviation = np.sqrt(np.bincount(parent, apart**2, size) / np.maximum(siblings - 1, 1))[parent]
        return np.where(deviation > 0, deviation + self.epsilon, 1.0)

    def _relative(self, tree: Tree, terms: Mapping[str, Floats], whole: Floats) -> dict[str, Floats]:
        """Of each of `terms`, its part in the advantage that `whole` has."""
        edge, parent, known = tree
        tried = np.bincount(edge, known, len(parent)) > 0
        divisor = self._divisor(self._apart(whole, tree), parent, tried)
        return {name: (self._apart(values, tree) / divisor)[edge] for name, values in terms.items()}

    def _values(self, table: Table) -> Floats:
        column = table.at(self.of, table.levels[self.node])
        return np.where(column.valid, column.values, 0.0).astype(np.float64)

    def apply(self, table: Table, state: State) -> Column:
        """Advantages of steps among their siblings."""
        values, tree = self._values(table), self._tree(table)
        found = self._relative(tree, {"": values}, values)[""]
        return Column(found.astype(np.float32), tree[2])

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term less that of the siblings, over the scale of the whole."""
        level, own = table.levels[self.of], table.levels[self.node]
        spread = {name: table.spread(values, level, own) for name, values in terms[self.of].items()}
        return self._relative(self._tree(table), spread, self._values(table))

    def formula(self, term: str) -> str:
        """The difference among siblings, over its scale."""
        return f"({term}̄ − mean_siblings({term}̄))" + ("/std_siblings" if self.scale == "siblings" else "")


def prefix_nodes(layout: Layout, keys: ArrayLike, level: Level = "step") -> NDArray[np.int64]:
    """Number of the node of each step or token in the tree of its group: equal where all up to it is equal.

    Args:
        layout: of the batch.
        keys: what was done in each, as integers `[N]`: tokens, actions, or hashes of text.
        level: of the keys.

    Returns:
        `[N]`, counted from 0; exact in a float32 column up to 2^24 nodes.
    """
    grid = layout.padded(np.asarray(keys, np.int64), level)
    alive = layout.padded(np.ones(layout.size(level), np.bool_), level)
    nodes, node, used = np.zeros_like(grid), layout.group.copy(), 0
    for t in range(len(grid)):
        pair = np.stack([node, grid[t]])[:, alive[t]]
        kinds, found = np.unique(pair, axis=1, return_inverse=True)
        node = np.full(len(node), -1, np.int64)
        node[alive[t]] = nodes[t, alive[t]] = used + found.reshape(-1)
        used += kinds.shape[1]
    return layout.flat(nodes, level)
