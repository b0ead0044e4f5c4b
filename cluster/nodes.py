"""`NodeWatch`: which nodes have joined, are about to go, and have gone; a state machine over what Ray tells.

Ray knows of a node that will go (a spot machine that is taken back, an autoscaler that shrinks) before it goes, and
until when it stays. What stands there can leave in time: save, and begin again elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.placement import Shape

SHORTEST_NOTICE_S = 30.0  # what Google and Azure give before they take a spot machine back
MANY = 10_000  # nodes of a kind without a limit


@dataclass(frozen=True)
class Node:
    """A node that lives.

    Attributes:
        ident: Ray's id.
        resources: totals.
        labels: of the node.
        leaves_at_s: since the epoch; None: it stays; infinity: it drains, and has not been told until when.
    """

    ident: str
    resources: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    leaves_at_s: float | None = None


@dataclass(frozen=True)
class Change:
    """Something that happened to a node."""

    what: Literal["joined", "drains", "stays", "gone"]
    node: Node


class NodeWatch:
    """Tells what has changed since the last look. Pure: nodes are handed in."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._known: dict[str, Node] = {}
        self._begun = False

    @property
    def draining(self) -> dict[str, float]:
        """When each node that drains will go, by id."""
        return {ident: node.leaves_at_s for ident, node in self._known.items() if node.leaves_at_s is not None}

    def look(self, nodes: Sequence[Node]) -> list[Change]:
        """Compare with what was seen last; the first look tells of nothing but what drains already.

        Args:
            nodes: that live.
        """
        changes: list[Change] = []
        now = {node.ident: node for node in nodes}
        for ident, node in now.items():
            before = self._known.get(ident)
            if before is None and self._begun:
                changes.append(Change("joined", node))
            leaves, left = node.leaves_at_s is not None, before is not None and before.leaves_at_s is not None
            if leaves != left:
                changes.append(Change("drains" if leaves else "stays", node))
        changes += [Change("gone", node) for ident, node in self._known.items() if ident not in now]
        self._known, self._begun = now, True
        return changes


def nodes_now() -> list[Node]:
    """The nodes that live, as Ray's control store tells.

    Raises:
        ConnectionError: it does not answer.
    """
    import ray
    from ray._private.state import state  # Ray Train and Serve read drains here too; there is no public name for it

    try:
        listed, draining = ray.nodes(), state.get_draining_nodes()
    except Exception as error:
        raise ConnectionError(f"Ray's control store does not tell its nodes: {error}") from error
    return [_node(node, draining.get(node["NodeID"])) for node in listed if node["Alive"]]


def node_here() -> str:
    """Id of the node that this process is connected to."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _node(node: dict[str, Any], deadline_ms: int | None) -> Node:
    leaves_at_s = None if deadline_ms is None else deadline_ms / 1000 or math.inf
    resources = {name: float(amount) for name, amount in node["Resources"].items()}
    return Node(str(node["NodeID"]), resources, dict(node.get("Labels") or {}), leaves_at_s)


def shapes_now() -> tuple[list[Shape], list[Shape]]:
    """What the cluster has, and what its autoscaler could add beyond; for `check_room`.

    Raises:
        ConnectionError: Ray's control store does not answer.
    """
    from ray._private.state import state

    nodes = [node for node in nodes_now() if node.leaves_at_s is None]
    there = [Shape(node.resources, node.labels, 1, node.ident) for node in nodes]
    config = state.get_cluster_config()
    if config is None:
        return there, []
    # Bounds of all nodes together, in amounts and not in nodes.
    left = {
        name: most - sum(node.resources.get(name, 0.0) for node in nodes) for name, most in config.max_resources.items()
    }
    addable = []
    for group in config.node_group_configs:
        most = MANY if group.max_count < 0 else group.max_count
        running = sum(node.labels.get("ray.io/node-group") == group.name for node in nodes)
        resources = {name: float(amount) for name, amount in group.resources.items()}
        fits = min(
            (left[name] // amount for name, amount in resources.items() if name in left and amount), default=MANY
        )
        count = max(0, min(int(fits), most - running))
        addable.append(Shape(resources, dict(getattr(group, "labels", {})), count, group.name))
    return there, addable


def seconds_left(leaves_at_s: float, now_s: float | None = None) -> float:
    """Until a node goes; of one that was not told when, as long as clouds give at least."""
    left = leaves_at_s - (time.time() if now_s is None else now_s)
    return max(0.0, min(left, SHORTEST_NOTICE_S)) if math.isinf(leaves_at_s) else max(0.0, left)
