"""A tree of what may be done: whoever proposes actions, and whoever knows or imagines what comes of them.

An agent proposes actions with a promise, which is what each looks worth at first sight; a model of the world says where
an action leads, what the step is worth, and whether it is the last. A child is in the tree as soon as it is proposed,
and is visited when somebody asks where it leads: asking is what costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, get_args

State = TypeVar("State")
Action = TypeVar("Action")
Propose = Callable[[State], Sequence[tuple[Action, float]]]
"""From a state the actions that come into question, each with its promise; none where nothing can be done.

An action may be anything but None.
"""
Step = Callable[[State, Action, float], tuple[State, float, bool]]
"""From a state, an action and its promise: the next state, the reward of the step, and whether it is the last."""
Return = Literal["sum", "mean"]


@dataclass(eq=False)
class Node(Generic[State, Action]):
    """A state, and the step that leads there.

    Attributes:
        states: the state; nothing as long as nobody asked where the action leads.
        action: that leads there; None at the root.
        reward: of that step; its promise until it is visited.
        parent: where it starts; None at the root.
        ended: whether nothing comes after.
        children: what was proposed here, in that order.
        returns: what came of each pass, from the step that leads here on.
    """

    states: list[State]
    action: Action | None = None
    reward: float = 0.0
    parent: Node[State, Action] | None = None
    ended: bool = False
    children: list[Node[State, Action]] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    @property
    def state(self) -> State:
        """Where it is.

        Raises:
            ValueError: nobody asked yet.
        """
        if not self.states:
            raise ValueError("got a node that was proposed and never visited; expected one with a state: `visit` it")
        return self.states[0]

    @property
    def path(self) -> list[Node[State, Action]]:
        """The steps from the root to here; the root is none."""
        found, node = list[Node[State, Action]](), self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]

    @property
    def actions(self) -> list[Action]:
        """What is done on the way from the root."""
        return [node.action for node in self.path if node.action is not None]


def root_of(start: State) -> Node[State, Action]:
    """A tree of one state."""
    return Node([start])


def visit(node: Node[State, Action], step: Step[State, Action]) -> None:
    """Ask where a node's action leads, unless that is known."""
    if node.states or node.parent is None or node.action is None:
        return
    state, node.reward, node.ended = step(node.parent.state, node.action, node.reward)
    node.states.append(state)


def expand(node: Node[State, Action], propose: Propose[State, Action]) -> None:
    """Give a visited node its children, unless it has them; where nothing is proposed, it has ended."""
    if node.children or node.ended:
        return
    node.children = [Node([], action, promise, node) for action, promise in propose(node.state)]
    node.ended = not node.children


def total(rewards: Sequence[float], how: Return) -> float:
    """Sum or mean of the rewards of a path; 0 of none.

    Raises:
        ValueError: neither.
    """
    if how not in get_args(Return):
        raise ValueError(f"got {how!r}; expected one of {get_args(Return)}")
    return sum(rewards) / (max(len(rewards), 1) if how == "mean" else 1)


def worth(node: Node[State, Action], how: Return) -> float:
    """What the path to a node is worth."""
    return total([one.reward for one in node.path], how)


def visited(root: Node[State, Action]) -> Iterator[Node[State, Action]]:
    """Every node with a state, parents first."""
    waiting = [root]
    for node in waiting:  # it grows
        yield node
        waiting += [child for child in node.children if child.states]


def best_leaf(root: Node[State, Action], how: Return) -> Node[State, Action]:
    """The end of the best path: of those that have ended where there are any, else of the furthest ones."""
    leaves = [node for node in visited(root) if not any(child.states for child in node.children)]
    return max(leaves, key=lambda node: (node.ended, worth(node, how)))
