"""Prompts as states of a search: each rewriting is an action, each prompt is worth what it scores on held-out tasks.

A rewriting is two questions to a language model: what went wrong on a batch of mistakes, and what the prompt should be
given that. Neither is here: `rewrite` is whoever answers both. The search is `mcts` with mean values of summed rewards:

    not followed  below a prompt that scores less than (r(start) + r(parent)) / 2
    stops         at a prompt that scores more than every one before it; a later pass may go on there
    both          only deeper than `least` steps

Of the paths that were gone, the one with the highest mean reward is taken, and of it the prompt that scores most.

Source: PromptAgent (Wang et al. 2023): three rewritings a prompt, depth 8, 12 passes, c = 2.5; the two rules are those
of its released code. Scoring a prompt once, where it is written, is chosen here; it may serve prompts of judges and of
rewards as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from actors.search.mcts import mcts
from actors.search.tree import Node, visited, worth

Prompt = TypeVar("Prompt")


@dataclass(frozen=True)
class Optimised(Generic[Prompt]):
    """The best prompt that was found.

    Attributes:
        prompt: itself.
        reward: what it scores.
        root: of the tree, whose nodes are the prompts that were gone to.
    """

    prompt: Prompt
    reward: float
    root: Node[Prompt, Prompt]


def optimise_prompt(
    start: Prompt,
    rewrite: Callable[[Prompt], Prompt],
    score: Callable[[Prompt], float],
    width: int = 3,
    iterations: int = 12,
    depth: int = 8,
    exploration: float = 2.5,
    least: int = 2,
) -> Optimised[Prompt]:
    """Search for a better prompt; one below the first is never given back.

    Args:
        start: the first prompt.
        rewrite: a new prompt for one; asked `width` times for each prompt that is expanded, and free to say other
            things each time.
        score: what a prompt is worth, such as accuracy on held-out tasks; asked once for each prompt that is written.
        width: rewritings of a prompt.
        iterations: passes.
        depth: rewritings of the longest path.
        exploration: c of UCT.
        least: depth up to which every path is followed.

    Raises:
        ValueError: settings that `mcts` refuses, no rewriting, or a score that is not finite.
    """
    if width < 1:
        raise ValueError(f"got width={width}; expected at least 1 rewriting of a prompt")

    def scored(prompt: Prompt) -> float:
        found = score(prompt)
        if not math.isfinite(found):
            raise ValueError(f"got score {found} of a prompt; expected a finite number")
        return found

    first = scored(start)

    def propose(prompt: Prompt) -> list[tuple[Prompt, float]]:
        written = [rewrite(prompt) for _ in range(width)]
        return [(one, scored(one)) for one in written]

    def before(node: Node[Prompt, Prompt]) -> float:
        return first if node.parent is None or node.parent.parent is None else node.parent.reward

    root = mcts(
        start,
        propose,
        lambda prompt, written, reward: (written, reward, False),
        iterations,
        depth,
        exploration,
        returns="sum",
        backup="mean",
        pruned=lambda node: len(node.path) > least and node.reward < (first + before(node)) / 2,
        enough=lambda node, best: len(node.path) > least and node.reward > max(best, first),
    )
    ends = [node for node in visited(root) if not any(child.states for child in node.children)]
    path = max(ends, key=lambda node: worth(node, "mean")).path
    best = max(path, key=lambda node: node.reward, default=root)
    if not path or best.reward <= first:
        return Optimised(start, first, root)
    return Optimised(best.state, best.reward, root)
