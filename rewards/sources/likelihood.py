"""Rewards from log-probabilities that models give: of the answer, by a better model, of a reference, of what follows.

No model is called here: whoever has one hands in its log-probabilities or logits, and the masks of the tokens that
count.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Form = Literal["log_prob", "mean_log_prob", "prob", "mean_prob", "group"]


def endogenous_reward(logits: ArrayLike, tokens: ArrayLike, mask: ArrayLike, alpha: float = 1.0) -> Floats:
    """r_h = f(s_h, a_h) − V(s_{h+1}), V(s) = α log Σ_a exp(f(s, a) / α), and V = 0 at the end.

    Logits that were trained on next tokens are read as a soft Q-function, and the soft Bellman equation gives the
    reward that they are best for. It is α log π(a_h | s_h) up to potentials: Σ_h r_h = α log π(y | x) + V(s_1).

    Source: "Generalist Reward Models: Found Inside Large Language Models".

    Args:
        logits: f, of each next token `[..., T, V]`.
        tokens: that were written `[..., T]`.
        mask: which of them count: some, from the first on `[..., T]`.
        alpha: temperature, above 0.

    Returns:
        `[..., T]`; 0 behind the end.

    Raises:
        ValueError: a temperature that is not above 0, shapes that do not fit, or a mask with holes.
    """
    scores, written, counts = np.asarray(logits, np.float64), np.asarray(tokens, np.int64), np.asarray(mask, np.bool_)
    if not alpha > 0 or not np.isfinite(alpha):
        raise ValueError(f"got alpha {alpha}; expected a temperature above 0")
    if scores.shape[:-1] != written.shape or counts.shape != written.shape:
        raise ValueError(
            f"got logits of shape {scores.shape}, tokens of {written.shape} and a mask of {counts.shape}; "
            "expected [..., T, V] and twice [..., T]"
        )
    if (counts[..., 1:] & ~counts[..., :-1]).any():
        raise ValueError("got a mask with holes; expected the tokens that count to stand together, from the first on")
    value = np.where(counts, alpha * _log_sum_exp(scores / alpha), 0.0)
    chosen = np.take_along_axis(scores, written[..., None], axis=-1)[..., 0]
    following = np.concatenate([value[..., 1:], np.zeros_like(value[..., :1])], axis=-1)
    return np.where(counts, chosen - following, 0.0)


def density_ratio(strong: ArrayLike, weak: ArrayLike, mask: ArrayLike) -> Floats:
    """r(x, y) = log π_strong(y | I, x) − log π_weak(y | I, x): what the better of two models likes more than the other.

    The instruction I (criteria, examples of a domain) is put before both by whoever asks the models. If the strong one
    is the solution of DPO with the weak one as reference, β r is its implicit reward.

    Source: "CDR: Customizable Density Ratios of Strong-over-weak LLMs for Preference Annotation".

    Args:
        strong: log-probabilities of the tokens `[..., T]`.
        weak: by a model of the same vocabulary `[..., T]`.
        mask: which tokens count `[..., T]`.

    Returns:
        `[...]`, not averaged over tokens; NaN where no token counts.

    Raises:
        ValueError: a log-probability above 0, or shapes that differ.
    """
    one, counts = _log_probs(strong, mask)
    other, _ = _log_probs(weak, mask)
    return np.where(counts.any(axis=-1), (one - other).sum(axis=-1), np.nan)


def reference_likelihood(log_probs: ArrayLike, mask: ArrayLike, form: Form = "log_prob") -> Floats:
    """How likely a reference answer is after a chain of thought, from log p(a* | p, c) of each of its tokens.

    | form            | reward                              |
    |-----------------|-------------------------------------|
    | `log_prob`      | log p(a*), the sum over tokens      |
    | `mean_log_prob` | log p(a*) / tokens                  |
    | `prob`          | p(a*), as in VeriFree               |
    | `mean_prob`     | mean of the tokens' p, as in RLPR   |
    | `group`         | log of the group's mean of p(a*), the same for all of a group, as in JEPO |

    p of a long answer underflows, and with it the signal; its logarithm does not.

    Source: "Likelihood-Based Reward Designs for General LLM Reasoning".

    Args:
        log_probs: `[..., T]`; of `[..., members, T]` the form `group` takes the second to last as members.
        mask: which tokens are of the answer `[..., T]`.
        form: which reward.

    Returns:
        `[...]`; NaN where the answer has no token.

    Raises:
        ValueError: a log-probability above 0, shapes that differ, or a group without its axis.
    """
    logs, counts = _log_probs(log_probs, mask)
    number = counts.sum(axis=-1)
    total: Floats = np.where(number > 0, logs.sum(axis=-1), np.nan)
    if form == "log_prob":
        return total
    if form == "mean_log_prob":
        per_token: Floats = total / np.maximum(number, 1)
        return per_token
    if form == "prob":
        prob: Floats = np.exp(total)
        return prob
    if form == "mean_prob":
        mean = np.where(counts, np.exp(logs), 0.0).sum(axis=-1) / np.maximum(number, 1)
        return np.where(number > 0, mean, np.nan)
    if logs.ndim < 2:
        raise ValueError(f"got log-probabilities of shape {logs.shape}; expected [..., members, T] for a group")
    members = (number > 0).sum(axis=-1, keepdims=True)
    bound = _log_sum_exp(np.where(number > 0, total, -np.inf))[..., None] - np.log(np.maximum(members, 1))
    return np.where(number > 0, bound, np.nan)


def followup_likelihood(positive: ArrayLike, negative: ArrayLike) -> Floats:
    """r(x, y) = mean over F+ of log p(f | x, y) − mean over F− of it: is what follows more likely thanks or complaint?

    Source: "FLR: Aligning Language Models Using Follow-up Likelihood as Reward Signal"; that it is a difference of
    log-probabilities per token is chosen here.

    Args:
        positive: log-probabilities per token of the pleased follow-ups `[..., P]`; NaN where one could not be had.
        negative: of the displeased ones `[..., N]`.

    Returns:
        `[...]`; NaN where either set has nothing known.

    Raises:
        ValueError: an empty set, or a log-probability above 0.
    """
    return _mean_of_set(positive) - _mean_of_set(negative)


def _mean_of_set(log_probs: ArrayLike) -> Floats:
    logs = np.asarray(log_probs, np.float64)
    if logs.ndim < 1 or not logs.shape[-1] or (logs > 0).any():
        raise ValueError(f"got follow-ups of shape {logs.shape}; expected at least one, and no log-probability above 0")
    known = ~np.isnan(logs)
    mean = np.where(known, logs, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return np.where(known.any(axis=-1), mean, np.nan)


def _log_probs(log_probs: ArrayLike, mask: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Log-probabilities, 0 where they do not count; and where they do."""
    logs, counts = np.asarray(log_probs, np.float64), np.asarray(mask, np.bool_)
    if logs.shape != counts.shape or logs.ndim < 1:
        raise ValueError(f"got log-probabilities of shape {logs.shape} and a mask of {counts.shape}; expected the same")
    if not (logs <= 0)[counts].all():
        raise ValueError("got a log-probability that is above 0 or NaN; expected logarithms of probabilities")
    return np.where(counts, logs, 0.0), counts


def _log_sum_exp(values: Floats) -> Floats:
    high = values.max(axis=-1, keepdims=True)
    high = np.where(np.isfinite(high), high, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(np.exp(values - high).sum(axis=-1)) + high[..., 0]
    return found
