"""Check of one flow that is policy, world model and value: a way through two walls, each with two gaps.

A point starts below and makes up to three chunks of two moves each. Who hits a wall stays there. Demonstrations are of
people whose hand is unsteady, and only those that came through are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from actors.search.best_of_candidates import best_of_candidates
from benchmarks.methods.experiment import Check, Found
from learners.flows.joint_flow import DEMONSTRATED, Row, completed, joint_losses

START, WALLS, GAPS, WIDE, END = -2.0, (-1.0, 1.0), (-1.0, 1.0), 0.25, 1.4
"""Heights of start and walls, middles of their gaps, half of the width of one, and the height of the goal."""
MOVES, CHUNKS, GAMMA = 2, 3, 0.9
"""Moves of a chunk, chunks of a walk, and discount a chunk."""
ROW = Row(state=2, action=2 * MOVES)
DEMOS, ROLLOUTS, TESTED = 200, 500, 500
"""Walks that are shown, that the policy makes itself, and that it is measured on."""
TAUGHT, REFINED, RATE, STEPS, IMAGINED = 1200, 600, 5e-3, 8, 3
"""Gradient steps, those on rollouts, their rate, steps of the sampler, and states that are imagined of each chunk."""
REHEARSED = {"policy": 0.0, "world": 0.5, "value": 0.5}
"""Shares of the roles where the policy's own walks are learnt from."""

Act = Callable[[Tensor], Tensor]
"""From states `[N, 2]` chunks `[N, 2 * MOVES]`."""


class Walks(NamedTuple):
    """Chunks of walks as joined rows `[M, d]`, whether the walk of each came through `[M]`, and the share that did."""

    rows: Tensor
    through: Tensor
    success: float


def moved(state: Tensor, chunk: Tensor) -> Tensor:
    """Where chunks `[N, 2 * MOVES]` lead `[N, 2]`; at a wall a point stays just below it."""
    stuck = torch.zeros(len(state), dtype=torch.bool)
    for move in chunk.unflatten(-1, (MOVES, 2)).unbind(1):
        after = state + move
        hit, where = torch.zeros_like(stuck), after
        for wall in WALLS:
            crosses = (state[:, 1] < wall) & (after[:, 1] >= wall)
            share = (wall - state[:, 1]) / (after[:, 1] - state[:, 1]).clamp(min=1e-6)
            x = state[:, 0] + share * move[:, 0]
            open_ = torch.stack([(x - gap).abs() < WIDE for gap in GAPS]).any(0)
            blocked = crosses & ~open_ & ~hit
            where = torch.where(blocked[:, None], torch.stack([x, torch.full_like(x, wall - 0.05)], 1), where)
            hit = hit | blocked
        state = torch.where(stuck[:, None], state, where)
        stuck = stuck | hit
    return state


def hand(generator: torch.Generator) -> Act:
    """People: towards the middle of a gap, the nearer one mostly, then straight on; with an unsteady hand."""

    def act(state: Tensor) -> Tensor:
        ahead = torch.where(state[:, 1] >= WALLS[0], WALLS[1], WALLS[0])
        nearer = torch.where(state[:, 0] > 0, GAPS[1], GAPS[0])
        gap = torch.where(torch.rand(len(state), generator=generator) < 0.7, nearer, -nearer)
        below, above = torch.stack([gap, ahead - 0.5], 1), torch.stack([gap, ahead + 0.9], 1)
        chunk = torch.cat([below - state, above - below], 1)
        return chunk + 0.15 * torch.randn(chunk.shape, generator=generator)

    return act


def walk(act: Act, number: int, generator: torch.Generator) -> Walks:
    """Walks from random starts; one ends at the goal, and one that is stuck may go on."""
    start = torch.rand(number, 1, generator=generator) * 4 - 2
    state, parts = torch.cat([start, torch.full((number, 1), START)], 1), []
    ended = torch.full((number,), CHUNKS)
    for k in range(CHUNKS):
        chunk = act(state)
        after = moved(state, chunk)
        parts.append((state, chunk, after))
        ended = torch.where((after[:, 1] >= END) & (ended == CHUNKS), k, ended)
        state = after
    through = ended < CHUNKS
    left = ended[:, None] - torch.arange(CHUNKS)  # chunks that come after this one
    value = torch.where(through[:, None], GAMMA ** left.clamp(min=0), 0.0) * 2 - 1
    rows = torch.stack([ROW.join(*part, value[:, k, None]) for k, part in enumerate(parts)], 1)
    counts = ~through[:, None] | (left >= 0)
    return Walks(rows[counts], through[:, None].expand(-1, CHUNKS)[counts], float(through.float().mean()))


