"""Checks of what rewards say of policies: distances and regret, orders that no reward induces, cliffs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import random_mdp
from rewards.comparison.correlation import pearson, spearman
from rewards.comparison.dard import dard_distance
from rewards.comparison.epic import epic_distance
from rewards.comparison.expressivity import induced_by, is_function_of
from rewards.comparison.formalisms import (
    discounted_entropy,
    last_action,
    same_action,
    satisfaction,
    seen_by_average,
    seen_by_machine,
    seen_by_markov,
    seen_by_regularised,
)
from rewards.comparison.policy_cliff import policy_stability, soft_policy
from rewards.comparison.starc import starc_distance
from rewards.comparison.tabular import Floats, TabularMDP

# --- 2: distances, and what it costs to follow the other reward -------------------------------------------------------

WORLDS, PAIRS, STEPS = 4, 8, 8
"""Of one seed: worlds, pairs of rewards in each, and steps from the one reward to the other."""
Pair = tuple[TabularMDP, Floats, Floats]


def random_reward(random: np.random.Generator, world: TabularMDP) -> Floats:
    """A reward of each transition; of any scale, and every other time with a potential, as in the paper."""
    found: Floats = random.normal(size=world.transition.shape) * random.uniform(0, 10)
    if random.random() < 0.5:
        potential = random.normal(size=len(world.start)) * random.uniform(0, 10)
        found = found + world.gamma * potential[None, None, :] - potential[:, None, None]
    return found


def share_lost(world: TabularMDP, meant: Floats, followed: Floats) -> float:
    """Regret of following the one where the other is meant, of all that there is between the best and the worst."""
    expected = world.expected(meant)
    best, worst = (world.worth(world.best_policy(sign * expected), expected) for sign in (1, -1))
    return (best - world.worth(world.best_policy(world.expected(followed)), expected)) / (best - worst)


@cache
def pairs(seed: int) -> tuple[list[Pair], list[float]]:
    """Pairs of rewards from near to far, and what each costs in the mean of both directions."""
    found: list[Pair] = []
    for number in range(WORLDS):
        random = np.random.default_rng([seed, number])
        mdp = random_mdp(1000 * seed + number, states=10, actions=4, gamma=0.95, sparse=0.1)
        world = TabularMDP(mdp.transition, mdp.start, mdp.gamma)
        for _ in range(PAIRS):
            one, other = random_reward(random, world), random_reward(random, world)
            found += [(world, one, one + (other - one) * step / STEPS) for step in range(1, STEPS + 1)]
    return found, [(share_lost(w, a, b) + share_lost(w, b, a)) / 2 for w, a, b in found]


def followed(seed: int, distance: Callable[[TabularMDP, Floats, Floats], float | None]) -> Mapping[str, float]:
    """How a distance goes with regret."""
    asked, regret = pairs(seed)
    found = [distance(*pair) for pair in asked]
    known = np.array([np.nan if value is None else value for value in found])
    return {
        "rank correlation with regret": spearman(known, regret) or 0.0,
        "correlation with regret": pearson(known, regret) or 0.0,
    }


def plain(world: TabularMDP, a: Floats, b: Floats) -> float:
    """Half the distance of rewards as they are, brought to length 1."""
    return float(np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b)) / 2)


def _nearest_to_regret(found: Found) -> bool:
    name = "rank correlation with regret"
    return all(found.above("STARC, by values", other, name) for other in ("EPIC", "DARD"))


STARC = Check(
    row=2,
    name="starc-distance",
    claim="On random worlds of ten states, the STARC distance by values goes by rank more with the regret of following "
    "one reward where the other is meant than those of EPIC and DARD do.",
    arms={
        "STARC, by values": lambda seed: followed(seed, starc_distance),
        "STARC, minimal": lambda seed: followed(seed, lambda w, a, b: starc_distance(w, a, b, "minimal")),
        "EPIC": lambda seed: followed(seed, lambda w, a, b: epic_distance(a, b, w.gamma)),
        "DARD": lambda seed: followed(seed, dard_distance),
        "rewards as they are": lambda seed: followed(seed, plain),
    },
    holds=_nearest_to_regret,
)


# --- 10: what which formalism can express -----------------------------------------------------------------------------

GAMMAS = (0.2, 0.5, 0.9)
"""Discounts of which one may be chosen together with a reward."""
Task = tuple[TabularMDP, list[Floats], Floats]
"""A world, policies, and how good each is to be."""


def choices(states: int) -> list[Floats]:
    """All policies of two actions that are not random."""
    return [np.eye(2)[list(choice)] for choice in itertools.product(range(2), repeat=states)]


def one_state(chances: Floats) -> tuple[TabularMDP, list[Floats]]:
    """A world with one state, and policies that do the second of two actions with these chances."""
    return TabularMDP(np.ones((1, 2, 1)), np.ones(1), 0.9), [np.array([[1 - p, p]]) for p in chances]


def markov_task(random: np.random.Generator) -> Task:
    """A random reward, in a world that ends sooner or later in a state where there is one thing to do."""
    transition = random.dirichlet(np.ones(4), (4, 2))
    transition[:3, :, 3] += 0.1
    transition[3] = np.eye(4)[3]
    transition /= transition.sum(-1, keepdims=True)
    world = TabularMDP(transition, np.array([1, 1, 1, 0]) / 3, float(random.choice(GAMMAS)))
    policies = [np.concatenate([policy, np.eye(2)[:1]]) for policy in choices(3)]
    reward = random.normal(size=(4, 2))
    return world, policies, np.array([world.worth(policy, reward) for policy in policies])


def xor_task(random: np.random.Generator) -> Task:
    """Two states that come by turns, each for a while, whatever is done; in each the other action is to be taken."""
    stays = random.uniform(0, 0.5, 2)
    transition = np.stack([np.array([[p, 1 - p]] * 2)[:, :: 1 - 2 * s] for s, p in enumerate(stays)])
    world, policies = TabularMDP(transition, np.array([1.0, 0.0]), 0.9), choices(2)
    return world, policies, np.array([float((policy[0] != policy[1]).any()) for policy in policies])


def entropy_task(random: np.random.Generator) -> Task:
    """A reward for the second action, and the entropy."""
    reward = np.array([[0.0, random.uniform(0.5, 1.0)]])
    world, policies = one_state(random.uniform(0, 1, 40))
    worth = [world.worth(policy, reward) + discounted_entropy(world, policy) for policy in policies]
    return world, policies, np.array(worth)


def average_task(random: np.random.Generator) -> Task:
    """A door to a better place: when one goes through it does not matter in the long run, as long as one does."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    world = TabularMDP(transition, np.array([1.0, 0.0]), 0.9)
    chances = np.append(0.0, random.uniform(0.05, 1.0, 8))
    policies = [np.array([[1 - p, p], [1.0, 0.0]]) for p in chances]
    return world, policies, np.round(seen_by_average(world, policies) @ [0.0, 0.0, 1.0, 1.0], 9)


