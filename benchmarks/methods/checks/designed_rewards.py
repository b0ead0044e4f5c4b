"""Check of reward programs that are written anew by what went wrong: a way to a goal between pools of lava."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import tabular
from rewards.columns import Column
from rewards.sandbox.tiers import Config
from rewards.sources.reward_design import RewardDesign, Roles
from rewards.sources.reward_programs import Rewards, run, signed

Floats = NDArray[np.float64]
SIZE, LAVA, SLIP = 7, 12, 0.1
STEPS, LONGEST, TAIL, WORLDS = 2000, 60, 5, 12
"""Steps that an agent learns from, the longest episode, steps of its end that are analysed, and worlds a seed."""
FIELDS = ("distance", "at_goal", "in_lava")
DEAD, LATE = "it dies in lava", "it runs out of time"
Step = str
"""What is said of a step of a trajectory: where it led."""


class World:
    """A grid with lava, which ends an episode; the way to the goal that is shortest often leads past it."""

    def __init__(self, seed: int) -> None:
        """Lava in random cells that leave a way."""
        plain, random = tabular.grid(SIZE, slip=SLIP), np.random.default_rng(seed)
        cells = SIZE * SIZE
        neighbours = plain.transition.sum(1) > 0
        while True:
            lava = np.zeros(cells, np.bool_)
            lava[random.permutation(cells - 2)[:LAVA] + 1] = True
            reached = np.eye(cells)[0] > 0
            for _ in range(cells):
                reached = reached | ((neighbours & ~lava).T @ (reached & ~lava))
            if reached[-1]:
                break
        self.lava, self.mdp = lava, replace(plain, terminal=plain.terminal | lava)
        row, column = np.divmod(np.arange(cells), SIZE)
        distance = 2 * (SIZE - 1) - row - column
        self.seen = [
            {"distance": int(distance[k]), "at_goal": k == cells - 1, "in_lava": bool(lava[k])} for k in range(cells)
        ]
        self.pairs = np.argwhere(neighbours)

    def table(self, program: str | None) -> Floats:
        """What a program pays for a step from one cell to another; None: 1 at the goal alone."""
        shown = [(self.seen[before], self.seen[after]) for before, after in self.pairs]
        if program is None:
            goal = Column.full([float(after["at_goal"]) for _, after in shown])
            paid = signed(Rewards(Column.full(np.zeros(len(shown))), goal))
        else:
            paid = signed(run(program, shown, Config()))
        if not paid.valid.all():
            raise ValueError(f"got a program that says nothing of {int((~paid.valid).sum())} steps: {program}")
        found = np.zeros((SIZE * SIZE, SIZE * SIZE))
        found[self.pairs[:, 0], self.pairs[:, 1]] = paid.values
        return found

    def ends(self, policy: Floats) -> tuple[float, float]:
        """How likely a policy `[S, A]` comes to the goal, and into lava, before an episode is cut."""
        step = np.einsum("sa,sat->st", policy, self.mdp.transition)
        step[self.mdp.terminal] = np.eye(SIZE * SIZE)[self.mdp.terminal]
        found = self.mdp.start @ np.linalg.matrix_power(step, LONGEST)
        return float(found[-1]), float(found[self.lava].sum())


@cache
def learnt(number: int, program: str | None, seed: int, steps: int) -> tuple[float, float, list[list[Step]]]:
    """How an agent ends that learns by a program in a world of that number, and the trajectories that failed till then.

    All arms ask for the same agents, so that each learns once.
    """
    world = World(number)
    table, trajectories = world.table(program), [list[Step]()]
    taken = 0

    def paid(before: int, action: int, after: int, reward: float, ended: bool) -> float:
        nonlocal taken
        taken += 1
        seen = world.seen[after]
        trajectories[-1].append("goal" if seen["at_goal"] else "lava" if seen["in_lava"] else "elsewhere")
        if ended or len(trajectories[-1]) == LONGEST:
            trajectories.append([])
        return float(table[before, after])

    q, _ = tabular.q_learning(
        world.mdp, seed, steps, LONGEST, rate=0.3, shaped=paid, enough=lambda table: taken >= steps
    )
    best = q == q.max(1, keepdims=True)
    return (*world.ends(best / best.sum(1, keepdims=True)), [one for one in trajectories if one and one[-1] != "goal"])


def design(analyses: Sequence[str], complaints: Sequence[str]) -> str:
    """Stands for a model: it has an answer to each analysis, and writes the name of a field wrongly at first."""
    distance = "distance" if complaints or analyses else "distance_to_goal"
    lines = ["def reward(prev_obs, obs):", f'    dense = 100 * (prev_obs["{distance}"] - obs["{distance}"])']
    if any(LATE in analysis for analysis in analyses):
        lines += ["    if dense == 0:", "        dense = -5"]
    if any(DEAD in analysis for analysis in analyses):
        lines += ['    if obs["in_lava"]:', "        return dense, -1"]
    return "\n".join([*lines, '    return dense, 10 if obs["at_goal"] else 0', ""])


def analyse(ends: Sequence[Sequence[Step]]) -> str:
    """Stands for a model: it tells the causes of at least a tenth of the failures."""
    deaths = float(np.mean([end[-1] == "lava" for end in ends]))
    return "; ".join(cause for cause, share in ((DEAD, deaths), (LATE, 1 - deaths)) if share >= 0.1)


def designed(seed: int, designs: int, times: int = 1) -> Mapping[str, float]:
    """How the agent ends that learns by the last of some designs; each agent before it has failed and was analysed.

    Args:
        seed: of worlds and learning.
        designs: how many; 0: the reward of the goal alone.
        times: as many steps as usual, for the last agent.
    """
    goals, deaths, refused = list[float](), list[float](), 0
    for k in range(WORLDS):
        world = WORLDS * seed + k
        made = RewardDesign(FIELDS, Roles(design, lambda program: (), analyse))
        for number in range(designs):
            program = made.next()
            if number < designs - 1:
                made.learnt(learnt(world, program, seed, STEPS)[2], TAIL)
        program = made.programs[-1] if designs else None
        goal, death, _ = learnt(world, program, seed, times * STEPS)
        goals.append(goal)
        deaths.append(death)
        refused += len(made.refused)
    return {"success": float(np.mean(goals)), "death": float(np.mean(deaths)), "refused": refused / WORLDS}


DESIGNS = ("first design", "second design", "third design")


def _better_by_analysis(found: Found) -> bool:
    plain = ("goal alone, three times the steps", "first design, three times the steps")
    return found.above("second design", "first design", "success") and all(
        found.above("third design", other, "success") for other in plain
    )


AUTO_MC_REWARD = Check(
    row=80,
    name="llm-reward-designer-critic-analyzer",
    claim="Between pools of lava, an agent that learns by a program that was rewritten by what its failures were comes "
    "to the goal more often than by the first program; and after two rewritings more often than with three times the "
    "steps by the first, or by the goal alone.",
    arms={
        "goal alone": partial(designed, designs=0),
        "goal alone, three times the steps": partial(designed, designs=0, times=3),
        "first design, three times the steps": partial(designed, designs=1, times=3),
        **{arm: partial(designed, designs=number) for number, arm in enumerate(DESIGNS, start=1)},
    },
    holds=_better_by_analysis,
    units={"success": "chance", "death": "chance", "refused": "programs"},
)
