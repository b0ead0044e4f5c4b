"""Monte Carlo tree search (UCT) over proposed actions: which path promises most, when few questions can be asked.

A pass goes down from the root to a leaf by

    argmax_a  Q(s, a) + c √(ln N(s) / max(1, N(s, a)))

gives the leaf its children, and goes on by the best promise to the end. Then each node of the way is told what came
after it, G_t of r_t, …, r_T, a sum or a mean. Q is the highest G of a node's passes or their mean; of a node without
passes it is its promise. Nodes of simulations stay in the tree, as they cost as much as the others.

Sources: UCT (Kocsis and Szepesvári 2006) in the form of RAP (Hao et al. 2023: c = 1, the highest mean) and PromptAgent
(Wang et al. 2023: c = 2.5, the mean of sums). Of equals the one that was proposed first is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from actors.search.tree import Action, Node, Propose, Return, State, Step, expand, root_of, total, visit

Backup = Literal["max", "mean"]


def value(node: Node[State, Action], backup: Backup) -> float:
    """Q: what came of a node's passes, or its promise where there was none."""
    if not node.returns:
        return node.reward
    return max(node.returns) if backup == "max" else sum(node.returns) / len(node.returns)


def uct(node: Node[State, Action], passes: int, exploration: float, backup: Backup) -> float:
    """Q and what is to be had from knowing more.

    Args:
        node: a child.
        passes: N(s) of its parent, at least 1.
        exploration: c.
        backup: how passes become Q.
    """
    return value(node, backup) + exploration * math.sqrt(math.log(passes) / max(1, len(node.returns)))


def mcts(
    start: State,
    propose: Propose[State, Action],
    step: Step[State, Action],
    iterations: int,
    depth: int,
    exploration: float = 1.0,
    returns: Return = "mean",
    backup: Backup = "max",
    pruned: Callable[[Node[State, Action]], bool] | None = None,
    enough: Callable[[Node[State, Action], float], bool] | None = None,
    spent: Callable[[], bool] | None = None,
) -> Node[State, Action]:
    """The root of the tree after some passes; `best_leaf` finds the best path.

    Args:
        start: state of the root.
        propose: the agent; asked once a node.
        step: the model of the world; asked once a node.
        iterations: passes, N of the root; at most, where they may be cut short.
        depth: steps of the longest path.
        exploration: c; 0 never looks away from what seems best.
        returns: what a pass makes of the rewards that come after a node.
        backup: what a node makes of its passes.
        pruned: whether nothing is to be tried below a node.
        enough: whether a pass may stop at a node, told the highest reward before it; later ones may go on.
        spent: whether no further pass may begin, as the budget of answers is used up.

    Raises:
        ValueError: no pass or no depth, c below 0, or a return or backup that there is not.
    """
    if min(iterations, depth) < 1 or not exploration >= 0 or backup not in get_args(Backup):
        raise ValueError(
            f"got iterations={iterations}, depth={depth}, exploration={exploration}, backup={backup!r}; expected at "
            f"least 1 of each, exploration of at least 0, and a backup of {get_args(Backup)}"
        )
    root: Node[State, Action] = root_of(start)
    best = -math.inf
    for _ in range(iterations):
        if spent is not None and spent():
            break
        way, node = [root], root
        while node.children:
            passes = len(node.returns)
            node = max(node.children, key=lambda child: uct(child, passes, exploration, backup))
            way.append(node)
        while True:
            visit(node, step)
            stop = enough is not None and enough(node, best)
            if node.parent is not None:
                best = max(best, node.reward)
            if stop or node.ended or len(way) > depth or (pruned is not None and pruned(node)):
                break
            expand(node, propose)
            if not node.children:
                break
            node = max(node.children, key=lambda child: child.reward)
            way.append(node)
        rewards = [one.reward for one in way[1:]]
        for place, one in enumerate(way):
            one.returns.append(total(rewards[max(place - 1, 0) :], returns))
    return root
