"""Check of a filter of imagined transitions: a pendulum, seen near its rest alone, that is to be held far from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from actors.search.transitions import filtered
from benchmarks.methods.experiment import Check, Found
from learners.objectives.occupancy import discriminator
from rewards.comparison.correlation import spearman
from rewards.models.adversarial import adversarial_reward, ranged

DATA, MEMBERS, HIDDEN = 1500, 7, 48
STAGES = (3, 10, 30, 400)
"""Steps of training after which each stage of the world model gets a discriminator of its own."""
TESTED, ROLLOUT, FAR = 400, 12, 2.0
PLANS, HORIZON, EPISODES, AIM, PENALTY = 96, 12, 40, 1.6, 0.5


def moved(state: Tensor, action: Tensor) -> Tensor:
    """Where the pendulum is after a step: angle and speed `[…, 2]`, by a torque `[…, 1]`."""
    angle, speed = state[..., :1], state[..., 1:]
    faster = speed + 0.15 * (2.0 * action - 1.5 * angle.sin() - 0.3 * speed)
    return torch.cat([angle + 0.15 * faster, faster], -1)


class Ensemble(nn.Module):
    """Members that know nothing of each other: from states and actions the change of the state."""

    def __init__(self, generator: torch.Generator) -> None:
        """Random weights."""
        super().__init__()

        def drawn(size: int, outputs: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(MEMBERS, size, outputs, generator=generator) / size**0.5)

        self.first, self.bias = drawn(3, HIDDEN), nn.Parameter(torch.zeros(MEMBERS, 1, HIDDEN))
        self.second, self.offset = drawn(HIDDEN, 2), nn.Parameter(torch.zeros(MEMBERS, 1, 2))

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Next states by each member `[M, N, 2]`, of states `[N, 2]` or `[M, N, 2]`."""
        read = torch.cat([state, action], -1)
        change: Tensor = (read @ self.first + self.bias).tanh() @ self.second + self.offset
        return state + 0.3 * change


class Learnt(NamedTuple):
    """What was learnt from the data: a model, and of each judge the mean on what was made and on the data `[K]`."""

    model: Ensemble
    judges: nn.ModuleList
    made: Tensor
    real: Tensor


def transition(state: Tensor, action: Tensor, after: Tensor) -> Tensor:
    """What a discriminator reads `[…, 5]`: a state, an action, and the change of the state, which is small."""
    return torch.cat([state, action, 20.0 * (after - state)], -1)


@cache
def learnt(seed: int) -> Learnt:
    """An ensemble by maximum likelihood, and a discriminator of the data against rollouts of each of its stages."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)

    def act(state: Tensor) -> Tensor:  # a policy that stays near the rest
        noise = 0.3 * torch.randn(*state.shape[:-1], 1, generator=generator)
        return (-state.sum(-1, keepdim=True) + noise).clamp(-1, 1)

    before, did = [0.3 * torch.randn(DATA // 30, 2, generator=generator)], []
    for _ in range(30):
        did.append(act(before[-1]))
        before.append(moved(before[-1], did[-1]))
    state, action, after = torch.cat(before[:-1]), torch.cat(did), torch.cat(before[1:])
    model = Ensemble(generator)
    optimiser, judges, means = torch.optim.Adam(model.parameters(), 5e-3), nn.ModuleList(), []
    own = torch.randint(DATA, (MEMBERS, DATA), generator=generator)  # each member has its own sample of the data
    for step in range(1, STAGES[-1] + 1):
        rows = own[torch.arange(MEMBERS)[:, None], torch.randint(DATA, (MEMBERS, 64), generator=generator)]
        error = (model(state[rows], action[rows]) - after[rows]).square().mean((1, 2)).sum()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        if step in STAGES:
            made = []
            with torch.no_grad():
                place = state[torch.randint(DATA, (400,), generator=generator)]
                for _ in range(4):
                    torque = act(place)
                    member = torch.randint(MEMBERS, (len(place),), generator=generator)
                    ahead = model(place, torque)[member, torch.arange(len(place))]
                    made.append(transition(place, torque, ahead))
                    place = ahead
            both = torch.cat(made), transition(state, action, after)
            judges.append(judge(both[1], both[0], generator))
            means.append(torch.stack([judges[-1](one).detach().mean() for one in both]))
    return Learnt(model.requires_grad_(False), judges.requires_grad_(False), *torch.stack(means, 1))


def judge(real: Tensor, made: Tensor, generator: torch.Generator, steps: int = 400) -> nn.Sequential:
    """A discriminator of transitions, high where they are real."""
    found = nn.Sequential(nn.Linear(5, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
    optimiser = torch.optim.Adam(found.parameters(), 2e-3)
    for _ in range(steps):
        rows = [torch.randint(len(one), (128,), generator=generator) for one in (real, made)]
        loss = discriminator(found(real[rows[0]]), found(made[rows[1]]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return found


def dynamics_reward(of: Learnt, state: Tensor, action: Tensor, after: Tensor) -> Tensor:
    """R of candidates `[M, N]`."""
    read = transition(state.expand_as(after), action.expand(*after.shape[:-1], 1), after)
    logits = torch.stack([one(read)[..., 0] for one in of.judges])
    return adversarial_reward(ranged(logits, of.made, of.real), clip=0.999)


def imagined(of: Learnt, arm: str, state: Tensor, action: Tensor, generator: torch.Generator) -> Tensor:
    """The next state that goes on `[N, 2]`, by what an arm makes of the members' candidates."""
    candidates: Tensor = of.model(state, action)
    if arm == "mean":
        return candidates.mean(0)
    if arm == "filtered":
        member = filtered(dynamics_reward(of, state, action, candidates), generator).candidate
    else:
        member = torch.randint(MEMBERS, (len(state),), generator=generator)
    return candidates[member, torch.arange(len(state))]


