"""Check of rewards of denoising steps: a flow in the plane, sampled with noise, and a reward that sees only its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found, Measured
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

STEPS, NOISE, GROUPS, MEMBERS = 6, 0.7, 4, 16
DT = 1 / STEPS


class Flow(nn.Module):
    """A velocity field over place and time, at first nearly 0."""

    def __init__(self, seed: int) -> None:
        """Random weights."""
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 2))
        nn.init.zeros_(self.layers[2].get_parameter("weight"))

    def mean(self, x: Tensor, step: int) -> Tensor:
        """Where a step leads without noise."""
        time = torch.full((*x.shape[:-1], 1), step * DT)
        found: Tensor = x + DT * self.layers(torch.cat([x, time], dim=-1))
        return found

    @torch.no_grad()
    def finished(self, x: Tensor, step: int, generator: torch.Generator | None = None) -> Tensor:
        """The end from a place at a step: without noise, or with it where a generator is given."""
        for t in range(step, STEPS):
            x = self.mean(x, t)
            if generator is not None:
                x = x + NOISE * DT**0.5 * torch.randn(x.shape, generator=generator)
        return x


def worth(x: Tensor) -> NDArray[np.float64]:
    """The black box: a hill at (2, 1), and a lower and narrower one at (−1, 0)."""
    high = torch.exp(-((x - torch.tensor([2.0, 1.0])) ** 2).sum(-1) / 2)
    low = 0.5 * torch.exp(-((x - torch.tensor([-1.0, 0.0])) ** 2).sum(-1) / 0.3)
    return (high + low).double().numpy()


def paths(flow: Flow, generator: torch.Generator) -> Tensor:
    """Noisy paths `[STEPS + 1, B, 2]`; the members of a group start at one place."""
    x = torch.randn(GROUPS, 2, generator=generator).repeat_interleave(MEMBERS, dim=0)
    found = [x]
    with torch.no_grad():
        for t in range(STEPS):
            x = flow.mean(x, t) + NOISE * DT**0.5 * torch.randn(x.shape, generator=generator)
            found.append(x)
    return torch.stack(found)


BROADCAST: list[dict[str, Any]] = [
    {"part": "scale", "of": "end", "factor": 1.0, "to": "reward"},
    {"part": "group_relative", "preset": "grpo", "of": "reward"},
]
LAYOUT = Layout.of(steps=np.full(GROUPS * MEMBERS, STEPS), group=np.repeat(np.arange(GROUPS), MEMBERS))


def stepwise(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rewards of steps, compared with those at the same step."""
    return [dict(part) for part in parts] + [{"part": "position_relative", "preset": "tp_grpo", "of": "reward"}]


TURNING = stepwise({"part": "turning_point", "preset": "tp_grpo", "of": "stopped", "before": "start", "to": "reward"})
INCREMENTS = stepwise({"part": "increments", "of": "stopped", "before": "start", "to": "reward"})


def columns(flow: Flow, path: Tensor) -> dict[str, Column]:
    """The reward at the end, and of finishing without noise before the first step and after each."""
    stopped = np.stack([worth(flow.finished(path[t], t)) for t in range(STEPS + 1)])
    return {
        "end": Column.full(stopped[-1]),
        "start": Column.full(stopped[0]),
        "stopped": Column.full(LAYOUT.flat(stopped[1:])),
    }


def advantages(view: RewardView, flow: Flow, path: Tensor) -> NDArray[np.float32]:
    """Advantages of steps `[STEPS, B]`."""
    result = view.apply({name: c for name, c in columns(flow, path).items() if name in view.inputs}, LAYOUT)
    assert result.advantage is not None
    if result.levels["advantage"] == "episode":
        return np.tile(result.advantage.values, (STEPS, 1))
    return LAYOUT.padded(result.advantage.values)


def effects(flow: Flow, path: Tensor, generator: torch.Generator, tries: int = 128) -> NDArray[np.float64]:
    """By how much each step has changed the reward that is to be expected, by trying again from it `[STEPS, B]`."""
    again = path[:, :, None].expand(-1, -1, tries, -1)
    expected = np.stack([worth(flow.finished(again[t], t, generator)).mean(-1) for t in range(STEPS + 1)])
    found: NDArray[np.float64] = np.diff(expected, axis=0)
    return found


def learnt(seed: int, parts: list[dict[str, Any]], updates: int, calls: float) -> Measured:
    """Agreement of advantages with effects, by the same paths for all arms, and the reward after training."""
    levels = {"end": "episode", "start": "episode", "stopped": "step"}
    read = {name for part in parts for name in (part.get("of"), part.get("before"))}
    components = {name: level for name, level in levels.items() if name in read}
    view = RewardView(Config.model_validate({"name": "flow", "components": components, "parts": parts}))
    flow, generator = Flow(seed), torch.Generator().manual_seed(seed)
    agreement = []
    for _ in range(4):
        path = paths(flow, generator)
        found = advantages(view, flow, path)
        agreement.append(np.corrcoef(found.ravel(), effects(flow, path, generator).ravel())[0, 1])
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(updates):
        path = paths(flow, generator)
        advantage = torch.as_tensor(advantages(view, flow, path))
        likely = torch.stack(
            [-((path[t + 1] - flow.mean(path[t], t)) ** 2).sum(-1) / (2 * NOISE**2 * DT) for t in range(STEPS)]
        )
        optimiser.zero_grad()
        (-(likely * advantage).mean()).backward()
        optimiser.step()
    starts = torch.randn(512, 2, generator=generator)
    reward = float(worth(flow.finished(starts, 0, generator)).mean())
    return {"agreement with effects": float(np.mean(agreement)), "reward": reward, "denoiser calls": updates * calls}


UPDATES, PLAIN = 30, float(STEPS * GROUPS * MEMBERS)
FINISHING = PLAIN * (1 + (STEPS + 1) / 2)
"""Denoiser calls of an update: of the paths, and with finishing from each place on them."""


def _tells_which_step(found: Found) -> bool:
    """Advantages agree better with what steps did, and the reward is higher after as many updates."""
    return all(found.above("TP-GRPO", "Flow-GRPO", measure) for measure in ("agreement with effects", "reward"))


TP_GRPO = Check(
    row=145,
    name="turning-point-incremental-reward",
    claim="Increments with turning points agree better with the effect of steps on the reward to be expected than "
    "the final reward does, and give a higher reward after as many updates.",
    arms={
        "Flow-GRPO": lambda seed: learnt(seed, BROADCAST, UPDATES, PLAIN),
        "Flow-GRPO, as many calls": lambda seed: learnt(seed, BROADCAST, round(UPDATES * FINISHING / PLAIN), PLAIN),
        "increments": lambda seed: learnt(seed, INCREMENTS, UPDATES, FINISHING),
        "TP-GRPO": lambda seed: learnt(seed, TURNING, UPDATES, FINISHING),
    },
    holds=_tells_which_step,
    units={"agreement with effects": "correlation", "denoiser calls": "calls"},
)
