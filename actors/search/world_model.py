"""A language model as agent and as model of the world: what a step of a plan is worth to a search.

The model is asked several times what comes of an action. The most frequent answer is where the step leads, and the
share of answers that agree is how sure the model is:

    r = p^(1−α) · c^α + w h

p is the promise (a likelihood, or the chance of "yes, this helps"), c the confidence, h what the task itself says. The
step is one that `mcts` and `beam_search` take. Paths that have ended may vote for what they come to, each with the
weight of what it is worth.

Source: RAP, Reasoning with Language Model is Planning with World Model (Hao et al. 2023): state confidence, the product
of powers, and the vote of RAP-aggregate. That the task's heuristic (such as the share of sub-goals that are met) is
added with a weight is chosen here, and that a path votes with its whole worth once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from actors.search.tree import Action, Node, Return, State, Step, visited, worth

Answer = TypeVar("Answer", bound=Hashable)
Known = TypeVar("Known", bound=Hashable)


def confident(answers: Sequence[Answer]) -> tuple[Answer, float]:
    """The most frequent answer, of equals the first, and the share that agrees.

    Raises:
        ValueError: no answer.
    """
    if not answers:
        raise ValueError("got no answer; expected at least one to be sure of")
    found, count = Counter(answers).most_common(1)[0]
    return found, count / len(answers)


def weighed(promise: float, confidence: float, alpha: float = 0.5) -> float:
    """p^(1−α) · c^α: between the two, and nothing where either is nothing, unless its power is 0.

    Raises:
        ValueError: α, a promise or a confidence outside of 0 to 1.
    """
    if not (0 <= promise <= 1 and 0 <= confidence <= 1 and 0 <= alpha <= 1):
        raise ValueError(f"got promise={promise}, confidence={confidence}, alpha={alpha}; expected each from 0 to 1")
    found: float = promise ** (1 - alpha) * confidence**alpha
    return found


def imagined(
    imagine: Callable[[Known, Action], Sequence[Known]],
    ended: Callable[[Known], bool],
    heuristic: Callable[[Known], float] | None = None,
    alpha: float = 0.5,
    weight: float = 1.0,
) -> Step[Known, Action]:
    """The step of a model that imagines the world.

    Args:
        imagine: from a state and an action, next states as the model tells them when it is asked several times; they
            must be hashable.
        ended: whether nothing comes after a state.
        heuristic: h of the next state; None: there is none.
        alpha: α, how much the confidence counts beside the promise.
        weight: w.

    Raises:
        ValueError: by the step, for promises that are no probabilities; see `weighed`.
    """

    def step(state: Known, action: Action, promise: float) -> tuple[Known, float, bool]:
        after, confidence = confident(imagine(state, action))
        reward = weighed(promise, confidence, alpha)
        if heuristic is not None:
            reward += weight * heuristic(after)
        return after, reward, ended(after)

    return step


def voted(
    root: Node[State, Action], answer: Callable[[State], Answer | None], returns: Return = "mean"
) -> Answer | None:
    """The answer that the paths which have ended are worth most for together; None where none has an answer.

    Args:
        root: of a tree that was searched.
        answer: what a last state comes to; None: nothing.
        returns: what the rewards of a path come to.
    """
    votes = dict[Answer, float]()
    for node in visited(root):
        if node.ended and (said := answer(node.state)) is not None:
            votes[said] = votes.get(said, 0.0) + worth(node, returns)
    return max(votes, key=votes.__getitem__) if votes else None
