"""Check of guidance by an imagined direction: a point that is to be moved onto a place, by a base policy that errs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import view
from rewards.columns import Column
from rewards.sources.directions import imagined_targets, move_cosine
from rewards.views.layout import Layout

Floats = NDArray[np.float64]
STEPS, EPISODES, UPDATES, NOISE, REACH, SPEED = 30, 16, 200, 0.3, 0.08, 0.15
TURN = 110
"""Degrees by which the base policy is wrong."""
GAMMA, ENOUGH = 0.97, 0.9
SPARSE = view({"extrinsic": "step"}, {"part": "scale", "of": "extrinsic", "factor": 1.0, "to": "reward"})
GUIDED = view(
    {"extrinsic": "step", "direction": "step", "progress": "step"},
    {"part": "imagined_direction", "preset": "sc_vla", "of": "extrinsic", "to": "reward"},
)


def imagination(seed: int) -> tuple[Floats, Floats]:
    """Two heads, linear in the way that is left, fitted to demonstrations: displacement of five steps, and progress.

    Returns:
        Coefficients `[2, 2]` of the displacement, and `[2]` (slope and constant) of progress in the distance.
    """
    random = np.random.default_rng(500 + seed)
    ways, moves, distances, progress = [], [], [], []
    for _ in range(50):
        place, goal = np.zeros(2), random.uniform(-1, 1, 2)
        path = [place]
        while np.linalg.norm(goal - path[-1]) > REACH and len(path) < STEPS:
            way = goal - path[-1]
            step = SPEED * way / max(float(np.linalg.norm(way)), SPEED) + random.normal(0, 0.02, 2)
            path.append(path[-1] + step)
        found = np.stack(path)
        later = found[np.minimum(np.arange(len(found)) + 5, len(found) - 1)]
        ways.append(goal - found)
        moves.append(later - found)
        distances.append(np.linalg.norm(goal - found, axis=-1))
        progress.append(np.linspace(0, 1, len(found)))
    line = np.column_stack([np.concatenate(distances), np.ones(sum(map(len, distances)))])
    ahead = np.linalg.lstsq(np.concatenate(ways), np.concatenate(moves), rcond=None)[0]
    return ahead, np.linalg.lstsq(line, np.concatenate(progress), rcond=None)[0]


def moved(weights: Floats, random: np.random.Generator, noise: float) -> dict[str, Floats]:
    """Episodes of the base policy with a residual, linear in the way that is left `[4, 2]` weights.

    The base goes 110° off the way and drifts. Gives places `[N, T + 1, 2]`, features `[N, T, 4]`, noise `[N, T, 2]`,
    goals, who is on the way and who arrives `[N, T]`.
    """
    turn = np.deg2rad(TURN)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    goal = random.uniform(-1, 1, (EPISODES, 2))
    place, going = np.zeros((EPISODES, 2)), np.ones(EPISODES, np.bool_)
    kept: dict[str, list[Floats]] = {name: [] for name in ("place", "feature", "noise", "going", "arrived")}
    for _ in range(STEPS):
        way = goal - place
        near = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), SPEED)
        feature = np.column_stack([near, way])
        residual = feature @ weights
        drawn = noise * random.normal(size=(EPISODES, 2))
        action = near @ rotation + np.array([0.2, 0.0]) + residual + drawn
        size = np.maximum(np.linalg.norm(action, axis=-1, keepdims=True), 1.0)
        after = np.where(going[:, None], place + SPEED * action / size, place)
        arrived = going & (np.linalg.norm(goal - after, axis=-1) < REACH)
        for name, value in zip(kept, (place, feature, drawn, going, arrived), strict=True):
            kept[name].append(value)
        place, going = after, going & ~arrived
    kept["place"].append(place)
    return {**{name: np.stack(values, 1) for name, values in kept.items()}, "goal": goal}


def refined(seed: int, arm: str) -> Mapping[str, float]:
    """Steps until nine in ten episodes arrive, and how many do in the end, by policy gradient on the residual.

    Args:
        seed: of everything.
        arm: `sparse`, `guided`, or `astray` (the imagination is 60° off), `aslant` (30°), or `opposite`.
    """
    random, weights = np.random.default_rng(seed), np.zeros((4, 2))
    ahead, line = imagination(seed)
    made = SPARSE if arm == "sparse" else GUIDED
    off = np.deg2rad({"aslant": 30, "astray": 60, "opposite": 180}.get(arm, 0))
    turned = np.array([[np.cos(off), np.sin(off)], [-np.sin(off), np.cos(off)]])
    curve, first, second = [], np.zeros((4, 2)), np.zeros((4, 2))
    for update in range(1, UPDATES + 1):
        found = moved(weights, random, NOISE)
        going, places = found["going"].astype(bool), found["place"]
        curve.append(float(found["arrived"].any(1).mean()))
        columns = {"extrinsic": Column.full(found["arrived"][going])}
        if arm != "sparse":
            way = found["goal"][:, None] - places[:, :-1]
            imagined = way @ ahead @ turned
            cosine = move_cosine(places, imagined_targets(places[:, :-1], imagined))
            progress = np.clip(np.linalg.norm(way, axis=-1) * line[0] + line[1], 0, 1)
            columns |= {"direction": Column.full(cosine[going]), "progress": Column.full(progress[going])}
        reward = np.zeros(going.shape)
        reward[going] = made.apply(columns, Layout.of(going.sum(1))).reward
        returns = np.zeros_like(reward)
        following = np.zeros(EPISODES)
        for t in reversed(range(STEPS)):
            following = reward[:, t] + GAMMA * following
            returns[:, t] = following
        baseline = (returns * going).sum(0) / np.maximum(going.sum(0), 1)
        gain = (returns - baseline)[going]
        gain = gain / (gain.std() + 1e-6)
        slope = found["feature"][going].T @ (found["noise"][going] * gain[:, None]) / (NOISE**2 * going.sum())
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        weights = weights + 0.05 * first / (1 - 0.9**update) / (np.sqrt(second / (1 - 0.99**update)) + 1e-6)
    smooth = np.convolve(curve, np.ones(5) / 5, "valid")
    good = np.flatnonzero(smooth >= ENOUGH)
    tests = [moved(weights, np.random.default_rng(10_000 + 100 * seed + k), 0.0) for k in range(8)]
    return {
        "updates": float(good[0] + 1 if len(good) else UPDATES),
        "success": float(np.mean([found["arrived"].any(1).mean() for found in tests])),
    }


def _sooner_and_safe(found: Found) -> bool:
    astray = found.difference("imagined 60° off", "sparse reward", "success").low or 0.0
    return found.below("imagined direction", "sparse reward", "updates") and astray >= -0.05


SC_VLA = Check(
    row=112,
    name="imagined-direction-shaping",
    claim="A residual on a base policy that goes 110° off arrives in nine of ten episodes after fewer updates with the "
    "imagined direction than with the sparse reward; with an imagination that is 60° off, it ends within 0.05 of the "
    "sparse reward's success.",
    arms={
        "sparse reward": lambda seed: refined(seed, "sparse"),
        "imagined direction": lambda seed: refined(seed, "guided"),
        "imagined 30° off": lambda seed: refined(seed, "aslant"),
        "imagined 60° off": lambda seed: refined(seed, "astray"),
        "imagined the other way": lambda seed: refined(seed, "opposite"),
    },
    holds=_sooner_and_safe,
    units={"updates": "updates of 16 episodes", "success": "share of episodes"},
)
