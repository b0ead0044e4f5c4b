"""Check of preferences between chunks of actions of a flow-matching policy whose body is weaker than the one shown.

A point moves in a plane for four steps. Demonstrations are of a body that does all of what it is told; the policy's
does 0.7 of it. No robot, and no pictures: the state is two numbers, and so is the latent state of the world model.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.flows import STEPS, Velocity, match, prefer
from learners.flows.sampler import sample
from rewards.comparison.correlation import spearman
from rewards.sources.world_model_goal import best_and_worst, chunk_reward

HORIZON, GAIN, NEAR = 4, 0.7, 0.15
CANDIDATES, STATES = 8, 128


def tasks(number: int) -> tuple[Tensor, Tensor]:
    """Way to the goal `[n, 2]`, and the chunk that a body of gain 1 would be shown `[n, HORIZON, 2]`."""
    way = 2 * torch.rand(number, 2) - 1
    return way, (way / HORIZON)[:, None].expand(-1, HORIZON, -1)


def shown(number: int) -> tuple[Tensor, Tensor]:
    """Demonstrations, as people give them: with some noise; chunk `[n, 8]`, and the way it is for."""
    way, chunk = tasks(number)
    return (chunk + 0.1 * torch.randn_like(chunk)).flatten(1), way


def left(way: Tensor, chunk: Tensor) -> Tensor:
    """What is left of the way after a chunk `[..., 8]`, truly `[..., 2]`."""
    found: Tensor = way - GAIN * chunk.unflatten(-1, (HORIZON, 2)).sum(-2)
    return found


def world_model(seed: int) -> nn.Module:
    """Fitted to 400 random chunks of the policy's own body, each seen with some noise: (way, chunk) to what is left."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    way, chunk = 2 * torch.rand(400, 2) - 1, 0.4 * torch.randn(400, 2 * HORIZON)
    after = left(way, chunk) + 0.05 * torch.randn(400, 2)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=1e-4)
    for _ in range(400):
        loss = (model(torch.cat([way, chunk], 1)) - after).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@cache
def cloned(seed: int) -> Velocity:
    """A policy cloned from demonstrations; nobody may train it further."""
    flow = Velocity(seed, size=2 * HORIZON, condition=2)
    match(flow, shown, 1000)
    return flow


def scored(way: Tensor, chunk: Tensor, right: Tensor, model: nn.Module, goal: float, weight: float) -> np.ndarray:
    """Rewards `[n, N]` of candidates `[n, N, 8]`; `goal` and `weight` are those of the two terms."""
    with torch.no_grad():
        ahead = model(torch.cat([way[:, None].expand(-1, chunk.shape[1], -1), chunk], -1))
    if not goal:
        ahead = torch.zeros_like(ahead)
    return chunk_reward(
        ahead.numpy(), np.zeros((len(way), 2)), chunk.unflatten(-1, (HORIZON, 2)).numpy(), right.numpy(), weight
    )


def preferred(seed: int, goal: float, weight: float, beta: float = 1.0, updates: int = 120) -> Mapping[str, float]:
    """Success after DPO on the best and worst of candidates; with neither term, of the cloned policy.

    Args:
        seed: of everything.
        goal: whether the world model's distance to the goal counts, 1 or 0.
        weight: of the distance to what was shown.
        beta: of DPO.
        updates: gradient steps of DPO.
    """
    flow, reference, model = deepcopy(cloned(seed)), cloned(seed), world_model(seed)
    torch.manual_seed(1000 + seed)
    way, right = tasks(STATES)
    asked = way.repeat_interleave(CANDIDATES, 0)
    made = sample(flow.given(asked), torch.randn(len(asked), 2 * HORIZON), STEPS).states[:, -1]
    chunk = made.view(STATES, CANDIDATES, -1)
    rewards = scored(way, chunk, right, model, goal, weight)
    apart = left(way[:, None], chunk).norm(dim=-1).numpy()
    agreement = np.mean([spearman(r, -d) or 0.0 for r, d in zip(rewards, apart, strict=True)])
    pairs = best_and_worst(rewards)
    rows = torch.arange(STATES)[torch.as_tensor(pairs.valid)]  # none, where neither term counts
    both = [chunk[rows, torch.as_tensor(index)[rows]] for index in (pairs.chosen, pairs.rejected)]
    optimiser = torch.optim.Adam(flow.parameters(), 3e-4)
    for _ in range(updates if len(rows) else 0):
        prefer(flow, reference, optimiser, both[0], both[1], way[rows], beta)
    way, _ = tasks(2000)
    made = sample(flow.given(way), torch.randn(2000, 2 * HORIZON), STEPS).states[:, -1]
    end = left(way, made).norm(dim=1)
    return {
        "success": float((end < NEAR).float().mean()),
        "left of the way": float(end.mean()),
        "rank correlation with the true distance": float(agreement),
    }


def _sum_is_best(found: Found) -> bool:
    """Above all others in success, and its order is that of the true distances."""
    others = ("cloned", "shown actions alone", "world model alone")
    ordered = found.interval("both", "rank correlation with the true distance")[0] > 0.5
    return ordered and all(found.above("both", other, "success") for other in others)


NORA = Check(
    row=139,
    name="world-model-goal-distance-and-action-deviation",
    claim="After preferences by a world model's distance to the goal together with the distance to what was shown, a "
    "cloned flow policy in a weaker body succeeds more often than cloned, and than after preferences by either "
    "distance alone; candidates are ranked as by the true distance (Spearman above 0.5).",
    arms={
        "cloned": lambda seed: preferred(seed, 0.0, 0.0),
        "shown actions alone": lambda seed: preferred(seed, 0.0, 0.5),
        "world model alone": lambda seed: preferred(seed, 1.0, 0.0),
        "both": lambda seed: preferred(seed, 1.0, 0.5),
    },
    holds=_sum_is_best,
    units={"success": "share of tasks", "rank correlation with the true distance": "Spearman's ρ"},
)