def formula_task(random: np.random.Generator) -> Task:
    """Always the first action, or never."""
    world, policies = one_state(np.concatenate([[0.0, 1.0], random.uniform(0.05, 0.95, 8)]))
    machine, accepting = same_action(1, 2), np.array([True, True, True, False])
    return world, policies, np.round([satisfaction(world, policy, machine, accepting) for policy in policies], 9)


def threshold_task(random: np.random.Generator) -> Task:
    """An expected return that is high enough, and no more: a step function of the return."""
    chances = np.concatenate([random.uniform(0, 0.5, 5), random.uniform(0.5, 1, 5)])
    world, policies = one_state(chances)
    worth = np.array([world.worth(policy, np.array([[0.0, 1.0]])) for policy in policies])
    return world, policies, (worth >= 0.5 / (1 - world.gamma)).astype(float)


def unseen_task(random: np.random.Generator) -> Task:
    """What is done in a state where one never is."""
    transition = np.zeros((2, 2, 2))
    transition[:, :, 0] = 1.0
    policies = choices(2)
    return TabularMDP(transition, np.array([1.0, 0.0]), 0.9), policies, np.array([p[1, 1] for p in policies])


TASKS: Mapping[str, Callable[[np.random.Generator], Task]] = {
    "Markov reward": markov_task,
    "XOR": xor_task,
    "return and entropy": entropy_task,
    "limit average": average_task,
    "always or never": formula_task,
    "threshold of the return": threshold_task,
    "policy where one never is": unseen_task,
}
SEEN: Mapping[str, Callable[[TabularMDP, list[Floats]], Floats]] = {
    "Markov rewards": seen_by_markov,
    "limit average": seen_by_average,
    "reward machine": lambda world, policies: seen_by_machine(world, policies, last_action(*world.mask.shape)),
    "regularised by entropy": seen_by_regularised,
}
EXPRESSIBLE = {  # in the order of TASKS, as the paper's diagram has it
    "Markov rewards": (1, 0, 0, 0, 0, 0, 0),
    "limit average": (0, 0, 0, 1, 0, 0, 0),
    "reward machine": (1, 1, 0, 0, 0, 0, 0),
    "regularised by entropy": (1, 0, 1, 0, 0, 0, 0),
    "function of the occupancy": (1, 1, 1, 1, 1, 1, 0),
}


