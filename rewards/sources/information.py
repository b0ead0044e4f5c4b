"""What one text says of another: an answer of its question, a thought of what follows, a reply of what is wanted.

No model is called here: whoever has one hands in its log-probabilities, and the masks of the tokens that count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.sources.likelihood import reference_likelihood

Floats = NDArray[np.float64]


def self_aligned(given: ArrayLike, alone: ArrayLike, mask: ArrayLike) -> Floats:
    """max(1 − PPL(a | q) / PPL(a), −1): how much better an answer is foretold with its question than without it.

    Filler that is likely after anything, and what repeats itself, have no gain; an answer that is short and of this
    question has much. 0 where the question changes nothing; below 1.

    Source: SAR, Self-Aligned Reward (0.2 times it is added to the correctness).

    Args:
        given: log-probabilities of the answer's tokens after the question `[..., T]`, by the policy that wrote it.
        alone: without the question `[..., T]`.
        mask: which tokens count `[..., T]`.

    Returns:
        `[...]`; NaN where no token counts.

    Raises:
        ValueError: shapes that differ, or a log-probability above 0.
    """
    with_question = reference_likelihood(given, mask, "mean_log_prob")
    without = reference_likelihood(alone, mask, "mean_log_prob")
    gain: Floats = np.maximum(-np.expm1(np.minimum(without - with_question, 50.0)), -1.0)
    return np.where(np.isnan(with_question), np.nan, gain)


def reconstruction_likelihood(log_probs: ArrayLike, mask: ArrayLike) -> Floats:
    """(1 / |p|) Σ_t log P(p_t | g, p_<t): how well a frozen model reads the prompt off what was made of it.

    Deterministic, at most 0, and without labels: minus the cross-entropy of the prompt.

    Source: PromptEcho.

    Args:
        log_probs: of the prompt's tokens, given what was generated and a fixed question about it `[..., T]`.
        mask: which tokens count `[..., T]`.

    Returns:
        `[...]`; NaN where no token counts.

    Raises:
        ValueError: shapes that differ, or a log-probability above 0.
    """
    return reference_likelihood(log_probs, mask, "mean_log_prob")


def thought_gain(with_thought: ArrayLike, without: ArrayLike) -> Floats:
    """What a thought adds to foretelling the next token: r = log p(x_t | x_<t, c) − log p_slow(x_t | x_<t).

    The model without the thought is a slow average of the policy, so that the gain stays a gain while both learn. On
    average over thoughts and texts it is the reduction of the cross-entropy.

    Source: RLP, Reinforcement as a Pretraining Objective.

    Args:
        with_thought: log-probability of what truly follows, after each thought `[..., G]`.
        without: of the same by the slow average that has not thought `[...]`.

    Raises:
        ValueError: shapes that do not fit, or a log-probability above 0.
    """
    after, before = np.asarray(with_thought, np.float64), np.asarray(without, np.float64)
    if after.shape[:-1] != before.shape or not (after <= 0).all() or not (before <= 0).all():
        raise ValueError(
            f"got log-probabilities of shapes {after.shape} and {before.shape}; expected [..., G] and [...], none "
            "above 0"
        )
    return after - before[..., None]


def belief_gain(before: ArrayLike, after: ArrayLike) -> Floats:
    """H(p_{t−1}) − H(p_t) in nats: how much a question and its answer have told of what is wanted.

    Summed over a dialogue it is H(p_0) − H(p_T); a question that was asked before has none, one that halves an even
    belief has log 2. A noisy answer may leave a belief less sure: then it is negative.

    Source: Nous, Dialogue as Discovery.

    Args:
        before: belief over what may be wanted `[..., N]`, sums 1.
        after: `[..., N]`.

    Raises:
        ValueError: no distributions, or shapes that differ.
    """
    one, other = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if one.shape != other.shape or any((p < 0).any() or not np.allclose(p.sum(-1), 1, atol=1e-6) for p in (one, other)):
        raise ValueError(
            f"got beliefs of shapes {one.shape} and {other.shape}; expected equal shapes, each summing to 1"
        )
    return _entropy(one) - _entropy(other)


def _entropy(p: Floats) -> Floats:
    found: Floats = -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)
    return found