class Flow(nn.Module):
    """v of rows, from what is noised, σ, and which numbers are shown."""

    def __init__(self, seed: int, hidden: int = 128) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        size = sum(ROW.sizes.values())
        layers = (nn.Linear(2 * size + 1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.body = nn.Sequential(*layers, nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, size))

    def forward(self, x: Tensor, sigma: Tensor, shown: Tensor) -> Tensor:
        """Velocities `[N, d]`."""
        found: Tensor = self.body(torch.cat([x, shown.float(), sigma[:, None]], 1))
        return found


Source = tuple[Tensor, Mapping[str, float]]
"""Rows, and shares of the roles that learn from them."""


def learn(flow: Flow, sources: list[Source], steps: int, generator: torch.Generator, batch: int = 256) -> None:
    """Masked flow matching on as many rows of each source, in place."""
    optimiser = torch.optim.Adam(flow.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    size = batch // len(sources)
    for _ in range(steps):
        clean = torch.cat([rows[torch.randint(len(rows), (size,), generator=generator)] for rows, _ in sources])
        shown = torch.cat([ROW.drawn(size, shares, generator) for _, shares in sources])
        noise, sigma = torch.randn(clean.shape, generator=generator), torch.rand(len(clean), generator=generator)
        loss = joint_losses(flow, clean, noise, sigma, shown).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


@torch.no_grad()
def asked(flow: Flow, role: str, rows: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    """Rows completed by a role."""
    shown = ROW.shown(role).expand(rows.shape)
    return completed(flow, rows, shown, torch.randn(rows.shape, generator=generator), steps)


def policy(flow: Flow, generator: torch.Generator) -> Act:
    """The flow as it is."""

    def act(state: Tensor) -> Tensor:
        blank = state.new_zeros(len(state), sum(ROW.sizes.values()) - 2)
        return ROW.part(asked(flow, "policy", torch.cat([state, blank], 1), STEPS, generator), "action")

    return act


def planner(flow: Flow, model: Flow, candidates: int, generator: torch.Generator) -> Act:
    """The best of N chunks of the flow, by values of states that a model imagines after them."""
    own = policy(flow, generator)

    def act(state: Tensor) -> Tensor:
        many = state.repeat_interleave(candidates, 0)
        chunk = own(many)
        rows = ROW.join(many, chunk, torch.zeros_like(many), torch.zeros(len(many), 1)).repeat_interleave(IMAGINED, 0)
        imagined = asked(model, "world", rows, STEPS, generator)
        value = ROW.part(asked(model, "value", imagined, 1, generator), "value")  # one step: the mean
        best = best_of_candidates(value.view(len(state), candidates, IMAGINED), generator)
        return chunk.view(len(state), candidates, -1)[torch.arange(len(state)), best]

    return act


@cache
def demonstrated(seed: int) -> tuple[Walks, Flow, Walks]:
    """Demonstrations, the flow that learnt from them, and its own walks; nobody may train it further."""
    generator = torch.Generator().manual_seed(seed)
    shown = walk(hand(generator), DEMOS, generator)
    demos = shown._replace(rows=shown.rows[shown.through])
    flow = Flow(seed)
    learn(flow, [(demos.rows, DEMONSTRATED)], TAUGHT, generator)
    return demos, flow, walk(policy(flow, generator), ROLLOUTS, generator)


def planned(seed: int, candidates: int = 1, refined: bool = False, cloned: bool = False) -> Mapping[str, float]:
    """Success of a policy, and how well it is foretold which of its chunks come through.

    Args:
        seed: of everything.
        candidates: N; 1: the policy as it is.
        refined: whether its own walks teach world model and value; else demonstrations go on teaching.
        cloned: whether the policy itself learns, from those of its walks that came through.
    """
    demos, flow, own = demonstrated(seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    model = deepcopy(flow)
    sources: list[Source] = [(demos.rows, DEMONSTRATED)]
    if refined:
        sources.append((own.rows, REHEARSED))
    if cloned:
        sources.append((own.rows[own.through], DEMONSTRATED))
    learn(model, sources, REFINED, generator)
    acting = model if cloned else flow
    act = policy(acting, generator) if candidates == 1 else planner(acting, model, candidates, generator)
    fresh = walk(policy(flow, generator), TESTED, generator)
    value = ROW.part(asked(model, "value", asked(model, "world", fresh.rows, STEPS, generator), 1, generator), "value")
    return {
        "success": walk(act, TESTED, generator).success,
        "error of the value": float((value - ROW.part(fresh.rows, "value")).abs().mean() / 2),
    }


def _plans_with_what_failed(found: Found) -> bool:
    """The best of 8 by what rollouts taught is above the policy as it is, and above what demonstrations taught."""
    others = ("as it is", "best of 8, taught by demonstrations", "rollouts that came through, cloned")
    return all(found.above("best of 8, taught by rollouts", other, "success") for other in others)


COSMOS_POLICY = Check(
    row=111,
    name="joint-action-state-value-diffusion",
    claim="With world model and value refined on the policy's own walks, the best of 8 chunks comes through two walls "
    "more often than the policy as it is, than the best of 8 by what demonstrations alone taught, and than a policy "
    "that clones those of its walks that came through.",
    arms={
        "as it is": planned,
        "best of 8, taught by demonstrations": partial(planned, candidates=8),
        "rollouts that came through, cloned": partial(planned, cloned=True),
        "best of 8, taught by rollouts": partial(planned, candidates=8, refined=True),
    },
    holds=_plans_with_what_failed,
    units={"success": "share of walks", "error of the value": "of a range of 1"},
)