def expressed(seed: int, formalism: str) -> Mapping[str, float]:
    """Which tasks a formalism can express, with some discount."""
    found = {}
    for number, (name, draw) in enumerate(TASKS.items()):
        world, policies, ranks = draw(np.random.default_rng([seed, number]))
        if formalism == "function of the occupancy":
            can = is_function_of(seen_by_markov(world, policies), ranks)
        else:
            worlds = [TabularMDP(world.transition, world.start, gamma) for gamma in GAMMAS]
            can = any(induced_by(SEEN[formalism](w, policies), ranks) is not None for w in worlds)
        found[name] = float(can)
    return found


EXPRESSIVITY = Check(
    row=10,
    name="objective-formalism-expressivity",
    claim="Of seven tasks, five formalisms express exactly those that the paper's diagram gives them: XOR, a return "
    "with entropy, a limit average, always or never, and a threshold of the return are beyond Markov rewards, and a "
    "random Markov reward never is.",
    arms={name: partial(expressed, formalism=name) for name in EXPRESSIBLE},
    holds=lambda found: all(
        set(found.values[arm][task]) == {float(can)}
        for arm, row in EXPRESSIBLE.items()
        for task, can in zip(TASKS, row, strict=True)
    ),
    units={task: "share of draws" for task in TASKS},
)


# --- 14: how far a policy moves when the reward moves a little --------------------------------------------------------

SIZES = (1e-5, 1e-4, 1e-3)
AHEAD = 0.2
"""By how much at least the best action is ahead: more than rewards can make up for that move by SIZES."""
COLD, WARM = 0.05, 0.2


def cliff_world(seed: int, ties: bool) -> tuple[TabularMDP, Floats]:
    """A random world and its expected reward; with ties, in every other state a second action does what the best does.

    Args:
        seed: of the world.
        ties: whether there are any.
    """
    mdp = random_mdp(seed, states=8, actions=3)
    transition, expected = mdp.transition.copy(), mdp.expected.copy()
    best = TabularMDP(transition, mdp.start, mdp.gamma).best_policy(expected).argmax(1)
    every = np.arange(len(best))
    expected[every, best] += AHEAD  # the same in all states: what is best stays best
    if ties:
        some = every[::2]
        twin = (best[some] + 1) % 3
        transition[some, twin], expected[some, twin] = transition[some, best[some]], expected[some, best[some]]
    return TabularMDP(transition, mdp.start, mdp.gamma), expected


def moved(seed: int, ties: bool, beta: float | None) -> Mapping[str, float]:
    """How far a policy moves, and what it is worth between random and best."""
    world, expected = cliff_world(seed, ties)
    found = policy_stability(world, expected, SIZES, beta, draws=16, seed=seed)
    best = world.best_policy(expected)
    policy = best if beta is None else soft_policy(world, expected, beta)
    least, got, most = (world.worth(p, expected) for p in (world.uniform(), policy, best))
    variation = {f"variation at {size:g}": float(each.max()) for size, each in zip(SIZES, found.moved, strict=True)}
    return {**variation, "least gap": float(found.gap.min()), "worth": (got - least) / (most - least)}


def _cliffs_and_slopes(found: Found) -> bool:
    """Greedy: all or nothing; soft: in step with the reward, and with 1/β to a quarter, for a price."""
    at = [f"variation at {size:g}" for size in SIZES]
    falls = all(found.interval("ties, greedy", name)[0] > 0.99 for name in at)
    stands = all(found.interval("no ties, greedy", name)[1] == 0 for name in at)
    soft = [f"ties, β = {beta:g}" for beta in (COLD, WARM)]
    linear = all(
        abs(found.mean(arm, at[i + 1]) / found.mean(arm, at[i]) / (SIZES[i + 1] / SIZES[i]) - 1) < 0.05
        for arm in soft
        for i in range(len(SIZES) - 1)
    )
    ratio = found.mean(soft[0], at[-1]) / found.mean(soft[1], at[-1]) / (WARM / COLD)
    return falls and stands and linear and 0.75 < ratio < 1.25 and found.below(soft[1], "ties, greedy", "worth")


CLIFF = Check(
    row=14,
    name="policy-cliff-probe",
    claim="Where actions tie, a reward that moves by as little as 1e-5 turns the greedy policy round, and where none "
    "do it leaves it as it is; a soft policy moves in proportion to the reward and, within a quarter, to 1/β, and is "
    "worth less.",
    arms={
        "ties, greedy": lambda seed: moved(seed, True, None),
        f"ties, β = {COLD:g}": lambda seed: moved(seed, True, COLD),
        f"ties, β = {WARM:g}": lambda seed: moved(seed, True, WARM),
        "no ties, greedy": lambda seed: moved(seed, False, None),
        f"no ties, β = {COLD:g}": lambda seed: moved(seed, False, COLD),
    },
    holds=_cliffs_and_slopes,
    units={
        **{f"variation at {size:g}": "total variation" for size in SIZES},
        "least gap": "reward",
        "worth": "share of best above random",
    },
)
