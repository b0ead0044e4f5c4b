"""Beam search over proposed actions; with a beam of one it is the best of n at each step.

All that is proposed to any of the W paths is looked at, and the W best go on, by what their rewards come to so far.
A path that has ended keeps its place as long as it is among the best.
"""

from __future__ import annotations

from actors.search.tree import Action, Node, Propose, Return, State, Step, expand, root_of, visit, worth


def beam_search(
    start: State,
    propose: Propose[State, Action],
    step: Step[State, Action],
    width: int,
    depth: int,
    returns: Return = "sum",
) -> list[Node[State, Action]]:
    """Ends of the best paths, the best first; at most `width`.

    Args:
        start: where they begin.
        propose: the agent; asked once a node.
        step: the model of the world; asked about everything that is proposed.
        width: W.
        depth: steps of the longest path.
        returns: what the rewards of a path come to.

    Raises:
        ValueError: a width or depth below 1, or a return that there is not.
    """
    if min(width, depth) < 1:
        raise ValueError(f"got width={width} and depth={depth}; expected at least 1")
    beam: list[Node[State, Action]] = [root_of(start)]
    for _ in range(depth):
        grown = list[Node[State, Action]]()
        for node in beam:
            expand(node, propose)
            for child in node.children:
                visit(child, step)
            grown += node.children or [node]
        beam = sorted(grown, key=lambda node: worth(node, returns), reverse=True)[:width]
    return beam
