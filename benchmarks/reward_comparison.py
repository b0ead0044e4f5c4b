"""`reward-comparison`: are STARC and EPIC what their papers define, and do they feel nothing that no policy feels?

    python -m benchmarks.reward_comparison
    python -m benchmarks.reward_comparison worlds=200 results=docs/results

Random tabular worlds and two worked by hand. The other implementation shares no code with `rewards/comparison`: values
by sweeps instead of a linear system, EPIC by loops over its definition, the smallest reward by numerical search (BFGS)
instead of a projection, regret by trying every policy.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, write_result
from rewards.comparison.canonicalisation import minimal, val
from rewards.comparison.epic import epic_distance
from rewards.comparison.regret_bounds import regret_of
from rewards.comparison.starc import starc_distance
from rewards.comparison.tabular import TabularMDP

NAME = "reward-comparison"
CLOSE = 1e-6
Floats = NDArray[np.float64]


def values_by_sweeps(world: TabularMDP, expected: Floats) -> Floats:
    """V of the uniform policy, by applying the Bellman operator until nothing moves."""
    value = np.zeros(len(world.start))
    for _ in range(20_000):
        new = np.array(
            [
                np.mean([e + world.gamma * t @ value for e, t in zip(*row, strict=True)])
                for row in zip(expected, world.transition, strict=True)
            ]
        )
        if np.abs(new - value).max() < 1e-13:
            break
        value = new
    return value


def distance_of(canonical: Callable[[Floats], Floats], a: Floats, b: Floats) -> float:
    first, second = canonical(a).ravel(), canonical(b).ravel()
    first, second = (x / np.sqrt(sum(v * v for v in x)) for x in (first, second))
    return float(np.sqrt(sum((x - y) ** 2 for x, y in zip(first, second, strict=True))) / 2)


def other_val(world: TabularMDP, reward: Floats) -> Floats:
    expected = (world.transition * reward).sum(-1)
    value = values_by_sweeps(world, expected)
    return np.array(
        [
            [
                expected[s, a] - value[s] + world.gamma * sum(world.transition[s, a] * value)
                for a in range(expected.shape[1])
            ]
            for s in range(len(value))
        ]
    )


def other_minimal(world: TabularMDP, reward: Floats) -> Floats:
    expected = (world.transition * reward).sum(-1)

    def shaped(potential: Floats) -> Floats:
        found: Floats = expected + world.gamma * world.transition @ potential - potential[:, None]
        return found

    def size(potential: Floats) -> tuple[float, Floats]:
        now = shaped(potential)
        slope = 2 * world.gamma * np.einsum("sat,sa->t", world.transition, now) - 2 * now.sum(1)
        return float((now**2).sum()), slope

    start = np.zeros(len(world.start))
    found = minimize(size, start, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 10_000})
    return shaped(found.x)


def other_epic(a: Floats, b: Floats, gamma: float) -> float:
    n, m, _ = a.shape
    shaped = []
    for reward in (a, b):
        leaving = [np.mean([reward[s, u, t] for u in range(m) for t in range(n)]) for s in range(n)]
        all_ = np.mean(leaving)
        shaped.append(
            [
                reward[s, u, t] + gamma * leaving[t] - leaving[s] - gamma * all_
                for s, u, t in itertools.product(range(n), range(m), range(n))
            ]
        )
    return float(np.sqrt((1 - np.corrcoef(shaped[0], shaped[1])[0, 1]) / 2))


def by_hand() -> list[tuple[str, float, float]]:
    """Distances of small worlds, and what they are on paper (worked out in tests/rewards/comparison)."""
    bandit = TabularMDP(np.ones((1, 2, 1)), np.ones(1), 0.5)
    up, down = np.array([[[1.0], [3.0]]]), np.array([[[5.0], [0.0]]])
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    walk = TabularMDP(transition, np.array([1.0, 0.0]), 0.5)
    going, being = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    going[0, 1], being[1] = 1.0, 1.0
    epic = epic_distance(going, being, 0.5)
    assert epic is not None
    return [
        ("bandit, opposite rewards, STARC", starc_distance(bandit, up, down), 1.0),
        ("bandit, scaled and moved, STARC", starc_distance(bandit, up, 7 * up + 2), 0.0),
        ("two states, paid for going or for being there, STARC", starc_distance(walk, going, being), 0.0),
        ("two states, paid for going or for being there, EPIC", epic, float(np.sqrt(2 / 3))),
    ]


def one(seed: int) -> dict[str, Cell]:
    """One random world: differences to the other implementation, and what invariance leaves."""
    random = np.random.default_rng(seed)
    states, actions = int(random.integers(2, 6)), int(random.integers(2, 4))
    gamma = float(random.uniform(0.3, 0.95))
    world = TabularMDP(random.dirichlet(np.ones(states), (states, actions)), random.dirichlet(np.ones(states)), gamma)
    a, b = random.normal(size=(2, states, actions, states))
    potential, factor = 3 * random.normal(size=states), float(np.exp(random.normal()))
    moved = factor * b + gamma * potential[None, None, :] - potential[:, None, None]
    noise = random.normal(size=b.shape)
    spread = moved + noise - world.expected(noise)[:, :, None]
    epic, epic_moved = epic_distance(a, b, gamma), epic_distance(a, moved, gamma)
    assert epic is not None and epic_moved is not None
    starc = {name: starc_distance(world, a, b, name) for name in ("val", "minimal")}
    regret = regret_of(world, world.expected(a), world.expected(b), val(world, a), val(world, b))
    worths = [
        world.worth(np.eye(actions)[list(choice)], world.expected(a))
        for choice in itertools.product(range(actions), repeat=states)
    ]
    followed = world.worth(world.best_policy(world.expected(b)), world.expected(a))
    return {
        "seed": seed,
        "states": states,
        "actions": actions,
        "gamma": gamma,
        "starc_val": starc["val"],
        "starc_minimal": starc["minimal"],
        "epic": epic,
        "regret": regret.regret,
        "regret_bound": regret.bound,
        "differs_val": abs(starc["val"] - distance_of(lambda r: other_val(world, r), a, b)),
        "differs_minimal": abs(starc["minimal"] - distance_of(lambda r: other_minimal(world, r), a, b)),
        "differs_epic": abs(epic - other_epic(a, b, gamma)),
        "differs_regret": abs(regret.regret - (max(worths) - followed)),
        "moves_val": abs(starc_distance(world, a, spread) - starc["val"]),
        "moves_minimal": abs(starc_distance(world, a, spread, "minimal") - starc["minimal"]),
        "moves_epic": abs(epic_moved - epic),
        "minimal_is_smaller": bool((minimal(world, a) ** 2).sum() <= (val(world, a) ** 2).sum() + 1e-9),
    }


def report(rows: Sequence[dict[str, Cell]], results: Path) -> Result:
    """Write the result."""

    def greatest(name: str) -> float:
        return max(float(row[name] or 0.0) for row in rows)

    exact = by_hand()
    worked: list[dict[str, Cell]] = [{"by_hand": name, "found": found, "paper": paper} for name, found, paper in exact]
    names = [name for name in rows[0] if name.startswith(("differs_", "moves_"))]
    figures = {f"greatest {name.replace('_', ', ')}": greatest(name) for name in names}
    figures["greatest difference to values worked by hand"] = max(abs(found - paper) for _, found, paper in exact)
    within = all(float(row["regret"] or 0.0) <= float(row["regret_bound"] or 0.0) + CLOSE for row in rows)
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"On {len(rows)} random tabular worlds and on those worked by hand, STARC (by values and minimal) and EPIC are "
        f"within {CLOSE:g} of another implementation and of the numbers on paper, move by less than {CLOSE:g} under "
        "potential shaping and scaling (STARC under redistribution over next states too), and no regret exceeds the "
        "bound that STARC promises.",
        all(value <= CLOSE for value in figures.values()) and within and all(row["minimal_is_smaller"] for row in rows),
        f"python -m benchmarks.{NAME.replace('-', '_')}",
        {name: Figure(value=value, unit="distance", low=None, high=None, n=1) for name, value in figures.items()},
        [*rows, *worked],
    )


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    worlds, results = int(values.pop("worlds", 100)), Path(str(values.pop("results", "docs/results")))
    if values or worlds < 1:
        raise UserError(f"got {', '.join(values) or f'worlds={worlds}'}; expected worlds=N, at least 1, and results=")
    print(f"{results / f'{NAME}.json'}: holds {report([one(seed) for seed in range(worlds)], results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
