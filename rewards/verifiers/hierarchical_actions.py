"""An action as JSON, paid level by level: its form, its type, that its fields are filled, and what is in them.

Easy actions have few levels and end early; hard ones go on where the most is paid (difficulty-aware reward scaling),
so that nothing easy can compete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.functions import PolicyFault, reward
from rewards.verifiers.overlap import rouge_l
from rewards.verifiers.structure import read_json

FIELDS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "click": {"name": (0.2, 1.0)},
    "type_and_submit": {"name": (0.1, 0.0), "text": (0.1, 1.0)},
    "terminate": {},
}
"""By type of action, its fields: what each pays when it is filled, and its share of the scaled similarity."""
SIMILAR = 0.1
"""What the similarity of a field pays that has no share of the scaled one."""


class Levels(NamedTuple):
    """What each level of one action pays; `total` is their sum."""

    form: float
    type: float
    filled: float
    similar: float

    @property
    def total(self) -> float:
        """The reward."""
        return float(sum(self))


def action_levels(
    completion: str,
    action: Mapping[str, Any],
    scaling: float = 1000.0,
    fields: Mapping[str, Mapping[str, tuple[float, float]]] = FIELDS,
) -> Levels:
    """Levels of a completion, JSON `{"rationale": …, "action": {"type": …, …}}`, beside the action that was taken.

    0.5 for the form (an object with both keys), 0.3 for the type; where the type is right, what `fields` says for each
    field that is filled and is so in `action`, and `scaling` times the similarity (ROUGE-L) of the one that is hard.
    Where ROUGE has no words, as in another script or of "+", only the same text is similar.

    Source: Shop-R1: Rewarding LLMs to Simulate Human Behavior in Online Shopping, table 1 as known here (scaling 1000).

    Args:
        completion: what the policy wrote.
        action: what a person did: `type`, and the fields of that type.
        scaling: DARS; 1 for none.
        fields: by type, what its fields pay.

    Raises:
        ValueError: an action of a type that has no fields here, or one that lacks a field of its type.
    """
    kind = action.get("type")
    if not isinstance(kind, str) or kind not in fields:
        raise ValueError(f"got an action of type {kind!r}; expected one of {sorted(fields)} with all its fields")
    if lacking := [name for name in fields[kind] if not isinstance(action.get(name), str)]:
        raise ValueError(f"got an action of type {kind!r} without text in {lacking}; expected all its fields")
    try:
        written = read_json(completion)
    except PolicyFault:
        return Levels(0.0, 0.0, 0.0, 0.0)
    if not isinstance(written, dict) or not {"rationale", "action"} <= set(written):
        return Levels(0.0, 0.0, 0.0, 0.0)
    done = written["action"]
    if not isinstance(done, dict) or done.get("type") != kind:
        return Levels(0.5, 0.0, 0.0, 0.0)
    filled = similar = 0.0
    for name, (pays, share) in fields[kind].items():
        text = done.get(name)
        if not isinstance(text, str) or not text.strip() or not action[name].strip():
            continue
        found = rouge_l(text, action[name])  # it abstains where the reference has no words
        near = float(text.strip() == action[name].strip() if found is None else found)
        filled += pays
        similar += near * (scaling * share if share else SIMILAR)
    return Levels(0.5, 0.3, filled, similar)


@reward(subject="episode", version="2")
def hierarchical_action(completion: str, action: Mapping[str, Any], scaling: float = 1000.0) -> float:
    """The sum of an action's levels (Shop-R1); with scaling 1 an easy action pays nearly what a hard one does."""
    return action_levels(completion, action, scaling).total


def self_certainty(log_probs: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Mean over tokens of Σ_i p_i log(p_i |V|) / |V| `[N]`: how far each distribution is from even, for rationales.

    0 for even distributions, log |V| / |V| for certain ones; NaN where no token counts.

    Source: Shop-R1 (weight 0.005), after self-certainty of Kang et al. 2025; its division by |V| is the paper's.

    Args:
        log_probs: of the whole vocabulary `[N, T, V]`.
        mask: tokens of the rationale `[N, T]`.

    Raises:
        ValueError: shapes that do not fit, or distributions that do not sum to 1.
    """
    found, counts = np.asarray(log_probs, np.float64), np.asarray(mask, np.bool_)
    if found.ndim != 3 or found.shape[:2] != counts.shape or not found.shape[2]:
        raise ValueError(
            f"got log-probabilities of shape {found.shape}, mask {counts.shape}; expected [N, T, V], [N, T]"
        )
    chances = np.exp(found)
    if not np.allclose(chances.sum(-1)[counts], 1.0, atol=1e-3):
        raise ValueError("got distributions that do not sum to 1; expected log-probabilities of the whole vocabulary")
    size = found.shape[2]
    each = np.where(chances > 0, chances * (np.where(chances > 0, found, 0.0) + np.log(size)), 0.0).sum(-1) / size
    total = np.where(counts, each, 0.0).sum(-1)
    mean: NDArray[np.float64] = np.divide(total, counts.sum(-1), out=np.full(len(total), np.nan), where=counts.any(-1))
    return mean
