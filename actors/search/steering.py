"""Particles of a generative chain, weighed on the way by what they promise: Feynman-Kac steering and soft decoding.

From a chain x_T → … → x_0 of a frozen model, samples whose law is p(x_0) exp(λ r(x_0)) / Z. K particles go on side by
side; after a step each weighs G times as much, and the particles that go on are drawn by their weights:

    difference  log G_t = λ (r_t − r_{t+1})        max  log G_t = λ max_{s≥t} r_s        sum  log G_t = λ Σ_{s≥t} r_s

r_t is a reward of the end that is foreseen at x_t, or a value. The last potential makes their product exp(λ r_0), so
that the law at the end is the same for all three. With several children of one particle, one of which goes on, it is
soft value-based decoding: with r_t the soft value (1/λ) log E[exp(λ r_0) | x_t] each step is exact as children grow.

Sources: FK steering, A General Framework for Inference-time Scaling and Steering of Diffusion Models (Singhal et al.
2025): multinomial draws; SVDD, Derivative-Free Guidance in Continuous and Discrete Diffusion Models with Soft
Value-Based Decoding (Li et al. 2024): K = 1, λ = 1/α. Chosen here: what was not drawn keeps its weight; the score
before the first weighing is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Move = Callable[[Tensor, int], Tensor]
"""From states `[N, …]` and the number of the step, from 0: as many next states, drawn from the model."""
Score = Callable[[Tensor, int], Tensor]
"""From states `[N, …]` and how many steps led there: r_t `[N]`, after the last step the reward itself."""
Potential = Literal["difference", "max", "sum"]
EVEN = 1e-4
"""Weights that differ by rounding alone are the same."""


class Particles(NamedTuple):
    """Where the particles have come.

    Attributes:
        states: `[B, K, …]`.
        log_weights: log of their shares of the row `[B, K]`.
        scores: their rewards `[B, K]`.
    """

    states: Tensor
    log_weights: Tensor
    scores: Tensor


def effective_size(log_weights: Tensor) -> Tensor:
    """(Σ w)² / Σ w² of each row of weights `[…, K]`: K where all weigh the same, 1 where one has everything."""
    sizes: Tensor = 1 / log_weights.softmax(-1).square().sum(-1)
    return sizes


def log_potentials(scores: Tensor, strength: float, potential: Potential = "difference", ended: bool = True) -> Tensor:
    """Logarithms of G of each weighing `[…, W]`; of an ended chain they sum to λ times its last score.

    Args:
        scores: r of a particle and its ancestors, in the order of the steps `[…, W]`.
        strength: λ.
        potential: which.
        ended: whether the last score is the reward of a finished sample, whose potential makes the product right.

    Raises:
        ValueError: a potential that there is not.
    """
    if potential == "difference":
        found = strength * scores.diff(dim=-1, prepend=torch.zeros_like(scores[..., :1]))
    elif potential == "max":
        found = strength * scores.cummax(-1).values
    elif potential == "sum":
        found = strength * scores.cumsum(-1)
    else:
        raise ValueError(f"got potential {potential!r}; expected one of {get_args(Potential)}")
    if not ended:
        return found
    last = strength * scores[..., -1:] - found[..., :-1].sum(-1, keepdim=True)
    return torch.cat([found[..., :-1], last], -1)


@torch.no_grad()
def steer(
    move: Move,
    score: Score,
    start: Tensor,
    steps: int,
    strength: float,
    potential: Potential = "difference",
    children: int = 1,
    every: int = 1,
    threshold: float = 1.0,
    generator: torch.Generator | None = None,
) -> Particles:
    """Particles after all steps, of B searches that know nothing of each other.

    Args:
        move: one step of the model.
        score: what a state promises.
        start: x_T of K particles `[B, K, …]`.
        steps: T.
        strength: λ; 0 is the model itself.
        potential: how scores become weights.
        children: drawn of each particle at a step that is weighed; K of all go on. K = 1 is soft value-based decoding.
        every: steps from one weighing to the next; the last step is always weighed.
        threshold: share of K below which the effective size must fall for particles to be drawn anew; 1: always,
            0: never, which weighs independent samples by their reward. With children they always are.
        generator: of these draws; None: torch's own.

    Raises:
        ValueError: no particle, step or child, a λ that is not finite, or scores that are not, or of another shape.
    """
    if start.ndim < 2 or not start.shape[1] or min(steps, children, every) < 1 or not math.isfinite(strength):
        raise ValueError(
            f"got a start of shape {tuple(start.shape)}, steps={steps}, children={children}, every={every}, "
            f"strength={strength}; expected [B, K, …], at least 1 of each, and a finite strength"
        )
    rows, width = start.shape[:2]
    states, logs = start, torch.zeros(rows, width, device=start.device)  # states may be tokens, weights are not
    history = logs[..., None][..., :0]
    for step in range(1, steps + 1):
        weighed = step == steps or step % every == 0
        if weighed and children > 1:
            states, logs, history = (kept.repeat_interleave(children, 1) for kept in (states, logs, history))
        states = move(states.flatten(0, 1), step - 1).unflatten(0, states.shape[:2])
        if not weighed:
            continue
        found = score(states.flatten(0, 1), step)
        if found.shape != (logs.numel(),) or not bool(found.isfinite().all()):
            raise ValueError(
                f"got scores of shape {tuple(found.shape)} after {step} steps, {int((~found.isfinite()).sum())} of "
                f"them not finite; expected a finite number for each of {logs.numel()} states"
            )
        history = torch.cat([history, found.reshape(*logs.shape, 1)], -1)
        logs = logs + log_potentials(history, strength, potential, step == steps)[..., -1]
        anew = effective_size(logs) < threshold * width - EVEN
        if children > 1 or bool(anew.any()):
            index = torch.multinomial(logs.softmax(-1), width, replacement=True, generator=generator)
            if children > 1:
                anew = torch.ones_like(anew)
            else:
                index = torch.where(anew[:, None], index, torch.arange(width).to(index))
            row = torch.arange(rows).to(index)[:, None]
            states, history = states[row, index], history[row, index]
            logs = torch.where(anew[:, None], 0.0, logs[row, index])
    return Particles(states, logs.log_softmax(-1), history[..., -1])
