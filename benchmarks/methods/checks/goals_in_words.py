"""Checks of goals in words: an encoder learns what captions have to do with what is seen, and is the only reward."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import MDP, grid
from benchmarks.methods.worlds.words import FAR, LAMPS, WEATHER, road, room
from rewards.comparison.epic import epic_distance
from rewards.models.contrastive import ContrastiveEncoder
from rewards.sources.goal_similarity import contrasting_goals, goal_baseline, safe_speed

Floats = NDArray[np.float64]
NOISE = 0.05
"""Standard deviation of what is seen around the state, in training."""
PAIRS, FEW = 2000, 40


def encoder(seed: int, states: tuple[Floats, list[tuple[str, ...]]], pairs: int) -> ContrastiveEncoder:
    """Trained on so many noisy observations with their captions."""
    random = np.random.default_rng(seed)
    seen, said = states
    index = random.integers(0, len(seen), pairs)
    captions = [said[i][k] for i, k in zip(index, random.integers(0, len(said[0]), pairs), strict=True)]
    found = ContrastiveEncoder(seen.shape[1], seed=seed)
    found.train(seen[index] + random.normal(0, NOISE, (pairs, seen.shape[1])), captions, steps=600)
    return found


def lit_room() -> MDP:
    """The room: four moves, a lamp that changes by itself, and 1 for each step into the last corner; no end."""
    moves = grid(6).transition
    moves[-1] = [moves[-2, 0], moves[-1, 1], moves[-1, 2], moves[-1, 3]]  # the corner is no end: one can go on
    for action, after in enumerate((29, 35, 34, 35)):
        moves[-1, action] = np.eye(36)[after]
    lamps = len(LAMPS)
    transition = np.einsum("sat,l->satl", moves, np.full(lamps, 1 / lamps)).reshape(36, 4, 36 * lamps)
    transition = np.repeat(transition, lamps, axis=0)
    reward = np.zeros((108, 4, 108))
    reward[:, :, -lamps:] = 1.0
    start = np.zeros(108)
    start[:lamps] = 1 / lamps
    return MDP(transition, reward, start, np.zeros(108, np.bool_), 0.95)


def wished(seed: int, alpha: float, pairs: int = PAIRS) -> Mapping[str, float]:
    """How far the reward of a goal in words is from the true one, and what who maximises it gets of that.

    Args:
        seed: of the encoder and its pairs.
        alpha: of the regularisation by a baseline.
        pairs: that the encoder learns from.
    """
    mdp, states = lit_room(), room()
    found = encoder(seed, states, pairs)
    goal, baseline = found.of_texts(["the robot is in row six and column six", "the robot is in a room"])
    paid = np.broadcast_to(goal_baseline(found.of_seen(states[0]), goal, baseline, alpha), mdp.reward.shape)
    distance = epic_distance(np.array(paid), mdp.reward, mdp.gamma)
    best = mdp.worth(mdp.solve())
    return {
        "distance": 1.0 if distance is None else distance,
        "return": mdp.worth(mdp.solve(np.array(paid))) / best,
    }


ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _between(found: Found) -> bool:
    half, none = "α = 0.5", "α = 0"
    return (
        found.below(half, none, "distance")
        and found.below(half, "α = 0.5, few pairs", "distance")
        and found.interval(half, "return")[0] > 0.9
    )


VLM_RM = Check(
    row=94,
    name="goal-baseline-embedding-reward",
    claim="The reward of a goal in words, by an encoder that learnt from 2,000 captions, is nearer to the true one "
    "with half of the regularisation by a baseline than without, and than by one that has learnt from 40; and who "
    "maximises it gets more than nine tenths of the best return.",
    arms={
        **{f"α = {alpha:g}": partial(wished, alpha=alpha) for alpha in ALPHAS},
        "α = 0.5, few pairs": lambda seed: wished(seed, 0.5, FEW),
    },
    holds=_between,
    units={"distance": "EPIC distance", "return": "share of the best"},
)

SPEEDS, GAMMA, STEPS, CRASHED = 4, 0.95, 300, 1.0
AHEAD = (0, 1, 2, 3)
"""Speeds of the car ahead, by chance each step."""
RISK = 0.1 * np.exp(-np.arange(FAR + 1) / 2.0)
"""Chance of a crash at full speed, by the gap: less room, less time to see what else is on the road."""


def driven(seed: int, arm: str) -> Mapping[str, float]:
    """Crashes and way of who drives best by a reward; and how well what is said of the scene goes with the risk.

    The state is the gap, one's speed and the weather; one speeds up, keeps on, or brakes. What is paid depends on the
    state that a step leads to. Solved exactly, and driven for 100 times 300 steps.

    Args:
        seed: of the encoder, its pairs and the driving.
        arm: `speed`, `positive`, `contrast`, or `hierarchy`.
    """
    states = road()
    made = encoder(seed, states, PAIRS)
    clear, crash = made.of_texts(["the road is clear", "a crash is near"])
    seen = made.of_seen(states[0])
    alpha = 1.0 if arm == "positive" else 0.5
    likeness = contrasting_goals(seen, clear, crash, alpha).reshape(FAR + 1, len(WEATHER))
    low, high = np.quantile(likeness, [0.1, 0.9])
    speed = np.arange(SPEEDS)[None, :, None]
    paid = {
        "speed": np.broadcast_to(speed / (SPEEDS - 1), (FAR + 1, SPEEDS, len(WEATHER))),
        "hierarchy": safe_speed(likeness[:, None], speed, SPEEDS - 1, float(low), float(high)),
    }.get(arm, np.broadcast_to(likeness[:, None], (FAR + 1, SPEEDS, len(WEATHER))))
    policy = _best(np.asarray(paid))
    crashes, way = _drive(policy, np.random.default_rng(seed))
    risk = np.broadcast_to(RISK[:, None], likeness.shape)
    return {
        "crashes": crashes,
        "route": way,
        "correlation": float(-np.corrcoef(likeness.reshape(-1), risk.reshape(-1))[0, 1]),
    }


def _after(gap: int, speed: int, lead: int) -> int:
    """The gap after a step; below 0 it is a crash."""
    return min(gap + lead - speed, FAR)


def _best(paid: Floats) -> NDArray[np.int64]:
    """Changes of speed (0 brake, 1 keep, 2 speed up) by value iteration `[gap, speed]`; weathers come by chance."""
    mean, value = paid.mean(-1), np.zeros((FAR + 1, SPEEDS))
    worth = np.zeros((FAR + 1, SPEEDS, 3))
    for _ in range(300):
        for gap in range(FAR + 1):
            for speed in range(SPEEDS):
                for change in range(3):
                    new, total = int(np.clip(speed + change - 1, 0, SPEEDS - 1)), 0.0
                    for lead in AHEAD:
                        after = _after(gap, new, lead)
                        risk = 1.0 if after < 0 else RISK[after] * new / (SPEEDS - 1)
                        going = mean[after, new] + GAMMA * value[after, new]
                        total += (1 - risk) * going - risk * CRASHED
                    worth[gap, speed, change] = total / len(AHEAD)
        value = worth.max(-1)
    best: NDArray[np.int64] = worth.argmax(-1)
    return best


def _drive(policy: NDArray[np.int64], random: np.random.Generator) -> tuple[float, float]:
    """Share of 100 drives that crash, and of the greatest way that is driven before the end."""
    crashes, way = 0, 0
    for _ in range(100):
        gap, speed = FAR, 0
        for _ in range(STEPS):
            speed = int(np.clip(speed + policy[gap, speed] - 1, 0, SPEEDS - 1))
            gap = _after(gap, speed, int(random.choice(AHEAD)))
            if gap < 0 or random.random() < RISK[gap] * speed / (SPEEDS - 1):
                crashes += 1
                break
            way += speed
    return crashes / 100, way / (100 * STEPS * (SPEEDS - 1))


def _safer_and_farther(found: Found) -> bool:
    hierarchy = "contrast decides the speed"
    return (
        found.above("contrast alone", "positive goal alone", "correlation")
        and found.below(hierarchy, "speed alone", "crashes")
        and found.above(hierarchy, "contrast alone", "route")
        and found.above(hierarchy, "speed alone", "route")
    )


VLM_RL = Check(
    row=225,
    name="contrasting-language-goal-reward",
    claim="Likeness to a clear road less that to a crash goes with the true risk better than the former alone; and who "
    "is paid for the speed that it allows crashes less than who is paid for speed, and drives farther than he and than "
    "who is paid for the likeness.",
    arms={
        "speed alone": lambda seed: driven(seed, "speed"),
        "positive goal alone": lambda seed: driven(seed, "positive"),
        "contrast alone": lambda seed: driven(seed, "contrast"),
        "contrast decides the speed": lambda seed: driven(seed, "hierarchy"),
    },
    holds=_safer_and_farther,
    units={"crashes": "share of drives", "route": "share of the greatest way", "correlation": "with the true risk"},
)
