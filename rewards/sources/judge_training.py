"""What a judge earns who is trained on pairs, or on lists, of which it is known what is better.

The verdict is verifiable; how it came about is not. So a form that was broken costs more than any error, an error costs
the more the surer it was, and a critique that names what a person named is worth something where the verdict is right.

| function             | reward of a judgement                              | source |
|----------------------|----------------------------------------------------|--------|
| `verdict_reward`     | 1 where right, else −1; the form is worth nothing  | RM-R1; WebArbiter |
| `preference_reward`  | 0 where right, −wrong · off, −broken               | BR-RM |
| `critique_reward`    | right · (1 + weight · F1 of what it names)         | RM-NLHF |
| `consistency_reward` | right · (1 + 0.5 · consistent) + 0.5 · formed      | R1-Reward |
| `ranking_reward`     | of a list: what its scores say of its pairs        | RewardAnything |

Sources: RM-R1, "Reward Modeling as Reasoning" (Chen et al. 2025); WebArbiter, "A Principle-Guided Reasoning Process
Reward Model for Web Agents" (Zhang et al. 2026); BR-RM, "Think Twice: Branch-and-Rethink Reasoning Reward Model" (2025;
10 and 100 are those of its released code); RM-NLHF, "Reward Modeling from Natural Language Human Feedback" (2026; that
the critique counts with a right verdict alone, and its weight, are chosen here); R1-Reward, "Training Multimodal Reward
Model Through Stable Reinforcement Learning" (Zhang et al. 2025); RewardAnything, "Generalizable Principle-Following
Reward Models" (2025; the formula, in which large gaps count more and inverted pairs cost, is chosen here).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def verdict_reward(preference: ArrayLike, gold: ArrayLike) -> Floats:
    """1 where the verdict is right, −1 where it is wrong or cannot be read.

    Args:
        preference: above 0 where the first of a pair is preferred, below where the second is; 0: neither, or a reply
            without a verdict, `[B]`.
        gold: the same by the label, `[B]`.

    Returns:
        `[B]`; NaN where preference or label is not known.

    Raises:
        ValueError: shapes that do not fit, or a label that is a tie.
    """
    said, label = np.asarray(preference, np.float64), np.asarray(gold, np.float64)
    if said.shape != label.shape or (label == 0).any():
        raise ValueError(f"got shapes {said.shape} and {label.shape}, or ties; expected the same: leave ties out")
    return np.where(np.isnan(said) | np.isnan(label), np.nan, np.where(said * label > 0, 1.0, -1.0))


def preference_reward(
    preference: ArrayLike, gold: ArrayLike, formed: ArrayLike, wrong: float = 10.0, broken: float = 100.0
) -> Floats:
    """0 where the verdict is right, −wrong · |preference − gold| where it is not, −broken where the form is broken.

    Args:
        preference: how strongly the first of a pair is preferred, above 0 where it is, `[B]`.
        gold: the same by the label; 0 is a tie, `[B]`.
        formed: whether every turn kept its form, `[B]`.
        wrong: price of an error, for each unit that it is off.
        broken: price of a form that is broken in any turn.

    Returns:
        `[B]`; NaN where the form is kept and preference or label is not known.

    Raises:
        ValueError: shapes that do not fit, or a negative price.
    """
    said, label, kept = np.asarray(preference, np.float64), np.asarray(gold, np.float64), np.asarray(formed, np.bool_)
    if said.shape != label.shape or kept.shape != label.shape:
        raise ValueError(f"got shapes {said.shape}, {label.shape} and {kept.shape}; expected three times the same")
    if wrong < 0 or broken < 0:
        raise ValueError(f"got prices wrong={wrong} and broken={broken}; expected at least 0")
    off = np.abs(said - label)
    earned = np.where(np.sign(said) == np.sign(label), 0.0 * off, -wrong * off)
    return np.where(kept, earned, -broken)


def critique_reward(right: ArrayLike, named: ArrayLike, core: ArrayLike, weight: float = 1.0) -> Floats:
    """1[right] · (1 + weight · F1 of what the critique names with what a person's names).

    Args:
        right: 1 where the verdict is right, else 0; NaN where that is not known, `[B]`.
        named: which of A arguments the judge's critique names, `[B, A]`.
        core: which of them the person's does, `[B, A]`.
        weight: of the critique; 0: the verdict alone.

    Returns:
        `[B]`; NaN where `right` is.

    Raises:
        ValueError: shapes that do not fit, or a negative weight.
    """
    return critique_scored(right, argument_f1(named, core), weight)


def critique_scored(right: ArrayLike, score: ArrayLike, weight: float = 1.0) -> Floats:
    """1[right] · (1 + weight · score), where a model says what the critique is worth, in place of a person's.

    Args:
        right: as for `critique_reward`, `[B]`.
        score: of the critique, `[B]`; NaN where nobody says it: the verdict counts alone. Of judgements that are
            compared with each other all should have one, or none: else those without are worth less for no fault.
        weight: of the critique.

    Raises:
        ValueError: shapes that do not fit, or a negative weight.
    """
    won, worth = np.asarray(right, np.float64), np.asarray(score, np.float64)
    if won.shape != worth.shape or weight < 0:
        raise ValueError(
            f"got shapes {won.shape} and {worth.shape} and weight {weight}; expected [B] twice, at least 0"
        )
    return won * (1.0 + weight * np.nan_to_num(worth))


def consistency_reward(
    right: ArrayLike, consistent: ArrayLike, formed: ArrayLike, consistency: float = 0.5, form: float = 0.5
) -> Floats:
    """1[right] · (1 + consistency · consistent) + form · 1[formed]: a sound analysis counts with a right verdict alone.

    Args:
        right: as for `critique_reward`, `[B]`.
        consistent: 1 where the verdict follows from the analysis, by a model that reads both, else 0 (the released
            code of R1-Reward has −1); NaN where nobody says it: the verdict counts alone, `[B]`.
        formed: whether the form is kept, `[B]`.
        consistency: weight of the consistency.
        form: what the form is worth.

    Raises:
        ValueError: shapes that do not fit, or a negative weight.
    """
    kept = np.asarray(formed, np.bool_)
    if kept.shape != np.shape(right) or form < 0:
        raise ValueError(
            f"got forms {kept.shape} of {np.shape(right)} verdicts, worth {form}; expected [B], at least 0"
        )
    return critique_scored(right, consistent, consistency) + form * kept


def argument_f1(named: ArrayLike, core: ArrayLike) -> Floats:
    """2 · |named ∩ core| / (|named| + |core|), `[B]`; 1 where both are empty.

    Args:
        named: `[B, A]`.
        core: `[B, A]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    one, two = np.asarray(named, np.bool_), np.asarray(core, np.bool_)
    if one.ndim != 2 or one.shape != two.shape:
        raise ValueError(f"got shapes {one.shape} and {two.shape}; expected [B, A] twice")
    size = one.sum(-1) + two.sum(-1)
    return np.where(size > 0, 2.0 * (one & two).sum(-1) / np.maximum(size, 1), 1.0)


def ranking_reward(
    scores: ArrayLike, consensus: ArrayLike, formed: ArrayLike, power: float = 1.0, broken: float = 1.0
) -> Floats:
    """How well a judge's scores of a list put its pairs in order, from −1 to 1; −broken where the form is broken.

        Σ w_ij sign(s_i − s_j) sign(c_i − c_j) / Σ w_ij        w_ij = |c_i − c_j|^power, over the pairs of the list

    Args:
        scores: s, what the judge gave to each answer of a list `[B, k]`.
        consensus: c, what others agree that it is worth `[B, k]`.
        formed: whether the judgement kept its form, with a score for each answer `[B]`.
        power: by which large gaps count more; with 0 it is Kendall's tau, where no two answers have the same worth.
        broken: price of a form that is broken.

    Returns:
        `[B]`. Pairs with a NULL (NaN) are left out; NaN where none is left, or all are of equal worth.

    Raises:
        ValueError: shapes that do not fit, or a negative number.
    """
    said, worth, kept = np.asarray(scores, np.float64), np.asarray(consensus, np.float64), np.asarray(formed, np.bool_)
    if said.ndim != 2 or said.shape != worth.shape or kept.shape != said.shape[:1]:
        raise ValueError(f"got shapes {said.shape}, {worth.shape} and {kept.shape}; expected [B, k] twice, and [B]")
    if power < 0 or broken < 0:
        raise ValueError(f"got power={power} and broken={broken}; expected at least 0")
    one, other = np.triu_indices(said.shape[1], 1)
    apart, gap = said[:, one] - said[:, other], worth[:, one] - worth[:, other]
    known = ~np.isnan(apart) & ~np.isnan(gap) & (gap != 0)
    weights = np.where(known, np.abs(gap) ** power, 0.0)
    total = weights.sum(-1)
    agreed = np.where(known, weights * np.sign(apart) * np.sign(gap), 0.0).sum(-1)
    found = np.where(total > 0, agreed / np.where(total > 0, total, 1.0), np.nan)
    return np.where(kept, found, -broken)
