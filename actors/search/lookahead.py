"""Lookahead with values carried backwards, and one action at a time: what step-wise scores cannot see.

    V_d(s) = max_a [r(s, a) + γ V_{d−1}(s')],   V_0(s) = v(s)

Each action is judged by the best that can come of it within d steps, estimated by v where the tree is cut; only the
first action is done, and then everything is thought over again. With d = 1 and v = 0 it is the greedy choice of a
step-wise score; with all actions, exact rewards and d of the whole horizon it is dynamic programming.

Source: FLARE, Why Reasoning Fails to Plan (2026): explicit lookahead, backward values, limited commitment, in one
model. Values by the maximum over a tree of certain width are chosen here, and that a state met twice at the same depth
is looked at once; `mcts` is the other way to the same end, for budgets below a whole tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from actors.search.tree import Action, Propose, Step

Known = TypeVar("Known", bound=Hashable)


def lookahead(
    state: Known,
    propose: Propose[Known, Action],
    step: Step[Known, Action],
    depth: int,
    width: int | None = None,
    leaf: Callable[[Known], float] | None = None,
    gamma: float = 1.0,
) -> list[tuple[Action, float]]:
    """Actions with their values r + γ V, as they were proposed; none where nothing can be done.

    Args:
        state: here; states must be hashable.
        propose: actions with what each looks worth at first sight.
        step: where one leads; it must be the same each time, as a state is looked at once.
        depth: d, steps that are looked ahead.
        width: of each state the most promising actions that are followed; None: all.
        leaf: v, of states where the tree is cut before an end; None: 0.
        gamma: γ.

    Raises:
        ValueError: a depth or width below 1.
    """
    if depth < 1 or (width is not None and width < 1):
        raise ValueError(f"got depth={depth} and width={width}; expected at least 1")
    seen = dict[tuple[Known, int], float]()

    def followed(at: Known, left: int) -> list[tuple[Action, float]]:
        offered = propose(at)
        if width is not None and len(offered) > width:
            order = sorted(range(len(offered)), key=lambda k: -offered[k][1])[:width]
            offered = [offered[k] for k in sorted(order)]
        return [(action, valued(at, action, promise, left)) for action, promise in offered]

    def valued(at: Known, action: Action, promise: float, left: int) -> float:
        after, reward, ended = step(at, action, promise)
        return reward if ended else reward + gamma * ahead(after, left - 1)

    def ahead(at: Known, left: int) -> float:
        if left == 0:
            return 0.0 if leaf is None else leaf(at)
        if (at, left) not in seen:
            # where nothing can be done, nothing comes
            seen[at, left] = max((value for _, value in followed(at, left)), default=0.0)
        return seen[at, left]

    return followed(state, depth)


def best_action(values: Sequence[tuple[Action, float]]) -> Action | None:
    """The action of the highest value, of equals the first; None of none."""
    return max(values, key=lambda pair: pair[1])[0] if values else None


def replanned(
    start: Known,
    choose: Callable[[Known], Action | None],
    act: Callable[[Known, Action], tuple[Known, float, bool]],
    steps: int,
) -> tuple[list[Known], float]:
    """Go on by one action at a time, each chosen anew: the states passed, and the rewards together.

    Args:
        start: where it begins.
        choose: what to do in a state, such as the `best_action` of a `lookahead`; None: nothing can be done.
        act: what the world makes of it: next state, reward, and whether it is the end.
        steps: at most.

    Raises:
        ValueError: a reward that is not finite.
    """
    passed, paid = [start], 0.0
    for _ in range(steps):
        action = choose(passed[-1])
        if action is None:
            break
        after, reward, ended = act(passed[-1], action)
        if not math.isfinite(reward):
            raise ValueError(f"got reward {reward} of a step; expected a finite number")
        passed.append(after)
        paid += reward
        if ended:
            break
    return passed, paid
