"""Optima: what a conversation of agents earns is its end, less its length, and more where all of it can be read.

    R = R_task − λ_token · tokens / most tokens of the group + λ_loss / max_u NLL(u)

NLL is the mean loss of an utterance under the model that the agents were made from: agents that are only paid for being
right, and brief, come to speak a code that nobody else reads. Conversations about one task are a group; the best of it
is imitated where it earns enough (iterative SFT). Pairs for DPO come of a tree: `actors.search.conversations`.

Source: Optima, Optimizing Effectiveness and Efficiency for LLM-Based Multi-Agent System (Chen et al. 2024): 0.6 and 1
are those of its released code. There a conversation of over 500 tokens, or of none, loses 1 in place of the last term;
here whoever computes the loss says what it is. Of equals the first is taken, chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def conversation_rewards(
    task: ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    token_weight: float = 0.6,
    loss_weight: float = 1.0,
    most: ArrayLike | None = None,
) -> Floats:
    """R of G groups of n conversations `[G, n]`; NaN where something that counts is not known.

    Args:
        task: R_task `[G, n]`.
        tokens: of all utterances together, at least 0 `[G, n]`.
        loss: the largest NLL of its utterances, above 0 `[G, n]`; see `largest_loss`.
        token_weight: λ_token; 0, and length costs nothing.
        loss_weight: λ_loss; 0, and anything can be said.
        most: tokens that count as 1, where a group is not all there yet `[G]`; None: the most of the group.

    Raises:
        ValueError: shapes that do not fit, or a number out of its range.
    """
    done, spent, unread = (np.asarray(values, np.float64) for values in (task, tokens, loss))
    if done.ndim != 2 or done.shape != spent.shape or done.shape != unread.shape:
        raise ValueError(f"got shapes {done.shape}, {spent.shape} and {unread.shape}; expected [G, n] three times")
    if (spent < 0).any() or (unread <= 0).any() or token_weight < 0 or loss_weight < 0:
        raise ValueError(
            f"got tokens from {np.nanmin(spent)}, losses from {np.nanmin(unread)} and weights {token_weight} and "
            f"{loss_weight}; expected losses above 0, and all others at least 0"
        )
    longest = np.where(np.isnan(spent), 0.0, spent).max(1) if most is None else np.asarray(most, np.float64)
    length = spent / np.where(longest > 0, longest, 1.0)[:, None]
    return done - (token_weight * length if token_weight else 0.0) + (loss_weight / unread if loss_weight else 0.0)


def largest_loss(log_probs: ArrayLike, mask: ArrayLike) -> Floats:
    """Of each conversation the largest mean −log p of an utterance `[B]`; NaN where nothing was said.

    Args:
        log_probs: of tokens under the model that the agents were made from `[B, U, T]`.
        mask: which tokens there are; an utterance without any is none `[B, U, T]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    logs, there = np.asarray(log_probs, np.float64), np.asarray(mask, np.bool_)
    if logs.ndim != 3 or logs.shape != there.shape:
        raise ValueError(f"got shapes {logs.shape} and {there.shape}; expected [B, U, T] twice")
    count = there.sum(-1)
    mean = -np.where(there, logs, 0.0).sum(-1) / np.maximum(count, 1)
    largest = np.where(count > 0, mean, -np.inf).max(-1)
    return np.where((count > 0).any(-1), largest, np.nan)


def best_conversations(rewards: ArrayLike, least: float) -> NDArray[np.int64]:
    """Number of the best conversation of each group, −1 where none earns more than `least` `[G]`.

    Args:
        rewards: NaN where one is not known `[G, n]`.
        least: θ_sft.

    Raises:
        ValueError: not `[G, n]`, with n of at least 1.
    """
    earned = np.asarray(rewards, np.float64)
    if earned.ndim != 2 or not earned.shape[1]:
        raise ValueError(f"got rewards of shape {earned.shape}; expected [G, n] with n of at least 1")
    known = np.where(np.isnan(earned), -np.inf, earned)
    return np.where(known.max(1) > least, known.argmax(1), -1)
