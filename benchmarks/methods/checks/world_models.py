"""Checks of rewards for world models: what an inverse dynamics model reads out of their rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from rewards.sources.inverse_dynamics import action_consistency, executability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIDE, ACTIONS, MOVES = 5, 4, 5
STEPS, GROUPS, MEMBERS, UPDATES = 6, 16, 8, 200
SHIFTS = np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]])
"""Up, down, left, right, and staying; an action's own shift has its number."""
SLIP = 0.1


def softmax(logits: Floats) -> Floats:
    """Chances over the last axis."""
    apart = np.exp(logits - logits.max(-1, keepdims=True))
    found: Floats = apart / apart.sum(-1, keepdims=True)
    return found


def truth() -> Floats:
    """Chances of each shift from a cell by an action `[25, 4, 5]`: what is asked for, or nothing where a wall is."""
    found = np.zeros((SIDE**2, ACTIONS, MOVES))
    for cell in range(SIDE**2):
        for action in range(ACTIONS):
            row, column = np.array(divmod(cell, SIDE)) + SHIFTS[action]
            free = 0 <= row < SIDE and 0 <= column < SIDE
            found[cell, action, action if free else 4] += 1 - SLIP
            found[cell, action, 4] += SLIP
    return found


def shifted(cell: Ints, move: Ints) -> Ints:
    """Cells after moves, as a world model draws them: on the board."""
    row, column = np.clip(np.stack(np.divmod(cell, SIDE)) + SHIFTS[move].T, 0, SIDE - 1)
    after: Ints = row * SIDE + column
    return after


def followed(seed: int, arm: str) -> Mapping[str, float]:
    """How a tabular world model that has hardly seen two of the actions does on real transitions, after more training.

    Args:
        seed: of everything.
        arm: `supervised` (no more), `inverse`, or `shuffled` (paid for other actions than those it was asked for).
    """
    random, real = np.random.default_rng(seed), truth()
    often = np.array([0.48, 0.48, 0.02, 0.02])
    cells, actions = random.integers(0, SIDE**2, 600), random.choice(ACTIONS, 600, p=often)
    moves = _drawn(real[cells, actions], random)
    counts = np.zeros_like(real)
    np.add.at(counts, (cells, actions, moves), 1.0)
    logits = np.log(counts + 0.1)
    # The inverse model knows shifts alone: which action was most often behind each, every action counting alike.
    behind = np.zeros((MOVES, ACTIONS))
    np.add.at(behind, (moves, actions), 1 / often[actions])
    inverse = behind.argmax(1)
    for _ in range(UPDATES if arm != "supervised" else 0):
        start = np.repeat(random.integers(0, SIDE**2, GROUPS), MEMBERS)
        asked = np.repeat(random.integers(0, ACTIONS, (GROUPS, STEPS)), MEMBERS, axis=0)
        cell, seen, drawn = start, [], []
        for t in range(STEPS):
            move = _drawn(softmax(logits[cell, asked[:, t]]), random)
            seen.append(cell)
            drawn.append(move)
            cell = shifted(cell, move)
        path, move = np.stack([*seen, cell], 1), np.stack(drawn, 1)
        shift = np.diff(np.stack(np.divmod(path, SIDE)), axis=-1)  # [2, N, STEPS]
        known = (shift[..., None] == SHIFTS.T[:, None, None]).all(0).argmax(-1)
        wanted = random.permuted(asked, axis=1) if arm == "shuffled" else asked
        reward = action_consistency(inverse[known], wanted).reshape(GROUPS, MEMBERS)
        gain = (reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-6)
        gradient = np.zeros_like(logits)
        for t in range(STEPS):
            chance = softmax(logits[path[:, t], asked[:, t]])
            step = gain.reshape(-1, 1) * (np.eye(MOVES)[move[:, t]] - chance)
            np.add.at(gradient, (path[:, t], asked[:, t]), step)
        logits = logits + 0.3 * gradient / MEMBERS
    made = softmax(logits)
    return {
        "followed": float(np.take_along_axis(made, real.argmax(-1, keepdims=True), -1).mean()),
        "error": float(0.5 * np.abs(made - real).sum(-1).mean()),
    }


def _drawn(chances: Floats, random: np.random.Generator) -> Ints:
    found: Ints = (random.random((len(chances), 1)) > chances.cumsum(-1)).sum(-1).clip(0, chances.shape[-1] - 1)
    return found


def _follows(found: Found) -> bool:
    return all(
        found.above("inverse reward", other, "followed") and found.below("inverse reward", other, "error")
        for other in ("supervised", "shuffled actions")
    )


RLIR = Check(
    row=82,
    name="inverse-dynamics-consistency-reward",
    claim="A world model that has hardly seen two of four actions follows actions better, and errs less about real "
    "transitions, after training on what an inverse dynamics model reads out of its rollouts than before, and than "
    "after as many updates with shuffled actions.",
    arms={
        "supervised": lambda seed: followed(seed, "supervised"),
        "shuffled actions": lambda seed: followed(seed, "shuffled"),
        "inverse reward": lambda seed: followed(seed, "inverse"),
    },
    holds=_follows,
    units={"followed": "share of steps", "error": "total variation"},
)

