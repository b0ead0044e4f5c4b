"""What a gain says of a reward: the same training with rewards that ought to teach nothing, beside what was known.

How well a model fits a task is pass@k of the policy before training. Each recipe (a reward, or a choice of what is
learnt from) is then told by what it gains, and by the share of the right reward's gain. Where pass@k is high already,
recipes that know little of what is right may gain as well; so a gain there is no evidence for a recipe.

Degenerate recipes are elsewhere: `rewards.sources.spurious` (random, inverted), `rewards.sources.agreement` (the
majority), one task for training, a `gate` that lets through the advantages of wrong answers alone.

Source: Wu et al. 2025, "Mirage or Method? How Model-Task Alignment Induces Divergent RL Conclusions" (Model-Task
Alignment Drives Distinct RL Outcomes). The share of the gain is that of `rewards.evaluation.noise`, chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rewards.evaluation.noise import kept_gain
from rewards.evaluation.pass_at_k import pass_at_k_of


@dataclass(frozen=True)
class AlignmentProbe:
    """One policy and one task.

    Attributes:
        before: pass@k before training, by k.
        gain: accuracy after less before, by recipe; None where either is not known.
        kept: share of the reference recipe's gain; None where that gains nothing, or something is not known.
    """

    before: Mapping[int, float | None]
    gain: Mapping[str, float | None]
    kept: Mapping[str, float | None]


def alignment_probe(
    before: ArrayLike, after: Mapping[str, ArrayLike], reference: str, ks: Sequence[int] = (1, 16)
) -> AlignmentProbe:
    """Compare recipes by what they make of one policy.

    Args:
        before: whether answers of the first policy are right `[P, N]`, NaN where not known.
        after: the same of the policies that the recipes trained, by recipe `[P, M]`.
        reference: the recipe with the right reward.
        ks: of pass@k.

    Raises:
        ValueError: no such recipe, or answers that are not `[P, N]` of 0, 1 and NaN.
    """
    if reference not in after:
        raise ValueError(f"got reference {reference!r}; expected one of the recipes {sorted(after)}")
    first = pass_at_k_of(before, 1)
    accuracy = {name: pass_at_k_of(right, 1) for name, right in after.items()}
    best = accuracy[reference]
    gain = {name: None if now is None or first is None else now - first for name, now in accuracy.items()}
    kept = {
        name: None if now is None or first is None or best is None else kept_gain(first, best, now)
        for name, now in accuracy.items()
    }
    return AlignmentProbe({k: pass_at_k_of(np.asarray(before), k) for k in ks}, gain, kept)
