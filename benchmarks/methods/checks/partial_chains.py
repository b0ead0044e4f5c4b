"""Check of reward fine-tuning on the rest of a chain: paths in the plane, and a reward of single points of them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial

import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.flows import STEPS, Velocity, match
from learners.flows.reward_feedback import edited
from learners.flows.sampler import sample
from learners.flows.segmental_reward import attenuated_reward, drawn_frames

POINTS, STRETCHES, BATCH, ENOUGH, MOST = 8, 4, 128, 0.7, 300
"""Of a path; stretches that a point is drawn of; paths a batch; reward that is looked for, and batches at most."""


def paths(number: int) -> tuple[Tensor, None]:
    """Data: smooth bends of a steady pace, anywhere and in any direction."""
    middle, angle = 1.5 * torch.randn(number, 1, 2), 2 * torch.pi * torch.rand(number, 1)
    turn = angle + 0.15 * torch.randn(number, 1) * (torch.arange(POINTS) - (POINTS - 1) / 2)
    pace = 0.3 * (1 + 0.2 * torch.randn(number, 1, 1))
    way = (pace * torch.stack([turn.cos(), turn.sin()], 2)).cumsum(1)
    return (way - way.mean(1, keepdim=True) + middle).flatten(1), None


@cache
def taught(seed: int) -> Velocity:
    """A flow that makes paths; nobody may train it further."""
    flow = Velocity(seed, size=2 * POINTS, hidden=192)
    match(flow, paths, 1200, 3e-3)
    match(flow, paths, 1200, 5e-4)
    return flow


def liked(made: Tensor) -> Tensor:
    """Reward of each point `[N, POINTS]`: all would be at the same place."""
    return torch.exp(-made.view(-1, POINTS, 2).square().sum(2) / 2)


def measured(flow: Velocity, number: int) -> tuple[float, float, float]:
    """Mean reward of points, length of steps, and variance of the differences of steps."""
    made = sample(flow, torch.randn(number, 2 * POINTS), STEPS).states[:, -1]
    steps = made.view(-1, POINTS, 2).diff(dim=1)
    return float(liked(made).mean()), float(steps.norm(dim=2).mean()), float(steps.diff(dim=1).square().sum(2).mean())


def tuned(seed: int, left: int, rate: float) -> Mapping[str, float]:
    """What reaching the reward takes, and what it does to paths, over what they were.

    Args:
        seed: of everything.
        left: steps of the chain that are walked, of `STEPS`.
        rate: λ.
    """
    flow = deepcopy(taught(seed))
    torch.manual_seed(1000 + seed)
    _, pace, rough = measured(flow, 2000)
    optimiser, batches = torch.optim.Adam(flow.parameters(), 3e-4), 0
    while batches < MOST and (batches % 5 or measured(flow, 500)[0] < ENOUGH):
        made = edited(flow, paths(BATCH)[0], torch.randn(BATCH, 2 * POINTS), STEPS, left)
        index = drawn_frames(POINTS, STRETCHES)
        loss = -attenuated_reward(liked(made)[:, index], index, POINTS, rate).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()
        batches += 1
    reward, length, differences = measured(flow, 2000)
    return {
        "reward": reward,
        "evaluations": float(batches * left),
        "batches": float(batches),
        "length of steps": length / pace,
        "variance of step differences": differences / rough,
    }


def _cheaper_and_smooth(found: Found) -> bool:
    whole, part, uniform = "whole chain", "rest of 0.4", "rest of 0.4, uniform"
    reached = all(found.interval(arm, "reward")[0] > ENOUGH - 0.03 for arm in (whole, part, uniform))
    cheaper = found.mean(part, "evaluations") < 0.5 * found.mean(whole, "evaluations")
    return reached and cheaper and found.below(part, uniform, "variance of step differences")


INSTRUCT_VIDEO = Check(
    row=84,
    name="partial-chain-reward-finetuning",
    claim="A mean reward of 0.7 is reached with less than half the evaluations of the network where samples are noised "
    "to 0.4 and only the rest of the chain is walked; and with weights that fall from the middle of a path its steps "
    "differ less from one to the next than with uniform ones at the same reward.",
    arms={
        "whole chain": partial(tuned, left=STEPS, rate=1.0),
        "rest of 0.4": partial(tuned, left=4, rate=1.0),
        "rest of 0.4, uniform": partial(tuned, left=4, rate=0.0),
    },
    holds=_cheaper_and_smooth,
    units={
        "evaluations": "a sample",
        "length of steps": "of the flow as taught",
        "variance of step differences": "of the flow as taught",
    },
)