HORIZON, LIMIT, DRAG, REACH = 12, 0.25, 0.9, 0.15


class Paths(NamedTuple):
    """Generated positions `[N, HORIZON + 1, 2]`, the noise behind them `[N, HORIZON, 2]`, and goals `[N, 2]`."""

    place: Floats
    noise: Floats
    goal: Floats


class Generator(NamedTuple):
    """A generator of paths: each position is the last, plus a linear function of the way left, plus noise.

    Attributes:
        ahead: `[HORIZON]`, how much of the way left is gone at each step.
        spread: log of the standard deviation of the noise at each step `[HORIZON]`.
    """

    ahead: Floats
    spread: Floats

    def paths(self, count: int, random: np.random.Generator, goal: Floats | None = None) -> Paths:
        """Paths from the origin to goals, drawn anew where none are given."""
        aims = random.uniform(-1, 1, (count, 2)) if goal is None else goal
        place, places, noises = np.zeros((count, 2)), [np.zeros((count, 2))], []
        for t in range(HORIZON):
            noise = random.normal(size=(count, 2))
            place = place + self.ahead[t] * (aims - place) + np.exp(self.spread[t]) * noise
            places.append(place)
            noises.append(noise)
        return Paths(np.stack(places, 1), np.stack(noises, 1), aims)


def decoded(place: Floats) -> Floats:
    """Commands that the inverse dynamics model reads out of positions: what moves a body with drag so far."""
    found: Floats = np.diff(place, axis=1) / DRAG
    return found


def executed(paths: Paths) -> float:
    """Share of paths whose commands, cut to what the body can do, bring it to the goal."""
    commands = np.clip(decoded(paths.place), -LIMIT, LIMIT)
    return float((np.linalg.norm((DRAG * commands).sum(1) - paths.goal, axis=-1) < REACH).mean())


def demonstrated(seed: int) -> Generator:
    """A generator fitted to noisy demonstrations, with jumps that no body makes."""
    random = np.random.default_rng(700 + seed)
    goal = random.uniform(-1, 1, (200, 2))
    clean = goal[:, None] * np.linspace(0, 1, HORIZON + 1)[:, None]
    jumps = (random.random((200, HORIZON + 1, 1)) < 0.15) * random.normal(0, 0.3, (200, HORIZON + 1, 2))
    place = clean + random.normal(0, 0.03, clean.shape) + jumps
    place[:, 0] = 0
    left, moved = goal[:, None] - place[:, :-1], np.diff(place, axis=1)
    ahead = (left * moved).sum((0, 2)) / (left**2).sum((0, 2))
    rest = moved - ahead[:, None] * left
    return Generator(ahead, np.log(rest.std((0, 2))))


def executable(seed: int, arm: str) -> Mapping[str, float]:
    """Jerk, violations and executed paths of a generator after further training.

    Args:
        seed: of everything.
        arm: `supervised`, `rejection` (fitted anew to the best path of each group, as many are drawn), or `inverse`.
    """
    random, made = np.random.default_rng(seed), demonstrated(seed)
    for _ in range(150 if arm != "supervised" else 0):
        goal = np.repeat(random.uniform(-1, 1, (16, 2)), 8, axis=0)
        paths = made.paths(128, random, goal)
        reward = executability(decoded(paths.place), LIMIT).reshape(16, 8)
        left, moved = goal[:, None] - paths.place[:, :-1], np.diff(paths.place, axis=1)
        spread = np.exp(made.spread)[:, None]
        if arm == "rejection":
            best = np.arange(16) * 8 + reward.argmax(1)
            gain = np.zeros(128)
            gain[best] = 8.0
        else:
            gain = ((reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-6)).reshape(-1)
        noise = (moved - made.ahead[:, None] * left) / spread
        of_ahead = (gain[:, None] * (noise / spread * left).sum(-1)).mean(0)
        of_spread = (gain[:, None] * (noise**2 - 1).sum(-1)).mean(0)
        made = Generator(made.ahead + 0.003 * np.clip(of_ahead, -3, 3), made.spread + 0.02 * np.clip(of_spread, -3, 3))
    paths = made.paths(1000, np.random.default_rng(20_000 + seed))
    commands = decoded(paths.place)
    return {
        "jerk": float(np.linalg.norm(np.diff(commands, n=3, axis=1), axis=-1).mean()),
        "violations": float((np.abs(commands) > LIMIT).any(-1).mean()),
        "executed": executed(paths),
    }


def _fits(found: Found) -> bool:
    return all(
        found.below("executability", other, "jerk")
        and found.below("executability", other, "violations")
        and found.above("executability", other, "executed")
        for other in ("supervised", "rejection sampling")
    )


EVA = Check(
    row=106,
    name="executability-reward",
    claim="A generator of paths that has learnt from noisy demonstrations draws less jerk and fewer impossible "
    "commands, and more of its commands bring a body to the goal, after training on their executability than before, "
    "and than after as many paths with rejection sampling.",
    arms={
        "supervised": lambda seed: executable(seed, "supervised"),
        "rejection sampling": lambda seed: executable(seed, "rejection"),
        "executability": lambda seed: executable(seed, "inverse"),
    },
    holds=_fits,
    units={"violations": "share of commands", "executed": "share of paths"},
)