def held(of: Learnt, arm: str, generator: torch.Generator) -> float:
    """Minus the mean distance from the aim of pendulums that follow the best of some plans to its end, unseeing."""
    state = 0.1 * torch.randn(EPISODES, 2, generator=generator)
    plans = 0.7 * torch.randn(EPISODES, PLANS, 1, 1, generator=generator)
    plans = (plans + 0.4 * torch.randn(EPISODES, PLANS, HORIZON, 1, generator=generator)).clamp(-1, 1)
    place, worth = state[:, None].expand(-1, PLANS, -1).reshape(-1, 2), torch.zeros(EPISODES * PLANS)
    for t in range(HORIZON):
        torque = plans[:, :, t].reshape(-1, 1)
        candidates: Tensor = of.model(place, torque)
        apart = (candidates - candidates.mean(0)).norm(dim=-1).amax(0)  # what MOPO takes off
        place = imagined(of, arm, place, torque, generator)
        worth -= (place[:, 0] - AIM).abs() + PENALTY * apart
    best = plans[torch.arange(EPISODES), worth.view(EPISODES, PLANS).argmax(1)]
    total = 0.0
    for t in range(HORIZON):
        state = moved(state, best[:, t])
        total -= float((state[:, 0] - AIM).abs().mean()) / HORIZON
    return total


def foretold(seed: int, arm: str) -> Mapping[str, float]:
    """Errors of imagined transitions and rollouts far from the data, and what a planner gains with them.

    Args:
        seed: of everything.
        arm: `random` member, `mean` of the members, or `filtered`.
    """
    of, generator = learnt(seed), torch.Generator().manual_seed(1000 + seed)
    state = FAR * (2 * torch.rand(TESTED, 2, generator=generator) - 1)
    action = 2 * torch.rand(TESTED, ROLLOUT, 1, generator=generator) - 1
    candidates, truth = of.model(state, action[:, 0]), moved(state, action[:, 0])
    wrong = (candidates - truth).norm(dim=-1)
    paid = dynamics_reward(of, state, action[:, 0], candidates)
    agree = [spearman(paid[:, n].numpy(), -wrong[:, n].numpy()) or 0.0 for n in range(TESTED)]
    one = (imagined(of, arm, state, action[:, 0], generator) - truth).norm(dim=-1).mean()
    errors, place, real = [], state, state
    for t in range(ROLLOUT):
        place, real = imagined(of, arm, place, action[:, t], generator), moved(real, action[:, t])
        errors.append((place - real).norm(dim=-1).mean())
    return {
        "error of a step": float(one),
        "error of a rollout": float(torch.stack(errors).mean()),
        "return": held(of, arm, torch.Generator().manual_seed(2000 + seed)),
        "reward and truth, of candidates": float(np.mean(agree)),
        "reward and truth, of places": spearman(paid.mean(0).numpy(), -wrong.mean(0).numpy()) or 0.0,
    }


def _truer(found: Found) -> bool:
    """Less wrong than a member by chance, a better plan, and a reward that goes with the truth."""
    return (
        found.below("filtered", "random member", "error of a rollout")
        and found.above("filtered", "random member", "return")
        and found.interval("filtered", "reward and truth, of candidates")[0] > 0
    )


MOREC = Check(
    row=124,
    name="dynamics-reward-transition-filter",
    claim="Far from the data that a world model was taught with, the dynamics reward is higher for candidates that are "
    "less wrong; rollouts of the candidates that it draws are less wrong than those of members by chance, and a "
    "planner gets more from them.",
    arms={
        "random member": lambda seed: foretold(seed, "random"),
        "mean of members": lambda seed: foretold(seed, "mean"),
        "filtered": lambda seed: foretold(seed, "filtered"),
    },
    holds=_truer,
    units={
        "error of a step": "distance",
        "error of a rollout": "distance",
        "return": "minus the distance from the aim",
        "reward and truth, of candidates": "Spearman's ρ",
        "reward and truth, of places": "Spearman's ρ",
    },
)
