"""How robustly signals fulfil a formula of temporal logic: ρ > 0 where they do, ρ < 0 where they do not.

    ρ(x > c, t) = x_t − c    ρ(!φ, t) = −ρ(φ, t)    ρ(φ & ψ, t) = min of both    ρ(φ | ψ, t) = max of both
    ρ(G[a,b] φ, t) = min over t + a ≤ s ≤ t + b of ρ(φ, s)    ρ(F[a,b] φ, t) = the max
    ρ(φ U[a,b] ψ, t) = max over t + a ≤ s ≤ t + b of min(ρ(ψ, s), min over t ≤ r ≤ s of ρ(φ, r))

On random signals the signs tell whether two formulas mean the same, however they are written.

Source: Donzé and Maler 2010 for ρ; steps for times, and agreement of signs, are chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.verifiers.temporal_logic import Formula

Floats = NDArray[np.float64]


def robustness(formula: Formula, signals: Mapping[str, ArrayLike]) -> Floats:
    """ρ at each step at which all that the formula looks at is there `[B, T − horizon]`.

    Args:
        formula: whose.
        signals: by name `[B, T]`.

    Raises:
        ValueError: signals that are not of one shape, that are missing, or that are too short.
    """
    given = {name: np.asarray(signal, np.float64) for name, signal in signals.items()}
    shapes = {signal.shape for signal in given.values()}
    names = {node.name for node in formula.nodes() if not node.of}
    if len(shapes) != 1 or not names <= given.keys() or len(shape := shapes.pop()) != 2 or shape[1] <= formula.horizon:
        raise ValueError(
            f"got signals {sorted(given)} for {formula}; expected {sorted(names)}, all of one shape [B, T], and T "
            f"above {formula.horizon}"
        )
    return _robustness(formula, given)


def _robustness(formula: Formula, signals: Mapping[str, Floats]) -> Floats:
    if not formula.of:
        apart = signals[formula.name] - formula.bound
        return apart if formula.operator == ">" else -apart
    parts = [_robustness(part, signals) for part in formula.of]
    first, last = formula.interval
    steps = min(part.shape[1] for part in parts) - last
    if formula.operator == "!":
        return -parts[0]
    if formula.operator in "GF":
        ahead = np.stack([parts[0][:, s : s + steps] for s in range(first, last + 1)])
        found: Floats = ahead.min(0) if formula.operator == "G" else ahead.max(0)
        return found
    one, other = (part[:, : steps + last] for part in parts)
    if formula.operator == "&":
        return np.minimum(one, other)
    if formula.operator == "|":
        return np.maximum(one, other)
    until = np.minimum.accumulate(np.stack([one[:, s : s + steps] for s in range(last + 1)]))
    ahead = np.stack([other[:, s : s + steps] for s in range(first, last + 1)])
    found = np.minimum(until[first:], ahead).max(0)
    return found


def agreement(formula: Formula, other: Formula, signals: Mapping[str, ArrayLike]) -> float:
    """Share of signals `[B, T]` that fulfil both formulas at the first step, or neither; 1 where both mean the same.

    Raises:
        ValueError: as `robustness`.
    """
    one, two = (np.sign(robustness(each, signals)[:, 0]) for each in (formula, other))
    return float((one == two).mean())
