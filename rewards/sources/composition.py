"""Rewards of who composes rewards: how good the policy is that is trained by a formula.

    outer   a generator writes N formulas over primitive rewards
    inner   each trains a policy, whose validation is the formula's reward; −1 where a text is no formula
    outer   the generator learns from the N rewards as a group, as any policy of language does

In the population variant the inner policies of a round begin as the best one of the round before.

Source: DERL, Differentiable Evolutionary Reinforcement Learning (Cheng et al. 2025): 8 formulas a round, 20 rounds,
GRPO; the generator's tokens are held to names, numbers and signs, its texts are not held to formulas. Chosen here: a
validation that is not known is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from rewards.columns import Column
from rewards.formulas import BadFormula, Formula, read

Policy = TypeVar("Policy")
UNREADABLE = -1.0
"""What a text that is no formula is worth."""


class Trained(NamedTuple, Generic[Policy]):
    """What came of an inner run.

    Attributes:
        validation: by what is truly wanted; NaN where it is not known.
        policy: that was trained.
    """

    validation: float
    policy: Policy


class Round(NamedTuple, Generic[Policy]):
    """What came of the formulas of a round.

    Attributes:
        rewards: of the generator `[N]`.
        policy: of the best formula; the one they began with where there is none.
    """

    rewards: Column
    policy: Policy


def composition_rewards(
    texts: Sequence[str], names: Sequence[str], train: Callable[[Formula, Policy], Trained[Policy]], start: Policy
) -> Round[Policy]:
    """Train a policy by each formula.

    Args:
        texts: that a generator wrote; untrusted, and only read.
        names: of the primitive rewards.
        train: an inner run from a policy, which it leaves as it is; not asked about what is no formula.
        start: what all inner runs begin with; the last round's `policy` is the population variant.
    """
    best = Trained(-np.inf, start)
    rewards = np.full(len(texts), UNREADABLE)
    for k, text in enumerate(texts):
        try:
            formula = read(text, names)
        except BadFormula:
            continue
        found = train(formula, start)
        rewards[k] = found.validation
        if found.validation > best.validation:
            best = found
    return Round(Column(rewards.astype(np.float32), np.isfinite(rewards)), best.policy)
