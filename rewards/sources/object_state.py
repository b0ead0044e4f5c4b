"""How near a state of things is to a goal, object by object and attribute by attribute.

Both are parsed into objects with named attributes, by rules or by a language model; texts are compared by whatever
embeds them. So what has nothing to do with the goal does not count, which it does where whole texts are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Objects = Mapping[str, Mapping[str, str]]
"""Attributes of each object, by what it is: `{"the red cup": {"place": "on the table"}}`."""
Embed = Callable[[str], NDArray[np.floating]]


def cosine_by(embed: Embed) -> Callable[[str, str], float]:
    """Likeness of two texts as the cosine of their embeddings, not below 0; each text is embedded once."""

    @lru_cache(maxsize=4096)
    def unit(text: str) -> NDArray[np.float64]:
        found = np.asarray(embed(text), np.float64)
        length = float(np.linalg.norm(found))
        return found / length if length > 0 else found

    return lambda a, b: max(0.0, float(unit(a) @ unit(b)))


def state_similarity(goal: Objects, state: Objects, like: Callable[[str, str], float]) -> float:
    """Mean over the goal's objects of the best match among those that there are, 0 to 1.

    A match is the likeness of what the objects are, times the mean over the goal's attributes of the likeness of their
    values; of an object, the attribute whose name is most alike is the one that is compared. Without attributes, what
    the objects are alone counts; without objects, nothing does, and it is 0.

    Source: StateFactory, Reward Prediction with Factorized World States.

    Args:
        goal: what there is to be.
        state: what there is.
        like: likeness of two texts, 0 to 1, such as `cosine_by(embed)`.

    Raises:
        ValueError: a goal without objects.
    """
    if not goal:
        raise ValueError("got a goal without objects; expected one at least")
    scores = [max((_match(w, g, o, a, like) for o, a in state.items()), default=0.0) for w, g in goal.items()]
    return float(np.clip(np.mean(scores), 0.0, 1.0))


def progress_rewards(
    goal: Objects, states: Sequence[Objects], like: Callable[[str, str], float]
) -> NDArray[np.float64]:
    """Similarity to the goal after each step `[T]`, of T states."""
    return np.array([state_similarity(goal, state, like) for state in states])


def _match(
    wanted: str, goal: Mapping[str, str], there: str, found: Mapping[str, str], like: Callable[[str, str], float]
) -> float:
    if not goal:
        return like(wanted, there)
    if not found:
        return 0.0
    values = [like(value, found[max(found, key=lambda other: like(name, other))]) for name, value in goal.items()]
    return like(wanted, there) * float(np.mean(values))
