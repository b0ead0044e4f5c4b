"""Check of rewards from interventions: a grid, an expert with habits, and who learns from his taking over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.menu import view
from benchmarks.methods.worlds.tabular import MDP, grid
from rewards.columns import Column
from rewards.views.layout import Layout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HABITS, EPISODES, LONGEST, TAKEOVER = 0.35, 600, 80, 5
REWARD = view({"intervened": "step"}, {"part": "intervention", "preset": "rlif", "of": "intervened", "to": "reward"})


class Expert(NamedTuple):
    """Who takes over.

    Attributes:
        policy: what he does `[S, A]`; in some cells always something silly.
        worth: of each action, going on as he does `[S, A]`.
    """

    policy: Floats
    worth: Floats


def expert(mdp: MDP, random: np.random.Generator) -> Expert:
    """The best policy with silly habits in a share of the cells, worth 40 to 80 % of the best."""
    best = mdp.solve()
    while True:
        silly = random.random(len(best)) < HABITS
        policy = np.where(silly[:, None], np.eye(4)[random.integers(0, 4, len(best))], best)
        if 0.4 <= mdp.worth(policy) / mdp.worth(best) <= 0.8:
            values = mdp.values(policy) * ~mdp.terminal
            return Expert(policy, mdp.expected + mdp.gamma * mdp.transition @ values)


def episode(
    mdp: MDP, policy: Floats, teacher: Expert, alpha: float, random: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints, bool]:
    """States, actions, next states, who acted (1: the expert), and whether it ended.

    The expert sees what is done. He takes over from the next step for some with probability 0.95 where he thinks little
    of it, by his own values, and with 0.05 elsewhere.
    """
    state, left, steps = 0, 0, []
    cumulative = mdp.transition.cumsum(-1)
    for _ in range(LONGEST):
        by = int(left > 0)
        chances = teacher.policy[state] if by else policy[state]
        action = int((random.random() > chances.cumsum()).sum().clip(0, 3))
        after = int((random.random() > cumulative[state, action]).sum().clip(0, len(policy) - 1))
        steps.append((state, action, after, by))
        if by:
            left -= 1
        else:
            his = float(teacher.policy[state] @ teacher.worth[state])
            poor = teacher.worth[state, action] < alpha * his
            left = TAKEOVER * int(random.random() < (0.95 if poor else 0.05))
        state = after
        if mdp.terminal[after]:
            break
    found = np.array(steps).T
    return found[0], found[1], found[2], found[3], bool(mdp.terminal[state])


def learnt(seed: int, method: str, alpha: float = 0.98) -> Mapping[str, float]:
    """True return after a number of episodes with an expert, as a share of the best.

    Args:
        seed: of everything.
        method: `rlif`, `dagger` (he says at each step what he would do), `hg_dagger` (what he does when he takes over
            is imitated), or `expert` himself.
        alpha: how much of his own worth an action must promise to be let pass.
    """
    mdp, random = grid(6, slip=0.1), np.random.default_rng(seed)
    teacher = expert(mdp, random)
    share = mdp.worth(mdp.solve())
    policy, counts, table = np.full((36, 4), 0.25), np.zeros((36, 4)), np.zeros((36, 4))
    kept: list[tuple[Ints, Ints, Ints, Floats]] = []
    interventions = []
    for _ in range(EPISODES if method != "expert" else 0):
        states, actions, after, by, ended = episode(mdp, policy, teacher, alpha, random)
        interventions.append(float(np.mean(by)))
        if method == "rlif":
            layout = Layout.of([len(by)], ended=[ended])
            found = REWARD.apply({"intervened": Column.full(by)}, layout)
            known = found.weight > 0
            kept.append((states[known], actions[known], after[known], found.reward[known].astype(np.float64)))
            for place in [len(kept) - 1, *random.integers(0, len(kept), 8).tolist()]:
                for s, a, t, r in zip(*(column[::-1].tolist() for column in kept[place]), strict=True):
                    aim = r + (0.0 if mdp.terminal[t] else mdp.gamma * table[t].max())
                    table[s, a] += 0.1 * (aim - table[s, a])
            policy = greedy(table, 0.05)
        else:
            asked = np.ones(len(by), np.bool_) if method == "dagger" else by == 1
            said = teacher.policy[states[asked]].argmax(1)
            np.add.at(counts, (states[asked], said), 1.0)
            policy = np.where(counts.sum(1, keepdims=True) > 0, np.eye(4)[counts.argmax(1)], 0.25)
    done = teacher.policy if method == "expert" else greedy(table, 0.0) if method == "rlif" else policy
    return {
        "return": mdp.worth(done) / share,
        "expert at work": float(np.mean(interventions[-50:])) if interventions else 1.0,
    }


def greedy(table: Floats, epsilon: float) -> Floats:
    """The best action by a table of values, and any of them now and then `[S, A]`."""
    best = table == table.max(1, keepdims=True)
    found: Floats = (1 - epsilon) * best / best.sum(1, keepdims=True) + epsilon / table.shape[1]
    return found


RLIF = Check(
    row=92,
    name="intervention-reward",
    claim="From an expert whose own return is 40 to 80 % of the best, who is paid for not being interrupted ends with "
    "more true return than the expert, than DAgger and than HG-DAgger.",
    arms={
        "expert": lambda seed: learnt(seed, "expert"),
        "DAgger": lambda seed: learnt(seed, "dagger"),
        "HG-DAgger": lambda seed: learnt(seed, "hg_dagger"),
        "RLIF": lambda seed: learnt(seed, "rlif"),
    },
    holds=lambda found: all(found.above("RLIF", other, "return") for other in ("expert", "DAgger", "HG-DAgger")),
    units={"return": "share of the best", "expert at work": "share of steps"},
)
