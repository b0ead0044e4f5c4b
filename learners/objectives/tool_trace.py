"""A reward model that asks tools before it scores: it writes whom it asks and what follows from the answer.

Behind prompt and answer stands a trace: a thought and an action (a tool and its input), the tool's observation, and a
rationale. A head reads the last state and gives r:

    L = −log σ(r⁺ − r⁻) + α L(thought, action) + β L(observation) + ω L(rationale)

L(·) is the mean −log p of those tokens in the traces of both answers. Afterwards the model writes thought, action and
rationale itself, and the observation is what the tool says; so β, which teaches to foretell the tool, may be 0.

Source: Themis, Tool-Augmented Reward Modeling (Li et al. 2024). That each part has its own mean is chosen here; in the
released code all that is written has one mean, and the ranking half the weight of it.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from learners.language.reward_losses import bradley_terry
from learners.objectives.critique_reward import writing_losses


class Segment(IntEnum):
    """What a token of a trace belongs to."""

    NONE = 0
    """Prompt, answer or padding: not learnt."""
    ACTION = 1
    """A thought, or the tool and its input."""
    OBSERVATION = 2
    RATIONALE = 3


def tool_trace_losses(
    log_probs: Tensor,
    segments: Tensor,
    chosen: Tensor,
    rejected: Tensor,
    action: float = 1.0,
    observation: float = 0.0,
    rationale: float = 1.0,
) -> Tensor:
    """Loss of each pair, of ranking and of writing its traces `[P]`.

    Args:
        log_probs: of the tokens of the traces of both answers `[2, P, T]`.
        segments: of each token, its `Segment` `[2, P, T]`.
        chosen: scores of the preferred answers, read behind their traces `[P]`.
        rejected: of the others `[P]`.
        action: α.
        observation: β.
        rationale: ω; with all three 0 it is the usual loss of pairs.

    Raises:
        ValueError: shapes that do not fit, a weight below 0, or a number that is no segment.
    """
    weights = {Segment.ACTION: action, Segment.OBSERVATION: observation, Segment.RATIONALE: rationale}
    fits = log_probs.ndim == 3 and log_probs.shape == segments.shape and log_probs.shape[:2] == (2, *chosen.shape)
    if not fits or rejected.shape != chosen.shape or min(weights.values()) < 0:
        raise ValueError(
            f"got traces {tuple(log_probs.shape)}, segments {tuple(segments.shape)}, scores {tuple(chosen.shape)} and "
            f"{tuple(rejected.shape)}, weights {list(weights.values())}; expected [2, P, T] twice, [P] twice, and at "
            "least 0"
        )
    if not bool(torch.isin(segments, torch.tensor([int(one) for one in Segment], device=segments.device)).all()):
        raise ValueError(f"got segments {segments.unique().tolist()}; expected those of Segment, 0 to {max(Segment)}")
    losses = bradley_terry(chosen, rejected)
    for segment, weight in weights.items():
        if weight:
            losses = losses + weight * writing_losses(log_probs, segments == segment)
    return losses
